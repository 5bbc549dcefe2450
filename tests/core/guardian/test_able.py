"""What a venue does not take is refused in words; what waits here ends at its time."""

import msgspec
import pytest

from core.domain import events as e
from core.domain import market as m
from core.domain.order import Order, OrderStatus, OrderType, Side, TimeInForce
from core.engine import Engine
from core.ports import Abilities
from tests.core.kit import BTC_PERP, PERP, T0, D, S, denied, of, opened, order, quote, record_of, submit

A = OrderStatus
DAY = 86_400 * S
NO_STOPS = {PERP: Abilities()}


def gtd_stop(kind: OrderType = OrderType.STOP, trigger: int = 60_100) -> Order:
    price = "60150" if kind is OrderType.STOP_LIMIT else None
    wanted = order(BTC_PERP, Side.BUY, "0.01", price, type=kind, trigger=D(trigger), expires=T0 + 60 * S)
    return msgspec.structs.replace(wanted, time_in_force=TimeInForce.GTD)


def test_a_waiting_stop_expires_at_its_time() -> None:
    engine = opened(abilities=NO_STOPS)
    id_ = of(submit(engine, gtd_stop()), e.OrderApproved)[0].order.client_order_id
    assert not of(engine.process(m.Timer(T0 + 60 * S - 1)), e.OrderExpired)
    assert [event.client_order_id for event in of(engine.process(m.Timer(T0 + 60 * S)), e.OrderExpired)] == [id_]
    assert record_of(engine, id_).status is A.EXPIRED
    assert not engine.process(quote(BTC_PERP, 60_200.0, 60_201.0, T0 + 60 * S))


def test_a_price_at_its_time_expires_a_waiting_stop_instead_of_releasing_it() -> None:
    engine = opened(abilities=NO_STOPS)
    submit(engine, gtd_stop())
    effects = list(engine.process(quote(BTC_PERP, 60_200.0, 60_201.0, T0 + 60 * S)))
    assert [type(effect) for effect in effects] == [e.OrderExpired]


def test_a_waiting_stop_expires_after_a_restart_too() -> None:
    engine = opened(abilities=NO_STOPS)
    submit(engine, gtd_stop())
    again = Engine(strict=True, abilities=NO_STOPS)
    again.restore(engine.state.image())
    assert of(again.process(m.Timer(T0 + 90 * S)), e.OrderExpired)


def test_a_stop_released_before_its_time_leaves_as_a_plain_market_order() -> None:
    engine = opened(abilities=NO_STOPS)
    submit(engine, gtd_stop())
    effects = engine.process(quote(BTC_PERP, 60_200.0, 60_201.0, T0 + S))
    leaving = of(effects, e.OrderSubmitted)[0].order
    assert (leaving.type, leaving.time_in_force, leaving.expires) == (OrderType.MARKET, TimeInForce.GTC, 0)


def test_a_waiting_day_order_ends_with_its_day() -> None:
    engine = opened(abilities=NO_STOPS)
    submit(engine, msgspec.structs.replace(gtd_stop(), time_in_force=TimeInForce.DAY, expires=0))
    midnight = T0 - T0 % DAY + DAY
    assert not of(engine.process(m.Timer(midnight - 1)), e.OrderExpired)
    assert of(engine.process(m.Timer(midnight)), e.OrderExpired)


def test_a_waiting_order_without_an_end_waits() -> None:
    engine = opened(abilities=NO_STOPS)
    submit(engine, msgspec.structs.replace(gtd_stop(), time_in_force=TimeInForce.GTC, expires=0))
    assert not of(engine.process(m.Timer(T0 + 400 * DAY)), e.OrderExpired)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (order(BTC_PERP, Side.BUY, "0.01", "59000", time_in_force=TimeInForce.IOC), "the time in force IOC"),
        (order(BTC_PERP, Side.BUY, "0.01", "59000", time_in_force=TimeInForce.DAY), "(it takes GTC)"),
        (order(BTC_PERP, Side.BUY, "0.01", time_in_force=TimeInForce.FOK), "the time in force FOK"),
        (order(BTC_PERP, Side.BUY, "0.01", "59000", post_only=True), "does not take post-only orders"),
        (gtd_stop(OrderType.STOP_LIMIT), "the time in force GTD"),
    ],
)
def test_what_a_venue_does_not_take_is_refused_before_it_is_sent(wanted: Order, words: str) -> None:
    refusal = denied(opened(abilities=NO_STOPS), wanted)
    assert (refusal.limit, words in refusal.reason) == ("supported", True), refusal.reason
    assert not of(submit(opened(), wanted), e.OrderDenied), "without a word of the venue nothing is refused"


def test_a_venue_without_market_orders_says_so() -> None:
    engine = opened(abilities={PERP: Abilities(order_types=frozenset({OrderType.LIMIT}))})
    refusal = denied(engine, order(BTC_PERP, Side.BUY, "0.01"))
    assert "does not take MARKET orders (it takes LIMIT)" in refusal.reason


def test_a_time_that_is_over_is_refused() -> None:
    assert "GTD time is over" in denied(opened(abilities=NO_STOPS), gtd_stop(), T0 + 61 * S).reason
