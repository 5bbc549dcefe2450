"""What was acknowledged, kept beside the journal so that a lost tail is noticed.

SQLite drops a broken tail of its log without a word. That is right for a record nobody was promised, and wrong for an
acknowledged one. The mark is a shared memory page: it costs no system call, survives kill -9, and after a power cut it
is at most behind, never ahead, because it is set after the commit.
"""

import mmap
import os
import struct
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

PAGE = 4096
_NUMBERS = struct.Struct("<QQ")
_SEAL = 8
_SIZE = _NUMBERS.size + _SEAL


class Acknowledged(NamedTuple):
    """The last acknowledged record and the last run number given out."""

    sequence: int
    run: int


def mark_path(journal: Path) -> Path:
    """Return where the mark of a journal lies."""
    return journal.with_name(journal.name + ".mark")


def _pack(sequence: int, run: int) -> bytes:
    numbers = _NUMBERS.pack(sequence, run)
    return numbers + blake2b(numbers, digest_size=_SEAL).digest()


def read_mark(journal: Path) -> Acknowledged:
    """Return what was acknowledged; zeros where there is no readable mark."""
    try:
        with mark_path(journal).open("rb") as file:
            found = file.read(_SIZE)
    except FileNotFoundError:
        return Acknowledged(0, 0)
    if len(found) == _SIZE:
        sequence, run = _NUMBERS.unpack_from(found)
        if found == _pack(sequence, run):
            return Acknowledged(sequence, run)
    return Acknowledged(0, 0)


class Mark:
    """Keep the mark of one open journal."""

    def __init__(self, journal: Path) -> None:
        self._fd = os.open(mark_path(journal), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(self._fd).st_size < PAGE:
                # Written, not only extended: storing to a hole of a sparse file kills the process on a full disk.
                os.pwrite(self._fd, bytes(PAGE), 0)
            self._page = mmap.mmap(self._fd, PAGE)
        except OSError:
            os.close(self._fd)
            raise

    def set(self, sequence: int, run: int) -> None:
        """Note that the records up to ``sequence`` and the run number are durable."""
        self._page[:_SIZE] = _pack(sequence, run)

    def close(self) -> None:
        """Bring the mark to the disk and close."""
        os.fsync(self._fd)
        self._page.close()
        os.close(self._fd)
