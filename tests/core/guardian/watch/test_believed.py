"""Which price the watch believes: the venue's mark, the book that contradicts it, no single message."""

from typing import Any

import pytest

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.instrument import Instrument
from core.domain.message import Nanoseconds
from core.domain.order import Side
from core.engine import Engine
from core.state.mark import JUMP, MARK_TTL_NS, UNMARKED
from core.state.markets import Market
from tests.core.guardian.watch.kit import acted, long, price, timer, walk, watched
from tests.core.kit import BTC_PERP, ETH_PERP, MS, T0, S, fill, of, opened, quote

STEP: Nanoseconds = 100 * MS


def mark(engine: Engine, value: float, now: Nanoseconds, stamp: Nanoseconds = 0) -> list[Any]:
    """Let the venue tell its mark."""
    return list(engine.process(m.MarkPrice(BTC_PERP.id, value, value, 0.0, 0, stamp or now, now)))


def btc(engine: Engine) -> Market:
    """Return the market that all this is about."""
    return engine.state.markets[BTC_PERP.id]


def ticks(engine: Engine, bid: float, start: Nanoseconds, end: Nanoseconds) -> Nanoseconds | None:
    """Quote ten times a second with the timer between, and return when the guardian acted first."""
    for now in range(start, end, STEP):
        if acted(price(engine, bid, now=now)) or acted(timer(engine, now + STEP // 2)):
            return now
    return None


# --- a mark that does not go on ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [60_000.0, 60_001.0], ids=["the same", "another"])
def test_a_mark_under_a_stamp_that_stands_still_gives_way_to_the_book(value: float) -> None:
    """A price that goes from 60 000 to 57 345 costs 3 BTC 7 965 of 100 000, and the day's bound is 5 %."""
    engine = long(watched(max_daily_loss_frac=0.05), "3")
    mark(engine, 60_000.0, T0)
    for second in range(1, 60):
        now = T0 + second * S
        mark(engine, value, now, stamp=T0)
        price(engine, 60_000.0 - 45.0 * second, now=now)
        timer(engine, now)
    assert btc(engine).mark == pytest.approx(57_345.05)
    assert engine.state.trading_state is TradingState.HALTED
    assert (btc(engine).health, btc(engine).reason) == (m.Health.PARTIAL, UNMARKED)


def test_a_mark_that_goes_on_stands_against_a_book_near_it_and_its_feed_is_live() -> None:
    engine = long(watched(max_daily_loss_frac=0.05))
    for second in range(1, 20):
        now = T0 + second * S
        mark(engine, 60_000.0, now)
        price(engine, 58_000.0, now=now)
        timer(engine, now)
    assert (btc(engine).mark, btc(engine).health) == (60_000.0, m.Health.LIVE)


def test_a_silent_mark_hides_a_crash_for_less_than_half_a_second() -> None:
    engine = long(watched(max_position_loss_frac=0.02), "0.3")
    mark(engine, 60_000.0, T0)
    at = ticks(engine, 40_000.0, T0 + STEP, T0 + 15 * S)
    assert at is not None
    assert 250 * MS <= at - T0 - STEP <= 3 * STEP


def test_a_mark_that_is_told_again_does_not_hide_what_a_short_loses() -> None:
    engine = watched(max_position_loss_frac=0.02)
    engine.process(fill(BTC_PERP, Side.SELL, "0.12", "60000", "f"))
    mark(engine, 60_000.0, T0)
    for second in range(1, 200):
        now = T0 + second * S
        mark(engine, 60_000.0, now, stamp=T0)
        if acted(price(engine, 60_000.0 * (1.0 + 0.002 * second), now=now)) == [("max_position_loss", "exit")]:
            break
    assert btc(engine).ask == pytest.approx(60_000.0 + 2000.0 / 0.12, rel=0.01), "where 2 000 of 100 000 are lost"


def test_a_mark_whose_value_stands_still_does_not_hide_a_crash_either() -> None:
    """Its stamps go on, but a sound book is where one can trade."""
    engine = long(watched(max_position_loss_frac=0.02), "0.3")
    at = None
    for number in range(1, 40):
        now = T0 + number * STEP
        mark(engine, 60_000.0, now)
        if acted(price(engine, 40_000.0, now=now)):
            at = at or number
    assert at is not None
    assert at <= 4
    assert btc(engine).mark == 40_000.05, "and it stays so"


def test_an_older_mark_undoes_nothing() -> None:
    engine = watched()
    mark(engine, 59_000.0, T0 + 10 * S)
    mark(engine, 60_000.0, T0 + 10 * S, stamp=T0)
    assert (btc(engine).mark, btc(engine).marked, btc(engine).bad) == (59_000.0, T0 + 10 * S, 1)


def test_a_mark_without_a_stamp_goes_on_by_our_time() -> None:
    engine = watched()
    for second in (1, 2):
        engine.process(m.MarkPrice(BTC_PERP.id, 59_000.0, 59_000.0, 0.0, 0, 0, T0 + second * S))
    assert btc(engine).marked == T0 + 2 * S


# --- an emptied book --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bid", "ask"), [(50_000.0, 60_000.1), (58_500.0, 70_000.0), (50_000.0, 55_000.0)])
def test_a_book_that_has_emptied_is_no_loss_for_as_long_as_the_mark_goes_on(bid: float, ask: float) -> None:
    engine = long(watched(max_position_loss_frac=0.03))
    for number in range(1, 80):
        now = T0 + number * STEP
        if number % 20 == 0:
            mark(engine, 60_000.0, now)
        elif number == 1:
            mark(engine, 60_000.0, T0 + 1)
        assert not acted(price(engine, bid, ask, now))
        assert not acted(timer(engine, now + 1))
    assert btc(engine).mark == 60_000.0


def test_a_book_of_which_one_side_alone_is_beyond_the_mark_overrules_nothing() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    mark(engine, 60_000.0, T0)
    for number in range(1, 20):
        assert not acted(price(engine, 55_500.0, 57_500.0, T0 + number * STEP))
    assert btc(engine).mark == 60_000.0


# --- one odd message --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("how", ["mark", "quote", "snapshot"])
@pytest.mark.parametrize("odd", [1.0, 30_000.0, 600_000.0])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_one_odd_message_and_timers_change_nothing(marked: bool, how: str, odd: float, side: Side) -> None:
    engine = opened(settings=GuardianSettings(), instruments=(BTC_PERP,))
    engine.process(fill(BTC_PERP, side, "0.1", "60000", "f"))
    if marked:
        mark(engine, 60_000.0, T0 + 1)
    timer(engine, T0 + 2)
    peak = engine.state.peak
    if how == "mark":
        effects = mark(engine, odd, T0 + MS)
    elif how == "quote":
        effects = price(engine, odd, now=T0 + MS)
    else:
        book = m.BookSnapshot(BTC_PERP.id, ((odd, 1.0),), ((odd + 0.1, 1.0),), 7, True, T0 + MS, T0 + MS)
        effects = list(engine.process(book))
    for number in range(1, 20):
        effects += timer(engine, T0 + number * STEP)
    assert not acted(effects)
    assert engine.state.equity == pytest.approx(50_000.0, abs=1.0)
    for number in range(20, 30):
        effects += price(engine, 59_999.9, now=T0 + number * STEP)
        effects += timer(engine, T0 + number * STEP + 1)
    assert not acted(effects)
    assert not of(effects, e.PeakRaised)
    assert engine.state.peak == peak
    assert not engine.state.exits.flattening


def test_one_odd_print_is_no_price_where_nothing_else_marks() -> None:
    market = Market(BTC_PERP)
    for number, (value, marks) in enumerate(
        [(100.0, 100.0), (1000.0, None), (101.0, 101.0), (1000.0, None), (102.0, 102.0), (50.0, None), (51.0, 51.0)]
    ):
        trade = m.Trade(BTC_PERP.id, value, 1.0, True, number, T0 + number, T0 + number)
        got = market.trade(trade)
        assert got == marks, (number, value)
        market.mark = got or market.mark


def test_an_odd_mark_told_again_under_its_stamp_is_no_second_message() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    mark(engine, 60_000.0, T0 + 1)
    effects = [one for now in range(5) for one in mark(engine, 30_000.0, T0 + 2 + now, stamp=T0 + 2)]
    assert not acted(effects)
    assert btc(engine).mark == 60_000.0


def test_the_next_sound_mark_ends_the_doubt_of_a_mark() -> None:
    """Even where the quotes have fallen silent far away."""
    engine = long(watched(max_position_loss_frac=0.02), "0.1")
    for second, value in enumerate((57_500.0, 55_000.0, 53_000.0, 30_000.0, 53_000.0, 30_000.0, 53_000.0), 1):
        assert not acted(mark(engine, value, T0 + second * S))
    assert btc(engine).mark == 53_000.0


@pytest.mark.parametrize("update_id", [7, m.NO_ID])
def test_an_odd_quote_told_again_is_no_second_message(update_id: int) -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    odd = quote(BTC_PERP, 30_000.0, 30_000.1, T0 + MS).replace(update_id=update_id)
    for _ in range(3):
        assert not acted(list(engine.process(odd)))
    assert acted(list(engine.process(odd.replace(ts_exchange=T0 + 2 * MS)))), "a new stamp is one"


def test_without_ids_other_sizes_under_one_stamp_are_a_second_message() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    odd = quote(BTC_PERP, 30_000.0, 30_000.1, T0 + MS).replace(update_id=m.NO_ID)
    assert not acted(list(engine.process(odd)))
    assert acted(list(engine.process(odd.replace(bid_size=odd.bid_size + 1.0))))


def test_a_mark_that_a_sound_book_objects_to_is_never_believed() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    for number in range(1, 100):
        now = T0 + number * STEP
        assert not acted(mark(engine, 30_000.0, now))
        assert not acted(price(engine, 60_000.0, now=now + 1))
    assert btc(engine).mark == 60_000.05
    timer(engine, T0 + 10 * S)
    assert (btc(engine).health, btc(engine).reason) == (m.Health.PARTIAL, UNMARKED)


def test_a_book_whose_stamp_stands_still_objects_to_nothing() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    told = price(engine, 60_000.0, now=T0 + 1)
    for number in range(1, 50):
        now = T0 + number * STEP
        told += engine.process(quote(BTC_PERP, 60_000.0, 60_000.1, now, ts_exchange=T0 + 1))
        told += mark(engine, 50_000.0, now + 1) if number > 25 else []
        assert btc(engine).mark == 50_000.0 or number < 28
    assert acted(told) == [("max_position_loss", "exit")]
    assert btc(engine).mark == 50_000.0


# --- a real move ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["mark", "quote"])
def test_a_gap_that_both_tell_acts_within_the_second_message(first: str) -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    mark(engine, 60_000.0, T0 + 1)
    one, other = (mark, price) if first == "mark" else (price, mark)
    assert not acted(one(engine, 54_000.0, now=T0 + MS))
    assert acted(other(engine, 54_000.0, now=T0 + 2 * MS)) == [("max_position_loss", "exit")]


def test_a_fall_of_which_each_message_is_odd_is_followed() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    assert not acted(price(engine, 54_000.0, now=T0 + 1))
    assert acted(price(engine, 48_000.0, now=T0 + 2)) == [("max_position_loss", "exit")]
    price(engine, 43_000.0, now=T0 + 3)
    price(engine, 38_000.0, now=T0 + 4)
    assert btc(engine).mark == pytest.approx(43_000.0, rel=0.12)


@pytest.mark.parametrize("odd", [66_000.0, 30_000.0])
def test_of_odd_messages_on_both_sides_none_is_the_second(odd: float) -> None:
    engine = watched()
    price(engine, odd, now=T0 + 1)
    price(engine, 660_000.0 if odd < 60_000.0 else 6_000.0, now=T0 + 2)
    assert btc(engine).mark == 60_000.0


def test_of_two_odd_messages_the_nearer_counts() -> None:
    engine = watched()
    price(engine, 54_000.0, now=T0 + 1)
    price(engine, 6_000.0, now=T0 + 2)
    assert btc(engine).mark == 54_000.05
    for bid, now in ((600_000.0, 3), (66_000.0, 4)):
        price(engine, bid, now=T0 + now)
    assert btc(engine).mark == 66_000.05


def test_a_book_that_has_emptied_around_the_mark_ends_no_doubt() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    assert not acted(mark(engine, 50_000.0, T0 + S))
    assert not acted(price(engine, 50_000.0, 70_000.0, now=T0 + S + 1))
    assert acted(mark(engine, 50_000.0, T0 + 2 * S)) == [("max_position_loss", "exit")]


def test_what_is_within_reach_of_the_mark_acts_at_once() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    mark(engine, 60_000.0, T0 + 1)
    assert acted(price(engine, 57_900.0, now=T0 + 2)) == [("max_position_loss", "exit")]


def test_a_book_above_a_mark_that_stands_raises_no_peak_before_the_mark_is_old() -> None:
    engine = long(opened(instruments=(BTC_PERP,)), "0.1")
    timer(engine, T0)
    raised: list[Nanoseconds] = []
    for number in range(1, 80):
        now = T0 + number * STEP
        mark(engine, 60_000.0, now)
        price(engine, 60_000.0 * (1.0 + 2.0 * JUMP), now=now)
        if number == 10:
            engine.state.day_started -= 86_400 * S  # not with the next day's start either
        raised += [now for _ in of(timer(engine, now + 1), e.PeakRaised)]
    assert len(raised) == 1
    assert raised[0] - T0 > MARK_TTL_NS
    assert btc(engine).mark == pytest.approx(66_000.05)


def test_a_top_that_a_newer_update_leaves_where_it_is_is_believed() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    sides = ((50_000.0, 1.0),), ((50_000.1, 1.0),)
    for now, stamp, acts in ((1, 1, False), (2, 1, False), (3, 3, True)):
        book = m.BookSnapshot(BTC_PERP.id, *sides, 7 + stamp, True, T0 + stamp, T0 + now)
        assert bool(acted(list(engine.process(book)))) is acts, "told again is no second message"


# --- the peak ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("instrument", "peak"), [(BTC_PERP, 100_000), (ETH_PERP, 101_000)], ids=["held", "not held"])
def test_a_book_that_overrules_its_mark_keeps_the_peak_down_only_where_it_moves_equity(
    instrument: Instrument, peak: int
) -> None:
    engine = long(watched())
    walk(engine, 61_000.0)
    engine.state.markets[instrument.id].overruled = T0
    timer(engine, T0 + S)
    assert engine.state.equity > 100_999
    assert float(engine.state.peak) == pytest.approx(peak, abs=1)
    timer(engine, T0 + MARK_TTL_NS + S)
    assert float(engine.state.peak) == pytest.approx(101_000, abs=1), "it lasts"
