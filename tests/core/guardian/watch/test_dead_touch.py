"""A touch that has emptied or fallen silent: what is believed of it, and what brackets and stops do with it."""

from typing import Any

import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved, TradingState
from core.domain.message import Nanoseconds
from core.domain.order import OrderType, Side, StopLoss, TakeProfit, TimeInForce
from core.engine import Engine
from core.ports import Abilities
from core.state.mark import MARK_TTL_NS, STALE_NS
from core.state.markets import Market
from tests.core.guardian.watch.kit import ABLE, QUIET, acted, long, timer, watched
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    MS,
    PERP,
    SPOT,
    T0,
    D,
    S,
    accept,
    denied,
    fill,
    of,
    opened,
    order,
    quote,
    sent,
    submit,
)

WAITING = Abilities(order_types=frozenset({OrderType.LIMIT, OrderType.MARKET}), time_in_force=frozenset(TimeInForce))


def coins(quantity: str = "0.15", **changes: Any) -> Engine:
    """Return an engine that holds bitcoin; nothing marks it but its touch."""
    engine = watched(**changes)
    engine.process(fill(BTC_SPOT, Side.BUY, quantity, "60000", "f1"))
    timer(engine, T0 + MS)
    return engine


def spot(engine: Engine, bid: float, ask: float, now: Nanoseconds) -> list[Any]:
    """Quote the coins, let the timer come, and return what came of both."""
    return [*engine.process(quote(BTC_SPOT, bid, ask, now)), *timer(engine, now + 1)]


def prints(engine: Engine, value: float, now: Nanoseconds, instrument: Any = BTC_SPOT) -> list[Any]:
    """Let somebody trade, and return what came of it."""
    return list(engine.process(m.Trade(instrument.id, value, 0.1, False, now, now, now)))


def btc(engine: Engine) -> Market:
    """Return the market of the coins."""
    return engine.state.markets[BTC_SPOT.id]


# --- an emptied book that alone marks -----


@pytest.mark.parametrize(("bid", "ask"), [(59_999.0, 120_000.0), (30_000.0, 60_000.01), (59_000.0, 60_000.1)])
def test_a_side_that_empties_for_a_moment_is_no_price(bid: float, ask: float) -> None:
    engine = coins(max_position_loss_frac=0.02, max_daily_loss_frac=0.05, drawdown_steps=((0.1, 0.0),))
    peak, effects = engine.state.peak, []
    for number in range(1, 40):
        effects += spot(engine, bid, ask, T0 + S + number * 100 * MS)
    assert btc(engine).mark == 60_000.0
    for number in range(40, 60):
        effects += spot(engine, 59_999.99, 60_000.01, T0 + S + number * 100 * MS)
    assert not acted(effects)
    assert (engine.state.peak, engine.state.trading_state) == (peak, TradingState.ACTIVE)


def test_a_wide_touch_that_stands_is_the_price_and_a_peak_by_it_has_to_last() -> None:
    engine = coins()
    start, stood = T0 + S, None
    for number in range(80):
        now = start + number * 100 * MS
        spot(engine, 59_999.0, 70_000.0, now)
        if stood is None and btc(engine).mark > 60_001.0:
            stood = now - start
            assert engine.state.peak < 100_001
    assert stood is not None
    assert MARK_TTL_NS < stood <= MARK_TTL_NS + 300 * MS
    assert btc(engine).mark == 64_999.5
    spot(engine, 64_999.0, 65_000.0, start + 8 * S + MARK_TTL_NS)
    assert engine.state.peak == D("100749.925")


def test_a_wide_book_that_is_told_again_stands_too() -> None:
    engine = coins()
    for second in range(1, 8):
        now = T0 + second * S
        book = m.BookSnapshot(BTC_SPOT.id, ((56_000.0, 1.0),), ((60_000.1, 1.0),), second, True, now, now)
        engine.process(book)
    assert btc(engine).mark == 58_000.05


