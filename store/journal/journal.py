"""The journal: what was decided and what happened, durable before an order leaves."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from core.errors import JournalDamaged, JournalTooNew, StoreError
from core.ports import Checkpoint, Done, Record
from store.journal.file import JournalFile, verify_head
from store.journal.format import (
    checkpoint_sequences,
    first_since,
    head,
    read_base,
    read_checkpoint,
    read_records,
    reading,
    reading_error,
)
from store.journal.mark import Mark, read_mark
from store.journal.reserve import Reserve, free_bytes
from store.journal.writer import FULL_BELOW_BYTES, Batch, JournalHealth, JournalWriter, Limits, Task
from store.run_number import read_run_number, write_run_number

RESERVE_BYTES = 64 << 20
PRUNE_SLICE = 2_000
DAY_NS = 86_400 * 10**9


def reserve_path(journal: Path) -> Path:
    """Return where the reserve of a journal lies."""
    return journal.with_name(journal.name + ".reserve")


class SqliteJournal:
    """Keep the journal in one SQLite file: WAL, synchronous FULL, one writer thread, group commit."""

    def __init__(
        self,
        path: Path,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        keep_days: int = 0,
        limits: Limits | None = None,
        threaded: bool = True,
        runs: Path | None = None,
    ) -> None:
        """Open or create the journal at ``path``; reads its end only, never the whole.

        ``runs`` keeps the last run number beside it: a journal that was lost, or an old one that was copied back, must
        not give it out again, since order ids begin with it.

        Not ``threaded``, nothing is written but by ``turn``, ``start_run`` and ``close``, in the caller's thread.

        ``keep_days`` drops older records after each checkpoint, as far as no kept checkpoint needs them; 0 keeps all.

        Raises:
            JournalDamaged: if its last record cannot be trusted or acknowledged records are missing.
            JournalTooNew: if this program cannot read its format.
            DiskFull: if there is no room to open it, the reserve included.
            StoreError: if it cannot be opened.
        """
        self.path, self._runs = path, runs
        self._keep_ns = keep_days * DAY_NS
        self._lock = threading.Lock()
        self._closed = False
        reserve = Reserve(reserve_path(path), reserve_bytes)
        try:
            self._file, mark = _open(path)
        except (JournalDamaged, JournalTooNew):
            raise
        except StoreError:
            if free_bytes(path.parent) >= FULL_BELOW_BYTES or not reserve.release():
                raise
            self._file, mark = _open(path)
        reserve.build()
        mark.set(self._file.sequence, self._file.run)
        self._sequence = self._file.sequence
        self._threaded = threaded
        self._writer = JournalWriter(self._file, mark, reserve, limits or Limits(), threaded=threaded)

    @property
    def health(self) -> JournalHealth:
        """Return the journal's state without touching the disk."""
        return self._writer.health(self._sequence)

    @property
    def last(self) -> int:
        """Return the sequence of the last record queued."""
        return self._sequence

    @property
    def complaint(self) -> str:
        """Return why entries must be denied, in one sentence; empty when all is well. Never waits."""
        return self.health.complaint

    @property
    def put_back(self) -> bool:
        """Tell whether it was lost, or an old one put in its place, since the last run; until one starts on it."""
        return self._file.put_back or (self._runs is not None and self._file.run < read_run_number(self._runs))

    def start_run(self) -> int:
        """Return a run number never returned before; durable on return.

        Raises:
            StoreError: if it cannot be made durable.
        """
        answer: Future[int] = Future()
        numbers = list[int]()

        def done(error: BaseException | None) -> None:
            if error is None:
                answer.set_result(numbers[-1])
            else:
                answer.set_exception(error)

        last = read_run_number(self._runs) if self._runs is not None else 0
        self._put(Task(lambda: numbers.append(self._writer.next_run(last)), done))
        if not self._threaded:
            self._writer.turn()
        run = answer.result()
        if self._runs is not None:
            write_run_number(self._runs, run)
        return run

    def turn(self) -> None:
        """Write what is queued; only of a journal without a thread of its own."""
        self._writer.turn()

    def append(self, payloads: Sequence[bytes], done: Done) -> int:
        """Queue records as one transaction and return the sequence of the last.

        ``done`` is called once, from the writer's thread, after the commit with None, or with the error. Nothing
        overtakes: after a failure the records stay in line and are written first when that is possible again (the rule
        is in ``store.journal.writer``). Without payloads it is a barrier: ``done`` follows everything before it.

        Raises:
            StoreError: if the journal is closed.
        """
        with self._lock:
            self._check_open()
            first = self._sequence + 1
            self._sequence += len(payloads)
            self._writer.put(Batch(first, tuple(payloads), done))
            return self._sequence

    def checkpoint(self, sequence: int, image: bytes) -> None:
        """Queue a checkpoint of the ledger as it was after ``sequence``; the last two are kept.

        One that cannot be written is dropped and named in ``health``: the records before it are still there.

        Raises:
            StoreError: if the journal is closed or has no such record.
        """
        if sequence > self._sequence:
            raise StoreError(f"checkpoint after record {sequence}, but the journal ends at {self._sequence}")

        def run() -> None:
            self._file.put_checkpoint(sequence, image)
            newest = self._file.time_at(sequence)
            if self._keep_ns and newest is not None:
                self._prune(self._file.first_since(newest - self._keep_ns))

        self._put(Task(run, self._writer.note))

    def prune(self, before: int) -> None:
        """Queue the dropping of records below ``before``, as far as no kept checkpoint needs them.

        Raises:
            StoreError: if the journal is closed.
        """
        self._put(Task(lambda: self._prune(before), self._writer.note))

    def _prune(self, before: int) -> None:
        last = self._file.prunable(before)

        def run() -> None:
            # In slices, each behind the appends that came meanwhile.
            if self._file.prune(last, PRUNE_SLICE):
                self._writer.put(Task(run, self._writer.note))

        run()

    def last_checkpoint(self) -> Checkpoint | None:
        """Return the newest readable checkpoint.

        Raises:
            JournalDamaged: if the list of checkpoints cannot be trusted.
        """
        with self._refusing_damage(), reading(self.path) as db:
            try:
                base = read_base(db)
                found = (read_checkpoint(db, base, sequence) for sequence in checkpoint_sequences(db))
                return next((checkpoint for checkpoint in found if checkpoint is not None), None)
            except sqlite3.Error as error:
                raise reading_error(error, self.path, 1) from error

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield the records with a sequence above ``after`` that are durable when the first is taken, in order.

        On a pruned journal it starts at the first kept record. Damage closes the journal for writing.

        Raises:
            JournalDamaged: naming the first record that cannot be trusted.
        """
        with self._refusing_damage(), reading(self.path) as db:
            yield from read_records(db, self.path, after)

    def first_since(self, ts: int) -> int:
        """Return the first durable sequence whose event is not older than ``ts`` (ns, UTC); a few reads find it.

        It is the one behind the last where there is none, and the first kept record at least.

        Raises:
            JournalDamaged: naming the record that cannot be read.
        """
        with self._refusing_damage(), reading(self.path) as db:
            try:
                return first_since(db, head(db).sequence, ts)
            except sqlite3.Error as error:
                raise reading_error(error, self.path, 1) from error

    def close(self) -> None:
        """Write what is queued and close; repeated calls change nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._writer.end()
        self._writer.join()

    def _put(self, task: Task) -> None:
        with self._lock:
            self._check_open()
            self._writer.put(task)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the journal {self.path} is closed")

    @contextmanager
    def _refusing_damage(self) -> Iterator[None]:
        try:
            yield
        except JournalDamaged as damage:
            self._writer.refuse(damage)
            raise


def _open(path: Path) -> tuple[JournalFile, Mark]:
    try:
        verify_head(path, read_mark(path))
        file = JournalFile(path)
        try:
            return file, Mark(path)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}; check the disk and its directory") from error
