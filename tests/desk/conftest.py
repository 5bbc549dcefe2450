"""Real processes in a home of their own."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.config.file import load_or_create
from desk.paths import Home, Role
from desk.roles import services
from store.postgres import PostgresServer

START_SECONDS = 120.0
ALWAYS = (Role.MARKET, Role.ENGINE, Role.RECORDER)
"""The roles of a workstation; a sentinel only where the settings were not touched."""
ANSWERED = ("order", "amend", "cancel", "flatten")
"""Commands that wait for the venue's answer: they return at the answer, so a long wait costs nothing."""


class Desk:
    """Run the command line against one home."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("COV_CORE", "COVERAGE"))},
            "TRADEDECK_HOME": str(root),
        }
        self.started: list[subprocess.Popen[str]] = []

    def run(self, *words: str, stdin: str = "", cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end; it waits long for an answer, for a machine may stand still for a second."""
        if words[0] in ANSWERED and "--wait" not in words:
            words = (words[0], "--wait", "60", *words[1:])
        return subprocess.run(
            [sys.executable, "-m", "desk", *words],
            env=self.environment,
            input=stdin,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def answered(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a command as a person would: what only a stalled machine refuses is asked again."""
        until = time.monotonic() + START_SECONDS
        while True:
            done = self.run(*words)
            passing = " old (limit " in done.stderr or "try again in a moment" in done.stderr
            if done.returncode == code or not passing or time.monotonic() > until:
                break
            time.sleep(0.2)
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def ok(self, *words: str) -> str:
        """Run a command that must go well and return what it printed."""
        return self.answered(*words).stdout

    def json(self, *words: str, code: int = 0) -> Any:
        """Run a command with --json and return its answer."""
        return json.loads(self.answered(*words, "--json", code=code).stdout)

    def bid(self, instrument: str = "BTC-USDT.P") -> float:
        """Return where a market stands."""
        for seconds in ("0.2", "2", "20"):
            lines = map(json.loads, self.ok("watch", instrument, "--for", seconds, "--json").splitlines())
            bids = [line["bid"] for line in lines if line["kind"] == "price"]
            if bids:
                return float(bids[0])
        raise AssertionError(f"no price of {instrument} within 20 s")

    def rest(self, *words: str) -> Any:
        """Send a buy order that rests far below the market, and return it as the engine lists it."""
        price = f"{self.bid() * 0.9:.1f}"
        sent = self.json("order", "buy", "BTC-USDT.P", "0.01", "--limit", price, "--wait", "0", *words)
        listed: list[Any] = []

        def accepted() -> bool:
            orders = self.json("orders")
            listed[:] = [item for item in orders if item["client_order_id"] == sent["client_order_id"]]
            return bool(listed) and listed[0]["status"] == "ACCEPTED"

        self.wait(accepted, f"the order rests: {sent}")
        return listed[0]

    def demo(self, *words: str, first: bool = False) -> "subprocess.Popen[str]":
        """Start the workstation without a screen and wait until it trades.

        Unless it is the ``first`` start of a home, prices may grow old here: a machine that stands still for two
        seconds must not have orders refused. It runs without a sentinel then: engines are killed here to be looked at.
        """
        if not first and not self.home.config.exists():
            self.home.create()
            load_or_create(self.home.config)
            text = self.home.config.read_text()
            assert "\nstale_after_ms = 2000" in text
            assert "\nsentinel = true" in text
            text = text.replace("\nsentinel = true", "\nsentinel = false")
            self.home.config.write_text(text.replace("\nstale_after_ms = 2000", "\nstale_after_ms = 60000"))
        process = self.spawn("demo", "--headless", *words)
        self.wait(lambda: process.poll() is not None or self._trades(), "the workstation trades")
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        return process

    def spawn(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command that goes on by itself."""
        process = subprocess.Popen(
            [sys.executable, "-m", "desk", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def _trades(self) -> bool:
        if any(services.running(self.home, role) is None for role in ALWAYS):
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

    def damage_journal(self) -> None:
        """Make a record of the journal unreadable, the last but two."""
        with contextlib.closing(sqlite3.connect(self.home.journal, isolation_level=None)) as db:
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = next(name for name in tables if "record" in name)
            db.execute(f"UPDATE {table} SET payload = x'00' WHERE rowid = (SELECT max(rowid) - 2 FROM {table})")

    def end(self) -> None:
        """End everything that was started here, at once."""
        for role in Role:
            there = services.running(self.home, role)
            if there is not None and there.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(there.pid, signal.SIGKILL)
        PostgresServer(self.home.postgres, self.home.reach / "postgres").stop(now=True)
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
