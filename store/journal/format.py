"""The journal's format: tables, number, the chain of checks, and what an error of SQLite means here."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from core.errors import DiskFull, JournalDamaged, JournalTooNew, StoreError
from core.ports import Checkpoint, Record
from core.session.wire import event_time

FORMAT = 1
OLDEST = 1
CHECK = 8
"""Bytes of a check."""

SCHEMA = (
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value NOT NULL, seal BLOB NOT NULL)",
    "CREATE TABLE records(sequence INTEGER PRIMARY KEY, chain BLOB NOT NULL, payload BLOB NOT NULL)",
    "CREATE TABLE checkpoints(sequence INTEGER PRIMARY KEY, chain BLOB NOT NULL, seal BLOB NOT NULL,"
    " image BLOB NOT NULL)",
)

# Primary result codes that speak of the machine, not of the file's content: PERM, BUSY, LOCKED, NOMEM, READONLY,
# INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL, NOLFS, AUTH.
_MACHINE = frozenset({3, 5, 6, 7, 8, 9, 10, 13, 14, 15, 22, 23})
# I/O errors that do mean content: a short read, a failed checksum, a corrupt file system.
_CONTENT = frozenset({522, 8202, 8458})
_UNKNOWN = 1


class Base(NamedTuple):
    """Where the kept records begin: the last pruned sequence and its check (0 and zeros before any pruning)."""

    sequence: int
    chain: bytes


def link(previous: bytes, sequence: int, payload: bytes) -> bytes:
    """Return the check of a record, chained to the record before it."""
    return blake2b(previous + sequence.to_bytes(8, "little") + payload, digest_size=CHECK).digest()


def seal(*parts: bytes) -> bytes:
    """Return the check of a checkpoint or of a meta value."""
    whole = blake2b(digest_size=CHECK)
    for part in parts:
        whole.update(len(part).to_bytes(8, "little"))
        whole.update(part)
    return whole.digest()


def damaged(record: int) -> JournalDamaged:
    """Return the error that names the first record which cannot be trusted."""
    return JournalDamaged(f"journal damaged at record {record}: trading refused; run tradedeck journal check")


def error_code(error: sqlite3.Error) -> int:
    """Return SQLite's extended result code; the driver's own errors have none and count as SQLITE_ERROR."""
    return int(getattr(error, "sqlite_errorcode", _UNKNOWN))


def is_full(error: sqlite3.Error) -> bool:
    """Tell whether SQLite ran out of disk."""
    return error_code(error) & 0xFF == sqlite3.SQLITE_FULL


def speaks_of_content(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the file's content is wrong, so that trying again cannot help."""
    code = error_code(error)
    return code in _CONTENT or code & 0xFF not in _MACHINE


def reading_error(error: sqlite3.Error, path: Path, record: int) -> StoreError:
    """Translate an error met while reading ``record``."""
    if speaks_of_content(error):
        return damaged(record)
    return StoreError(f"{path} cannot be read: {error}; check the disk and the permissions of its directory")


def writing_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Translate an error met while writing."""
    if is_full(error):
        return DiskFull(f"no space left for {path}: nothing is recorded until disk space is freed")
    if speaks_of_content(error):
        return JournalDamaged(f"{path} cannot be written: {error}; trading refused; run tradedeck journal check")
    return StoreError(f"{path} cannot be written: {error}; it is tried again, check the disk")


def put_meta(db: sqlite3.Connection, key: str, value: int | bytes) -> None:
    """Write one meta value with its seal."""
    db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?, ?)", (key, value, seal(key.encode(), repr(value).encode())))


def _meta(db: sqlite3.Connection, key: str) -> int | bytes:
    row = db.execute("SELECT value, seal FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None or row[1] != seal(key.encode(), repr(row[0]).encode()):
        raise damaged(1)
    value: int | bytes = row[0]
    return value


def read_run(db: sqlite3.Connection) -> int:
    """Return the last run number given out.

    Raises:
        JournalDamaged: if it cannot be trusted.
    """
    return int(_meta(db, "run"))


def read_put_back(db: sqlite3.Connection) -> bool:
    """Tell whether the journal is a backup that was put in another's place, and on which no run has begun yet.

    Raises:
        JournalDamaged: if it cannot be trusted.
    """
    known = db.execute("SELECT 1 FROM meta WHERE key = 'put_back'").fetchone() is not None
    return known and bool(_meta(db, "put_back"))


def read_base(db: sqlite3.Connection) -> Base:
    """Return where the kept records begin.

    Raises:
        JournalDamaged: if it cannot be trusted.
    """
    return Base(int(_meta(db, "base")), bytes(_meta(db, "base_chain")))


def create(db: sqlite3.Connection) -> None:
    """Make the tables of an empty journal; the caller holds the transaction."""
    for statement in SCHEMA:
        db.execute(statement)
    for key, value in (("format", FORMAT), ("run", 0), ("base", 0), ("base_chain", bytes(CHECK))):
        put_meta(db, key, value)


def is_blank(db: sqlite3.Connection) -> bool:
    """Tell whether a database has no table at all."""
    return db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def check_format(db: sqlite3.Connection) -> int:
    """Return the format number of a journal.

    Raises:
        JournalTooNew: if this program cannot read it.
        JournalDamaged: if the number is not one, or the tables are not those of the format.
    """
    row = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    number = row[0] if row else None
    if not isinstance(number, int) or number < OLDEST:
        raise damaged(1)
    if number > FORMAT:
        readable = str(FORMAT) if OLDEST == FORMAT else f"{OLDEST}–{FORMAT}"
        raise JournalTooNew(f"journal format {number}; this program reads {readable}")
    tables = db.execute("SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    if tuple(row[0] for row in tables) != SCHEMA:
        raise damaged(1)
    return number


def head(db: sqlite3.Connection) -> Base:
    """Return the last record's sequence and check, proven against the record before it; the base where there is none.

    Raises:
        JournalDamaged: if the last record cannot be trusted.
    """
    base = read_base(db)
    row = db.execute("SELECT * FROM records ORDER BY sequence DESC LIMIT 1").fetchone()
    if row is None:
        return base
    sequence, stored, payload = row
    before = chain_at(db, base, sequence - 1)
    if before is None or type(payload) is not bytes or link(before, sequence, payload) != stored:
        raise damaged(sequence)
    return Base(sequence, stored)


@contextmanager
def reading(path: Path, *, blank: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a journal for reading, as it is at one moment, without changing it; ``blank`` allows one without tables.

    Raises:
        StoreError: if there is no journal or it cannot be opened.
        JournalDamaged: if it is not readable at all.
        JournalTooNew: if this program cannot read it.
    """
    if not path.exists():
        raise StoreError(f"there is no journal at {path}")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise reading_error(error, path, 1) from error
    with closing(db):
        try:
            db.execute("PRAGMA cell_size_check = ON")
            db.execute("BEGIN")
            if not (blank and is_blank(db)):
                check_format(db)
        except sqlite3.Error as error:
            raise reading_error(error, path, 1) from error
        except UnicodeDecodeError as error:  # SQLite's own complaint quotes table definitions that are no text any more
            raise damaged(1) from error
        yield db


