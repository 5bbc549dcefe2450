"""What the command line does with a journal: check, export, back up, restore."""

import csv
import io
import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.approval import TradingState
from core.domain.events import BalanceSet, EngineStarted, OrderSubmitted, TradingStateChanged
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueId
from core.domain.message import Event
from core.domain.order import Order, OrderType, Side, StopLoss, TakeProfit
from core.errors import HomeLocked, JournalDamaged, StoreError
from core.session.wire import encode
from core.state.state import State
from store.home_lock import HomeLock
from store.journal.journal import SqliteJournal
from store.journal.mark import mark_path, read_mark
from store.journal.tools import RUNS_SKIPPED, CheckpointReport, backup, check, export, restore, trading_state
from tests.contracts.journal import settle, write
from tests.store.journal.images import NAME, alter, closed_journal, crash_image, everything, flip

BTC = InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT")
ORDER = Order(
    BTC,
    Side.BUY,
    Decimal("0.5"),
    OrderType.LIMIT,
    Decimal("30000.10"),
    client_order_id=ClientOrderId("td-1-1"),
    take_profit=(TakeProfit(Decimal(31000), Decimal(1)),),
    stop_loss=StopLoss(Decimal(29000)),
    expected_deltas={BTC: Decimal("0.5")},
)
EVENTS: tuple[Event, ...] = (
    EngineStarted(1, "0.1.0", "paper", 1_000),
    BalanceSet(VenueId("BINANCE-SPOT"), Asset("USDT"), Decimal("100000.00"), "opening", 2_000),
    OrderSubmitted(ORDER, VenueId("BINANCE-SPOT"), 3_000),
    TradingStateChanged(TradingState.HALTED, "anna", "terminal 1", 'said "stop", twice', 4_000),
)
PAYLOADS = [encode(event) for event in EVENTS]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return closed_journal(tmp_path / "home", PAYLOADS, checkpoint=3)


