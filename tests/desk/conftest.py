"""Real processes in a home of their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from desk import services
from desk.paths import Home, Role

START_SECONDS = 60.0


class Desk:
    """Run the command line against one home."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("COV_CORE", "COVERAGE"))},
            "TRADEDECK_HOME": str(root),
        }
        self.started: list[subprocess.Popen[str]] = []

    def run(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "desk", *words],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def ok(self, *words: str) -> str:
        """Run a command that must go well and return what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        """Run a command with --json and return its answer."""
        if words[0] == "order" and not code and "--wait" not in words:
            words += ("--wait", "15")  # it answers at the first final state; a busy machine may take its time
        done = self.run(*words, "--json")
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def demo(self, *words: str) -> "subprocess.Popen[str]":
        """Start the workstation without a screen and wait until it trades."""
        process = subprocess.Popen(
            [sys.executable, "-m", "desk", "demo", "--headless", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        self.wait(lambda: process.poll() is not None or self._trades(), "the workstation trades")
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        return process

    def _trades(self) -> bool:
        if any(services.running(self.home, role) is None for role in Role):
            return False
        done = self.run("status", "--json")
        if done.returncode:
            return False
        feeds = json.loads(done.stdout)["feeds"]
        return bool(feeds) and all(feed["age_ms"] is not None for feed in feeds) and self.ready()

    def ready(self) -> bool:
        """Tell whether every venue is reconciled."""
        done = self.run("status", "--json")
        return done.returncode == 0 and set(json.loads(done.stdout)["venues"].values()) == {"ready"}

    def pid(self, role: Role) -> int:
        """Return the process that holds a role."""
        there = services.running(self.home, role)
        assert there is not None, f"no {role} runs"
        return there.pid

    def wait(self, true: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        """Wait until something holds."""
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, f"not within {seconds:g} s: {what}"
            time.sleep(0.05)

    def end(self) -> None:
        """End everything that was started here, at once."""
        for role in Role:
            there = services.running(self.home, role)
            if there is not None and there.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(there.pid, signal.SIGKILL)
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stderr is not None:
                process.stderr.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Give a home of its own; whatever runs in it is ended."""
    found = Desk(tmp_path / "home")
    yield found
    found.end()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Give a workstation on the built-in market that the tests of a file share; they leave it flat and ACTIVE."""
    found = Desk(tmp_path_factory.mktemp("shared") / "home")
    try:
        found.demo()
        yield found
    finally:
        found.end()
