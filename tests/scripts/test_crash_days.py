"""Crash days: the path out of bars, which days are chosen, and that the guardian holds the account's limit on them."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.market import Interval
from scripts.crash_account import SIZES, Kind, Watched, unwatched
from scripts.crash_days import LIMIT, figure, line, play
from scripts.crash_path import DAY_NS, STEP_FRAC, Bar, Day, days_of, gaps, points, quotes, read_days, worst

START = 1_584_000_000_000_000_000 // DAY_NS * DAY_NS
HOUR_NS = Interval.H1.ns
LOOSE = msgspec.structs.replace(
    SIZES, max_position_loss_frac=1.0, max_daily_loss_frac=1.0, drawdown_steps=(), min_liquidation_distance_frac=0.0
)
"""A guardian that limits no loss: what it lets happen must be seen."""


def day(coin: str, *closes: float, start: int = START, opens: Sequence[float] = ()) -> Day:
    """Return hours that go from close to close, each from the close before unless its open is given."""
    bars, before = list[Bar](), closes[0]
    for number, close in enumerate(closes[1:]):
        first = opens[number] if opens else before
        bars.append(Bar(start + number * HOUR_NS, first, max(first, close), min(first, close), close, 1e6))
        before = close
    return Day(coin, start, Interval.H1, tuple(bars))


SLIDE = day("BTC", 8000.0, 7700.0, 6900.0, 5600.0)
TUMBLE = day("ETH", 200.0, 190.0, 165.0, 130.0)


# --- the path ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(100, 10**7), min_size=4, max_size=4))
def test_a_path_meets_the_low_before_the_high_in_steps_that_leave_nothing_out(prices: list[int]) -> None:
    low, *middle, high = sorted(prices)
    high = min(high, 2 * low)  # a long way takes long to walk
    first, close = (min(price, high) for price in middle)
    path = list(points(first, low, high, close))
    assert (path[0], path[-1]) == (first, close)
    assert (min(path), max(path)) == (low, high)
    assert path.index(low) <= max(number for number, at in enumerate(path) if at == high)
    assert all(0 < abs(after - at) <= max(1.0, at * STEP_FRAC) for at, after in pairwise(path))


def test_quotes_follow_the_bars_in_time_and_never_stand_longer_than_a_second() -> None:
    found = list(quotes(SLIDE))
    assert found[0].bid == 8000.0
    assert found[-1].ts < START + 3 * HOUR_NS
    assert min(quote.bid for quote in found) == 5600.0
    assert all(0 < after.ts - quote.ts <= 10**9 for quote, after in pairwise(found))
    assert all(quote.ask == pytest.approx(quote.bid + 0.1) for quote in found)


def test_a_gap_is_a_next_open_below_the_close() -> None:
    broken = day("BTC", 8000.0, 7990.0, 7500.0, 7600.0, opens=(8000.0, 7600.0, 7550.0))
    assert [(gap.ts, gap.close, gap.open) for gap in gaps(broken)] == [(START + HOUR_NS, 7990.0, 7600.0)]
    assert not gaps(SLIDE)


def test_the_worst_days_come_first_and_a_day_of_a_listing_is_none() -> None:
    later = day("ETH", 200.0, 150.0, start=START + DAY_NS)
    assert worst([SLIDE, later, TUMBLE], 2) == [TUMBLE, SLIDE]
    listed = [Bar(START + 17 * HOUR_NS, 1.0, 1.0, 1.0, 1.0, 0.0), *later.bars]
    assert [one.start for one in days_of("ETH", Interval.H1, listed)] == [START + DAY_NS]


def test_the_crash_of_a_day_begins_with_its_worst_bar() -> None:
    assert SLIDE.crash.bars == SLIDE.bars[2:]


# --- the account ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("days", [[SLIDE], [TUMBLE], [SLIDE, TUMBLE]], ids=["BTC", "ETH", "both"])
def test_the_account_stays_within_its_limit_where_nobody_watching_would_lose_it(days: list[Day], kind: Kind) -> None:
    played = play(days, kind)
    assert played.bare.liquidated
    assert played.bare.loss > 0.9
    watched = played.watched
    assert watched.flat
    assert watched.exits
    assert not watched.liquidated
    assert 0.0 < watched.loss <= LIMIT
    assert not played.over
    assert watched.halted == ("max_daily_loss" in watched.rules)
    assert all(one.took < 10**9 for one in watched.exits), "on the path's own clock"
    assert figure("x", [played]).ok


def test_who_buys_again_and_again_is_halted_by_the_days_loss() -> None:
    watched = Watched([SLIDE], Kind.AGAIN).run()
    assert watched.halted
    assert len(watched.exits) > 1, "what was closed was bought again"
    assert {"max_position_loss", "max_daily_loss"} <= set(watched.rules)


def test_a_gap_is_told_apart_and_nothing_else_is_lost_beyond_the_limit() -> None:
    broken = day("BTC", 8000.0, 7990.0, 7300.0, opens=(8000.0, 7400.0))
    played = play([broken], Kind.ONCE)
    assert played.watched.gap == pytest.approx(5 * 590 / 8000, rel=0.01)
    assert played.watched.loss > LIMIT, "no order could have traded between"
    assert not played.over
    assert line(played)[5] == f"{played.watched.gap:.2%}"


def test_a_guardian_that_limits_no_loss_is_found_out() -> None:
    row = msgspec.structs.replace(play([SLIDE], Kind.ONCE), watched=Watched([SLIDE], Kind.ONCE, LOOSE).run())
    assert row.over > 0.4
    assert not figure("x", [row]).ok


def test_nobody_watching_loses_what_the_price_says() -> None:
    bare = unwatched([day("BTC", 8000.0, 7920.0)])
    assert not bare.liquidated
    assert bare.loss == pytest.approx(5 * (0.01 + 0.0005), rel=0.02)


def test_recorded_days_are_found_and_held(recorded_data: Path) -> None:
    found = read_days(recorded_data / "candles", "BTC")
    (first, second) = worst(found.values(), 2)
    assert (first.start // DAY_NS, second.start // DAY_NS) == (18_333, 18_766), "2020-03-12 and 2021-05-19"
    for one in (first, second):
        played = play([one.crash], Kind.AGAIN)
        assert played.watched.halted
        assert played.watched.flat
        assert not played.over
