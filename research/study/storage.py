"""Optuna's journal of a study in our own SQLite file, in WAL mode: many worker processes, nothing lost by a kill.

A trial that was told is on the disk, with all that was written before it: a power cut loses trials under way alone.

Optuna's own SQLite storage takes some 12 ms of CPU a trial, this some 2 (docs/decisions/052-studies-storage.md).
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation

from core.errors import ResearchError
from research.study import database

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
        with self._guarded():
            rows = self._connection().execute("SELECT entry FROM journal WHERE id > ? ORDER BY id", (log_number_from,))
            return [json.loads(entry) for (entry,) in rows]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, all or none."""
        entries = [(json.dumps(log, separators=(",", ":")),) for log in logs]
        told = any(log.get("op_code") == _TELL for log in logs)
        with self._guarded():
            connection = self._connection()
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

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:  # locked, full, not to be opened: it is whole
            raise ResearchError(f"{self.path} cannot be used: {error}") from error
        except (sqlite3.DatabaseError, ValueError) as error:
            raise ResearchError(
                f"{self.path} is damaged ({error}): put a copy back, or move it away and run the study again from its "
                "first trial"
            ) from error


def storage_at(path: Path) -> JournalStorage:
    """Open the storage of a study in a file; it is made where there is none.

    Raises:
        ResearchError: it is damaged, or cannot be used.
    """
    journal = SqliteJournal(path)
    try:
        return JournalStorage(journal)
    except ResearchError:
        raise
    except (KeyError, TypeError, AttributeError, AssertionError) as error:  # entries that are none of Optuna's
        raise ResearchError(
            f"{path} holds what is no study ({error!r}): move it away and run the study again"
        ) from error


def storage_of(folder: Path) -> BaseStorage:
    """Open the storage of a study: the database that its folder names, else the file in it.

    Raises:
        ResearchError: it is damaged, or cannot be used, or nobody answers.
    """
    address = database.named(folder)
    return database.opened(address) if address else storage_at(folder / "trials.sqlite")


def is_begun(folder: Path) -> bool:
    """Return whether a study has a storage."""
    return bool(database.named(folder)) or (folder / "trials.sqlite").exists()
