"""A move of a bracket's stop that its venue refuses: by hand it changes nothing, unless the stop itself is met."""

from typing import Any

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.order import WOULD_TRIGGER, OrderStatus, OrderType, Side
from core.engine import Engine
from tests.core.execution.test_brackets import HALVES, STIFF, cancelled, desk, entered, exits, left, only, price
from tests.core.kit import BTC_PERP, PERP, T0, D, S, accept, fill, of, order, record_of


def moved_too_far(engine: Engine, **changes: Any) -> tuple[ClientOrderId, ClientOrderId]:
    """Have a move of a bracket's stop refused, to where the price stands already; return (entry, stop)."""
    entry = entered(engine, **changes)
    stop = only(engine).client_order_id
    accept(engine, stop)
    engine.process(c.AmendOrder(stop, None, None, D(61_000), "test", T0))
    assert not of(engine.process(e.AmendRejected(stop, f"{WOULD_TRIGGER}: 60000 has met it", T0, T0)), Approved)
    return entry, stop


def test_a_refused_move_by_hand_changes_nothing_when_a_part_is_closed() -> None:
    engine = desk()
    entry, stop = moved_too_far(engine)
    sent = of(engine.process(fill(BTC_PERP, Side.SELL, "0.04", "60000", "part")), Approved)
    assert [(one.command.client_order_id, one.command.quantity) for one in sent] == [(stop, D("0.06"))]
    engine.process(e.OrderAmended(stop, D("0.06"), None, None, T0, T0))
    assert (only(engine).type, only(engine).trigger, left(engine, entry)) == (OrderType.STOP, D(59_000), D("0.06"))


def test_a_refused_move_by_hand_changes_nothing_when_a_target_is_met() -> None:
    engine = desk()
    _, stop = moved_too_far(engine, take_profit=HALVES)
    sent = of(price(engine, 61_000.2), Approved)
    assert [(one.command.client_order_id, one.command.quantity) for one in sent] == [(stop, D("0.05"))]


def test_a_refused_move_by_hand_changes_nothing_when_more_fills() -> None:
    engine = desk()
    entry, stop = moved_too_far(engine, filled="0.04")
    sent = of(engine.process(fill(BTC_PERP, Side.BUY, "0.06", "60000", "more", entry)), Approved)
    assert [(one.command.client_order_id, one.command.quantity) for one in sent] == [(stop, D("0.1"))]


def test_a_refused_move_by_hand_counts_where_the_stop_itself_is_met() -> None:
    engine = desk()
    entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    engine.process(c.AmendOrder(stop, None, None, D(59_100), "test", T0))
    price(engine, 58_900.0)
    engine.process(e.AmendRejected(stop, f"{WOULD_TRIGGER}: 58900 has met it", T0, T0))
    cancelled(engine, stop)
    assert (only(engine).type, only(engine).quantity) == (OrderType.MARKET, D("0.1"))


def test_a_refused_move_of_a_stop_that_nothing_stands_behind_says_nothing() -> None:
    engine = desk()
    entry, stop = moved_too_far(engine)
    engine.process(c.AmendOrder(stop, None, None, D(61_000), "test", T0))
    engine.process(e.BracketEnded(entry, "asked", T0))
    assert not of(engine.process(e.AmendRejected(stop, f"{WOULD_TRIGGER}: it is met", T0, T0)), e.OrderSubmitted)


def test_a_stop_that_its_venue_holds_again_can_wait() -> None:
    """The price had met it once: what fills behind its return is protected by a stop, not closed."""
    engine = desk(STIFF)
    entry = entered(engine, "0.1", "0.04")
    first = only(engine).client_order_id
    accept(engine, first)
    engine.process(fill(BTC_PERP, Side.BUY, "0.03", "60000", "more", entry))
    second = exits(engine)[1].order.client_order_id
    engine.process(e.OrderRejected(second, f"{WOULD_TRIGGER}: 59000 has met it", T0, T0))
    out = exits(engine)[1].order
    assert out.type is OrderType.MARKET
    engine.process(e.OrderExpired(out.client_order_id, "IOC: the rest found no offer", T0, T0))
    accept(engine, first)  # told again: it rests
    engine.process(m.Timer(T0 + 2 * S))
    assert [record.order.type for record in exits(engine)] == [OrderType.STOP, OrderType.STOP]


def test_a_cancel_that_its_venue_refuses_is_not_sent_again_at_once() -> None:
    engine = desk(STIFF)
    entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    cancels = of(engine.process(fill(BTC_PERP, Side.SELL, "0.04", "60000", "hand")), e.CancelSubmitted)
    assert [one.client_order_id for one in cancels] == [stop], "it cannot become smaller"
    for count in range(9):
        now = T0 + count * S // 10
        assert not of(engine.process(e.CancelRejected(stop, "unknown order", now, now)), e.CancelSubmitted)
    assert of(engine.process(m.Timer(T0 + 2 * S)), e.CancelSubmitted), "it is tried again"


def test_a_stop_of_another_home_is_nobodys_orphan() -> None:
    engine = desk()
    theirs = order(
        BTC_PERP,
        Side.SELL,
        "1",
        type=OrderType.STOP,
        trigger=D(58_000),
        reduce_only=True,
        client_order_id=ClientOrderId("otherhome-n2"),
        parent=ClientOrderId("otherhome-n1"),
        strategy_intent="stop_loss",
        venue=PERP,
    )
    engine.process(e.OrderFound(theirs, PERP, VenueOrderId("v9"), D(0), ts=T0))
    engine.process(e.VenueReconciled(PERP, T0, T0))
    engine.process(m.Timer(T0 + 2 * S))
    assert record_of(engine, ClientOrderId("otherhome-n2")).status is OrderStatus.ACCEPTED
