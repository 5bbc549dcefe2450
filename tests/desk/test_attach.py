"""``tradedeck`` in a pseudo-terminal: the process becomes the screen, leaves in order, and nothing else ends."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from pathlib import Path

from desk.paths import ALWAYS
from desk.roles import services
from tests.desk.conftest import Desk


def read_until(fd: int, words: bytes, seconds: float) -> bytes:
    """Read until words were written."""
    data, until = b"", time.monotonic() + seconds
    while words not in data and time.monotonic() < until:
        if select.select([fd], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                data += os.read(fd, 1 << 16)
    return data


def test_attach_starts_what_is_missing_becomes_the_screen_and_leaves_the_engine_running(desk: Desk) -> None:
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.environ.update(desk.environment, TERM="xterm-256color", LINES="24", COLUMNS="80")
        os.execv(sys.executable, [sys.executable, "-P", "-m", "desk"])
    try:
        assert b"spread" in read_until(fd, b"spread", 120)
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        assert command[1:4] == [b"-P", b"-m", b"tui"], "the screen carries no command line with it"
        os.write(fd, b"q")
        assert b"Leave the view" in read_until(fd, b"Leave the view", 60)
        time.sleep(0.5)
        os.write(fd, b"y")
        assert b"tradedeck stop ends it" in read_until(fd, b"tradedeck stop ends it", 60)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert all(services.running(desk.home, role) is not None for role in ALWAYS)
    finally:
        os.close(fd)
