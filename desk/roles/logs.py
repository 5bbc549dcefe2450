"""The log of a role: one readable line an event on stderr, which the starter points at ``logs/<role>.log``."""

import contextlib
import os
import shutil
import stat
import sys
import time
from pathlib import Path
from typing import Any

import structlog

from core.config.secrets import redact
from core.config.settings import LogSettings

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
LINES_BETWEEN_LOOKS = 500
_FIRST = ("timestamp", "level", "event")


class LogFile:
    """Write lines to stderr; what the disk cannot take is lost, never an error. Bounded where stderr is a file."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._lines = 0
        self._stream = sys.stderr

    def msg(self, text: str) -> None:
        """Write one line."""
        # A full disk or a closed pipe must not reach whoever only wanted to tell something.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text + "\n")
            self._stream.flush()
            self._lines += 1
            if self._lines % LINES_BETWEEN_LOOKS == 0:
                self._bound()

    debug = info = warning = error = critical = exception = log = fatal = warn = failure = err = msg

    def _bound(self) -> None:
        fd = self._stream.fileno()
        seen = os.fstat(fd)
        if stat.S_ISREG(seen.st_mode) and seen.st_size > self._max:
            path = Path(f"/proc/self/fd/{fd}").readlink()
            shutil.copyfile(path, path.with_name(path.name + ".1"))
            os.ftruncate(fd, 0)  # opened for appending: the next line starts the file again


def _render(_: Any, __: str, event: Any) -> str:
    trace = event.pop("exception", "")
    head = f"{event.get('timestamp', '')} {event.get('level', ''):<7} {event.get('event', '')}"
    rest = " ".join(f"{key}={value!r}" for key, value in event.items() if key not in _FIRST)
    return redact(f"{head}  {rest}".rstrip() + (f"\n{trace}" if trace else ""))


def configure(settings: LogSettings) -> None:
    """Set up the log of this process."""
    sink = LogFile(settings.max_mb << 20)  # one for all loggers: it counts what was written
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )


def tidy(folder: Path, settings: LogSettings) -> None:
    """Delete logs older than the settings keep; those of running roles are younger."""
    if not settings.keep_days:
        return
    oldest = time.time() - settings.keep_days * 86_400
    for path in folder.glob("*.log*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
