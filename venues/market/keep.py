"""The market's memory on disk: files of checked records that survive kill -9 and power loss.

A record is its length, its CRC-32 and its body. A record that was being written when the machine stopped is cut off at
the next start; everything before it stands.
"""

import fcntl
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

from core.errors import HomeLocked, VenueError

log = structlog.get_logger()
_MAGIC = b"TDMARKET\x01"
_HEAD = 8
COMPACT_BYTES = 8 * 1024 * 1024
"""A file of latest values is written anew when it has grown by this much."""


class RecordFile:
    """Append records to a file; what was there is read when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[bytes] = []
        fresh = not path.exists()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        data = path.read_bytes()
        if not data.startswith(_MAGIC):
            if data and not _MAGIC.startswith(data):
                os.close(self._fd)
                raise VenueError(f"{path}: not a market file of this program; move it away to start anew")
            os.ftruncate(self._fd, 0)
            os.write(self._fd, _MAGIC)
            self.size = len(_MAGIC)
        else:
            self.records, self.size = _read(data)
            if self.size < len(data):
                log.warning("cut an unfinished record", file=str(path), bytes=len(data) - self.size)
                os.ftruncate(self._fd, self.size)
        os.lseek(self._fd, self.size, os.SEEK_SET)
        if fresh:
            os.fsync(self._fd)
            _sync_folder(path.parent)

    def append(self, bodies: Iterable[bytes], sync: bool) -> None:
        """Write records; with ``sync`` they are durable on return. All of them are, or none.

        Raises:
            OSError: when they could not be written; the file is as before.
        """
        data = b"".join(_pack(body) for body in bodies)
        try:
            _write(self._fd, data)
            if sync:
                os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self.size)
            os.lseek(self._fd, self.size, os.SEEK_SET)
            raise
        self.size += len(data)

    def rewrite(self, bodies: Iterable[bytes]) -> None:
        """Put these records in the place of all others, durably and at once."""
        data = _MAGIC + b"".join(_pack(body) for body in bodies)
        spare = self.path.with_suffix(".new")
        fd = os.open(spare, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        _write(fd, data)
        os.fsync(fd)
        spare.rename(self.path)
        _sync_folder(self.path.parent)
        os.close(self._fd)
        self._fd, self.size = fd, len(data)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class LatestFile:
    """Keep the latest value of each name."""

    def __init__(self, path: Path) -> None:
        self._file = RecordFile(path)
        self.values: dict[str, bytes] = {}
        for record in self._file.records:
            name, value = msgspec.msgpack.decode(record, type=tuple[str, bytes])
            self.values[name] = value
        self._file.records.clear()
        self._compacted = sum(map(len, self.values.values()))

    def put(self, values: dict[str, bytes], sync: bool) -> None:
        """Write new values; with ``sync`` they are durable on return, all of them or none.

        Raises:
            OSError: when they could not be written.
        """
        self._file.append([msgspec.msgpack.encode(item) for item in values.items()], sync)
        self.values |= values
        if self._file.size > self._compacted + COMPACT_BYTES:
            self._file.rewrite(msgspec.msgpack.encode(item) for item in self.values.items())
            self._compacted = self._file.size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FolderLock:
    """Hold a folder for this process alone, until it ends.

    Raises:
        HomeLocked: when another market process holds it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise HomeLocked(f"{folder} is held by another market process; stop it or use another --home") from None

    def release(self) -> None:
        """Give the folder up."""
        os.close(self._fd)


def _pack(body: bytes) -> bytes:
    return len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body


def _read(data: bytes) -> tuple[list[bytes], int]:
    """Return the whole records of a file, and where the last of them ends."""
    records, at = [], len(_MAGIC)
    while len(data) - at >= _HEAD:
        size = int.from_bytes(data[at : at + 4], "little")
        body = data[at + _HEAD : at + _HEAD + size]
        if len(body) < size or zlib.crc32(body) != int.from_bytes(data[at + 4 : at + 8], "little"):
            break
        records.append(body)
        at += _HEAD + size
    return records, at


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
