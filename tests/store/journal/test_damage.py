"""Damage is named, a torn tail is dropped and counted, and nothing acknowledged goes missing in silence."""

import random
import sqlite3
from pathlib import Path
from typing import cast

import pytest

from core.errors import JournalDamaged, JournalTooNew, StoreError
from store.journal.format import _rows, read_records, reading
from store.journal.journal import SqliteJournal
from store.journal.mark import mark_path
from store.journal.tools import check
from tests.contracts.journal import Answers, settle, write
from tests.store.journal.images import alter, closed_journal, crash_image, everything, flip, killed_journal, newer

PAYLOADS = [b"payload of record %04d " % number + bytes([number % 256]) * 60 for number in range(1, 301)]


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    return closed_journal(tmp_path, PAYLOADS)


def test_a_flipped_byte_inside_is_named(closed: Path) -> None:
    at = closed.read_bytes().index(b"payload of record 0200 ")
    flip(closed, at + 30)
    journal = SqliteJournal(closed, reserve_bytes=0)
    read: list[int] = []
    text = "^journal damaged at record 200: trading refused; run tradedeck journal check$"
    with pytest.raises(JournalDamaged, match=text):
        read.extend(record.sequence for record in journal.read())
    journal.close()
    assert (found := check(closed).damage) is not None
    assert found.record == 200


def test_after_damage_was_read_nothing_is_added(closed: Path) -> None:
    flip(closed, closed.read_bytes().index(b"payload of record 0200 "))
    journal = SqliteJournal(closed, reserve_bytes=0)
    with pytest.raises(JournalDamaged):
        list(journal.read())
    answers = Answers()
    journal.append([b"more"], answers.done())
    assert isinstance(settle(journal), JournalDamaged)
    assert isinstance(answers.heard[0][1], JournalDamaged)
    with pytest.raises(JournalDamaged):
        journal.start_run()
    journal.close()


def test_the_engines_start_reads_behind_the_checkpoint_only(tmp_path: Path) -> None:
    path = closed_journal(tmp_path, PAYLOADS, checkpoint=250)
    flip(path, path.read_bytes().index(b"payload of record 0100 "))
    journal = SqliteJournal(path, reserve_bytes=0)
    assert (checkpoint := journal.last_checkpoint()) is not None
    assert [record.sequence for record in journal.read(checkpoint.sequence)] == list(range(251, 301))
    journal.close()
    assert (found := check(path).damage) is not None
    assert found.record == 100


def test_damage_of_the_last_record_refuses_at_once(closed: Path) -> None:
    flip(closed, closed.read_bytes().index(b"payload of record 0300 "))
    with pytest.raises(JournalDamaged, match="at record 300:"):
        SqliteJournal(closed, reserve_bytes=0)


@pytest.mark.parametrize(
    ("statement", "record"),
    [
        ("DELETE FROM records WHERE sequence = 7", 7),
        ("UPDATE records SET payload = 'payload as text' WHERE sequence = 9", 9),
        ("UPDATE records SET chain = x'0000000000000000' WHERE sequence = 11", 11),
        ("UPDATE records SET payload = (SELECT payload FROM records WHERE sequence = 2) WHERE sequence = 20", 20),
        ("DELETE FROM records WHERE sequence > 290", 291),
        ("DELETE FROM records", 1),
        ("UPDATE meta SET value = 0 WHERE key = 'run'", 1),
        ("DELETE FROM meta WHERE key = 'base'", 1),
        ("UPDATE meta SET value = 'one' WHERE key = 'format'", 1),
        ("DELETE FROM meta", 1),
        ("DROP TABLE records", 1),
        ("UPDATE records SET chain = 'text' WHERE sequence = 300", 300),
        ("DELETE FROM records WHERE sequence = 299", 300),
    ],
)
def test_what_was_altered_is_named(closed: Path, statement: str, record: int) -> None:
    alter(closed, statement)
    with pytest.raises(JournalDamaged, match=f"^journal damaged at record {record}:"):
        everything(closed)
    report = check(closed)
    assert report.damage is not None


@pytest.mark.parametrize(
    "text", [b"value NOT NULL", b"TABLE records", b"INTEGER PRIMARY KEY, chain BLOB NOT NULL, pay"]
)
def test_damaged_table_definitions_are_damage(closed: Path, text: bytes) -> None:
    flip(closed, closed.read_bytes().index(text) + len(text) - 4, 0x80)
    with pytest.raises(JournalDamaged, match="at record 1:"):
        SqliteJournal(closed, reserve_bytes=0)


