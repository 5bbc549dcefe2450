"""What the sentinel must not forget: its run number, the lease, and whether it was closing. Durable when written."""

import os
from pathlib import Path

import msgspec

from core.errors import StoreError


class Lease(msgspec.Struct, frozen=True):
    """The sentinel's durable state; ``run`` is part of its order ids and never given twice."""

    run: int = 0
    armed: bool = False
    """An engine was alive when this was written: it is missed, after a power cut too."""
    held: bool = False
    closing: bool = False
    reason: str = ""
    since_ns: int = 0
    """When the lease was taken (UTC)."""


def read_lease(path: Path) -> Lease:
    """Return what was written last; the file's absence is a home that never had a sentinel.

    Raises:
        StoreError: if it cannot be read: whether the lease is held is not known, so nothing may be sent.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lease)
    except FileNotFoundError:
        return Lease()
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}; look at the account, then remove the file to let the engine send again"
        ) from error


def next_run(before: Lease, now_ns: int) -> int:
    """Return a run number above the last one; where none was written, or none can be, the second that it is (UTC).

    A file that was lost, or a full disk, must not give a number twice: ids of orders are made of it.
    """
    return before.run + 1 if before.run else now_ns // 1_000_000_000


def write_lease(path: Path, lease: Lease) -> None:
    """Put this in the place of what was there; durable on return.

    Raises:
        StoreError: if it could not be written; the file is as before.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(msgspec.json.encode(lease))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error
