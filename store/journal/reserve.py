"""A file that keeps disk space for the moment when there is none."""

import os
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """Return what an ordinary user can still write to the disk of a folder, in bytes; 0 where the disk does not say."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize


class Reserve:
    """Hold ``size`` bytes of disk in a file; given up once when the disk is full, built again when space returns."""

    def __init__(self, path: Path, size: int) -> None:
        self.size = size
        self._path = path
        self.intact = self._is_whole()

    def release(self) -> bool:
        """Give the space back to the disk; tell whether there was any."""
        had, self.intact = self.intact, False
        return self._remove() and had

    def build(self) -> bool:
        """Take the space where the disk has at least twice as much free; tell whether the reserve stands.

        Twice, so that building it is never what fills the disk.
        """
        if self.intact or self.size == 0:
            return self.intact
        if free_bytes(self._path.parent) < 2 * self.size:
            return False
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, self.size)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError:
            # Somebody else was quicker to take the space; it is tried again later.
            self._remove()
            return False
        self.intact = True
        return True

    def _is_whole(self) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        if found.st_size == self.size and found.st_blocks * 512 >= self.size:
            return self.size > 0
        self._remove()
        return False

    def _remove(self) -> bool:
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return False
        return True