def test_a_run_number_that_went_back_is_damage(closed: Path) -> None:
    before = closed.read_bytes()
    journal = SqliteJournal(closed, reserve_bytes=0)
    journal.start_run()
    journal.close()
    closed.write_bytes(before)
    with pytest.raises(JournalDamaged, match="at record 301:"):
        SqliteJournal(closed, reserve_bytes=0)
    assert (found := check(closed).damage) is not None
    assert found.what == "run 2 was given out, the journal knows 1"


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to look like one" * 100])
def test_a_journal_that_was_emptied_or_overwritten_is_damaged(closed: Path, content: bytes) -> None:
    closed.write_bytes(content)
    with pytest.raises(JournalDamaged, match="at record 1:"):
        SqliteJournal(closed, reserve_bytes=0)
    assert (found := check(closed).damage) is not None
    assert found.record == 1


def test_a_journal_that_vanished_beside_its_mark_is_damaged(closed: Path) -> None:
    closed.unlink()
    with pytest.raises(JournalDamaged, match="at record 1:"):
        SqliteJournal(closed, reserve_bytes=0)
    assert not closed.exists()


def test_a_creation_that_was_cut_short_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    alter(path, "PRAGMA journal_mode = WAL")
    assert path.stat().st_size > 0
    journal = SqliteJournal(path, reserve_bytes=0)
    assert write(journal, b"first") == 1
    journal.close()


def test_a_blank_journal_beside_a_mark_is_damaged(closed: Path) -> None:
    closed.unlink()
    alter(closed, "PRAGMA journal_mode = WAL")
    with pytest.raises(JournalDamaged, match="at record 1:"):
        SqliteJournal(closed, reserve_bytes=0)


def test_a_newer_format_is_refused_with_both_numbers(closed: Path) -> None:
    newer(closed, 4)
    with pytest.raises(JournalTooNew, match=r"^journal format 4; this program reads 1$"):
        SqliteJournal(closed, reserve_bytes=0)
    with pytest.raises(JournalTooNew):
        check(closed)


