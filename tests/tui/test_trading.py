"""A plan lists exactly what it would send."""

from decimal import Decimal

import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, ClientOrderId, FillId, VenueOrderId
from core.domain.market import InstrumentDefined, MarkPrice, Quote
from core.domain.order import Liquidity, Order, OrderType, Side, StopLoss, TakeProfit
from core.state.state import State
from tests.tui.engine import BTC, ETH, FUTURES, SPOT
from tui import trading
from tui.actions import Kind
from tui.trading import ORIGIN, Nothing
from tui.views import position_detail, protective
from venues.contracts_table import contracts

ONE, TWO = ClientOrderId("d7-1"), ClientOrderId("d7-2")


@pytest.fixture
def state() -> State:
    """Give a state with two instruments, a long position of 0.150 BTC and two open orders."""
    made = State()
    for item in contracts(FUTURES):
        if item.id in (BTC, ETH):
            made.apply(InstrumentDefined(item, 1))
            made.apply(MarkPrice(item.id, 61800.0, 61800.0, 0.0, 0, 1, 1))
    limit = Order(
        BTC, Side.BUY, Decimal("0.080"), OrderType.LIMIT, Decimal("61799.8"), client_order_id=ONE, venue=FUTURES
    )
    stop = Order(
        BTC, Side.SELL, Decimal("0.150"), OrderType.STOP, trigger=Decimal("61200.0"), reduce_only=True,
        client_order_id=TWO, venue=FUTURES,
    )  # fmt: skip
    entry = Order(BTC, Side.BUY, Decimal("0.150"), client_order_id=ClientOrderId("d7-0"), venue=FUTURES)
    for order in (entry, limit, stop):
        made.apply(e.OrderSubmitted(order, FUTURES, 2))
    made.apply(
        e.OrderFilled(
            entry.client_order_id, FillId("f1"), BTC, Side.BUY, Decimal("0.150"), Decimal("61640.1"), Decimal("1.0"),
            made.currency, Liquidity.TAKER, VenueOrderId("v1"), 3, 3,
        )
    )  # fmt: skip
    return made


def test_cancel_names_the_orders(state: State) -> None:
    plan = trading.cancel(state, [ONE])
    assert plan.lines == ("d7-1  BUY 0.080 BTC-USDT.P LIMIT at 61 799.8  BINANCE-FUTURES",)
    assert plan.commands == (c.CancelOrder(ONE, ORIGIN),)
    assert plan.kind is Kind.REDUCES
    with pytest.raises(Nothing, match="no open order"):
        trading.cancel(state, [ClientOrderId("gone")])


def test_cancel_all_lists_all_of_one_instrument_or_of_all(state: State) -> None:
    plan = trading.cancel_all(state, BTC)
    assert [line.split()[0] for line in plan.lines] == ["d7-1", "d7-2", "the"]
    assert "reduce-only" in plan.lines[1]
    assert plan.commands == (c.CancelAll(BTC, ORIGIN),)
    assert trading.cancel_all(state, None).commands == (c.CancelAll(None, ORIGIN),)
    assert plan.title == "Cancel all 2 open orders in BTC-USDT.P"
    assert trading.cancel_all(state, None).title == "Cancel all 2 open orders"
    with pytest.raises(Nothing, match="no open orders in ETH-USDT"):
        trading.cancel_all(state, ETH)


def test_cancel_all_of_one_order_says_that_it_is_the_only_one(state: State) -> None:
    state.apply(e.OrderCancelled(TWO, "", 4, 4))
    assert trading.cancel_all(state, None).title == "Cancel the only open order"
    assert trading.cancel_all(state, BTC).title == "Cancel the only open order in BTC-USDT.P"


def test_flatten_names_what_is_sold_and_what_is_cancelled(state: State) -> None:
    plan = trading.flatten(state, BTC)
    assert plan.lines[0] == "SELL 0.150 BTC-USDT.P MARKET  reduce-only  about 9 270.00 USDT"
    assert [line.split()[0] for line in plan.lines[1:]] == ["cancel", "cancel"]
    assert plan.commands == (c.Flatten(BTC, ORIGIN),)
    with pytest.raises(Nothing, match="is flat and has no orders"):
        trading.flatten(state, ETH)


def test_halt_and_resume_say_what_changes(state: State) -> None:
    plan = trading.halt(state)
    assert "+0.150 BTC-USDT.P stays open" in plan.lines
    with pytest.raises(Nothing, match="ACTIVE already"):
        trading.resume(state)
    state.apply(e.TradingStateChanged(TradingState.HALTED, "guardian", "", "daily loss", 5))
    with pytest.raises(Nothing, match="halted already"):
        trading.halt(state)
    resume = trading.resume(state)
    assert resume.lines == ("HALTED → ACTIVE", "it stands so because: daily loss")
    assert resume.commands == (c.SetTradingState(TradingState.ACTIVE, "resumed by hand", "RESUME", "", ORIGIN),)


def test_a_move_keeps_the_tick(state: State) -> None:
    plan = trading.move_orders(state, BTC, {61799.8}, 61799.60000000001)
    assert plan.commands == (c.AmendOrder(ONE, price=Decimal("61799.6"), origin=ORIGIN),)
    assert plan.lines[0].endswith("→ 61 799.6")
    assert plan.kind is Kind.ADDS
    with pytest.raises(Nothing, match="no order of yours stands at that price any more"):
        trading.move_orders(state, BTC, (1.0,), 2.0)


