"""Brackets and waiting stops where a venue takes no market orders: limits through the market that end at once."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId
from core.domain.order import WOULD_TRIGGER, Order, OrderStatus, OrderType, Side, StopLoss, TakeProfit, TimeInForce
from core.engine import Engine
from core.ports import Abilities
from tests.core.execution.test_brackets import WIDE, entered, exits, left, only, price
from tests.core.kit import BTC_PERP, MS, PERP, T0, D, S, accept, denied, fill, held, of, opened, order, sent, submit

LIMITS = Abilities(
    order_types=frozenset({OrderType.LIMIT}), time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}), amend=True
)
"""Neither market orders nor stops."""
STOPS = replace(LIMITS, order_types=frozenset({OrderType.LIMIT, OrderType.STOP}))
DEAD_END = replace(LIMITS, time_in_force=frozenset({TimeInForce.GTC}))
"""Nothing ends at once."""


def desk(able: Abilities = LIMITS) -> Engine:
    return opened(settings=WIDE, abilities={PERP: able})


def leaving(effects: list[Any]) -> list[Order]:
    """Return the orders that leave, none of which was denied."""
    assert not of(effects, e.OrderDenied)
    return [one.order for one in of(effects, e.OrderSubmitted)]


def form(one: Order) -> tuple[object, ...]:
    return one.type, one.time_in_force, one.side, one.quantity, one.price, one.reduce_only


def expired(engine: Engine, id_: ClientOrderId, now: int) -> list[Any]:
    return list(engine.process(e.OrderExpired(id_, "IOC", now, now)))


def timer(engine: Engine, now: int) -> list[Any]:
    return list(engine.process(m.Timer(now)))


def test_a_target_that_is_met_is_taken_by_a_limit_until_all_of_it_is() -> None:
    engine = desk(STOPS)
    entry = entered(engine, take_profit=(TakeProfit(D(61_000), D(1)),))
    stop = only(engine).client_order_id
    accept(engine, stop)
    (away,) = of(price(engine, 61_000.1), Approved)
    assert away.command.client_order_id == stop, "the stop makes room first"
    effects = list(engine.process(e.OrderCancelled(stop, "asked", T0, T0)))
    (first,) = leaving(effects)
    assert form(first) == (OrderType.LIMIT, TimeInForce.IOC, Side.SELL, D("0.1"), D("57950"), True), "5 % below"
    assert first.strategy_intent == "take_profit"
    engine.process(fill(BTC_PERP, Side.SELL, "0.04", "60990", "t1", first.client_order_id))
    (again,) = leaving(expired(engine, first.client_order_id, T0 + MS))
    assert (again.type, again.quantity) == (OrderType.STOP, D("0.06")), "not again and again: protected meanwhile"
    accept(engine, again.client_order_id)
    assert not of(timer(engine, T0 + S), Approved)
    (away,) = of(timer(engine, T0 + S + MS), Approved)
    (rest,) = leaving(list(engine.process(e.OrderCancelled(away.command.client_order_id, "asked", T0, T0 + S))))
    assert (rest.type, rest.quantity) == (OrderType.LIMIT, D("0.06"))
    engine.process(fill(BTC_PERP, Side.SELL, "0.06", "60990", "t2", rest.client_order_id))
    assert held(engine, BTC_PERP) == 0
    assert not exits(engine)
    assert left(engine, entry) is None


def test_a_stop_that_waits_here_leaves_as_a_limit_and_again_each_second() -> None:
    engine = desk()
    entered(engine)
    (waits,) = exits(engine)
    assert (waits.status, waits.order.trigger) == (OrderStatus.APPROVED, D(59_000)), "an entry whose stop stands"
    assert not leaving(price(engine, 59_001.0))
    (first,) = leaving(price(engine, 59_000.0))
    assert form(first) == (OrderType.LIMIT, TimeInForce.IOC, Side.SELL, D("0.1"), D("56049.9"), True)
    assert first.client_order_id == waits.order.client_order_id
    engine.process(fill(BTC_PERP, Side.SELL, "0.03", "58990", "s1", first.client_order_id))
    assert not leaving(expired(engine, first.client_order_id, T0 + MS))
    (second,) = leaving(timer(engine, T0 + S + MS))
    assert (second.type, second.quantity, second.price) == (OrderType.LIMIT, D("0.07"), D("56049.9"))


def test_a_short_is_bought_back_through_the_ask() -> None:
    engine = desk()
    wanted = order(BTC_PERP, Side.SELL, "0.1", "60000", stop_loss=StopLoss(D(61_000)))
    entry = sent(engine, wanted)
    accept(engine, entry)
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "f0", entry))
    (exit_,) = leaving(price(engine, 61_000.0))
    assert form(exit_) == (OrderType.LIMIT, TimeInForce.IOC, Side.BUY, D("0.1"), D("64050.2"), True)


def test_a_stop_that_its_venue_says_is_met_goes_through_the_market_and_a_no_is_no_storm() -> None:
    engine = desk(STOPS)
    entered(engine)
    stop = only(engine).client_order_id
    (first,) = leaving(list(engine.process(e.OrderRejected(stop, f"{WOULD_TRIGGER}: 59000", T0, T0))))
    assert (first.type, first.price) == (OrderType.LIMIT, D("56999.9"))
    assert not leaving(list(engine.process(e.OrderRejected(first.client_order_id, "busy", T0, T0))))
    assert not leaving(timer(engine, T0 + S - 1))
    assert [one.type for one in leaving(timer(engine, T0 + S))] == [OrderType.LIMIT]


def stop_entry(**changes: Any) -> Order:
    return order(BTC_PERP, Side.BUY, "0.01", type=OrderType.STOP, trigger=D(60_100), **changes)


@pytest.mark.parametrize(
    ("ends", "leaves"),
    [
        ({}, TimeInForce.IOC),
        ({"time_in_force": TimeInForce.GTD, "expires": T0 + 60 * S}, TimeInForce.IOC),
        ({"time_in_force": TimeInForce.FOK}, TimeInForce.FOK),
    ],
)
def test_an_entry_that_waits_goes_half_the_collar_through_the_market(ends: dict[str, Any], leaves: TimeInForce) -> None:
    engine = desk(replace(LIMITS, time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})))
    submit(engine, stop_entry(**ends))
    (one,) = leaving(price(engine, 60_100.0))
    assert form(one) == (OrderType.LIMIT, leaves, Side.BUY, D("0.01"), D("61602.7"), False)


def test_a_stop_limit_leaves_at_its_own_limit() -> None:
    engine = desk()
    wanted = order(BTC_PERP, Side.BUY, "0.01", "60150", type=OrderType.STOP_LIMIT, trigger=D(60_100))
    submit(engine, wanted)
    (one,) = leaving(price(engine, 60_100.0))
    assert form(one) == (OrderType.LIMIT, TimeInForce.GTC, Side.BUY, D("0.01"), D(60_150), False)


def test_what_could_never_leave_is_refused_before_anything_is_held() -> None:
    engine = desk(replace(DEAD_END, order_types=STOPS.order_types))
    for bracket in ({"stop_loss": StopLoss(D(59_000))}, {"take_profit": (TakeProfit(D(61_000), D(1)),)}):
        refusal = denied(engine, order(BTC_PERP, Side.BUY, "0.01", "59990", **bracket))
        assert (refusal.limit, refusal.value) == ("supported", "bracket")
        assert "takes neither market orders nor limits that end at once" in refusal.reason
    assert sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59990")), "an entry without is taken"
    refusal = denied(desk(DEAD_END), stop_entry())
    assert "does not take MARKET orders (it takes LIMIT)" in refusal.reason
    fok = stop_entry(time_in_force=TimeInForce.FOK)
    assert "does not take the time in force FOK (it takes GTC, IOC)" in denied(desk(), fok).reason


def test_where_nothing_ends_at_once_an_exit_says_so() -> None:
    engine = desk(DEAD_END)
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f0"))
    (refusal,) = of(list(engine.process(c.Flatten(BTC_PERP.id, "me", T0))), e.OrderDenied)
    assert "does not take MARKET orders (it takes LIMIT)" in refusal.reason
