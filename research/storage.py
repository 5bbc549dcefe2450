"""Optuna's journal of a study in our own SQLite file, in WAL mode: many worker processes, nothing lost by a kill.

A trial that was told is on the disk, with all that was written before it: a power cut loses trials under way alone.

Optuna's own SQLite storage takes some 12 ms of CPU a trial, this some 2 (docs/decisions/052-studies-storage.md).
"""

import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation

WAIT_S = 60.0
_TELL = int(JournalOperation.SET_TRIAL_STATE_VALUES)


class SqliteJournal(BaseJournalBackend):
    """An append-only list of Optuna's entries; SQLite orders the writers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: tuple[int, sqlite3.Connection] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_opened": None}

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the entries from a number on."""
        rows = self._connection().execute("SELECT entry FROM journal WHERE id > ? ORDER BY id", (log_number_from,))
        return [json.loads(entry) for (entry,) in rows]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, all or none."""
        entries = [(json.dumps(log, separators=(",", ":")),) for log in logs]
        connection = self._connection()
        told = any(log.get("op_code") == _TELL for log in logs)
        connection.execute(f"PRAGMA synchronous={'FULL' if told else 'NORMAL'}")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO journal(entry) VALUES (?)", entries)

    def close(self) -> None:
        """Close the file in this process."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None or self._opened[0] != os.getpid():  # a connection must not cross a fork
            # Optuna calls from one thread at a time: it holds its own lock.
            made = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("CREATE TABLE IF NOT EXISTS journal(id INTEGER PRIMARY KEY, entry TEXT NOT NULL)")
            self._opened = (os.getpid(), made)
        return self._opened[1]


def storage_at(path: Path) -> JournalStorage:
    """Open the storage of a study; the file is made where there is none."""
    return JournalStorage(SqliteJournal(path))