def test_several_readable_formats_are_named_as_a_range(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer(closed, 4)
    monkeypatch.setattr("store.journal.format.FORMAT", 3)
    with pytest.raises(JournalTooNew, match=r"^journal format 4; this program reads 1–3$"):
        SqliteJournal(closed, reserve_bytes=0)


def test_a_foreign_database_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    alter(path, "CREATE TABLE other(a)")
    with pytest.raises(JournalDamaged, match="at record 1:"):
        SqliteJournal(path, reserve_bytes=0)
    assert sqlite3.connect(path).execute("SELECT count(*) FROM other").fetchone() == (0,)


class TestBrokenPages:
    """What SQLite itself notices: pages that are no pages."""

    @staticmethod
    def wipe(path: Path, table: str) -> None:
        """Overwrite the first page of a table."""
        db = sqlite3.connect(path)
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
        db.close()
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xee" * size)

    @pytest.mark.parametrize("table", ["records", "meta"])
    def test_an_unreadable_table_refuses_at_once(self, closed: Path, table: str) -> None:
        self.wipe(closed, table)
        with pytest.raises(JournalDamaged, match="at record 1:"):
            SqliteJournal(closed, reserve_bytes=0)
        assert (found := check(closed).damage) is not None
        assert found.record == 1

    @pytest.mark.parametrize("table", ["records", "meta"])
    def test_a_time_is_not_looked_for_in_what_has_become_unreadable(self, closed: Path, table: str) -> None:
        journal = SqliteJournal(closed, reserve_bytes=0)
        self.wipe(closed, table)
        with pytest.raises(JournalDamaged, match="at record 1:"):
            journal.first_since(1)
        with pytest.raises(JournalDamaged):
            journal.start_run()
        journal.close()

    def test_unreadable_checkpoints_refuse_when_asked_for(self, closed: Path) -> None:
        self.wipe(closed, "checkpoints")
        journal = SqliteJournal(closed, reserve_bytes=0)
        with pytest.raises(JournalDamaged):
            journal.last_checkpoint()
        assert isinstance(settle(journal), JournalDamaged)
        journal.close()
        report = check(closed)
        assert report.records == 300
        assert report.damage is not None
        assert report.damage.record == 0
        assert "the checkpoints cannot be read" in report.damage.what

    def test_a_broken_page_names_its_first_record(self, tmp_path: Path) -> None:
        """The driver steps one row ahead: the record before the page must not be blamed."""
        path = closed_journal(tmp_path, [b"%04d" % number * 250 for number in range(1, 401)])
        content = path.read_bytes()
        pages = sorted({content.index(b"%04d" % number * 250) // 4096 for number in range(150, 250)})
        page = pages[len(pages) // 2]
        held = [
            number
            for number in range(1, 401)
            if page * 4096 <= content.index(b"%04d" % number * 250) < (page + 1) * 4096
        ]
        with path.open("r+b") as file:
            file.seek(page * 4096)
            file.write(b"\xee" * 4096)
        journal, read = SqliteJournal(path, reserve_bytes=0), list[int]()
        with pytest.raises(JournalDamaged, match=f"at record {min(held)}:"):
            read.extend(record.sequence for record in journal.read())
        journal.close()
        assert (found := check(path).damage) is not None
        assert found.record == min(held)

    def test_reading_from_inside_a_broken_page_names_where_it_began(self, closed: Path) -> None:
        journal = SqliteJournal(closed, reserve_bytes=0)
        self.wipe(closed, "records")
        with pytest.raises(JournalDamaged, match="at record 200:"):
            list(journal.read(200))
        journal.close()


class TestInterrupted:
    """An error of the machine while reading is no damage."""

    def test_it_is_told_from_damage(self, closed: Path) -> None:
        with reading(closed) as db:
            rows = read_records(db, closed, 0)
            assert next(rows).sequence == 1
            db.set_progress_handler(lambda: 1, 1)
            with pytest.raises(StoreError, match="cannot be read: interrupted") as stopped:
                list(rows)
        assert not isinstance(stopped.value, JournalDamaged)

    def test_a_row_that_is_there_one_way_and_not_the_other_is_damage(self, closed: Path) -> None:
        class Gone:
            """A table whose walk breaks off and whose next row nobody finds."""

            def execute(self, statement: str, values: tuple[int]) -> "Gone":
                if "ORDER" in statement:
                    raise sqlite3.DatabaseError("database disk image is malformed")
                return self

            def fetchone(self) -> None:
                return None

        with pytest.raises(JournalDamaged, match="at record 8:"):
            list(_rows(cast("sqlite3.Connection", Gone()), closed, 7))


def test_a_disk_without_shared_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr("store.journal.file.sqlite3.connect", lambda path, **how: connect(":memory:", **how))
    with pytest.raises(StoreError, match=r"file system that can share memory \(journal mode is memory\)"):
        SqliteJournal(tmp_path / "journal.sqlite", reserve_bytes=0)


class TestTornTail:
    @pytest.fixture
    def unfinished(self, tmp_path: Path) -> Path:
        """Return a crash image whose last record was written and never acknowledged."""
        (tmp_path / "live").mkdir()
        journal = SqliteJournal(tmp_path / "live" / "journal.sqlite", reserve_bytes=0)
        for payload in PAYLOADS[:20]:
            write(journal, payload)
        acknowledged = mark_path(journal.path).read_bytes()
        write(journal, b"never acknowledged" * 20)
        image = crash_image(journal.path, tmp_path / "image")
        journal.close()
        mark_path(image).write_bytes(acknowledged)
        return image

    def test_what_was_written_whole_is_kept(self, unfinished: Path) -> None:
        assert everything(unfinished) == [*PAYLOADS[:20], b"never acknowledged" * 20]

    @pytest.mark.parametrize("cut", [1, 100, 4000, 4096, 4110, 4119])
    def test_a_torn_record_is_dropped_and_counted(self, unfinished: Path, cut: int) -> None:
        log = unfinished.with_name(unfinished.name + "-wal")
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size - cut)
        journal = SqliteJournal(unfinished, reserve_bytes=0)
        assert journal.health.torn_bytes == 4096 + 24 - cut
        assert [record.payload for record in journal.read()] == PAYLOADS[:20]
        assert write(journal, b"goes on") == 21
        journal.close()
        assert check(unfinished).damage is None

    def test_a_garbled_last_frame_is_dropped_and_counted(self, unfinished: Path) -> None:
        log = unfinished.with_name(unfinished.name + "-wal")
        flip(log, log.stat().st_size - 50)
        journal = SqliteJournal(unfinished, reserve_bytes=0)
        assert journal.health.torn_bytes == 4096 + 24
        assert len(list(journal.read())) == 20
        journal.close()

    def test_frames_of_an_earlier_log_are_not_counted(self, unfinished: Path) -> None:
        """A log is written over from its start; what is left of the longer one before carries another salt."""
        log = unfinished.with_name(unfinished.name + "-wal")
        old = bytearray(log.read_bytes()[-(4096 + 24) :])
        old[8] ^= 0xFF
        with log.open("ab") as file:
            file.write(bytes(old) + b"cut")
        journal = SqliteJournal(unfinished, reserve_bytes=0)
        assert journal.health.torn_bytes == 0
        assert len(list(journal.read())) == 21
        journal.close()

    @pytest.mark.parametrize("left", [0, 10, 31, 32])
    def test_a_log_that_never_began_is_no_damage(self, tmp_path: Path, left: int) -> None:
        path = closed_journal(tmp_path, PAYLOADS)
        path.with_name(path.name + "-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(28))
        with path.with_name(path.name + "-wal").open("r+b") as file:
            file.truncate(left)
        journal = SqliteJournal(path, reserve_bytes=0)
        assert journal.health.torn_bytes == (left if left < 32 else 0)
        assert len(list(journal.read())) == 300
        journal.close()


class TestLostLog:
    """SQLite drops a broken log from the break on; the mark knows what had been acknowledged."""

    @pytest.fixture
    def killed(self, tmp_path: Path) -> Path:
        return killed_journal(tmp_path, PAYLOADS[:40])

    def test_the_image_is_whole(self, killed: Path) -> None:
        assert everything(killed) == PAYLOADS[:40]

    def test_damage_inside_the_log_is_named(self, killed: Path) -> None:
        log = killed.with_name(killed.name + "-wal")
        flip(log, log.stat().st_size // 2)
        before = log.read_bytes()
        with pytest.raises(JournalDamaged, match=r"at record \d+:"):
            SqliteJournal(killed, reserve_bytes=0)
        assert log.read_bytes() == before, "the evidence was tidied away"
        report = check(killed)
        assert report.damage is not None
        assert 1 < report.damage.record == report.last_sequence + 1 < 40
        assert report.damage.what == f"records {report.damage.record} to 40 were acknowledged and are missing"

    def test_a_lost_log_is_named(self, killed: Path) -> None:
        killed.with_name(killed.name + "-wal").unlink()
        with pytest.raises(JournalDamaged, match="at record 1:"):
            SqliteJournal(killed, reserve_bytes=0)

    def test_a_cut_log_is_named(self, killed: Path) -> None:
        log = killed.with_name(killed.name + "-wal")
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size - 10)
        with pytest.raises(JournalDamaged, match="at record 40:"):
            SqliteJournal(killed, reserve_bytes=0)


def test_any_flipped_byte_is_named_or_harmless(tmp_path: Path) -> None:
    """Never a wrong record, never a missing one, whatever byte of whatever file is changed."""
    chance = random.Random(20_241_121)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    sources = (
        closed_journal(tmp_path / "a", PAYLOADS[:60], checkpoint=30),
        killed_journal(tmp_path / "b", PAYLOADS[:30]),
    )
    named = 0
    for number in range(300):
        source = sources[number % 2]
        path = crash_image(source, tmp_path / str(number))
        part = chance.choice([part for part in ("", "-wal", ".mark") if path.with_name(path.name + part).exists()])
        file = path.with_name(path.name + part)
        flip(file, chance.randrange(file.stat().st_size), 1 << chance.randrange(8))
        expected = PAYLOADS[: 60 - 30 * (number % 2)]
        try:
            assert everything(path) == expected, (file, number)
        except StoreError:
            named += 1
    assert named > 50


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened: No such file or directory"):
        SqliteJournal(tmp_path / "nowhere" / "journal.sqlite", reserve_bytes=0)


def test_a_mark_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    mark_path(tmp_path / "j").symlink_to("/dev/full")
    with pytest.raises(StoreError, match="cannot be opened: No space left on device"):
        SqliteJournal(tmp_path / "j", reserve_bytes=0)
