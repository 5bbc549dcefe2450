"""Share what every test may need: tools, recorded data, and a summary that hides no skip."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from store.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
NO_RECORDED_DATA = "no recorded data"

# A shared machine stalls at times: a deadline would make a slow moment look like a wrong answer.
settings.register_profile("tradedeck", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# CI asks the same examples every time: a new one is found at a desk, where it can be mended, not in a landing.
settings.register_profile("ci", settings.get_profile("tradedeck"), derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tradedeck"))


def recorded_data_folder() -> Path | None:
    """Give the folder of recorded data, from TRADEDECK_DATA or beside the project, if it is there."""
    named = os.environ.get("TRADEDECK_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """Give the folder of recorded data, or skip: every such test has a twin on generated data."""
    folder = recorded_data_folder()
    if folder is None:
        pytest.skip(f"{NO_RECORDED_DATA}: set TRADEDECK_DATA, or put it into ../shared/data")
    return folder


@pytest.fixture(scope="session")
def needs_tool() -> Callable[..., str]:
    """Give a function that finds a program, or skips; with TRADEDECK_REQUIRE_TOOLS=1 (as in CI) it fails."""

    def find(program: str, package: str | None = None) -> str:
        path = shutil.which(program)
        if path is not None:
            return path
        complaint = f"{program} is not installed (Debian package: {package or program})"
        if os.environ.get("TRADEDECK_REQUIRE_TOOLS") == "1":
            pytest.fail(complaint)
        pytest.skip(complaint)

    return find


def quick_folder() -> Path:
    """Make a folder in memory where there is room, by a path short enough for sockets; who made it removes it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 29
    return Path(tempfile.mkdtemp(prefix="td-", dir=memory if roomy else "/tmp"))


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """Give the embedded PostgreSQL, one for all tests; what a test writes goes into a schema of its own."""
    from store.postgres import PostgresServer

    folder = quick_folder()
    server = PostgresServer(folder / "postgres")
    try:
        server.start(create=True)
        yield server
    finally:
        server.stop(now=True)
        shutil.rmtree(folder)


@pytest.fixture
def dsn(postgres: "PostgresServer", request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the address of an empty schema."""
    import psycopg

    schema = f"t{zlib.crc32(request.node.nodeid.encode()):08x}"
    with psycopg.connect(**postgres.conninfo, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        yield " ".join(
            [*(f"{key}={value}" for key, value in postgres.conninfo.items()), f"options=-csearch_path={schema}"]
        )
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture
def fresh_python(tmp_path: Path) -> Callable[[str], str]:
    """Give a function that runs code in a new interpreter and returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "COV_CORE"))}

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


LONG_FIRST = ("scenarios", "simulation", "venues", "tui", "desk")
"""Folders whose tests take longest: they begin first, so that no worker ends alone with them."""
TRACED = ("contracts", "core", "simulation", "store")
"""Folders whose tests count for the coverage gates; the others would only be slowed by the tracer."""
UNTRACED = ("test_nothing_goes_wrong_on_any_seed", "test_planted_bugs.py")
"""What lives the same lives again and again: their lines count where seeds are lived one by one."""


def folder_of(item: pytest.Item) -> str:
    """Name the folder of the tests that an item lies in."""
    tests = ROOT / "tests"
    return item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long folders in front; the order is the same in every worker."""

    def place(item: pytest.Item) -> int:
        folder = folder_of(item)
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Lift the tracer of coverage, which makes the core's code take three times as long, off what does not count."""
    if folder_of(item) in TRACED and not any(name in item.nodeid for name in UNTRACED):
        yield
        return
    # Not by pytest-cov's no_cover: in a worker of xdist it only uncovers the tracer that the worker began with.
    ours, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        threading.settrace(of_threads)
        sys.settrace(ours)


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say how many tests were skipped because recorded data are missing."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(NO_RECORDED_DATA in str(report.longrepr) for report in skipped)
    folder = recorded_data_folder()
    where = f"recorded data: {folder}" if folder else "recorded data: absent (TRADEDECK_DATA is not set)"
    terminalreporter.write_line(f"{where}; {count} tests skipped for want of it")
