"""A journal without a thread: its owner says when it writes, and the rules are the same."""

import sqlite3
from pathlib import Path

import pytest

from core.errors import StoreError
from store.journal.journal import SqliteJournal
from tests.contracts.journal import Answers


def opened(path: Path) -> SqliteJournal:
    return SqliteJournal(path / "journal.sqlite", reserve_bytes=0, threaded=False)


def test_writes_in_its_owners_turns_alone(tmp_path: Path) -> None:
    journal, answers = opened(tmp_path), Answers()
    journal.append([b"one"], answers.done("first"))
    journal.append([b"two", b"three"], answers.done("second"))
    assert not answers.heard
    assert not list(journal.read())
    journal.turn()
    assert answers.heard == [("first", None), ("second", None)]
    assert [record.payload for record in journal.read()] == [b"one", b"two", b"three"]
    journal.close()


def test_gives_a_durable_run_number_and_writes_the_rest_when_closed(tmp_path: Path) -> None:
    journal, answers = opened(tmp_path), Answers()
    assert journal.start_run() == 1
    journal.append([b"late"], answers.done())
    journal.close()
    assert answers.heard == [(None, None)]
    again = opened(tmp_path)
    assert [record.payload for record in again.read()] == [b"late"]
    assert again.start_run() == 2
    again.close()


def test_keeps_what_failed_at_the_head_of_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, answers = opened(tmp_path), Answers()
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE

    def fail(first: int, payloads: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(journal._file, "append", fail)
        journal.append([b"one"], answers.done("one"))
        journal.turn()
    assert isinstance(answers.heard[0][1], StoreError)
    assert journal.complaint
    journal.append([b"two"], answers.done("two"))
    journal.turn()
    assert [record.payload for record in journal.read()] == [b"one", b"two"]
    assert answers.heard[1:] == [("two", None)]
    assert not journal.complaint
    journal.close()
