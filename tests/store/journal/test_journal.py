"""The journal on SQLite: the contract, group commit, checkpoints, pruning, failures."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.events import EngineStopped
from core.errors import JournalDamaged, StoreError
from core.ports import Checkpoint, Journal
from core.session.wire import encode
from store.journal.journal import DAY_NS, SqliteJournal
from store.journal.writer import Limits
from store.run_number import read_run_number, write_run_number
from tests.contracts.journal import Answers, JournalContract, settle, write
from tests.store.journal.images import alter

NO_RESERVE = 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., SqliteJournal]]:
    """Open journals that are closed when the test ends."""
    journals: list[SqliteJournal] = []

    def open_journal(keep_days: int = 0) -> SqliteJournal:
        journals.append(SqliteJournal(path, reserve_bytes=NO_RESERVE, keep_days=keep_days))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def journal(self, opened: Callable[..., SqliteJournal]) -> Journal:
        return opened()

    @pytest.fixture
    def reopen(self, journal: Journal, opened: Callable[..., SqliteJournal]) -> Callable[[], Journal]:
        def reopen() -> Journal:
            journal.close()
            return opened()

        return reopen


@pytest.fixture
def journal(opened: Callable[..., SqliteJournal]) -> SqliteJournal:
    return opened()


class Gate:
    """Hold the writer inside a ``done`` until it is opened."""

    def __init__(self, journal: Journal) -> None:
        self._open, entered = threading.Event(), threading.Event()

        def done(error: BaseException | None) -> None:
            entered.set()
            assert self._open.wait(60)

        journal.append([], done)
        assert entered.wait(60)

    def open(self) -> None:
        """Let the writer go on."""
        self._open.set()


def test_what_waits_while_the_writer_is_busy_goes_into_one_commit(journal: SqliteJournal, path: Path) -> None:
    write(journal, b"first")
    gate = Gate(journal)
    before = path.with_name(path.name + "-wal").stat().st_size
    for _ in range(100):
        journal.append([b"x" * 10], Answers().done())
    assert journal.health.lag == 100
    gate.open()
    settle(journal)
    frames = (path.with_name(path.name + "-wal").stat().st_size - before) // (4096 + 24)
    assert frames <= 5
    assert journal.health.lag == 0
    assert journal.health.durable == 101


def test_a_group_never_splits_an_append(journal: SqliteJournal) -> None:
    gate, answers = Gate(journal), Answers()
    for size in (200, 300, 1, 1000, 2):
        journal.append([b"x"] * size, answers.done(size))
    gate.open()
    settle(journal)
    assert [name for name, _ in answers.heard] == [200, 300, 1, 1000, 2]
    assert [record.sequence for record in journal.read()] == list(range(1, 1504))


def test_many_threads_may_append(journal: SqliteJournal) -> None:
    answers = Answers()

    def produce(name: int) -> None:
        for number in range(100):
            journal.append([b"%d %d" % (name, number)], answers.done())

    threads = [threading.Thread(target=produce, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle(journal)
    found = [record.payload.split() for record in journal.read()]
    assert len(found) == 800
    for name in range(8):
        assert [int(number) for who, number in found if int(who) == name] == list(range(100))


def test_a_done_that_raises_keeps_nobody_from_an_answer(journal: SqliteJournal) -> None:
    def broken(error: BaseException | None) -> None:
        raise RuntimeError("the loop is closed")

    journal.append([b"a"], broken)
    assert write(journal, b"b") == 2
    assert journal.health.last_error == "the loop is closed"
    assert not journal.health.failing


def test_the_journal_is_private(journal: SqliteJournal, path: Path) -> None:
    write(journal, b"x")
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_durability_is_asked_of_the_disk(journal: SqliteJournal) -> None:
    db = journal._file._db
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_checks_are_chained(journal: SqliteJournal, path: Path) -> None:
    write(journal, b"a", b"b")
    with sqlite3.connect(path) as db:
        chains = [row[0] for row in db.execute("SELECT chain FROM records ORDER BY sequence")]
    db.close()
    first = blake2b(bytes(8) + (1).to_bytes(8, "little") + b"a", digest_size=8).digest()
    second = blake2b(first + (2).to_bytes(8, "little") + b"b", digest_size=8).digest()
    assert chains == [first, second]


def test_only_two_checkpoints_are_kept(journal: SqliteJournal, path: Path) -> None:
    write(journal, *[b"x"] * 10)
    for sequence in range(1, 9):
        journal.checkpoint(sequence, b"i")
    settle(journal)
    db = sqlite3.connect(path)
    assert [row[0] for row in db.execute("SELECT sequence FROM checkpoints")] == [7, 8]
    db.close()


def test_a_checkpoint_may_be_written_again(journal: SqliteJournal) -> None:
    write(journal, b"x")
    journal.checkpoint(1, b"old")
    journal.checkpoint(1, b"new")
    settle(journal)
    assert journal.last_checkpoint() == Checkpoint(1, b"new")


@pytest.mark.parametrize("column", ["chain", "seal", "image"])
def test_a_broken_checkpoint_is_passed_over(opened: Callable[..., SqliteJournal], path: Path, column: str) -> None:
    journal = opened()
    write(journal, b"a", b"b")
    journal.checkpoint(1, b"one")
    journal.checkpoint(2, b"two")
    journal.close()
    alter(path, f"UPDATE checkpoints SET {column} = x'0102030405060708' WHERE sequence = 2")
    assert opened().last_checkpoint() == Checkpoint(1, b"one")


@pytest.mark.parametrize("value", ["7", "'text'"])
def test_a_checkpoint_of_the_wrong_type_is_passed_over(
    opened: Callable[..., SqliteJournal], path: Path, value: str
) -> None:
    journal = opened()
    write(journal, b"a")
    journal.checkpoint(1, b"one")
    journal.close()
    alter(path, f"UPDATE checkpoints SET image = {value}")
    assert opened().last_checkpoint() is None


class TestPruning:
    def test_records_before_the_older_checkpoint_may_go(
        self, journal: SqliteJournal, opened: Callable[..., SqliteJournal]
    ) -> None:
        write(journal, *[b"%d" % number for number in range(1, 101)])
        journal.checkpoint(40, b"forty")
        journal.checkpoint(80, b"eighty")
        journal.prune(1000)
        settle(journal)
        assert [record.sequence for record in journal.read()] == list(range(41, 101))
        assert journal.last_checkpoint() == Checkpoint(80, b"eighty")
        journal.close()
        again = opened()
        assert write(again, b"next") == 101
        assert [record.sequence for record in again.read(90)] == list(range(91, 102))

    def test_nothing_goes_without_a_checkpoint(self, journal: SqliteJournal) -> None:
        write(journal, *[b"x"] * 10)
        journal.prune(5)
        settle(journal)
        assert len(list(journal.read())) == 10

    def test_only_what_was_named_goes(self, journal: SqliteJournal) -> None:
        write(journal, *[b"x"] * 10)
        journal.checkpoint(9, b"nine")
        journal.prune(4)
        journal.prune(4)
        settle(journal)
        assert [record.sequence for record in journal.read()] == list(range(4, 11))

    def test_all_may_go_when_the_checkpoint_is_at_the_end(
        self, journal: SqliteJournal, opened: Callable[..., SqliteJournal]
    ) -> None:
        write(journal, *[b"x"] * 10)
        journal.checkpoint(10, b"ten")
        journal.prune(1000)
        settle(journal)
        assert list(journal.read()) == []
        journal.close()
        again = opened()
        assert again.last_checkpoint() == Checkpoint(10, b"ten")
        assert write(again, b"next") == 11

    def test_it_goes_in_slices(self, journal: SqliteJournal) -> None:
        write(journal, *[b"x"] * 6_000)
        journal.checkpoint(5_500, b"i")
        journal.prune(5_000)
        for _ in range(5):
            settle(journal)
        assert next(journal.read()).sequence == 5_000

    def test_a_checkpoint_before_the_kept_records_is_dropped_and_named(self, journal: SqliteJournal) -> None:
        write(journal, *[b"x"] * 10)
        journal.checkpoint(9, b"nine")
        journal.prune(9)
        journal.checkpoint(3, b"three")
        assert settle(journal) is None
        assert journal.health.last_error == "checkpoint after record 3, which the journal does not hold"
        assert journal.last_checkpoint() == Checkpoint(9, b"nine")

    def test_old_days_go_after_a_checkpoint(self, opened: Callable[..., SqliteJournal]) -> None:
        journal = opened(keep_days=2)
        write(journal, *[encode(EngineStopped(1, "day", day * DAY_NS)) for day in range(10)])
        journal.checkpoint(6, b"i")
        journal.checkpoint(10, b"i")
        settle(journal)
        # The two days before the tenth record are kept from the eighth on; the older checkpoint holds back 7 and 8.
        assert [record.sequence for record in journal.read()] == [7, 8, 9, 10]
        journal.checkpoint(10, b"i")
        journal.checkpoint(9, b"i")
        settle(journal)

    def test_records_without_a_time_are_kept(self, opened: Callable[..., SqliteJournal]) -> None:
        journal = opened(keep_days=1)
        write(journal, *[b"no event"] * 4)
        journal.checkpoint(4, b"i")
        settle(journal)
        assert len(list(journal.read())) == 4


class TestFailures:
    """A disk that fails is a connection whose statements fail: what the driver raises is the real class and code."""

    def test_nothing_overtakes_a_failed_batch(self, opened: Callable[..., SqliteJournal], path: Path) -> None:
        journal = opened()
        write(journal, b"a")
        answers = Answers()
        with locked(path):
            journal._file._db.execute("PRAGMA busy_timeout = 10")
            journal.append([b"b"], answers.done("b"))
            journal.append([b"c"], answers.done("c"))
            failed = settle(journal)
            assert isinstance(failed, StoreError)
            assert "database is locked" in str(failed)
            failing = journal.health
            assert failing.failing
            assert failing.lag == 2
            assert "entries denied, exits allowed" in failing.complaint
            with pytest.raises(StoreError, match="locked"):
                journal.start_run()
            journal.checkpoint(1, b"dropped")
        assert write(journal, b"d") == 4
        assert [name for name, _ in answers.heard] == ["b", "c"], "told once, although they became durable later"
        assert all(isinstance(error, StoreError) for _, error in answers.heard)
        assert [record.payload for record in journal.read()] == [b"a", b"b", b"c", b"d"]
        assert not journal.health.failing
        assert journal.complaint == ""

    def test_a_failed_line_is_retried_without_new_work(self, path: Path) -> None:
        journal = SqliteJournal(path, reserve_bytes=0, limits=Limits(retry_seconds=0.02))
        with locked(path):
            journal._file._db.execute("PRAGMA busy_timeout = 10")
            journal.append([b"a"], Answers().done())
            assert isinstance(settle(journal), StoreError)
        deadline = time.monotonic() + 60
        while journal.health.durable < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [record.payload for record in journal.read()] == [b"a"]
        journal.close()

    def test_what_fails_at_the_end_is_told(self, path: Path, opened: Callable[..., SqliteJournal]) -> None:
        journal, answers = opened(), Answers()
        with locked(path):
            journal._file._db.execute("PRAGMA busy_timeout = 10")
            journal.append([b"a"], answers.done())
            journal.close()
        assert isinstance(answers.heard[0][1], StoreError)
        assert list(opened().read()) == []

    def test_a_line_that_grows_too_long_is_sealed(self, path: Path) -> None:
        journal = SqliteJournal(path, reserve_bytes=0, limits=Limits(backlog_bytes=1_000))
        answers = Answers()
        with locked(path):
            journal._file._db.execute("PRAGMA busy_timeout = 10")
            journal.append([b"x" * 900], answers.done(1))
            settle(journal)
            journal.append([b"x" * 900], answers.done(2))
            assert isinstance(settle(journal), StoreError)
        assert isinstance(settle(journal), StoreError)
        journal.append([b"later"], answers.done(3))
        assert isinstance(settle(journal), StoreError)
        assert journal.health.sealed
        assert "restart the engine" in journal.health.complaint
        assert [name for name, error in answers.heard if error is not None] == [1, 2, 3]
        assert list(journal.read()) == []
        journal.close()

    def test_a_record_that_is_already_there_seals(self, journal: SqliteJournal, path: Path) -> None:
        write(journal, b"a")
        alter(path, "INSERT INTO records VALUES(2, x'00', x'00')")
        journal.append([b"b"], Answers().done())
        assert isinstance(settle(journal), JournalDamaged)
        assert journal.health.sealed

    def test_a_payload_that_is_no_bytes_is_heard_and_seals(self, journal: SqliteJournal) -> None:
        answers = Answers()
        journal.append(["text"], answers.done())  # type: ignore[list-item]
        assert isinstance(settle(journal), StoreError)
        assert "can't concat" in str(answers.heard[0][1])

    def test_an_error_at_the_end_is_kept(self, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise sqlite3.OperationalError("disk I/O error")

        close = journal._file.close
        monkeypatch.setattr(journal._file, "close", fail)
        journal.close()
        close()
        assert journal.health.last_error == "disk I/O error"


class locked:  # noqa: N801 - reads as a statement
    """Hold the database's write lock, so that every commit of the journal fails."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._db.execute("ROLLBACK")
        self._db.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=40), max_size=5), max_size=30), st.integers(0, 29))
