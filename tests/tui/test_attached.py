"""The terminal as its own process on a real engine: attach, stall, recover, leave."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest_asyncio

from core.session import protocol as p
from core.session.client import Client
from tests.tui.engine import House
from tui.start import UNKNOWN

ROOT = Path(__file__).parents[2]
FAREWELL = "the engine runs on"
SECOND_NS = 1_000_000_000


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Give a running engine with its market."""
    made = await House(tmp_path).start()
    yield made
    await made.stop()


class Attached:
    """A terminal process in a pseudo-terminal of 80×24."""

    def __init__(self, socket: Path, theme: str = "dark", **environment: str) -> None:
        self.data = b""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.fd = master
        self.pid = os.fork()
        if self.pid == 0:
            _login(slave)
            os.chdir(ROOT)
            os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}, **environment)
            settings = msgspec.json.encode({"theme": theme}).decode()
            os.execv(sys.executable, [sys.executable, "-m", "tui", str(socket), settings, FAREWELL])
        os.close(slave)
        os.set_blocking(master, False)

    async def read(self, seconds: float, until: bytes = b"\0never") -> bytes:
        """Read for some time, or until something was written; give what came."""
        fresh, end = b"", time.monotonic() + seconds
        while time.monotonic() < end and until not in fresh:
            try:
                fresh += os.read(self.fd, 1 << 16)
            except BlockingIOError:
                await asyncio.sleep(0.02)
            except OSError:
                break
        self.data += fresh
        return fresh

    async def stalls(self) -> None:
        """Read nothing until the terminal takes no more."""
        before, now, end = -1, 0, time.monotonic() + 60
        while before != now or not now:
            assert time.monotonic() < end, "it writes nothing"
            await asyncio.sleep(2.0)
            before, now = now, int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, bytes(4)), sys.byteorder)

    async def ended(self, seconds: float) -> int | None:
        """Wait for the end; give the exit code, or None when it still runs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not block
            if pid:
                self.pid = 0
                await self.read(0.05)  # what it wrote between the last look and its end
                return os.waitstatus_to_exitcode(status)
        return None

    def close(self) -> None:
        """End it for certain."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def _login(slave: int) -> None:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.close(slave)


async def test_it_attaches_and_leaves_by_q_and_y(house: House) -> None:
    terminal = Attached(house.socket)
    try:
        assert b"spread" in await terminal.read(60, b"spread")
        os.write(terminal.fd, b"q")
        assert b"the engine keeps running" in await terminal.read(60, b"the engine keeps running")
        await asyncio.sleep(0.4)
        os.write(terminal.fd, b"y")
        assert await terminal.ended(60) == 0
        assert b"\x1b[?1049l" in terminal.data
        assert terminal.data.rstrip().endswith(FAREWELL.encode())
    finally:
        terminal.close()


async def test_left_without_an_engine_it_does_not_say_that_one_runs(tmp_path: Path) -> None:
    terminal = Attached(tmp_path / "nobody.sock")
    try:
        assert b"LOST" in await terminal.read(60, b"LOST")
        os.write(terminal.fd, b"q")
        assert b"cannot tell" in await terminal.read(60, b"cannot tell")
        await asyncio.sleep(0.4)
        os.write(terminal.fd, b"y")
        assert await terminal.ended(60) == 0
        assert terminal.data.rstrip().endswith(UNKNOWN.encode())
    finally:
        terminal.close()


async def test_an_unread_terminal_holds_nothing_up_and_recovers(house: House) -> None:
    terminal = Attached(house.socket)
    try:
        assert b"spread" in await terminal.read(60, b"spread")
        await terminal.stalls()
        # The engine goes on meanwhile, and holds its session; how late its loop is at most is measured in bench.
        before = house.runtime.engine.state.now
        other = await Client.connect(house.socket, "other")
        async with asyncio.timeout(60):
            while house.runtime.engine.state.now < before + SECOND_NS:
                assert (await other.ask(p.AskStatus())).clients == 2
                await asyncio.sleep(0.02)
        await other.close()
        # What was stuck, then the whole screen anew; how long that takes is measured in bench, not here.
        assert b"guardian" in await terminal.read(60, b"guardian")
        os.write(terminal.fd, b"?")
        assert b"what it does" in await terminal.read(60, b"what it does")
    finally:
        terminal.close()


async def test_a_hangup_ends_it(house: House) -> None:
    terminal = Attached(house.socket)
    try:
        assert b"spread" in await terminal.read(60, b"spread")
        os.kill(terminal.pid, signal.SIGHUP)
        assert await terminal.ended(60) == 128 + signal.SIGHUP
    finally:
        terminal.close()


async def test_no_colour_code_reaches_a_colourless_terminal(house: House) -> None:
    terminal = Attached(house.socket, NO_COLOR="1")
    try:
        assert b"spread" in await terminal.read(60, b"spread")
        await terminal.read(1)
    finally:
        terminal.close()
    data = terminal.data
    codes = {int(code) for found in re.findall(rb"\x1b\[([\d;]*)m", data) for code in found.split(b";") if code}
    assert codes
    assert not {code for code in codes if 30 <= code <= 49 or 90 <= code <= 107}, codes


async def test_a_dumb_terminal_is_answered_with_words(house: House) -> None:
    terminal = Attached(house.socket, TERM="dumb")
    try:
        assert await terminal.ended(60) == 2
        assert b"cannot show a screen" in terminal.data
        assert b"\x1b" not in terminal.data
    finally:
        terminal.close()