class TestCheck:
    def test_a_sound_journal(self, path: Path) -> None:
        report = check(path)
        assert report.damage is None
        assert (report.format, report.run, report.records, report.pruned) == (1, 1, 4, 0)
        assert (report.first_sequence, report.last_sequence, report.acknowledged) == (1, 4, 4)
        assert (report.first_ts, report.last_ts) == (1_000, 4_000)
        assert report.checkpoints == (CheckpointReport(3, readable=True),)

    def test_an_empty_journal(self, tmp_path: Path) -> None:
        SqliteJournal(tmp_path / NAME, reserve_bytes=0).close()
        report = check(tmp_path / NAME)
        assert report.damage is None
        assert (report.records, report.first_sequence, report.last_sequence) == (0, 0, 0)
        assert (report.first_ts, report.last_ts) == (None, None)

    def test_a_pruned_journal(self, path: Path) -> None:
        journal = SqliteJournal(path, reserve_bytes=0)
        journal.prune(4)
        settle(journal)
        journal.close()
        report = check(path)
        assert report.damage is None
        assert (report.records, report.pruned, report.first_sequence, report.last_sequence) == (1, 3, 4, 4)

    def test_the_journal_of_a_running_engine(self, path: Path) -> None:
        journal = SqliteJournal(path, reserve_bytes=0)
        write(journal, b"not an event")
        report = check(path)
        assert report.damage is None
        assert (report.last_sequence, report.last_ts) == (5, None)
        write(journal, b"goes on")
        journal.close()

    def test_a_journal_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="there is no journal at"):
            check(tmp_path / NAME)

    def test_a_broken_checkpoint_is_named_apart_from_the_records(self, path: Path) -> None:
        alter(path, "UPDATE checkpoints SET image = x'00'")
        assert (damage := check(path).damage) is not None
        assert damage.record == 0
        assert damage.what == "checkpoint 3 cannot be trusted; every record can"

    def test_damage_below_a_sound_checkpoint_costs_history_alone(self, path: Path) -> None:
        alter(path, "UPDATE records SET payload = x'00' WHERE sequence = 2")
        assert (damage := check(path).damage) is not None
        assert (damage.record, damage.what.partition(";")[0]) == (2, "journal damaged at record 2: history is lost")
        assert "goes on from checkpoint 3" in damage.what
        journal = SqliteJournal(path, reserve_bytes=0)
        checkpoint = journal.last_checkpoint()
        assert checkpoint is not None
        assert [record.sequence for record in journal.read(checkpoint.sequence)] == [4]
        journal.close()

    @pytest.mark.parametrize(
        "more",
        [
            "UPDATE records SET payload = x'00' WHERE sequence = 4",
            "DELETE FROM records WHERE sequence = 4",
            "UPDATE checkpoints SET image = x'00'",
        ],
        ids=["behind it too", "acknowledged and missing", "no checkpoint"],
    )
    def test_damage_that_an_engine_meets_refuses_trading(self, path: Path, more: str) -> None:
        alter(path, "UPDATE records SET payload = x'00' WHERE sequence = 2")
        alter(path, more)
        assert (damage := check(path).damage) is not None
        assert damage.record == 2
        assert "trading refused" in damage.what

    def test_a_file_that_is_wrong_around_sound_records(self, path: Path) -> None:
        db = sqlite3.connect(path, isolation_level=None)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute("DELETE FROM checkpoints")
        db.close()
        with path.open("r+b") as file:  # the count of free pages, in the header
            file.seek(36)
            file.write((pages - 1).to_bytes(4, "big"))
        assert (damage := check(path).damage) is not None
        assert damage.record == 0
        assert "every record can be trusted, the file cannot" in damage.what

    def test_a_file_that_cannot_be_read_is_no_damage(self, tmp_path: Path) -> None:
        (tmp_path / NAME).mkdir()
        with pytest.raises(StoreError, match=r"cannot be read: .*; check the disk"):
            check(tmp_path / NAME)

    def test_a_disk_that_fails_during_the_check_is_no_damage(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(db: sqlite3.Connection) -> int:
            db.set_progress_handler(lambda: 1, 1)
            return len(db.execute("SELECT * FROM records").fetchall())

        monkeypatch.setattr("store.journal.tools.read_run", fail)
        with pytest.raises(StoreError, match="cannot be read: interrupted"):
            check(path)


class TestExport:
    def test_json_lines_name_every_field(self, path: Path) -> None:
        out = io.StringIO()
        assert export(path, out) == 4
        rows = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [(row["sequence"], row["event"]) for row in rows] == [
            (1, "EngineStarted"),
            (2, "BalanceSet"),
            (3, "OrderSubmitted"),
            (4, "TradingStateChanged"),
        ]
        assert rows[1]["total"] == "100000.00"
        order = rows[2]["order"]
        assert (order["side"], order["quantity"], order["price"]) == ("BUY", "0.5", "30000.10")
        assert order["take_profit"] == [{"price": "31000", "fraction": "1"}]
        assert order["stop_loss"] == {"price": "29000", "trail": None}
        assert order["expected_deltas"] == {BTC: "0.5"}
        assert rows[3]["state"] == TradingState.HALTED.value

    def test_csv_has_the_main_columns_and_everything_in_the_last(self, path: Path) -> None:
        out = io.StringIO()
        assert export(path, out, "csv", after=1) == 3
        rows = list(csv.DictReader(io.StringIO(out.getvalue())))
        submitted = rows[1]
        assert submitted["event"] == "OrderSubmitted"
        assert submitted["client_order_id"] == "td-1-1"
        assert (submitted["side"], submitted["quantity"], submitted["price"]) == ("BUY", "0.5", "30000.10")
        assert rows[2]["reason"] == 'said "stop", twice'
        assert rows[0]["side"] == ""
        assert json.loads(rows[0]["fields"])["total"] == "100000.00"

    def test_what_is_no_event_is_shown_as_it_is(self, tmp_path: Path) -> None:
        path = closed_journal(tmp_path, [b"\x93\x01", encode(["NoSuchEvent", 1, 2])])
        out = io.StringIO()
        assert export(path, out) == 2
        rows = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [row["event"] for row in rows] == ["?", "?"]
        assert rows[0]["payload"] == "9301"
        assert "NoSuchEvent" in rows[1]["error"]

    def test_it_goes_as_far_as_the_damage(self, path: Path) -> None:
        flip(path, path.read_bytes().index(b"BINANCE-SPOT:SPOT_PAIR"))
        out = io.StringIO()
        with pytest.raises(JournalDamaged, match="at record 3:"):
            export(path, out)
        assert len(out.getvalue().splitlines()) == 2


class TestBackup:
    def test_a_copy_of_a_running_journal_is_one_sound_file(self, path: Path, tmp_path: Path) -> None:
        journal = SqliteJournal(path, reserve_bytes=0)
        write(journal, b"in the log only")
        report = backup(path, tmp_path / "copy")
        assert (report.path, report.last_sequence, report.damage) == (str(tmp_path / "copy"), 5, None)
        write(journal, b"later")
        journal.close()
        assert sorted(file.name for file in tmp_path.iterdir()) == ["copy", "home"]
        assert check(tmp_path / "copy").last_sequence == 5

    def test_it_never_overwrites(self, path: Path, tmp_path: Path) -> None:
        (tmp_path / "copy").write_text("precious")
        with pytest.raises(StoreError, match="exists"):
            backup(path, tmp_path / "copy")
        assert (tmp_path / "copy").read_text() == "precious"

    def test_a_damaged_journal_is_not_backed_up(self, path: Path, tmp_path: Path) -> None:
        alter(path, "DELETE FROM records WHERE sequence = 2")
        with pytest.raises(JournalDamaged, match="was not backed up: journal damaged at record 2"):
            backup(path, tmp_path / "copy")
        assert not list(tmp_path.glob("copy*"))

    def test_a_target_that_cannot_be_written_is_named(self, path: Path, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="nowhere/copy cannot be written"):
            backup(path, tmp_path / "nowhere" / "copy")

    def test_a_target_that_cannot_be_moved_into_place_is_named(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: Path, target: Path) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "rename", refuse)
        with pytest.raises(StoreError, match="copy cannot be written: Read-only file system"):
            backup(path, tmp_path / "copy")


