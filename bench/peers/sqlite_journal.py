"""The other side of the journal's benchmark: SQLite, WAL, synchronous FULL, one commit a record."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path


def write_one_by_one(path: Path, payloads: Sequence[bytes]) -> tuple[float, list[int]]:
    """Commit each record before the next; return the seconds it took and each record's ns until it was durable."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE journal(id INTEGER PRIMARY KEY, body BLOB)")
    waited = list[int]()
    start = time.perf_counter()
    for payload in payloads:
        before = time.perf_counter_ns()
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO journal(body) VALUES(?)", (payload,))
        db.execute("COMMIT")
        waited.append(time.perf_counter_ns() - before)
    seconds = time.perf_counter() - start
    db.close()
    return seconds, waited


def read_back(path: Path) -> list[bytes]:
    """Return every record, in order."""
    db = sqlite3.connect(path)
    found = [row[0] for row in db.execute("SELECT body FROM journal ORDER BY id")]
    db.close()
    return found