def test_a_market_that_is_always_wide_is_priced_at_its_mid_at_once() -> None:
    engine = coins()
    for number in range(70):
        spot(engine, 55_000.0, 60_000.0, T0 + S + number * 100 * MS)
    spot(engine, 55_200.0, 60_200.0, T0 + 9 * S)
    assert btc(engine).mark == 57_700.0
    spot(engine, 57_000.0, 57_001.0, T0 + 10 * S)
    spot(engine, 55_000.0, 60_000.0, T0 + 11 * S)  # it was narrow since: it has to stand again
    assert btc(engine).mark == 57_000.5


def test_a_market_that_is_always_wide_holds_back_no_peak() -> None:
    engine = coins()
    for number in range(150):
        now = T0 + S + number * 100 * MS
        engine.process(quote(BTC_PERP, 55_000.0, 60_000.0, now))
        spot(engine, 60_000.0 + 10 * number, 60_001.0 + 10 * number, now)
    assert float(engine.state.peak) == pytest.approx(engine.state.equity, rel=2e-4)


def test_of_a_wide_touch_beyond_the_mark_the_nearer_side_counts_at_once() -> None:
    engine = coins(max_position_loss_frac=0.005)
    assert not acted(spot(engine, 30_000.0, 55_000.0, T0 + S))
    assert acted(spot(engine, 31_000.0, 55_000.0, T0 + S + MS)) == [("max_position_loss", "exit")]
    assert btc(engine).mark == 55_000.0


# --- a touch that has fallen silent -----


def test_prints_beyond_a_dead_touch_mark_it_and_wake_the_guardian() -> None:
    """Three thousandths of 100 000 are lost 2 000 below the entry: after 20 s of 100 a second."""
    engine = coins(max_position_loss_frac=0.003)
    now, effects = T0 + S, list[Any]()
    while not acted(effects) and now < T0 + 60 * S:
        now += 100 * MS
        effects = prints(engine, 60_000.0 - (now - T0) / 1e7, now)
    assert acted(effects) == [("max_position_loss", "exit")]
    assert 20 * S <= now - T0 <= 20 * S + 200 * MS
    assert 0.0 < btc(engine).mark - btc(engine).last <= 20.0
    timer(engine, now)
    assert (btc(engine).health, btc(engine).bid) == (m.Health.STALE, 59_999.99)
    spot(engine, 57_900.0, 57_900.02, now + MS)
    assert btc(engine).mark == pytest.approx(57_900.01)
    assert btc(engine).health.value == "live"


@pytest.mark.parametrize(
    ("value", "after", "mark"), [(60_000.01, 3, 60_000.0), (59_000.0, 1, 60_000.0), (59_000.0, 3, 59_000.0)]
)
def test_a_print_within_the_touch_or_beside_a_living_one_marks_nothing(value: float, after: int, mark: float) -> None:
    engine = coins()
    prints(engine, value, T0 + after * S)
    assert btc(engine).mark == 60_000.0, "one may have swept a thin book"
    prints(engine, value, T0 + after * S + MS)
    assert btc(engine).mark == mark


def test_one_odd_print_beyond_a_dead_touch_is_no_price() -> None:
    engine = coins()
    prints(engine, 30_000.0, T0 + 10 * S)
    assert btc(engine).mark == 60_000.0
    for second in (11, 12):
        prints(engine, 59_000.0, T0 + second * S)
    prints(engine, 30_000.0, T0 + 13 * S)
    assert btc(engine).mark == 59_000.0


def test_nothing_is_entered_by_a_touch_that_trades_alone_keep_company() -> None:
    engine = opened()
    for second in range(1, 10):
        prints(engine, 60_000.0, T0 + second * S)
        timer(engine, T0 + second * S)
    assert denied(engine, order(BTC_SPOT, Side.BUY, "0.01")).limit == "stale_after"


@pytest.mark.parametrize("printed", [True, False])
def test_a_long_is_judged_at_the_mark_where_its_bid_is_dead(printed: bool) -> None:
    engine = long(watched(max_position_loss_frac=0.01))
    effects: list[Any] = []
    now = T0 + S
    while not acted(effects) and now < T0 + 60 * S:
        now += 100 * MS
        value = 60_000.0 - (now - T0) / 1e7
        effects = prints(engine, value, now, BTC_PERP) if printed else []
        effects += engine.process(m.MarkPrice(BTC_PERP.id, value, value, 0.0, 0, now, now))
    market = engine.state.markets[BTC_PERP.id]
    assert acted(effects) == [("max_position_loss", "exit")]
    assert 58_980.0 < market.mark <= 59_000.0
    assert market.bid == 59_999.9
    (exit_,) = [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]
    assert exit_.price is not None
    assert exit_.price < D(56_100)