def test_a_stop_is_moved_by_its_trigger_and_one_that_follows_is_not_moved(state: State) -> None:
    plan = trading.move_orders(state, BTC, {61200.0}, 61300.04)
    assert plan.commands == (c.AmendOrder(TWO, trigger=Decimal("61300.0"), origin=ORIGIN),)
    assert plan.lines[0].endswith("→ 61 300.0")
    trailing = Order(
        BTC, Side.SELL, Decimal("0.150"), OrderType.TRAILING_STOP, trigger=Decimal("61000.0"), trail=Decimal(400),
        reduce_only=True, client_order_id=ClientOrderId("d7-3"), venue=FUTURES,
    )  # fmt: skip
    state.apply(e.OrderSubmitted(trailing, FUTURES, 4))
    with pytest.raises(Nothing, match="follows the price by itself"):
        trading.move_orders(state, BTC, {61000.0}, 61100.0)


def test_a_cancelled_stop_says_what_it_leaves_bare(state: State) -> None:
    assert trading.cancel(state, [TWO]).lines[1:] == ("the position in BTC-USDT.P then loses this stop",)
    assert trading.cancel_all(state, None).lines[2:] == ("the position in BTC-USDT.P then loses this stop",)
    assert len(trading.cancel(state, [ONE]).lines) == 1


def test_a_cancelled_stop_of_coins_says_so_too() -> None:
    pair = next(item for item in contracts(SPOT) if item.id.endswith("BTC-USDT"))
    made = State()
    made.apply(InstrumentDefined(pair, 1))
    made.apply(Quote(pair.id, 60_000.0, 1.0, 60_000.1, 1.0, 1, 1, 1))
    bought = e.OrderFilled(
        ONE, FillId("1"), pair.id, Side.BUY, Decimal(1), Decimal(60_000), Decimal(0), Asset("USDT"), Liquidity.TAKER,
        VenueOrderId("1"), 2, 2,
    )  # fmt: skip
    made.apply(bought)
    stop = Order(
        pair.id, Side.SELL, Decimal(1), OrderType.STOP, trigger=Decimal(59_000), reduce_only=True, client_order_id=TWO,
        venue=SPOT,
    )  # fmt: skip
    made.apply(e.OrderSubmitted(stop, SPOT, 3))
    assert trading.cancel(made, [TWO]).lines[1:] == ("the position in BTC-USDT then loses this stop",)


def test_orders_are_found_by_the_prices_they_wait_at(state: State) -> None:
    assert [r.order.client_order_id for r in trading.orders_at(state, BTC, {61799.8, 61200.0})] == [ONE, TWO]
    assert trading.orders_at(state, BTC, ()) == []


def test_the_position_shows_its_protection(state: State) -> None:
    assert protective(state, BTC) == ([(Decimal("61200.0"), Decimal("0.150"))], [])
    text = ["".join(part for part, _ in line) for line in position_detail(state, BTC, 32)]
    assert text[0].split() == ["BTC-USDT.P", "+0.150"]
    assert text[1].split() == ["entry", "61", "640.1"]
    assert "▲" in text[2]
    assert "+23.99" in text[2]
    assert "+0.26%" in text[2]
    assert text[3].split() == ["stop", "61", "200.0", "-90.00"]
    assert all(len(line) <= 32 for line in text)
    assert "flat" in position_detail(state, ETH, 32)[0][0][0]


def test_what_the_engine_keeps_of_a_bracket_is_shown_like_orders() -> None:
    made = State()
    made.apply(InstrumentDefined(next(item for item in contracts(FUTURES) if item.id == BTC), 1))
    targets = (TakeProfit(Decimal(62000), Decimal("0.5")), TakeProfit(Decimal(63000), Decimal("0.5")))
    entry = Order(
        BTC, Side.BUY, Decimal("0.150"), client_order_id=ONE, venue=FUTURES, take_profit=targets,
        stop_loss=StopLoss(Decimal(61000), Decimal(500)),
    )  # fmt: skip
    stop = Order(
        BTC, Side.SELL, Decimal("0.150"), OrderType.TRAILING_STOP, trigger=Decimal(61000), trail=Decimal(500),
        reduce_only=True, client_order_id=TWO, venue=FUTURES, parent=ONE, strategy_intent="stop_loss",
    )  # fmt: skip
    made.apply(e.OrderSubmitted(entry, FUTURES, 2))
    made.apply(
        e.OrderFilled(
            ONE, FillId("f1"), BTC, Side.BUY, Decimal("0.150"), Decimal(61500), Decimal(1),
            made.currency, Liquidity.TAKER, VenueOrderId("v1"), 3, 3,
        )
    )  # fmt: skip
    made.apply(e.OrderSubmitted(stop, FUTURES, 4))
    made.apply(e.StopTrailed(ONE, Decimal(61200), 5))
    assert protective(made, BTC) == (
        [(Decimal(61200), Decimal("0.150"))],
        [(Decimal(62000), Decimal("0.075")), (Decimal(63000), Decimal("0.075"))],
    )
