"""A disk under the real journal: slow, full, broken, and as a crash leaves it.

The journal's code and SQLite's are the real ones, on a memory file system; what is made up is when a write takes place,
whether it fails, and what of it is there after a crash. A killed process loses what it had not handed to the system. A
power cut in the middle of a commit leaves any number of bytes of what that commit was adding to the write-ahead log,
and a mark that may be behind. What a real disk can do beyond that (older sectors torn, writes out of order within one
commit) is not made up here: tests/store/journal/test_damage.py turns over the bytes of a file instead.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from core.ports import Checkpoint, Done, Record
from store.journal.journal import SqliteJournal
from tests.simulation.machine import MS, Killed, Machine, S

RETRY: int = 1 * S
_FILES = ("", "-wal", ".mark")


class Disk:
    """Keep the journal's files over the lives of the process, and say how the disk is."""

    def __init__(self, machine: Machine, folder: Path, rng: random.Random) -> None:
        self.machine, self.rng = machine, rng
        self.slow: tuple[int, int] = (0, 3 * MS)
        """How long a write takes, from and to (ns)."""
        self.fault = 0
        """SQLite's code of the error that every write meets; 0 is none."""
        self.stuck_until = 0
        self.tear = False
        """The next commit is the last: it is torn, and the machine loses its power."""
        self.durable: Callable[[Sequence[bytes]], None] = lambda payloads: None
        """Told what has become durable."""
        self.failed: Callable[[], None] = lambda: None
        """Told of a write that fails or hangs."""
        self.is_frozen: Callable[[], bool] = lambda: False
        """Tells whether the process is stopped: its writer writes nothing then."""
        self._folder = folder
        self._lives = 0
        self._open: DrivenJournal | None = None
        self._torn: int | None = None

    @property
    def path(self) -> Path:
        """Return where the journal lies in this life."""
        return self._folder / f"life{self._lives}" / "journal"

    @property
    def is_torn(self) -> bool:
        """Tell whether the power went in the middle of a commit just now."""
        return self._torn is not None

    def open(self) -> "DrivenJournal":
        """Open the journal, as a process does that starts."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._open = DrivenJournal(self)
        return self._open

    def crash(self) -> None:
        """Leave to the next life what this one's end has left, and nothing else."""
        before = self.path
        self._lives += 1
        after = self.path
        after.parent.mkdir(parents=True)
        for suffix in _FILES:
            source = before.with_name(before.name + suffix)
            if source.exists():
                shutil.copyfile(source, after.with_name(after.name + suffix))
        if self._torn is not None:
            with after.with_name(after.name + "-wal").open("r+b") as log:
                log.truncate(self._torn)
            self._torn = None
        self.close()
        shutil.rmtree(before.parent)

    def close(self) -> None:
        """Let go of the files; what lies in them changes no more for anybody."""
        if self._open is not None:
            self._open.abandon()
            self._open = None

    def leave(self, length: int) -> None:
        """Have the write-ahead log cut to a length by the crash that follows."""
        self._torn = length

    def log_size(self) -> int:
        """Return how long the write-ahead log is."""
        log = self.path.with_name(self.path.name + "-wal")
        return log.stat().st_size if log.exists() else 0


class DrivenJournal:
    """The real journal, written when the disk is ready to."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._real = SqliteJournal(disk.path, reserve_bytes=0, threaded=False)
        self._append = self._real._file.append
        self._real._file.append = self._write  # type: ignore[method-assign]
        self._due = False
        self._written: list[bytes] = []
        self._dead = self._closed = False

    # --- the port ---------------------------------------------------------------------------------------------------

    @property
    def complaint(self) -> str:
        """Return why entries must be denied."""
        return self._real.complaint

    @property
    def last(self) -> int:
        """Return the sequence of the last record queued."""
        return self._real.last

    @property
    def put_back(self) -> bool:
        """Tell whether the journal is another than the one that ran last."""
        return self._real.put_back

    def start_run(self) -> int:
        """Return a new run number."""
        return self._real.start_run()

    def append(self, payloads: Sequence[bytes], done: Done) -> int:
        """Queue records; they are written when the disk has come to it."""
        self._disk.machine.moment()
        sequence = self._real.append(payloads, done)
        self._ask()
        self._disk.machine.moment()
        return sequence

    def checkpoint(self, sequence: int, image: bytes) -> None:
        """Queue a checkpoint."""
        self._real.checkpoint(sequence, image)
        self._ask()

    def last_checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint."""
        return self._real.last_checkpoint()

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield the durable records."""
        return self._real.read(after)

    def first_since(self, ts: int) -> int:
        """Return the first sequence not older than a time."""
        return self._real.first_since(ts)

    def close(self) -> None:
        """Write what is queued and close."""
        self._dead = self._closed = True
        self._written.clear()
        self._real.close()
        self._disk.durable(self._written)

    @property
    def idle(self) -> bool:
        """Tell whether nothing waits for the disk: what does is lost with the process."""
        return not self._due

    # --- the disk ---------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        if not self._due:
            self._due = True
            self._disk.machine.after(self._disk.rng.randrange(*self._disk.slow), self._turn)

    def _turn(self) -> None:
        """Have the disk do what is queued; it may be the last thing that the process sees of it."""
        disk, machine = self._disk, self._disk.machine
        if self._dead:
            return
        if disk.is_frozen():
            machine.after(20 * MS, self._turn)
            return
        if machine.now < disk.stuck_until:
            disk.failed()
            machine.after(disk.stuck_until - machine.now, self._turn)
            return
        self._due = False
        machine.moment()
        before, mark = (disk.log_size(), self._mark()) if disk.tear else (0, b"")
        self._written.clear()
        self._real.turn()
        after = disk.log_size() if disk.tear else 0
        if after > before:
            disk.tear = False
            disk.leave(disk.rng.randrange(before, after + 1))
            disk.path.with_name(disk.path.name + ".mark").write_bytes(mark)
            raise Killed
        disk.durable(self._written)
        if self._real.health.failing and not self._due:
            self._due = True
            machine.after(RETRY, self._turn)
        machine.moment()

    def _mark(self) -> bytes:
        return self._disk.path.with_name(self._disk.path.name + ".mark").read_bytes()

    def _write(self, first: int, payloads: Sequence[bytes]) -> None:
        if self._disk.fault:
            self._disk.failed()
            error = sqlite3.OperationalError("simulated")
            error.sqlite_errorcode = self._disk.fault
            raise error
        self._append(first, payloads)
        self._written += payloads

    def abandon(self) -> None:
        """Close the file behind a dead process's back."""
        self._dead = True
        if not self._closed:
            self._closed = True
            self._real._file.close()
            self._real._writer._mark.close()
