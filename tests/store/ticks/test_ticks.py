"""Questions to the ticks: one view over segments, day files and Parquet; read-only; patient."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import duckdb
import pytest

from core.domain.market import BookDelta, BookSnapshot, Quote, Trade
from core.domain.message import Message
from core.errors import StoreError
from store.recorder import Recorder
from store.ticks.paths import DAY_NS, TickPaths, day_number
from store.ticks.reader import TickReader, days, export, query
from store.ticks.tables import Busy
from store.ticks.tape import read_day
from tests.contracts.tick_store import BTC, ETH, START, by_kind, ticks
from tests.store.tick_home import DAY, KEEP_ALL, NEXT, move_all, python, read, write, writer

MIDNIGHT = day_number(NEXT) * DAY_NS


@pytest.fixture
def spread(tmp_path: Path) -> Iterator[list[Message]]:
    """Put ticks of two days into all three places: Parquet, day file, live and finished segments."""
    sent = ticks(80, start=MIDNIGHT - 20_000_000)
    write(tmp_path, sent[:20])
    recorder = Recorder(tmp_path, KEEP_ALL, now=lambda: MIDNIGHT)
    recorder.turn()
    assert recorder.close_days() == [DAY]
    write(tmp_path, sent[20:40])
    move_all(tmp_path)
    write(tmp_path, sent[40:60])
    store = writer(tmp_path)
    for message in sent[60:]:
        store.append(message)
    store.flush()
    yield sent
    store.close()


def test_three_places_are_one(tmp_path: Path, spread: list[Message]) -> None:
    assert {part.where for part in days(tmp_path)} == {"parquet", "day file", "segments"}
    assert by_kind(read(tmp_path, DAY, NEXT)) == by_kind(spread)
    for view, kind in (("trades", Trade), ("quotes", Quote)):
        (row,) = query(f"SELECT count(*), min(ts), max(ts) FROM {view}", tmp_path).rows
        stamps = [m.ts for m in spread if isinstance(m, kind)]
        assert row == (len(stamps), min(stamps), max(stamps))


def test_days_lists_rows_and_bytes(tmp_path: Path, spread: list[Message]) -> None:
    found = {(part.day, part.where): part for part in days(tmp_path)}
    levels = sum(
        max(1, len(m.bids) + len(m.asks)) if isinstance(m, BookDelta | BookSnapshot) else 1 for m in spread[:20]
    )
    assert found[DAY, "parquet"].rows == levels
    assert set(found) == {(DAY, "parquet"), (NEXT, "day file"), (NEXT, "segments")}
    assert all(part.size > 0 and part.path for part in found.values())


def test_book_levels_are_rows(tmp_path: Path, spread: list[Message]) -> None:
    rows = query("SELECT side, price, size, last_id FROM book_deltas ORDER BY ts, event, side, price", tmp_path).rows
    wanted = [
        (side, price, size, m.last_id)
        for m in spread
        if isinstance(m, BookDelta)
        for side, levels in (("ask", m.asks), ("bid", m.bids))
        for price, size in sorted(levels)
    ]
    assert rows == wanted
    complete = query("SELECT DISTINCT last_id FROM book_snapshots WHERE complete ORDER BY 1", tmp_path).rows
    assert complete == [(m.last_id,) for m in spread if isinstance(m, BookSnapshot) and m.complete]


def test_bars_are_those_of_the_trades(tmp_path: Path) -> None:
    prices = [3.0, 9.0, 1.0, 4.0, 7.0]
    stamps = [0, 0, 30, 59, 60]
    write(
        tmp_path,
        [
            Trade(BTC, p, 2.0, True, i, START, START + s * 10**9)
            for i, (p, s) in enumerate(zip(prices, stamps, strict=True))
        ],
    )
    for _ in range(2):
        rows = query(
            "SELECT instrument, start, open, high, low, close, volume, trades FROM bars ORDER BY start", tmp_path
        )
        assert rows.rows == [
            (BTC, START, 3.0, 9.0, 1.0, 4.0, 8.0, 4),
            (BTC, START + 60 * 10**9, 7.0, 7.0, 7.0, 7.0, 2.0, 1),
        ]
        move_all(tmp_path)


def test_an_empty_home_answers_nothing(tmp_path: Path) -> None:
    assert query("SELECT * FROM trades", tmp_path).rows == []
    assert query("SELECT instrument, bid FROM quotes", tmp_path).columns == ("instrument", "bid")
    assert days(tmp_path) == []
    assert read(tmp_path) == []


def test_one_instrument_only(tmp_path: Path, spread: list[Message]) -> None:
    found = list(read_day(tmp_path, NEXT, [ETH]))
    assert found
    assert by_kind(found) == {key: feed for key, feed in by_kind(spread[20:]).items() if key[1] == ETH}


def test_a_tape_is_in_the_order_of_its_stamps(tmp_path: Path, spread: list[Message]) -> None:
    assert list(read_day(tmp_path, NEXT)) == spread[20:]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("INSERT INTO trades VALUES (1)", "INSERT is refused"),
        ("DROP VIEW trades", "DROP is refused"),
        ("CREATE TABLE x AS SELECT 1", "CREATE is refused"),
        ("COPY trades TO 'x.csv'", "COPY is refused"),
        ("EXPLAIN ANALYZE COPY trades TO 'x.csv'", "COPY is refused"),
        ("ATTACH 'x.duckdb'", "ATTACH is refused"),
        ("SET threads = 1", "SET is refused"),
        ("PRAGMA database_size", "PRAGMA is refused"),
        ("SELECT 1; DELETE FROM trades", "one SQL statement, got 2"),
        ("", "one SQL statement, got 0"),
        ("SELEC 1", "not SQL"),
        ("SELECT * FROM nowhere", "query failed"),
        ("SELECT * FROM read_csv('/etc/passwd')", "query failed"),
        ("SELECT * FROM '/etc/passwd'", "query failed"),
        ("SELECT * FROM secret", "query failed"),
    ],
)
def test_sql_that_is_not_a_question_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    secret = {"a": [1]}  # a local value must not be readable as a table
    with pytest.raises(StoreError, match=reason):
        query(text, tmp_path)
    assert secret
    assert not Path("x.csv").exists()


@pytest.mark.parametrize("text", ["SELECT 1 AS a", "EXPLAIN SELECT 1", "WITH x AS (SELECT 1) FROM x", "SHOW TABLES"])
def test_questions_are_answered(tmp_path: Path, text: str) -> None:
    assert query(text, tmp_path).rows


HOLD = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize(("seconds", "answered"), [(0.4, True), (600, False)])
def test_a_query_waits_for_the_recorder_but_not_for_ever(tmp_path: Path, seconds: float, answered: bool) -> None:
    write(tmp_path, ticks(10))
    move_all(tmp_path)
    holder = python(HOLD, TickPaths(tmp_path).day_file(DAY), seconds)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        if answered:
            with TickReader(tmp_path, wait_s=120) as reader:
                assert reader.sql("SELECT count(*) FROM trades").rows == [(2,)]
        else:
            with pytest.raises(Busy, match=r"held the ticks for 0.5 s .* try again in a moment"):
                TickReader(tmp_path, wait_s=0.5)
    finally:
        holder.kill()
        holder.communicate()


def test_a_day_that_opens_during_the_look_makes_it_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, ticks(10))
    real: Callable[..., object] = TickReader._read_segments
    looked: list[int] = []

    def read_segments(self: TickReader, marks: object) -> object:
        if not looked:
            move_all(tmp_path)  # the segment is gone and its day file was not there yet
        looked.append(1)
        return real(self, marks)

    monkeypatch.setattr(TickReader, "_read_segments", read_segments)
    assert query("SELECT count(*) FROM trades", tmp_path).rows == [(2,)]
    assert len(looked) == 2


def test_a_damaged_day_file_is_named(tmp_path: Path) -> None:
    TickPaths(tmp_path).make()
    TickPaths(tmp_path).day_file(DAY).write_bytes(b"x" * 9000)
    with pytest.raises(StoreError, match=r"ticks-2024-08-09.duckdb cannot be read"):
        query("SELECT 1", tmp_path)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_exported_days_hold_their_rows(tmp_path: Path, spread: Sequence[Message], form: str) -> None:
    files = export(tmp_path, [DAY, NEXT], tmp_path / "out", form)
    assert len(files) == 8
    with duckdb.connect() as connection:
        counted = connection.execute(f"SELECT count(*), sum(price) FROM '{tmp_path}/out/trades-*.{form}'").fetchall()
    trades = [m.price for m in spread if isinstance(m, Trade)]
    assert counted == [(len(trades), sum(trades))]


def test_exports_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="expected parquet or csv"):
        export(tmp_path, [DAY], tmp_path / "out", "xlsx")
    with pytest.raises(StoreError, match="no ticks of 2024-08-09: nothing written"):
        export(tmp_path, [date(2024, 8, 9)], tmp_path / "out")