def read_records(db: sqlite3.Connection, path: Path, after: int) -> Iterator[Record]:
    """Yield the records above ``after``, each proven against the one before it.

    Raises:
        JournalDamaged: naming the first record that cannot be trusted.
    """
    try:
        base = read_base(db)
        start = max(after, base.sequence)
        chain = chain_at(db, base, start)
    except sqlite3.Error as error:
        raise reading_error(error, path, max(after, 1)) from error
    if chain is None:
        return
    expected = start + 1
    for sequence, stored, payload in _rows(db, path, start):
        if sequence != expected or type(payload) is not bytes or link(chain, sequence, payload) != stored:
            raise damaged(expected)
        yield Record(sequence, payload)
        chain, expected = stored, expected + 1


def chain_at(db: sqlite3.Connection, base: Base, sequence: int) -> bytes | None:
    """Return the check after a record; None where the record is not kept."""
    if sequence == base.sequence:
        return base.chain
    row = db.execute("SELECT chain FROM records WHERE sequence = ?", (sequence,)).fetchone()
    return bytes(row[0]) if row else None


def _rows(db: sqlite3.Connection, path: Path, after: int) -> Iterator[tuple[int, bytes, bytes]]:
    last = after
    try:
        for row in db.execute("SELECT * FROM records WHERE sequence > ? ORDER BY sequence", (after,)):
            yield row
            last = row[0]
        return
    except sqlite3.Error as error:
        if not speaks_of_content(error):
            raise reading_error(error, path, last + 1) from error
    # The driver steps one row ahead of what it hands out: asked one by one, the rows name the true place.
    while True:
        try:
            row = db.execute("SELECT * FROM records WHERE sequence = ?", (last + 1,)).fetchone()
        except sqlite3.Error as error:
            raise reading_error(error, path, last + 1) from error
        if row is None:
            raise damaged(last + 1)
        yield row
        last += 1


def checkpoint_seal(sequence: int, chain: bytes, image: bytes) -> bytes:
    """Return the check of a checkpoint."""
    return seal(sequence.to_bytes(8, "little"), chain, image)


def read_checkpoint(db: sqlite3.Connection, base: Base, sequence: int) -> Checkpoint | None:
    """Return one checkpoint if it can be trusted: its own seal holds and it belongs to this chain of records."""
    row = db.execute("SELECT chain, seal, image FROM checkpoints WHERE sequence = ?", (sequence,)).fetchone()
    if row is None or not all(type(value) is bytes for value in row):
        return None
    chain, stored, image = row
    if checkpoint_seal(sequence, chain, image) != stored or chain_at(db, base, sequence) != chain:
        return None
    return Checkpoint(sequence, image)


def checkpoint_sequences(db: sqlite3.Connection) -> list[int]:
    """Return the sequences that have a checkpoint, newest first."""
    return [row[0] for row in db.execute("SELECT sequence FROM checkpoints ORDER BY sequence DESC")]


def time_at(db: sqlite3.Connection, sequence: int) -> int | None:
    """Return the time of one record (ns, UTC); None where it has none."""
    row = db.execute("SELECT payload FROM records WHERE sequence = ?", (sequence,)).fetchone()
    return event_time(row[0]) if row and type(row[0]) is bytes else None


def first_since(db: sqlite3.Connection, last: int, ts: int) -> int:
    """Return the first kept sequence up to ``last`` whose event is not older than ``ts`` (ns, UTC), by bisection.

    It is ``last`` + 1 where there is none.
    """
    low, high = read_base(db).sequence + 1, last + 1
    while low < high:
        middle = (low + high) // 2
        if (time_at(db, middle) or 0) < ts:
            low = middle + 1
        else:
            high = middle
    return low
