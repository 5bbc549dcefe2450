"""Bars: from ticks as from bars, late prints as corrections, empty minutes, and a seeded history."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.market import Bar, Interval, Trade
from core.domain.message import Nanoseconds
from core.state import bars as bars_module
from core.state.bars import GRACE_NS, MINUTE, BarBuilder, combine
from tests.core.kit import BTC_PERP, S

START = 1_700_000_400 * S // Interval.H1.ns * Interval.H1.ns
Kept = dict[tuple[Interval, Nanoseconds], Bar]


def trade(when: Nanoseconds, price: float, size: float = 1.0, id_: int = -1) -> Trade:
    return Trade(BTC_PERP.id, price, size, True, id_, when, when)


def kept(bars: Iterable[Bar]) -> Kept:
    """Keep the last word on each bar, as a market does."""
    found: Kept = {}
    for bar in bars:
        before = found.get((bar.interval, bar.start))
        assert before is None or bar.revision > before.revision, "a correction raises the revision"
        found[bar.interval, bar.start] = bar
    return found


def built(trades: Iterable[Trade], end: Nanoseconds) -> tuple[Kept, list[Bar]]:
    builder = BarBuilder(BTC_PERP.id)
    out: list[Bar] = []
    for one in trades:
        out += builder.on_trade(one)
    out += builder.on_time(end + GRACE_NS)
    return kept(out), out


def values(bar: Bar) -> tuple[object, ...]:
    return (bar.open, bar.high, bar.low, bar.close, round(bar.volume, 9), bar.trades, bar.empty)


prints = st.lists(
    st.tuples(st.integers(0, 89 * 60), st.integers(100, 120), st.integers(1, 9)), min_size=1, max_size=25
).map(lambda rows: [trade(START + second * S, float(price), float(size)) for second, price, size in rows])


@given(prints)
def test_longer_bars_are_what_their_minutes_make(trades: list[Trade]) -> None:
    trades.sort(key=lambda one: one.ts_exchange)
    found, _ = built(trades, START + 2 * Interval.H1.ns)
    first = min(start for interval, start in found if interval is Interval.M1)
    longer = [(key, bar) for key, bar in found.items() if key[0] is not Interval.M1]
    assert longer
    for (interval, start), bar in longer:
        minutes = [found[Interval.M1, begin] for begin in range(max(start, first), start + interval.ns, MINUTE)]
        assert values(bar) == values(combine(minutes, interval, start, True, 0, 0))


@given(prints, st.data())
def test_late_prints_lead_to_the_bars_of_the_sorted_prints(trades: list[Trade], data: Any) -> None:
    """The first print opens the record, so everything else may come in any order behind it."""
    trades.sort(key=lambda one: one.ts_exchange)
    shuffled = [trades[0], *data.draw(st.permutations(trades[1:]))]
    stamps: dict[Nanoseconds, Trade] = {}
    unique = [stamps.setdefault(one.ts_exchange, one) for one in shuffled if one.ts_exchange not in stamps]
    end = START + 2 * Interval.H1.ns
    late, _ = built(unique, end)
    sorted_, _ = built(sorted(unique, key=lambda one: one.ts_exchange), end)
    assert {key: values(bar) for key, bar in late.items()} == {key: values(bar) for key, bar in sorted_.items()}


def test_every_minute_has_a_bar_and_empty_ones_carry_the_close() -> None:
    found, out = built([trade(START, 100.0), trade(START + 5 * MINUTE, 101.0)], START + 6 * MINUTE)
    minutes = [bar for bar in out if bar.interval is Interval.M1]
    assert [bar.start for bar in minutes] == [START + n * MINUTE for n in range(6)]
    assert all(bar.closed for bar in minutes)
    empty = found[Interval.M1, START + 2 * MINUTE]
    assert empty.empty
    assert (empty.open, empty.high, empty.low, empty.close, empty.volume) == (100.0, 100.0, 100.0, 100.0, 0.0)


def test_a_minute_waits_for_prints_on_the_way() -> None:
    builder = BarBuilder(BTC_PERP.id)
    assert builder.on_time(START) == []
    builder.on_trade(trade(START, 100.0))
    assert builder.on_time(START + MINUTE + GRACE_NS - 1) == []
    assert [bar.start for bar in builder.on_time(START + MINUTE + GRACE_NS)] == [START]


def test_a_late_print_corrects_the_empty_bars_behind_it_in_the_next_quarter_too() -> None:
    builder = BarBuilder(BTC_PERP.id)
    builder.on_trade(trade(START, 100.0))
    builder.on_time(START + 31 * MINUTE + GRACE_NS)
    corrected = kept(builder.on_trade(trade(START + 14 * MINUTE, 110.0)))
    assert corrected[Interval.M1, START + 14 * MINUTE].close == 110.0
    assert corrected[Interval.M1, START + 30 * MINUTE].open == 110.0
    assert corrected[Interval.M15, START].close == 110.0
    following = corrected[Interval.M15, START + 15 * MINUTE]
    assert (following.close, following.empty, following.revision) == (110.0, True, 15)
    growing = builder.growing(Interval.M1, START + 31 * MINUTE)
    assert growing is not None
    assert growing.close == 110.0


def test_a_print_before_everything_known_is_left_out() -> None:
    builder = BarBuilder(BTC_PERP.id)
    builder.on_trade(trade(START, 100.0))
    assert list(builder.on_trade(trade(START - MINUTE, 90.0))) == []


def test_prints_of_one_stamp_open_and_close_by_arrival() -> None:
    found, _ = built([trade(START, 100.0), trade(START, 105.0), trade(START, 95.0)], START + MINUTE)
    bar = found[Interval.M1, START]
    assert (bar.open, bar.high, bar.low, bar.close) == (100.0, 105.0, 95.0, 95.0)


def seed_bar(start: Nanoseconds, price: float) -> Bar:
    return Bar(BTC_PERP.id, Interval.M1, start, price, price + 2, price - 2, price + 1, 7.0, 3, True, 0, start)


def test_a_seeded_hour_is_whole_and_takes_no_print_twice() -> None:
    builder = BarBuilder(BTC_PERP.id)
    for minute in range(10):
        builder.seed(seed_bar(START + minute * MINUTE, 100.0 + minute))
    builder.on_trade(trade(START + 10 * MINUTE, 200.0))
    builder.seed(seed_bar(START, 1.0))  # known already
    builder.seed(seed_bar(START + 10 * MINUTE, 1.0))  # growing here
    assert list(builder.on_trade(trade(START + 3 * MINUTE, 50.0))) == []  # the venue's own bar has it
    bar = builder.growing(Interval.H1, START + 10 * MINUTE)
    assert bar is not None
    assert values(bar) == (100.0, 200.0, 98.0, 200.0, 71.0, 31, False)
    assert not bar.closed


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars_module, "KEPT_MINUTES", 5)
    builder = BarBuilder(BTC_PERP.id)
    builder.on_trade(trade(START, 100.0))
    builder.on_time(START + 20 * MINUTE)
    assert list(builder.on_trade(trade(START + 2 * MINUTE, 50.0))) == []


def test_of_a_history_behind_what_is_kept_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars_module, "KEPT_MINUTES", 5)
    builder = BarBuilder(BTC_PERP.id)
    builder.on_trade(trade(START + 10 * MINUTE, 100.0))
    builder.on_trade(trade(START + 12 * MINUTE, 100.0))  # 10 and 11 are closed
    for minute in range(6, 10):
        builder.seed(seed_bar(START + minute * MINUTE, 100.0))
    for minute in (7, 8, 9):
        assert builder._closed[START + minute * MINUTE].seeded
    builder.on_trade(trade(START + 13 * MINUTE, 100.0))
    assert sorted(builder._closed) == [START + minute * MINUTE for minute in range(8, 13)]


def test_nothing_grows_before_the_first_print() -> None:
    assert BarBuilder(BTC_PERP.id).growing(Interval.M1, START) is None
