"""Exits that an entry brings along, case by case; tests/simulation/test_brackets.py mixes them."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.differences import OrderAdopted
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId, VenueOrderId
from core.domain.order import WOULD_TRIGGER, Order, OrderRecord, OrderStatus, OrderType, Side, StopLoss, TakeProfit
from core.engine import Engine
from core.ports import Abilities
from core.state.blotter import KEPT_CLOSED
from tests.core.kit import BTC_PERP, BTC_SPOT, MS, PERP, SPOT, T0, D, S, accept, fill, held, of, opened, order, quote

WIDE = GuardianSettings(
    duplicate_window_ms=0,
    max_position_frac=10,
    max_sector_frac=10,
    max_gross_frac=10,
    max_net_frac=10,
    min_net_frac=-10,
    max_order_notional_frac=10,
    stale_after_ms=1_000_000,
    forced_stop_frac=0,
)
ALL_TYPES = frozenset(OrderType)
WHOLE = {PERP: Abilities(order_types=ALL_TYPES, amend=True), SPOT: Abilities(order_types=ALL_TYPES, amend=True)}
STIFF = {PERP: Abilities(order_types=ALL_TYPES)}
PLAIN = {PERP: Abilities(amend=True)}
STOP = StopLoss(D(59_000))
HALVES = (TakeProfit(D(61_000), D("0.5")), TakeProfit(D(62_000), D("0.5")))


def desk(abilities: Mapping[VenueId, Abilities] = WHOLE) -> Engine:
    return opened(settings=WIDE, abilities=abilities)


def entered(
    engine: Engine, quantity: str = "0.1", filled: str = "", id_: str = "entry", **changes: Any
) -> ClientOrderId:
    """Enter long by a limit order and have it filled, wholly unless ``filled`` says how far; return the entry."""
    changes = {"stop_loss": STOP, **changes}
    wanted = order(BTC_PERP, Side.BUY, quantity, "60000", **changes)
    entry: ClientOrderId = of(engine.process(c.SubmitOrder(wanted, "test", T0)), e.OrderSubmitted)[
        0
    ].order.client_order_id
    accept(engine, entry)
    engine.process(fill(BTC_PERP, Side.BUY, filled or quantity, "60000", id_, entry))
    return entry


def exits(engine: Engine) -> list[OrderRecord]:
    return [record for record in engine.state.blotter.open.values() if record.order.parent]


def only(engine: Engine) -> Order:
    (record,) = exits(engine)
    return record.order


def price(engine: Engine, middle: float, ts: int | None = None) -> list[Any]:
    return list(engine.process(quote(BTC_PERP, middle - 0.1, middle + 0.1, ts or engine.state.now)))


def cancelled(engine: Engine, id_: ClientOrderId) -> list[Any]:
    return list(engine.process(e.OrderCancelled(id_, "asked", T0, T0)))


def left(engine: Engine, entry: ClientOrderId) -> object:
    bracket = engine.state.brackets.find(entry)
    return bracket.left if bracket is not None else None


# --- the stop ---------------------------------------------------------------------------------------------------------


def test_nothing_protects_an_entry_that_has_not_filled() -> None:
    engine = desk()
    submitted = of(
        engine.process(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.1", "59990", stop_loss=STOP), "t", T0)),
        e.OrderSubmitted,
    )
    accept(engine, submitted[0].order.client_order_id)
    assert (exits(engine), engine.state.brackets.all()) == ([], [])


def test_a_fill_brings_a_stop_for_exactly_what_has_filled() -> None:
    engine = desk()
    entry = entered(engine, "0.1", "0.04")
    stop = only(engine)
    assert (stop.type, stop.side, stop.quantity, stop.trigger) == (OrderType.STOP, Side.SELL, D("0.04"), D(59_000))
    assert (stop.reduce_only, stop.parent, stop.strategy_intent) == (True, entry, "stop_loss")


def test_more_fills_make_the_stop_larger_by_one_change_at_a_time() -> None:
    engine = desk()
    entry = entered(engine, "0.1", "0.04")
    stop = only(engine).client_order_id
    more = [fill(BTC_PERP, Side.BUY, "0.02", "60000", f"f{n}", entry) for n in range(3)]
    assert not of([one for each in more for one in engine.process(each)], Approved)  # the first has no answer yet
    sent = of(engine.process(e.OrderAccepted(stop, VenueOrderId("v"), T0, T0)), Approved)
    assert [(one.command.client_order_id, one.command.quantity) for one in sent] == [(stop, D("0.10"))]
    engine.process(e.OrderAmended(stop, D("0.1"), None, None, T0, T0))
    assert only(engine).quantity == D("0.1")


def test_a_venue_that_cannot_amend_gets_another_stop_for_the_rest() -> None:
    engine = desk(STIFF)
    entry = entered(engine, "0.1", "0.04")
    accept(engine, only(engine).client_order_id)
    engine.process(fill(BTC_PERP, Side.BUY, "0.06", "60000", "more", entry))
    assert [record.order.quantity for record in exits(engine)] == [D("0.04"), D("0.06")]


def test_a_refused_amend_is_followed_by_a_stop_of_its_own() -> None:
    engine = desk()
    entry = entered(engine, "0.1", "0.04")
    accept(engine, only(engine).client_order_id)
    engine.process(fill(BTC_PERP, Side.BUY, "0.06", "60000", "more", entry))
    engine.process(e.AmendRejected(only(engine).client_order_id, "no", T0, T0))
    assert [record.order.quantity for record in exits(engine)] == [D("0.04"), D("0.06")]


def test_cancelling_the_entry_leaves_the_stop() -> None:
    engine = desk()
    entry = entered(engine, "0.1", "0.04")
    accept(engine, only(engine).client_order_id)
    engine.process(c.CancelOrder(entry, "test", T0))
    cancelled(engine, entry)
    assert only(engine).quantity == D("0.04")
    assert left(engine, entry) == D("0.04")


def test_a_fill_behind_the_cancel_is_protected_too() -> None:
    engine = desk()
    entry = entered(engine, "0.1", "0.04")
    accept(engine, only(engine).client_order_id)
    cancelled(engine, entry)
    sent = of(engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "late", entry)), Approved)
    assert [one.command.quantity for one in sent] == [D("0.05")]


def test_a_rejected_stop_is_tried_again_and_not_at_once() -> None:
    engine = desk()
    entered(engine)
    stop = only(engine).client_order_id
    assert not of(engine.process(e.OrderRejected(stop, "busy", T0, T0)), Approved)
    assert not of(engine.process(m.Timer(T0 + 900 * MS)), Approved)
    assert of(engine.process(m.Timer(T0 + 1001 * MS)), Approved)
    assert only(engine).quantity == D("0.1")


def test_a_stop_whose_price_has_passed_closes_at_the_market() -> None:
    engine = desk()
    entered(engine)
    engine.process(e.OrderRejected(only(engine).client_order_id, "busy", T0, T0))
    price(engine, 58_000.0)
    engine.process(m.Timer(T0 + 2 * S))
    assert (only(engine).type, only(engine).quantity) == (OrderType.MARKET, D("0.1"))


def test_a_stop_that_the_venue_says_is_met_closes_at_the_market_at_once() -> None:
    """The engine has not seen that price yet: waiting for it would leave the position without any exit."""
    engine = desk()
    entered(engine)
    refused = e.OrderRejected(only(engine).client_order_id, f"{WOULD_TRIGGER}: the price 58000 has met it", T0, T0)
    sent = of(engine.process(refused), Approved)
    assert [(one.command.order.type, one.command.order.quantity) for one in sent] == [(OrderType.MARKET, D("0.1"))]
    assert sent[0].command.order.reduce_only
    out = only(engine).client_order_id
    accept(engine, out)  # the exit's own acknowledgement is no stop that rests
    engine.process(e.OrderExpired(out, "IOC: the rest found no offer", T0, T0))
    assert of(engine.process(m.Timer(T0 + 1001 * MS)), Approved)[0].command.order.type is OrderType.MARKET


def test_a_trailed_stop_that_the_venue_says_is_met_closes_at_the_market() -> None:
    types = ALL_TYPES - {OrderType.TRAILING_STOP}
    engine = desk({PERP: Abilities(order_types=types, amend=True)})
    entered(engine, stop_loss=StopLoss(D(59_000), D(1000)))
    stop = only(engine).client_order_id
    accept(engine, stop)
    price(engine, 62_000.0)
    engine.process(e.AmendRejected(stop, f"{WOULD_TRIGGER}: the price 60500 has met it", T0, T0))
    sent = cancelled(engine, stop)
    assert (only(engine).type, only(engine).quantity) == (OrderType.MARKET, D("0.1")), sent


def test_an_entry_that_only_closes_something_is_not_protected() -> None:
    engine = desk()
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "short"))
    entry = entered(engine, "0.1", "0.1")
    assert (left(engine, entry), exits(engine)) == (None, [])


def test_what_turns_a_position_is_protected_as_far_as_it_opens() -> None:
    engine = desk()
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "short"))
    entry = entered(engine, "0.15")
    assert left(engine, entry) == D("0.05")
    assert only(engine).quantity == D("0.05")


def test_a_short_is_stopped_from_above() -> None:
    engine = desk()
    wanted = order(BTC_PERP, Side.SELL, "0.1", "60000", stop_loss=StopLoss(D(61_000)))
    entry = of(engine.process(c.SubmitOrder(wanted, "test", T0)), e.OrderSubmitted)[0].order.client_order_id
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "entry", entry))
    assert (only(engine).side, only(engine).trigger) == (Side.BUY, D(61_000))


def test_spot_protects_what_the_fee_has_left() -> None:
    engine = desk()
    wanted = order(BTC_SPOT, Side.BUY, "0.01", "60000", stop_loss=STOP)
    entry = of(engine.process(c.SubmitOrder(wanted, "test", T0)), e.OrderSubmitted)[0].order.client_order_id
    made = fill(BTC_SPOT, Side.BUY, "0.01", "60000", "entry", entry)
    engine.process(made.replace(fee=D("0.0000105"), fee_asset=BTC_SPOT.base))
    assert only(engine).quantity == D("0.00998")


# --- what else closes the position ------------------------------------------------------------------------------------


def test_a_stop_follows_a_position_that_somebody_else_made_smaller() -> None:
    engine = desk()
    entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    sent = of(engine.process(fill(BTC_PERP, Side.SELL, "0.07", "60000", "hand")), Approved)
    assert [(one.command.client_order_id, one.command.quantity) for one in sent] == [(stop, D("0.03"))]


def test_a_closed_position_takes_its_stop_along_for_good() -> None:
    engine = desk()
    entry = entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    sent = of(engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "hand")), Approved)
    assert [one.command for one in sent] == [c.CancelOrder(stop, "bracket")]
    cancelled(engine, stop)
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "again"))
    engine.process(m.Timer(T0 + 5 * S))
    assert (left(engine, entry), exits(engine)) == (None, [])


def test_the_oldest_bracket_is_closed_first() -> None:
    engine = desk()
    first = entered(engine, "0.1")
    wanted = order(BTC_PERP, Side.BUY, "0.1", "60000", stop_loss=StopLoss(D(58_000)))
    second = of(engine.process(c.SubmitOrder(wanted, "test", T0)), e.OrderSubmitted)[0].order.client_order_id
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "second", second))
    engine.process(fill(BTC_PERP, Side.SELL, "0.13", "60000", "hand"))
    assert (left(engine, first), left(engine, second)) == (None, D("0.07"))


def test_reconciliation_counts_like_a_fill() -> None:
    engine = desk()
    entry = entered(engine)
    engine.process(e.PositionSet(BTC_PERP.id, D("0.02"), D(60_000), "reconciled", T0))
    assert left(engine, entry) == D("0.02")


def test_flatten_takes_the_exits_away_and_they_do_not_come_back() -> None:
    engine = desk()
    entry = entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    effects = list(engine.process(c.Flatten(BTC_PERP.id, "test", T0)))
    assert of(effects, e.BracketEnded) == [e.BracketEnded(entry, "its position is flattened", T0)]
    cancelled(engine, stop)
    (exit_,) = [one for one in engine.state.blotter.open.values() if one.order.strategy_intent == "flatten"]
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "flat", exit_.order.client_order_id))
    engine.process(m.Timer(T0 + 5 * S))
    assert (held(engine, BTC_PERP), list(engine.state.blotter.open)) == (D(0), [])


@pytest.mark.parametrize("command", [c.CancelAll(BTC_PERP.id), None])
def test_a_stop_cancelled_by_hand_stays_away(command: c.CancelAll | None) -> None:
    engine = desk()
    entry = entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    effects = list(engine.process(command or c.CancelOrder(stop, "test", T0)))
    assert [one.client_order_id for one in of(effects, e.BracketEnded)] == [entry]
    cancelled(engine, stop)
    engine.process(m.Timer(T0 + 5 * S))
    assert exits(engine) == []


def test_a_stop_moved_by_hand_stays_where_it_was_put() -> None:
    engine = desk()
    entry = entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    engine.process(c.AmendOrder(stop, None, None, D(58_500), "test", T0))
    engine.process(e.OrderAmended(stop, None, None, D(58_500), T0, T0))
    assert not of(engine.process(m.Timer(T0 + S)), Approved)
    cancelled(engine, stop)
    engine.process(m.Timer(T0 + 2 * S))
    assert only(engine).trigger == D(58_500)
    assert left(engine, entry) == D("0.1")


def test_what_was_held_before_is_not_mistaken_for_what_the_entry_opened() -> None:
    engine = desk()
    engine.process(fill(BTC_PERP, Side.BUY, "0.2", "60000", "before"))
    entry = entered(engine, take_profit=HALVES)
    stop = only(engine).client_order_id
    accept(engine, stop)
    engine.process(fill(BTC_PERP, Side.SELL, "0.04", "59000", "stopped", stop))
    assert left(engine, entry) == D("0.06")
    assert exits(engine)[0].remaining == D("0.06")


def test_a_target_waits_for_its_stop_even_where_another_position_leaves_room() -> None:
    engine = desk()
    engine.process(fill(BTC_PERP, Side.BUY, "0.2", "60000", "before"))
    entered(engine, take_profit=HALVES)
    accept(engine, only(engine).client_order_id)
    assert [type(one.command) for one in of(price(engine, 61_000.2), Approved)] == [c.AmendOrder]


# --- take profits -----------------------------------------------------------------------------------------------------


def test_a_target_makes_room_before_it_takes_its_part() -> None:
    engine = desk()
    entry = entered(engine, take_profit=HALVES)
    stop = only(engine).client_order_id
    accept(engine, stop)
    sent = of(price(engine, 61_000.2), Approved)
    assert [one.command.quantity for one in sent] == [D("0.05")]  # the stop, made smaller
    assert len(exits(engine)) == 1
    sent = of(engine.process(e.OrderAmended(stop, D("0.05"), None, None, T0, T0)), Approved)
    (target,) = [one.command.order for one in sent]
    assert (target.type, target.side, target.quantity, target.reduce_only) == (
        OrderType.MARKET,
        Side.SELL,
        D("0.05"),
        True,
    )
    engine.process(fill(BTC_PERP, Side.SELL, "0.05", "61000", "t1", target.client_order_id))
    assert left(engine, entry) == D("0.05")
    assert only(engine).quantity == D("0.05")
    assert not of(price(engine, 61_000.4), Approved)  # the first part is taken once


def test_the_last_target_closes_everything_and_the_stop_goes() -> None:
    engine = desk()
    entry = entered(engine, take_profit=HALVES)
    stop = only(engine).client_order_id
    accept(engine, stop)
    sent = of(price(engine, 62_500.0), Approved)
    assert [one.command for one in sent] == [c.CancelOrder(stop, "bracket")]
    (sent,) = of(cancelled(engine, stop), Approved)
    assert sent.command.order.quantity == D("0.1")
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "62500", "t", sent.command.order.client_order_id))
    assert (left(engine, entry), exits(engine)) == (None, [])


def test_a_target_that_goes_away_again_gives_the_stop_its_size_back() -> None:
    engine = desk()
    entered(engine, take_profit=HALVES)
    stop = only(engine).client_order_id
    accept(engine, stop)
    price(engine, 61_000.2)
    price(engine, 60_500.0)
    sent = of(engine.process(e.OrderAmended(stop, D("0.05"), None, None, T0, T0)), Approved)
    assert [one.command.quantity for one in sent] == [D("0.10")]


def test_the_targets_to_come_are_told_with_what_they_will_take() -> None:
    engine = desk()
    entry = entered(engine, take_profit=HALVES)
    bracket = engine.state.brackets.find(entry)
    assert bracket is not None
    assert bracket.waiting() == [(D(61_000), D("0.05")), (D(62_000), D("0.05"))]
    bracket.taken, bracket.left = D("0.02"), D("0.08")
    assert bracket.waiting() == [(D(61_000), D("0.03")), (D(62_000), D("0.05"))]
    bracket.taken, bracket.left = D("0.05"), D("0.05")
    assert bracket.waiting() == [(D(62_000), D("0.05"))]


def test_targets_alone_need_no_stop() -> None:
    engine = desk()
    entered(engine, stop_loss=None, take_profit=HALVES[:1])
    assert exits(engine) == []
    price(engine, 61_000.2)
    assert (only(engine).type, only(engine).quantity) == (OrderType.MARKET, D("0.05"))


def test_parts_smaller_than_the_step_wait_for_the_next_target() -> None:
    engine = desk()
    wanted = order(BTC_PERP, Side.BUY, "0.003", "60000", take_profit=HALVES)
    entry = of(engine.process(c.SubmitOrder(wanted, "test", T0)), e.OrderSubmitted)[0].order.client_order_id
    engine.process(fill(BTC_PERP, Side.BUY, "0.003", "60000", "entry", entry))
    price(engine, 61_000.2)
    first = only(engine)
    assert first.quantity == D("0.001")
    engine.process(fill(BTC_PERP, Side.SELL, "0.001", "61000", "t1", first.client_order_id))
    price(engine, 62_000.2)
    assert only(engine).quantity == D("0.002")


# --- stops that wait in the engine, trailing --------------------------------------------------------------------------


def test_a_venue_without_stops_has_them_in_the_engine() -> None:
    engine = desk(PLAIN)
    entry = entered(engine, "0.1", "0.04", take_profit=HALVES)
    (record,) = exits(engine)
    assert (record.status, record.order.quantity) == (OrderStatus.APPROVED, D("0.04"))
    effects = list(engine.process(fill(BTC_PERP, Side.BUY, "0.06", "60000", "more", entry)))
    assert not of(effects, Approved)
    assert only(engine).quantity == D("0.10")
    sent = of(price(engine, 61_000.2), Approved)  # smaller and taken in one step: nobody else is asked
    assert [one.command.order.quantity for one in sent] == [D("0.05")]
    sent = of(price(engine, 58_999.0), Approved)
    assert [(one.command.order.type, one.command.order.quantity) for one in sent] == [(OrderType.MARKET, D("0.05"))]


@pytest.mark.parametrize(
    "abilities", [PLAIN, {PERP: Abilities(order_types=ALL_TYPES - {OrderType.TRAILING_STOP}, amend=True)}]
)
def test_a_trailing_stop_follows_the_price_and_never_goes_back(abilities: Mapping[VenueId, Abilities]) -> None:
    engine = desk(abilities)
    entered(engine, stop_loss=StopLoss(D(59_500), D(500)))
    id_ = only(engine).client_order_id
    if exits(engine)[0].status is not OrderStatus.APPROVED:
        accept(engine, id_)
    effects = price(engine, 60_200.1)
    assert [one.trigger for one in of(effects, e.StopTrailed)] == [D("59700.0")]
    for one in of(effects, Approved):
        assert one.command.trigger == D("59700.0")
        engine.process(e.OrderAmended(id_, None, None, D("59700.0"), T0, T0))
    assert only(engine).trigger == D("59700.0")
    assert of(price(engine, 59_900.0), e.StopTrailed) == []
    assert of(price(engine, 60_205.0), e.StopTrailed) == []  # less than a step of its distance
    assert only(engine).trigger == D("59700.0")


def test_what_a_stop_was_asked_to_be_does_not_undo_what_it_trailed_meanwhile() -> None:
    engine = desk({PERP: Abilities(order_types=ALL_TYPES - {OrderType.TRAILING_STOP}, amend=True)})
    entered(engine, stop_loss=StopLoss(D(59_500), D(500)))
    id_ = only(engine).client_order_id
    accept(engine, id_)
    price(engine, 60_200.1)
    price(engine, 60_400.1)  # while the first change is on its way
    sent = of(engine.process(e.OrderAmended(id_, None, None, D("59700.0"), T0, T0)), Approved)
    assert [one.command.trigger for one in sent] == [D("59900.0")]


def test_a_trailing_stop_placed_again_begins_where_it_had_come_to() -> None:
    engine = desk()
    entered(engine, stop_loss=StopLoss(D(59_500), D(500)))
    first = only(engine)
    assert (first.type, first.trigger, first.trail) == (OrderType.TRAILING_STOP, D(59_500), D(500))
    accept(engine, first.client_order_id)
    price(engine, 60_200.1)
    engine.process(e.OrderExpired(first.client_order_id, "venue", T0, T0))
    engine.process(m.Timer(T0 + 2 * S))
    assert only(engine).trigger == D("59700.0")


# --- the gate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stop_loss": StopLoss(D(60_000))}, "the stop loss of a BUY must be below the entry at 60000 (got 60000)"),
        ({"take_profit": (TakeProfit(D(59_000), D(1)),)}, "the take profit of a BUY must be above the entry at 60000"),
        ({"stop_loss": StopLoss(D("59000.05"))}, "stop loss 59000.05 is not a multiple of tick 0.1"),
        ({"stop_loss": StopLoss(D(59_000), D(-1))}, 'trail must be a number greater than 0 (got "-1")'),
        ({"take_profit": (TakeProfit(D(61_000), D("0.6")), TakeProfit(D(62_000), D("0.6")))}, "add up to 1.2"),
        ({"take_profit": (TakeProfit(D(61_000), D("NaN")),)}, "take-profit fraction must be a number greater than 0"),
        ({"stop_loss": STOP, "reduce_only": True}, "a reduce-only order opens nothing"),
    ],
)
def test_senseless_exits_are_refused_with_the_entry(changes: dict[str, Any], words: str) -> None:
    engine = desk()
    effects = engine.process(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.1", "60000", **changes), "test", T0))
    (refusal,) = of(effects, e.OrderDenied)
    assert words in refusal.reason


def test_an_amend_on_its_way_counts_as_what_it_may_become() -> None:
    """A resting exit that is being made larger leaves no room for another one."""
    engine = desk()
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "in"))
    exit_ = order(BTC_PERP, Side.SELL, "0.04", "61000", reduce_only=True)
    id_ = of(engine.process(c.SubmitOrder(exit_, "test", T0)), e.OrderSubmitted)[0].order.client_order_id
    accept(engine, id_)
    engine.process(c.AmendOrder(id_, D("0.1"), None, None, "test", T0))
    second = order(BTC_PERP, Side.SELL, "0.06", reduce_only=True)
    assert of(engine.process(c.SubmitOrder(second, "test", T0)), e.OrderDenied)
    engine.process(e.AmendRejected(id_, "no", T0, T0))
    assert not of(engine.process(c.SubmitOrder(second, "test", T0)), e.OrderDenied)


def test_no_exit_leaves_before_the_venue_is_reconciled() -> None:
    engine = desk()
    entry = entered(engine)
    engine.process(m.VenueStatus(PERP, False, "away", T0))
    cancelled(engine, only(engine).client_order_id)
    assert exits(engine) == []
    engine.process(m.VenueStatus(PERP, True, "", T0))
    engine.process(m.Timer(T0 + S))
    assert exits(engine) == []
    engine.process(e.VenueReconciled(PERP, T0 + S, T0 + S))
    assert only(engine).parent == entry


def test_a_stop_that_the_venue_takes_away_comes_back_but_not_again_and_again() -> None:
    engine = desk()
    entered(engine)
    engine.process(m.Timer(T0 + 5 * S))
    cancelled(engine, only(engine).client_order_id)
    cancelled(engine, only(engine).client_order_id)
    assert exits(engine) == []
    engine.process(m.Timer(T0 + 6 * S))
    assert only(engine).quantity == D("0.1")


def test_names_of_the_instruments_are_kept_only_while_there_is_something_to_do() -> None:
    engine = desk()
    entered(engine)
    stop = only(engine).client_order_id
    assert engine._protection.watched == {InstrumentId(BTC_PERP.id)}
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "59000", "stopped", stop))
    engine.process(m.Timer(T0 + S))
    assert engine._protection.watched == set()


def test_a_stop_whose_entry_is_not_on_record_stays() -> None:
    """The journal was lost or restored: the venue's stop of ours protects what is held, and its bracket is unknown."""
    engine = desk()
    engine.process(e.PositionSet(BTC_PERP.id, D("0.1"), D(60_000), "adopted", T0))
    id_ = ClientOrderId("t0r7n2")
    stop = order(BTC_PERP, Side.SELL, "0.1", reduce_only=True)
    stop = msgspec.structs.replace(
        stop, type=OrderType.STOP, trigger=D(59_000), client_order_id=id_, strategy_intent="stop_loss",
        parent=ClientOrderId("t0r7n1"),
    )  # fmt: skip
    engine.process(e.OrderFound(stop, PERP, VenueOrderId("v"), D(0), T0))
    engine.process(OrderAdopted(id_, "its id is ours: its record was lost", T0))
    assert not of(list(engine.process(e.VenueReconciled(PERP, T0, T0 + MS))), Approved)
    for second in range(1, 5):
        assert not of(price(engine, 60_100.0, T0 + second * S), Approved)
        assert not of(list(engine.process(m.Timer(T0 + second * S))), Approved)
    assert engine.state.blotter.open[id_].status is OrderStatus.ACCEPTED


def test_a_stop_whose_bracket_ended_goes_whatever_else_is_held() -> None:
    engine = desk()
    entry = entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "plain"))
    engine.state.blotter.orders.pop(entry)  # long ago
    engine.process(e.BracketEnded(entry, "its stop was cancelled", T0))
    effects = engine.process(m.Timer(T0 + S))
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [stop]


def test_a_stop_is_taken_away_though_its_entry_was_long_ago() -> None:
    engine = desk()
    entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    for number in range(KEPT_CLOSED + 1):
        record = ClientOrderId(f"x{number}")
        refused = order(BTC_PERP, Side.BUY, "1", client_order_id=record)
        engine.state.apply(e.OrderDenied(refused, "a", "1", "0", "no", "b", T0))
    effects = engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "hand"))
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [stop]
    again = entered(engine, stop_loss=StopLoss(D(59_500)), id_="again")
    effects = cancelled(engine, stop)
    assert [(one.order.parent, one.order.trigger) for one in of(effects, e.OrderSubmitted)] == [(again, D(59_500))]