class TestTradingState:
    def test_of_a_journal_that_never_changed_it(self, tmp_path: Path) -> None:
        assert trading_state(closed_journal(tmp_path, PAYLOADS[:2])) == (TradingState.ACTIVE, "")

    def test_the_last_record_of_it_counts(self, tmp_path: Path) -> None:
        reducing = encode(TradingStateChanged(TradingState.REDUCING, "anna", "terminal 1", "calmer", 5_000))
        path = closed_journal(tmp_path, [*PAYLOADS, reducing, PAYLOADS[0]])
        assert trading_state(path) == (TradingState.REDUCING, "calmer")

    def test_from_a_checkpoint_and_from_what_came_behind_it(self, tmp_path: Path) -> None:
        state = State()
        for event in EVENTS[:2]:
            state.apply(event)
        state.apply(TradingStateChanged(TradingState.REDUCING, "anna", "terminal 1", "calmer", 2_500))
        for records, expected in ((3, (TradingState.REDUCING, "calmer")), (4, (TradingState.HALTED, EVENTS[3].reason))):  # type: ignore[attr-defined]
            folder = tmp_path / str(records)
            folder.mkdir()
            journal = SqliteJournal(folder / NAME, reserve_bytes=0)
            write(journal, *PAYLOADS[:records])
            journal.checkpoint(3, encode(state.image()))
            journal.close()
            assert trading_state(folder / NAME) == expected

    def test_a_checkpoint_of_another_version_is_named(self, path: Path) -> None:
        with pytest.raises(JournalDamaged, match="the checkpoint after journal record 3 has not the form"):
            trading_state(path)


