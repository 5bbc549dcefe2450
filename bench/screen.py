"""A program in a pseudo-terminal, seen from the other side: bytes, CPU, memory, and how long a key takes to paint."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence

from bench.process import cpu_seconds, memory_mb

ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>])")
KEPT = 400_000


class Screen:
    """One program in a pseudo-terminal of a size."""

    def __init__(
        self, argv: Sequence[str], columns: int, lines: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.started = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LINES=str(lines), COLUMNS=str(columns))
            os.environ.update(environment or {})
            os.execvp(argv[0], list(argv))
        self.bytes = 0
        self.recent = b""
        self.alive = True

    def read(self, timeout: float) -> bytes:
        """Take what has been written, waiting for it at most ``timeout`` seconds."""
        if not select.select([self._fd], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:
            self.alive = False
            return b""
        if b"\x1b[6n" in data:
            os.write(self._fd, b"\x1b[1;1R")
        self.bytes += len(data)
        self.recent = (self.recent + data)[-KEPT:]
        return data

    def text(self) -> str:
        """Return what was written lately, without escape sequences."""
        return ESCAPES.sub(b"", self.recent).decode("utf-8", errors="replace")

    def until(self, seen: Callable[[], bool], timeout: float) -> float | None:
        """Read until something is seen; return the seconds it took, None when it never was."""
        began = time.perf_counter()
        while self.alive and (left := began + timeout - time.perf_counter()) > 0:
            if self.read(min(left, 0.5)) and seen():
                return time.perf_counter() - began
        return None

    def run(self, seconds: float) -> tuple[float, float]:
        """Read for a time; return bytes a second and CPU in percent of one core."""
        began, bytes_, cpu = time.perf_counter(), self.bytes, cpu_seconds(self.pid)
        while self.alive and (left := began + seconds - time.perf_counter()) > 0:
            self.read(left)
        took = time.perf_counter() - began
        return (self.bytes - bytes_) / took, 100 * (cpu_seconds(self.pid) - cpu) / took

    def type(self, keys: bytes) -> None:
        """Press keys without waiting for what they paint."""
        with contextlib.suppress(OSError):
            os.write(self._fd, keys)

    def press(self, key: bytes, mark: bytes, timeout: float = 3.0) -> float | None:
        """Press a key and return the seconds until the bytes that answer it arrive; None when they do not."""
        self.recent = b""
        began = time.perf_counter()
        os.write(self._fd, key)
        while self.alive and time.perf_counter() - began < timeout:
            if self.read(0.05) and re.search(mark, self.recent):
                return time.perf_counter() - began
        return None

    def memory_mb(self) -> float:
        """Return the program's resident memory in MB."""
        return memory_mb(self.pid)

    def close(self) -> None:
        """End the program, in order if it can."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                with contextlib.suppress(OSError):
                    self.read(0.02)
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    os.close(self._fd)
                    return
        os.close(self._fd)
