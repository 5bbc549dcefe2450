"""What the sentinel must not forget: its run number, the lease, and whether it was closing. Durable when written."""

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace

from core.errors import StoreError

log = structlog.get_logger()
Write = Callable[["Path", "Lease"], None]


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
            f"{path} cannot be read: {error}; look at the account, and start the sentinel: nothing is sent until an "
            "engine has reconciled with it"
        ) from error


def held_on_disk(path: Path) -> bool:
    """Tell whether an engine that starts must take the lease for held: the page in memory did not outlive the machine.

    A file that cannot be read may have said so: nothing is sent until a sentinel has seen an engine reconcile.
    """
    try:
        return read_lease(path).held
    except StoreError as error:
        log.warning("lease counts as held", error=str(error))
        return True


def next_run(last: int, now_ns: int) -> int:
    """Return a run number above the last one that is known, and not below the millisecond that it is (UTC).

    Ids of orders are made of it, so none may come twice: one that was forgotten (the file was lost; a full disk never
    took it, and the page went with the power) is below the clock, for no two processes begin within a millisecond.
    """
    return max(last + 1, now_ns // 1_000_000)


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


class LeaseFile:
    """Keep the lease of one sentinel: the disk is waited for by a thread, never by an exit."""

    def __init__(
        self, path: Path, write: Write = write_lease, submit: Callable[[Callable[[], None]], object] | None = None
    ) -> None:
        """Keep it in a file; ``submit`` runs a job where it may wait for the disk, one behind the other."""
        self._path, self._write = path, write
        self._pool = ThreadPoolExecutor(1, "lease")
        self._submit = submit or self._pool.submit
        self._wanted = Lease()
        self._failing = self._lacking = False
        self.doubt = ""
        """Why it is not known what the last sentinel left; empty where it is."""

    def begin(self, now_ns: int, last_run: int = 0) -> Lease:
        """Return what the last sentinel left, under a run number that nobody had, durable; waits for the disk.

        ``last_run`` is what the page in memory says: the disk may not have taken it. On a full disk it starts too.
        A file that cannot be read is copied, and counts as a lease that is held: what it said is not known.
        """
        try:
            before = read_lease(self._path)
        except StoreError as error:
            before = self._damaged(str(error))
        self._wanted = lease = replace(before, run=next_run(max(before.run, last_run), now_ns))
        try:
            self._write(self._path, lease)
        except StoreError as error:
            log.warning("lease not durable", error=str(error))
            self._lacking = True
        return lease

    def _damaged(self, error: str) -> Lease:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        with contextlib.suppress(OSError):  # a copy: until the next write the damaged one says that the lease is held
            aside.write_bytes(self._path.read_bytes())
        self.doubt = f"{error}; a copy is {aside.name}"
        log.warning("damaged lease counts as held", error=error)
        return Lease(armed=True, held=True, reason=f"{self._path.name} could not be read")

    def keep(self, lease: Lease) -> None:
        """Have this written in the place of what was there; returns at once, and a later call writes what failed."""
        if lease == self._wanted and not self._lacking:
            return
        self._wanted, self._lacking = lease, False
        self._submit(lambda: self._put(lease))

    def _put(self, lease: Lease) -> None:
        try:
            self._write(self._path, lease)
        except StoreError as error:
            if not self._failing:
                log.warning("lease not durable", error=str(error))
            self._failing = self._lacking = True
        else:
            self._failing = False

    def close(self) -> None:
        """Write what is on its way."""
        self._pool.shutdown()