class TestRestore:
    @pytest.fixture
    def copy(self, path: Path, tmp_path: Path) -> Path:
        backup(path, tmp_path / "copy")
        return tmp_path / "copy"

    def test_a_lost_journal_comes_back_and_runs_go_on_far_above(self, path: Path, copy: Path) -> None:
        for file in path.parent.iterdir():
            file.unlink()
        assert restore(copy, path) is None
        journal = SqliteJournal(path, reserve_bytes=0)
        assert [record.payload for record in journal.read()] == PAYLOADS
        assert journal.put_back
        assert journal.start_run() == 1 + RUNS_SKIPPED + 1
        assert write(journal, b"goes on") == 5
        journal.close()

    def test_the_same_journal_is_moved_aside(self, path: Path, copy: Path) -> None:
        aside = restore(copy, path)
        assert aside == path.with_name(f"{NAME}.replaced-1")
        assert everything(path) == PAYLOADS
        assert everything(aside) == PAYLOADS
        assert restore(copy, path) == path.with_name(f"{NAME}.replaced-2")

    def test_a_newer_journal_is_refused_unless_forced(self, path: Path, copy: Path) -> None:
        journal = SqliteJournal(path, reserve_bytes=0)
        journal.start_run()
        write(journal, b"newer")
        journal.close()
        with pytest.raises(StoreError, match=r"goes to record 5, .*copy to 4; nothing restored; with --force"):
            restore(copy, path)
        assert len(everything(path)) == 5
        aside = restore(copy, path, force=True)
        assert aside is not None
        assert len(everything(aside)) == 5
        restored = SqliteJournal(path, reserve_bytes=0)
        assert len(list(restored.read())) == 4
        assert restored.start_run() == 2 + RUNS_SKIPPED + 1
        restored.close()

    def test_a_journal_killed_with_records_in_its_log_is_newer_and_moved_whole(self, path: Path, copy: Path) -> None:
        journal = SqliteJournal(path, reserve_bytes=0)
        write(journal, b"in the log")
        image = crash_image(path, path.parent / "image")
        journal.close()
        with pytest.raises(StoreError, match="goes to record 5"):
            restore(copy, image)
        aside = restore(copy, image, force=True)
        assert aside is not None
        assert everything(image) == PAYLOADS
        assert everything(aside) == [*PAYLOADS, b"in the log"]

    def test_another_history_is_refused(self, path: Path, copy: Path, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = closed_journal(tmp_path / "other", [b"other", b"history"])
        with pytest.raises(StoreError, match="holds another history"):
            restore(copy, other)

    def test_an_older_journal_of_the_same_history_gives_way(self, path: Path, copy: Path, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        older = closed_journal(tmp_path / "other", PAYLOADS[:2])
        assert restore(copy, older) is not None
        assert everything(older) == PAYLOADS

    def test_a_damaged_journal_gives_way_when_the_backup_knows_as_much(self, path: Path, copy: Path) -> None:
        path.write_bytes(b"nothing of use" * 1000)
        assert restore(copy, path) is not None
        assert everything(path) == PAYLOADS

    def test_a_damaged_journal_that_went_further_is_refused(self, path: Path, copy: Path) -> None:
        journal = SqliteJournal(path, reserve_bytes=0)
        write(journal, b"newer")
        journal.close()
        path.write_bytes(b"nothing of use" * 1000)
        with pytest.raises(StoreError, match="goes to record 5"):
            restore(copy, path)

    def test_it_is_known_as_put_back_until_a_run_begins_on_it(self, path: Path, copy: Path) -> None:
        def put_back(*, runs: bool) -> bool:
            journal = SqliteJournal(path, reserve_bytes=0)
            found = journal.put_back
            if runs:
                journal.start_run()
            journal.close()
            return found

        assert not put_back(runs=False)
        restore(copy, path)
        assert [put_back(runs=False), put_back(runs=True), put_back(runs=True)] == [True, True, False]
        alter(path, "UPDATE meta SET value = 1 WHERE key = 'put_back'")
        with pytest.raises(JournalDamaged):
            SqliteJournal(path, reserve_bytes=0)

    def test_a_running_engine_is_not_disturbed(self, path: Path, copy: Path) -> None:
        with HomeLock(path.parent), pytest.raises(HomeLocked):
            restore(copy, path)

    def test_a_damaged_backup_is_refused(self, path: Path, copy: Path) -> None:
        alter(copy, "DELETE FROM records WHERE sequence = 2")
        with pytest.raises(JournalDamaged, match=r"backup .* cannot be restored"):
            restore(copy, path)
        assert everything(path) == PAYLOADS

    @pytest.mark.parametrize("at", range(4))
    def test_cut_short_anywhere_no_engine_starts_on_half_a_journal(
        self, path: Path, copy: Path, at: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever stands there afterwards is the old journal, the new one, or refused; a second restore repairs it."""
        path.with_name(f"{NAME}-wal").write_bytes(b"")
        path.with_name(f"{NAME}-shm").write_bytes(b"")
        rename, done = Path.rename, list[int]()

        def cut(self: Path, target: Path) -> Path:
            if len(done) == at:
                raise OSError(5, "cut short")
            done.append(1)
            return rename(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", cut)
            with pytest.raises(StoreError, match="cannot be written: cut short"):
                restore(copy, path)
        with pytest.raises(JournalDamaged):
            SqliteJournal(path, reserve_bytes=0)
        restore(copy, path, force=True)
        assert everything(path) == PAYLOADS
        assert read_mark(path).run > RUNS_SKIPPED

    def test_a_database_that_cannot_be_changed_is_named(
        self, path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise sqlite3.OperationalError("attempt to write a readonly database")

        monkeypatch.setattr("store.journal.tools.put_meta", refuse)
        with pytest.raises(StoreError, match="cannot be written"):
            restore(copy, path)
        assert everything(path) == PAYLOADS


def test_a_mark_is_kept_beside_the_journal_that_was_moved(tmp_path: Path) -> None:
    path = closed_journal(tmp_path, PAYLOADS)
    backup(path, tmp_path / "copy")
    aside = restore(tmp_path / "copy", path)
    assert aside is not None
    assert read_mark(aside) == (4, 1)
    assert mark_path(path).stat().st_size == 4096
