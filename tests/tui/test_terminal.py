"""Stalls, lost links, missing colours, unfit terminals, bursts of keys."""

import fcntl
import gc
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from queue import Queue

import pytest
from textual import events
from textual._compositor import ChopsUpdate
from textual._styles_cache import StylesCache
from textual.app import App
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.pilot import Pilot

from tests.tui.harness import Harness, screen_lines
from tui.keys import BURST_SECONDS
from tui.lines import LineView
from tui.terminal import EXIT_GRACE_SECONDS, MAX_QUEUED, GuardedApp

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


class _Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_private_attributes_exist_in_the_pinned_version() -> None:
    assert callable(App._display)
    thread = WriterThread(io.StringIO())
    assert isinstance(thread._queue, Queue)
    assert thread._queue.maxsize > MAX_QUEUED * 3
    update = ChopsUpdate([], [(0, 0, 1)], [])
    assert (update.chops, update.spans, update.chop_ends) == ([], [(0, 0, 1)], [])
    assert "_writer_thread" in LinuxDriver.__init__.__code__.co_names
    assert "attrs_before" in LinuxDriver.__init__.__code__.co_names


async def test_what_is_closed_leaves_no_painted_lines_behind() -> None:
    """Textual keeps them in a cache of its own for the last thousand widgets: 20 MB after a day of dialogs."""
    app = Harness()
    async with app.run_test(size=(80, 24)) as pilot:
        closed: list[weakref.ref[StylesCache]] = []
        for number in range(4):
            widget = LineView()
            await app.mount(widget)
            widget.show([((f"line {number}", "gain"),)])
            await pilot.pause()
            assert f"line {number}" in "".join(screen_lines(app))
            closed.append(weakref.ref(widget._styles_cache))
            await widget.remove()
            del widget
        await pilot.pause()
        gc.collect()
        assert [one() for one in closed[:-1]] == [None, None, None]  # the last one may still be held by a message


class _Backed(Harness):
    """An app whose terminal does not take what is written."""

    backlog = 0

    @property
    def writer_backlog(self) -> int:
        return self.backlog


async def test_frames_are_left_out_while_the_terminal_stalls_and_painted_after() -> None:
    view = LineView()
    app = _Backed(view)
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.pause()
        app.backlog = MAX_QUEUED + 1
        view.show([(("late", ""),)])
        await until(pilot, lambda: app.frames_skipped > 0)
        skipped = app.frames_skipped
        app.backlog = 0
        await until(pilot, lambda: not app._skipped)
        await pilot.pause()
        assert app.frames_skipped == skipped
        assert screen_lines(app)[0].startswith("late")


