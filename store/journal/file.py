"""The writing side of the journal's file: one connection, used by one thread at a time."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.errors import StoreError
from store.journal.format import (
    chain_at,
    check_format,
    checkpoint_seal,
    checkpoint_sequences,
    create,
    damaged,
    first_since,
    head,
    is_blank,
    link,
    put_meta,
    read_base,
    read_checkpoint,
    read_put_back,
    read_run,
    reading,
    reading_error,
    time_at,
    writing_error,
)
from store.journal.mark import Acknowledged

WAL_LIMIT_BYTES = 16 << 20
KEPT_CHECKPOINTS = 2
_STEPS = (256, 128, 64, 32)


def _insert(rows: int) -> str:
    return f"INSERT INTO records VALUES {','.join(['(?,?,?)'] * rows)}"  # noqa: S608 - question marks only


def _write_ahead_log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def verify_head(path: Path, acknowledged: Acknowledged) -> None:
    """Refuse a journal that lacks what was acknowledged, before opening it for writing could tidy the evidence away.

    Raises:
        JournalDamaged: naming the first record that is missing.
        JournalTooNew: if this program cannot read it.
    """
    log = _write_ahead_log(path)
    if path.exists() and (path.stat().st_size or (log.exists() and log.stat().st_size)):
        with reading(path, blank=True) as db:
            if not is_blank(db):
                try:
                    last, run = head(db).sequence, read_run(db)
                except sqlite3.Error as error:
                    raise reading_error(error, path, 1) from error
                if last < acknowledged.sequence or run < acknowledged.run:
                    raise damaged(last + 1)
                return
    if acknowledged != (0, 0):
        raise damaged(1)


class JournalFile:
    """Write records, checkpoints and run numbers; every public method is one durable transaction."""

    def __init__(self, path: Path) -> None:
        """Open or create.

        Raises:
            JournalDamaged: if the last record cannot be trusted.
            JournalTooNew: if this program cannot read it.
            StoreError: if the file cannot be opened.
            DiskFull: if there is no room to open it.
        """
        self.path = path
        frames = _frames(path)
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
            try:
                self._prepare()
                self.sequence, self.chain = head(self._db)
                self.run, self.put_back = read_run(self._db), read_put_back(self._db)
                self.torn_bytes = self._torn(frames)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise writing_error(error, path) from error

    def _prepare(self) -> None:
        db = self._db
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{self.path} needs a file system that can share memory (journal mode is {mode})")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        db.execute("PRAGMA cell_size_check = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        if is_blank(db):
            with self._transaction():
                create(db)
        check_format(db)

    def _torn(self, frames: tuple[int, int, int]) -> int:
        whole, rest, size = frames
        good: int = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        return max(whole - max(good, 0), 0) * size + rest

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def append(self, first: int, payloads: Sequence[bytes]) -> None:
        """Write consecutive records, all or none.

        Many rows go into one statement: the driver gives up the interpreter's lock once a statement, and beside a busy
        thread it waits up to a switch interval to get it back.

        Raises:
            sqlite3.Error: if they are not durable; the file is as before.
        """
        chain, values = self.chain, list[object]()
        for sequence, payload in enumerate(payloads, first):
            chain = link(chain, sequence, payload)
            values += (sequence, chain, payload)
        count = len(payloads)
        if count <= _STEPS[-1] or count in _STEPS:
            self._db.execute(_insert(count), values)
        else:
            with self._transaction():
                self._insert_in_steps(count, values)
        self.sequence, self.chain = first + count - 1, chain

    def _insert_in_steps(self, count: int, values: list[object]) -> None:
        at = 0
        while at < count:
            rows = next((step for step in _STEPS if step <= count - at), count - at)
            self._db.execute(_insert(rows), values[3 * at : 3 * (at + rows)])
            at += rows

    def next_run(self, last: int = 0) -> int:
        """Give out a run number, above ``last`` too."""
        run = max(self.run, last) + 1
        with self._transaction():
            put_meta(self._db, "run", run)
            if self.put_back:
                put_meta(self._db, "put_back", 0)
        self.run, self.put_back = run, False
        return run

    def put_checkpoint(self, sequence: int, image: bytes) -> None:
        """Keep a checkpoint and drop all but the newest ones.

        Raises:
            StoreError: if the record it follows is not kept.
        """
        chain = chain_at(self._db, read_base(self._db), sequence)
        if chain is None:
            raise StoreError(f"checkpoint after record {sequence}, which the journal does not hold")
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES(?, ?, ?, ?)",
                (sequence, chain, checkpoint_seal(sequence, chain, image), image),
            )
            self._db.execute(
                "DELETE FROM checkpoints WHERE sequence NOT IN"
                " (SELECT sequence FROM checkpoints ORDER BY sequence DESC LIMIT ?)",
                (KEPT_CHECKPOINTS,),
            )

    def prunable(self, before: int) -> int:
        """Return the last record below ``before`` that no readable checkpoint needs; 0 where there is no checkpoint."""
        base = read_base(self._db)
        readable = [at for at in checkpoint_sequences(self._db) if read_checkpoint(self._db, base, at) is not None]
        return min([before - 1, *readable]) if readable else 0

    def prune(self, last: int, at_most: int) -> bool:
        """Drop the oldest ``at_most`` records up to ``last``; tell whether more remain.

        The check of the last dropped record becomes the base, so the chain of the kept ones still proves itself.
        """
        base = read_base(self._db)
        end = min(last, base.sequence + at_most)
        chain = chain_at(self._db, base, end) if end > base.sequence else None
        if chain is None:
            return False
        with self._transaction():
            self._db.execute("DELETE FROM records WHERE sequence <= ?", (end,))
            put_meta(self._db, "base", end)
            put_meta(self._db, "base_chain", chain)
        return end < last

    def first_since(self, ts: int) -> int:
        """Return the first kept sequence whose event is not older than ``ts`` (ns, UTC)."""
        return first_since(self._db, self.sequence, ts)

    def time_at(self, sequence: int) -> int | None:
        """Return the time of one record (ns, UTC); None where it has none."""
        return time_at(self._db, sequence)

    def close(self) -> None:
        """Move the log into the file and close."""
        self._db.close()


def _frames(path: Path) -> tuple[int, int, int]:
    """Return whole frames that carry the log's own salt, the bytes of a cut frame after them, and a frame's size."""
    try:
        with _write_ahead_log(path).open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(0)
            start = log.read(32)
            if end < 32:
                return 0, end, 0
            size = 24 + (int.from_bytes(start[8:12], "big") or 65536)
            for whole in range((end - 32) // size):
                log.seek(32 + whole * size + 8)
                if log.read(8) != start[16:24]:
                    return whole, 0, size
            return (end - 32) // size, (end - 32) % size, size
    except FileNotFoundError:
        return 0, 0, 0