# --- brackets and stops ------------------------------------------------------------------------------------------


def bracketed(able: Abilities, stop: StopLoss, *targets: TakeProfit) -> Engine:
    """Return an engine that holds 0.05 with a stop at 59 000, and a mark that goes on."""
    engine = opened(settings=QUIET, instruments=(BTC_PERP,), abilities={PERP: able})
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.05", stop_loss=stop, take_profit=targets))
    accept(engine, entry)
    effects = engine.process(fill(BTC_PERP, Side.BUY, "0.05", "60000", "f1", entry))
    for one in of(effects, Approved):
        accept(engine, one.command.order.client_order_id)
    engine.process(m.MarkPrice(BTC_PERP.id, 60_000.0, 60_000.0, 0.0, 0, T0 + MS, T0 + MS))
    return engine


@pytest.mark.parametrize(
    ("able", "stop", "targets", "bid", "ask"),
    [
        pytest.param(ABLE, StopLoss(D(59_000), D(1000)), (), 90_000.0, 90_000.1, id="trailing"),
        pytest.param(ABLE, StopLoss(D(59_000)), (TakeProfit(D(62_500), D(1)),), 90_000.0, 90_000.1, id="take profit"),
        pytest.param(WAITING, StopLoss(D(59_000)), (), 30_000.0, 30_000.1, id="a stop that waits"),
        pytest.param(WAITING, StopLoss(D(59_000)), (), 30_000.0, 60_000.1, id="a stop that waits, the bids gone"),
    ],
)
def test_one_odd_quote_moves_takes_and_triggers_nothing(
    able: Abilities, stop: StopLoss, targets: tuple[TakeProfit, ...], bid: float, ask: float
) -> None:
    engine = bracketed(able, stop, *targets)
    effects = [*engine.process(quote(BTC_PERP, bid, ask, T0 + S)), *timer(engine, T0 + S + MS)]
    effects += engine.process(quote(BTC_PERP, 59_999.9, 60_000.1, T0 + S + 2 * MS))
    assert not of(effects, e.StopTrailed)
    assert not of(effects, Approved)


def test_a_take_profit_needs_the_bid_itself() -> None:
    """The mark alone, where the book is wide, fills nothing there."""
    engine = bracketed(ABLE, StopLoss(D(50_000)), TakeProfit(D(61_000), D(1)))
    engine.process(m.MarkPrice(BTC_PERP.id, 61_500.0, 61_500.0, 0.0, 0, T0 + S, T0 + S))
    assert not of(engine.process(quote(BTC_PERP, 57_000.0, 66_000.0, T0 + S + MS)), Approved)
    assert of(engine.process(quote(BTC_PERP, 61_100.0, 66_000.0, T0 + S + 2 * MS)), Approved)


def test_a_stop_that_waits_leaves_by_prints_where_the_touch_is_dead() -> None:
    engine = opened(settings=QUIET, abilities={SPOT: WAITING})
    engine.process(fill(BTC_SPOT, Side.BUY, "0.05", "60000", "f1"))
    wanted = order(BTC_SPOT, Side.SELL, "0.05", type=OrderType.STOP, trigger=D(59_000), reduce_only=True)
    assert of(submit(engine, wanted), e.OrderApproved)
    assert not of(prints(engine, 58_900.0, T0 + STALE_NS // 2), e.OrderTriggered)
    assert not of(prints(engine, 58_900.0, T0 + STALE_NS + MS), e.OrderTriggered), "one alone"
    (left,) = of(prints(engine, 58_900.0, T0 + STALE_NS + 2 * MS), e.OrderSubmitted)
    assert (left.order.type, left.order.quantity) == (OrderType.MARKET, D("0.05"))
