"""Journals as a crash leaves them: copies of an open one, file by file."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

from store.journal.format import FORMAT
from store.journal.journal import SqliteJournal
from tests.contracts.journal import settle, write

NAME = "journal.sqlite"


def crash_image(source: Path, target: Path) -> Path:
    """Copy an open journal's files as kill -9 would leave them.

    By another process: closing a descriptor of the database here would drop the locks of the open journal.
    """
    target.mkdir()
    for part in ("", "-wal", "-shm", ".mark"):
        file = source.with_name(source.name + part)
        if file.exists():
            subprocess.run(["cp", str(file), str(target / (NAME + part))], check=True)
    return target / NAME


def closed_journal(folder: Path, payloads: list[bytes], checkpoint: int = 0) -> Path:
    """Make a journal that was closed on purpose."""
    journal = SqliteJournal(folder / NAME, reserve_bytes=0)
    journal.start_run()
    write(journal, *payloads)
    if checkpoint:
        journal.checkpoint(checkpoint, b"image" * 100)
        settle(journal)
    journal.close()
    return folder / NAME


def killed_journal(folder: Path, payloads: list[bytes]) -> Path:
    """Make a journal whose records are still in the log, one commit each."""
    (folder / "live").mkdir()
    journal = SqliteJournal(folder / "live" / NAME, reserve_bytes=0)
    journal.start_run()
    for payload in payloads:
        write(journal, payload)
    image = crash_image(journal.path, folder / "image")
    journal.close()
    return image


def flip(file: Path, at: int, mask: int = 0xFF) -> None:
    """Change one byte of a file."""
    with file.open("r+b") as found:
        found.seek(at)
        byte = found.read(1)[0]
        found.seek(at)
        found.write(bytes([byte ^ mask]))


def alter(path: Path, statement: str) -> None:
    """Change a closed journal behind its back."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(statement)
    db.close()


def newer(path: Path, number: int = FORMAT + 3) -> None:
    """Make a journal one that a newer program wrote."""
    alter(path, f"UPDATE meta SET value = {number} WHERE key = 'format'")


def everything(path: Path, then: Callable[[SqliteJournal], None] | None = None) -> list[bytes]:
    """Open a journal, read it whole and close it."""
    journal = SqliteJournal(path, reserve_bytes=0)
    try:
        return [record.payload for record in journal.read()]
    finally:
        journal.close()
