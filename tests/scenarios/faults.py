"""What is done to a machine while an engine trades on it: hogs, a frozen terminal, databases that are down."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.screen import Screen
from desk.paths import Role
from desk.research.configs import opened, settings_of
from tests.scenarios.house import House

HOGS = 4
TERMINAL = """import sys
from pathlib import Path
from desk.paths import Home
from desk.wiring import run_terminal
run_terminal(Home(Path(sys.argv[1])), "")
"""
"""As ``tradedeck`` does behind its look for what is missing: here the market's prices are set by hand."""
DRAWN_S = 60.0


@contextlib.contextmanager
def hogs(count: int = HOGS) -> Iterator[None]:
    """Run so many processes that want a whole core each."""
    started = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


@contextlib.contextmanager
def frozen_terminal(house: House) -> Iterator[None]:
    """Stop a terminal (SIGSTOP) that has drawn its first frame and follows everything."""
    screen = Screen([sys.executable, "-c", TERMINAL, str(house.home.root)], 120, 40)
    try:
        found = screen.until(lambda: "BTC-USDT" in screen.text(), DRAWN_S)
        assert found is not None, f"the terminal has drawn no market: {screen.text()[-500:]}"
        os.kill(screen.pid, signal.SIGSTOP)
        yield
    finally:
        os.kill(screen.pid, signal.SIGKILL)
        os.waitpid(screen.pid, 0)


def config_store(house: House) -> None:
    """Make the PostgreSQL of a home, so that its engine listens to it."""
    opened(house.home, settings_of(house.home), create=True).close()


@contextlib.contextmanager
def databases_down(house: House) -> Iterator[None]:
    """Take DuckDB and PostgreSQL away: both are killed under a running engine, and neither can be started again."""
    house.start(Role.RECORDER)
    time.sleep(1.0)
    house.kill(Role.RECORDER)
    for path in house.home.ticks.rglob("*.duckdb"):
        path.write_bytes(b"no database\n")
    (house.home.postgres / "PG_VERSION").write_bytes(b"no version\n")
    server = int((house.home.postgres / "postmaster.pid").read_text(encoding="ascii").split()[0])
    os.kill(server, signal.SIGKILL)
    yield
