"""A venue's bars into a series: what is asked for, what is refused, what is joined."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval
from core.errors import ResearchError
from core.session.frames import HISTORY_BARS
from research.data.dataset import Contradicted
from research.data.history import SETTLED_NS, Apart, closed_by, missing, rows_of, series_of, take_in
from research.data.reading import DataFault
from store.candles import CandleStore, Series
from tests.core.kit import BTC_COINM, BTC_PERP
from tests.research.files import CANDLES, HOUR_MS, START_MS

HOUR = HOUR_MS * 1_000_000
T0 = START_MS * 1_000_000
ID = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")


def bar(hour: int, close: float = 101.0, *, closed: bool = True) -> Bar:
    start = T0 + hour * HOUR
    return Bar(ID, Interval.H1, start, 100.0, 102.0, 99.0, close, 5.0, 3, closed, 0, start + HOUR)


def rows(*hours: int, close: float = 101.0) -> Series:
    return rows_of(CANDLES, [bar(hour, close) for hour in hours], (0, 1 << 62))


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "data")


def asked(kept: Sequence[int], start: int, end: int) -> list[tuple[int, int]]:
    return list(missing(np.array(kept, np.int64), 1, start, end))


@pytest.mark.parametrize(
    ("kept", "spans"),
    [
        ((), [(0, 10)]),
        (range(10), []),
        (range(4), [(3, 10)]),
        (range(6, 10), [(0, 7)]),
        ((0, 1, 4, 8, 9), [(1, 5), (4, 9)]),
        ((20,), [(0, 10)]),
        ((10,), [(0, 11)]),
    ],
)
def test_what_is_not_kept_is_asked_with_the_kept_bars_beside_it(
    kept: Sequence[int], spans: list[tuple[int, int]]
) -> None:
    assert asked(kept, 0, 10) == spans


@given(kept=st.sets(st.integers(0, 4000)), start=st.integers(0, 4000), length=st.integers(0, 4000))
def test_every_missing_bar_is_asked_for_in_spans_that_the_engine_takes(kept: set[int], start: int, length: int) -> None:
    spans = asked(sorted(kept), start, start + length)
    told = {at for first, end in spans for at in range(first, end)}
    wanted = set(range(start, start + length)) - kept
    assert wanted <= told
    assert told - wanted <= kept & {at + side for at in wanted for side in (-1, 1)}
    assert all(0 < end - first <= HISTORY_BARS for first, end in spans)


def test_a_start_within_a_bar_begins_at_the_next_and_an_unsettled_end_is_left_out() -> None:
    assert list(missing(np.array([], np.int64), HOUR, T0 + 1, T0 + 3 * HOUR - 1)) == [(T0 + HOUR, T0 + 2 * HOUR)]
    end = T0 + 5 * HOUR
    assert closed_by(Interval.H1, end + SETTLED_NS - 1) == end - HOUR
    assert closed_by(Interval.H1, end + SETTLED_NS) == end


def test_rows_are_the_closed_bars_of_the_span_with_volume_in_base_units() -> None:
    told = [bar(-1), bar(0), bar(1), bar(2, closed=False)]
    found = rows_of(CANDLES, told, (T0, T0 + 9 * HOUR), 0.5)
    assert list(found.ts) == [T0, T0 + HOUR]
    assert {key: list(values) for key, values in found.columns.items()} == {
        "open": [100.0] * 2, "high": [102.0] * 2, "low": [99.0] * 2, "close": [101.0] * 2, "volume": [2.5] * 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bars", "says"),
    [
        ([bar(1), bar(0)], "rows are out of order"),
        ([bar(0), bar(0)], "again, as in line 1"),
        ([bar(0, 103.0)], "are not a bar"),
        ([bar(0, float("nan"))], "expected a number"),
        ([bar(0).replace(start=T0 + 1)], "is not on the grid of 1h bars"),
    ],
)
def test_a_venue_that_says_what_must_not_be_is_refused(bars: list[Bar], says: str) -> None:
    with pytest.raises(DataFault, match=says):
        rows_of(CANDLES, bars, (0, 1 << 62))


def test_a_history_grows_and_says_its_own_gaps(store: CandleStore) -> None:
    assert take_in(store, CANDLES, [rows(0, 1), rows(2)]).new == 3
    done = take_in(store, CANDLES, [rows(2, 3, 6)])
    assert (done.new, done.replaced, done.series.size) == (2, 0, 5)
    assert [str(one.text) for one in done.notes] == [
        "2 bars missing between 2024-01-01 03:00:00 and 2024-01-01 06:00:00"
    ]
    assert list(store.read(CANDLES).ts) == [T0 + hour * HOUR for hour in (0, 1, 2, 3, 6)]
    between = take_in(store, CANDLES, [rows(3, 4), rows(5, 6)])
    assert (between.new, between.notes) == (2, [])


def test_what_differs_is_refused_and_taken_when_asked(store: CandleStore) -> None:
    take_in(store, CANDLES, [rows(0, 1)])
    with pytest.raises(Contradicted, match=r"1 rows differ from those kept .* the first at 2024-01-01 01:00:00"):
        take_in(store, CANDLES, [rows(1, 2, close=100.5)])
    assert list(store.read(CANDLES).columns["close"]) == [101.0, 101.0]
    assert take_in(store, CANDLES, [rows(1, 2, close=100.5)], replace=True).replaced == 1
    assert list(store.read(CANDLES).columns["close"]) == [101.0, 100.5, 100.5]


def test_bars_that_meet_none_of_those_kept_are_another_market_until_it_is_said_otherwise(store: CandleStore) -> None:
    take_in(store, CANDLES, [rows(0, 1)])
    with pytest.raises(Apart, match="have none in common with those kept up to 2024-01-01 01:00:00"):
        take_in(store, CANDLES, [rows(2, 3)])
    assert store.read(CANDLES).size == 2
    assert take_in(store, CANDLES, [rows(2, 3)], replace=True).new == 2


def test_a_venue_without_history_leaves_nothing(store: CandleStore) -> None:
    with pytest.raises(ResearchError, match="the venue has no bars of that time"):
        take_in(store, CANDLES, [rows()])
    assert store.names() == []


def test_an_instrument_whose_bars_are_no_candles_is_refused() -> None:
    assert series_of(BTC_PERP, Interval.H1) == CANDLES
    with pytest.raises(ResearchError, match="is inverse"):
        series_of(BTC_COINM, Interval.H1)
    with pytest.raises(ResearchError, match="a series cannot be called"):
        series_of(msgspec.structs.replace(BTC_PERP, raw_symbol="btc/usdt"), Interval.H1)
