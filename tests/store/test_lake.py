"""Closed days as Parquet, here and elsewhere."""

import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import fsspec
import pytest

from core.config.settings import TicksSettings
from core.errors import StoreError
from store.lake import Lake
from store.recorder import Recorder
from store.segments.format import Kind
from store.ticks.paths import DAY_NS, TickPaths, day_number
from store.ticks.reader import days, query
from store.ticks.tape import read_day
from tests.contracts.tick_store import BTC, ETH, by_kind, ticks
from tests.store.tick_home import DAY, NEXT, write

AFTER = day_number(NEXT) * DAY_NS


@pytest.fixture(params=["local", "file", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    place = uuid.uuid4().hex
    yield {"local": "", "file": f"file://{tmp_path}/elsewhere", "memory": f"memory://{place}/ticks"}[request.param]
    if request.param == "memory":
        fsspec.filesystem("memory").rm(f"/{place}", recursive=True)


def closed(home: Path, target: str) -> Recorder:
    recorder = Recorder(home, TicksSettings(keep_days=30, target=target), now=lambda: AFTER)
    recorder.turn()
    assert recorder.close_days() == [DAY]
    return recorder


def test_a_closed_day_reads_back_from_anywhere(tmp_path: Path, target: str) -> None:
    sent = ticks(60)
    write(tmp_path, sent)
    closed(tmp_path, target)
    assert TickPaths(tmp_path).day_files() == {}
    assert list(TickPaths(tmp_path).scratch.iterdir()) == []
    assert by_kind(list(read_day(tmp_path, DAY, target=target))) == by_kind(sent)
    assert {part.where for part in days(tmp_path, target=target)} == {"parquet"}
    assert query("SELECT count(*) FROM trades", tmp_path, target=target).rows == [(12,)]


def test_files_lie_by_venue_and_day(tmp_path: Path, target: str) -> None:
    write(tmp_path, ticks(60))
    closed(tmp_path, target)
    parts = Lake(target, TickPaths(tmp_path).lake).parts()
    assert {(part.venue, part.day, part.kind, part.part) for part in parts} == {
        (venue, DAY, kind, 0)
        for venue in ("BINANCE-FUTURES", "BINANCE-SPOT")
        for kind in (Kind.TRADES, Kind.QUOTES, Kind.BOOKS)
    }
    assert all(part.path.endswith(".parquet") and "venue=BINANCE" in part.path for part in parts)
    assert all(part.size > 0 for part in parts)


def test_retention_reaches_the_target(tmp_path: Path, target: str) -> None:
    write(tmp_path, ticks(10))
    closed(tmp_path, target)
    later = Recorder(tmp_path, TicksSettings(keep_days=3, target=target), now=lambda: AFTER + 3 * DAY_NS)
    assert len(later.retain()) > 0
    assert days(tmp_path, target=target) == []


def test_rows_lie_by_instrument_then_stamp(tmp_path: Path) -> None:
    sent = ticks(200)
    write(tmp_path, [*sent[100:], *sent[:100]])
    closed(tmp_path, "")
    with duckdb.connect() as connection:
        for part in Lake("", TickPaths(tmp_path).lake).parts():
            rows = connection.execute(f"SELECT instrument, ts FROM '{part.path}'").fetchall()
            assert rows == sorted(rows)
            assert {row[0] for row in rows} <= {BTC, ETH}
            codec = connection.execute(f"SELECT DISTINCT compression FROM parquet_metadata('{part.path}')").fetchall()
            assert codec == [("ZSTD",)]


def test_a_protocol_that_nothing_speaks_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r'ticks.target "nowhere://x" cannot be reached'):
        Lake("nowhere://x", tmp_path)


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "venue=X/day=2024-08-09").mkdir(parents=True)
    (tmp_path / "venue=X/day=2024-08-09/notes.parquet").write_text("not ours")
    lake = Lake("", tmp_path)
    assert lake.parts() == []
    assert lake.delete_before(date(2030, 1, 1)) == []