def test_any_appends_with_a_restart_between_come_back(
    tmp_path_factory: pytest.TempPathFactory, appends: list[list[bytes]], restart: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    journal = SqliteJournal(path, reserve_bytes=0)
    for number, payloads in enumerate(appends):
        if number == restart:
            journal.close()
            journal = SqliteJournal(path, reserve_bytes=0)
        journal.append(payloads, Answers().done())
    settle(journal)
    expected = [payload for payloads in appends for payload in payloads]
    assert [record.payload for record in journal.read()] == expected
    assert [record.sequence for record in journal.read()] == list(range(1, len(expected) + 1))
    journal.close()


class TestRunNumbers:
    def test_a_journal_that_is_lost_gives_none_out_again(self, tmp_path: Path) -> None:
        def run(name: str) -> int:
            journal = SqliteJournal(tmp_path / name, reserve_bytes=0, runs=tmp_path / "runs")
            given = journal.start_run()
            journal.close()
            return given

        assert [run("one.sqlite"), run("one.sqlite"), run("two.sqlite"), run("one.sqlite")] == [1, 2, 3, 4]
        assert (tmp_path / "runs").read_text() == "4\n"

    def test_a_journal_that_is_lost_or_old_says_so_until_a_run_begins_on_it(self, tmp_path: Path) -> None:
        def put_back(name: str) -> tuple[bool, bool]:
            journal = SqliteJournal(tmp_path / name, reserve_bytes=0, runs=tmp_path / "runs")
            found = journal.put_back
            journal.start_run()
            after = journal.put_back
            journal.close()
            return found, after

        seen = [put_back(name) for name in ("one.sqlite", "one.sqlite", "two.sqlite", "two.sqlite", "one.sqlite")]
        assert seen == [(False, False), (False, False), (True, False), (False, False), (True, False)]

    def test_a_start_that_was_cut_short_is_no_loss(self, tmp_path: Path) -> None:
        """The journal's number is durable before the one beside it; an engine may be killed in between."""
        journal = SqliteJournal(tmp_path / "one.sqlite", reserve_bytes=0)
        journal.start_run()
        journal.start_run()
        journal.close()
        write_run_number(tmp_path / "runs", 1)
        again = SqliteJournal(tmp_path / "one.sqlite", reserve_bytes=0, runs=tmp_path / "runs")
        assert not again.put_back
        again.close()

    @pytest.mark.parametrize("text", ["", "many", "\udcff"])
    def test_a_number_that_cannot_be_read_is_the_journals(self, tmp_path: Path, text: str) -> None:
        runs = tmp_path / "runs"
        runs.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert read_run_number(runs) == 0
        write_run_number(runs, 7)
        assert read_run_number(runs) == 7

    def test_one_that_cannot_be_kept_stops_nobody(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path / "one.sqlite", reserve_bytes=0, runs=tmp_path / "gone" / "runs")
        assert journal.start_run() == 1
        journal.close()
