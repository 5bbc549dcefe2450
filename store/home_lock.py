"""One engine per data directory: an advisory lock that the kernel releases when its process ends."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import HomeLocked

LOCK_FILE = "engine.lock"


class HomeLock:
    """Hold a data directory for one engine; killed or crashed holders leave no trace."""

    def __init__(self, home: Path) -> None:
        self._path = home / LOCK_FILE
        self._fd: int | None = None

    def acquire(self) -> Self:
        """Take the directory, without waiting.

        Raises:
            HomeLocked: naming the process that holds it.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _pid(fd)
            os.close(fd)
            named = f" (pid {pid})" if pid else ""
            raise HomeLocked(f"another engine{named} holds this data directory") from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        return self

    def release(self) -> None:
        """Let the directory go; repeated calls change nothing."""
        if self._fd is None:
            return
        # The file stays: removing it would let two engines lock two files of the same name.
        os.ftruncate(self._fd, 0)
        # Said, not left to closing: a child that is just being started still has this descriptor for a moment.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)
        self._fd = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_holder(home: Path) -> int | None:
    """Return the pid of the engine that holds a data directory, None if nobody does; 0 if it has not written it yet."""
    try:
        fd = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(fd)
    else:
        return None
    finally:
        os.close(fd)


def _pid(fd: int) -> int:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0