async def until(pilot: Pilot[int], true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        await pilot.pause(0.02)


class _Keyed(Harness):
    BINDINGS = [("b", "note('b')", "b")]  # noqa: RUF012

    def action_note(self, what: str) -> None:
        self.heard.append(what)


async def test_a_burst_of_keys_stops_acting_after_ten() -> None:
    app = _Keyed(LineView())
    async with app.run_test() as pilot:
        keys = [events.Key("b", "b") for _ in range(50)]
        while keys[-1].time - keys[0].time > BURST_SECONDS / 2:  # the machine stood still: that is no burst
            keys = [events.Key("b", "b") for _ in range(50)]
        for key in keys:
            app.post_message(key)
        await until(pilot, lambda: bool(app.heard))
        await pilot.pause()
        assert 1 <= len(app.heard) <= 10


async def test_a_paste_triggers_nothing() -> None:
    app = _Keyed(LineView())
    async with app.run_test() as pilot:
        app.post_message(events.Paste("bbbbbHy"))
        await pilot.pause()
        assert app.heard == []


async def test_ctrl_q_does_not_leave() -> None:
    app = Harness(LineView())
    async with app.run_test() as pilot:
        await pilot.press("ctrl+q", "ctrl+c")
        await pilot.pause()
        assert app.is_running
        assert not app._exit


PROGRAM = """
import sys
import tui.terminal
from tests.tui.harness import Harness, screen_lines
from tui.lines import LineView

class Busy(Harness):
    def on_mount(self):
        super().on_mount()
        self.n = 0
        self.set_interval(0.02, self.tick)
    def tick(self):
        self.n += 1
        if self.may_paint:
            styles = ("gain strong", "loss cursor")
            self.query_one(LineView).show([((f"{self.n + y} " * 12, styles[y % 2]),) for y in range(20)])

tui.terminal.EXIT_GRACE_SECONDS = float(sys.argv[2])
sys.exit(Busy(LineView(), theme=sys.argv[1]).run())
"""


class _Session:
    """A program in a pseudo-terminal."""

    def __init__(self, theme: str = "dark", grace: float = EXIT_GRACE_SECONDS, **environment: str) -> None:
        self.data = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}, **environment)
            os.execv(sys.executable, [sys.executable, "-c", PROGRAM, theme, str(grace)])

    def read(self) -> bool:
        """Read what is there or comes soon; tell whether its terminal is still open."""
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.data += os.read(self.fd, 1 << 16)
            except OSError:
                return False
        return True

    def paints(self, size: int = 3000) -> None:
        """Read until it has painted this many bytes of its screen: then its handlers stand."""
        until = time.monotonic() + PATIENCE_S
        while len(self.data.partition(ENTER_SCREEN)[2]) < size:
            assert time.monotonic() < until, self.data
            assert self.read(), self.data

    def stalls(self) -> None:
        """Read nothing until the terminal takes no more."""
        until, before, now = time.monotonic() + PATIENCE_S, -1, 0
        while before != now or not now:
            assert time.monotonic() < until, "it writes nothing"
            time.sleep(1.0)
            before, now = now, int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, bytes(4)), sys.byteorder)

    def ended(self, *, reading: bool = False) -> int | None:
        """Wait for its end; give the exit code, or None when it still runs."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if reading:
                self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while reading and select.select([self.fd], [], [], 0)[0] and self.read():
                    pass
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        return None

    def close(self) -> None:
        """End it for certain."""
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_in_order_and_restores_the_screen(number: signal.Signals) -> None:
    session = _Session(grace=10 * PATIENCE_S)  # what leaves here leaves by itself
    try:
        session.paints()
        os.kill(session.pid, number)
        assert session.ended(reading=True) == 128 + number
        assert LEAVE_SCREEN in session.data
    finally:
        session.close()


@pytest.mark.parametrize("term", ["xterm", "linux", "screen", "tmux-256color"])
def test_every_kind_of_terminal_is_painted_and_restored(term: str) -> None:
    session = _Session("ansi", TERM=term, COLORTERM="")
    try:
        session.paints()
        os.kill(session.pid, signal.SIGTERM)
        assert session.ended(reading=True) == 128 + signal.SIGTERM
        assert session.data.count(ENTER_SCREEN) == session.data.count(LEAVE_SCREEN) == 1
        assert b"\x1b[38;2;" not in session.data  # no colour that it did not promise to know
    finally:
        session.close()


def test_bytes_that_are_no_characters_do_not_end_it() -> None:
    """Line noise, a pasted binary, another encoding: with Textual's own decoder this ends in a traceback."""
    session = _Session()
    try:
        session.paints()
        for noise in (b"\x9c\xff\xfe", b"\x1b[200~\x80abc\xf5\x1b[201~", bytes(range(128, 256)) * 40):
            os.write(session.fd, noise)
            session.paints(len(session.data.partition(ENTER_SCREEN)[2]) + 20_000)
        assert b"Traceback" not in session.data
        assert LEAVE_SCREEN not in session.data
        os.kill(session.pid, signal.SIGTERM)
        assert session.ended(reading=True) == 128 + signal.SIGTERM
    finally:
        session.close()


def test_a_stalled_terminal_does_not_keep_it_from_leaving() -> None:
    session = _Session()
    try:
        session.paints()
        session.stalls()
        os.kill(session.pid, signal.SIGHUP)
        assert session.ended() is not None
    finally:
        session.close()


def test_a_closed_terminal_leaves_no_orphan() -> None:
    session = _Session()
    try:
        session.paints()
        os.close(session.fd)
        assert session.ended() is not None
    finally:
        session.fd = os.open(os.devnull, os.O_RDONLY)
        session.close()


def test_without_colours_not_one_colour_code_is_written() -> None:
    session = _Session("ansi", NO_COLOR="1")
    try:
        session.paints(20_000)
    finally:
        session.close()
    data = session.data
    codes = {code for found in re.findall(rb"\x1b\[([\d;]*)m", data) for code in found.split(b";") if code}
    assert codes  # bold and dim remain
    assert not {c for c in codes if 30 <= int(c) <= 49 or 90 <= int(c) <= 107}, codes


def test_importing_the_terminal_loads_no_engine_side_library() -> None:
    code = "import tui.terminal, tui.grid, tui.widgets.ladder, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"ccxt", "duckdb", "pandas", "sqlite3"} & set(loaded.split())
    assert issubclass(Harness, GuardedApp)
