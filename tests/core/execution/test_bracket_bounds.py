"""Exits of brackets where others have taken what is held, and where the venue or the gate says no."""

from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.order import OrderType, Side, StopLoss
from core.engine import Engine
from tests.core.execution.test_brackets import HALVES, PLAIN, cancelled, desk, entered, exits, left, only, price
from tests.core.kit import BTC_PERP, T0, D, S, accept, fill, held, of, order, quote


def by_hand(engine: Engine, quantity: str = "0.1") -> ClientOrderId:
    """Rest a reduce-only exit of a human's far from the market."""
    wanted = order(BTC_PERP, Side.SELL, quantity, "62900", reduce_only=True)
    id_: ClientOrderId = of(engine.process(c.SubmitOrder(wanted, "hand", T0)), e.OrderSubmitted)[
        0
    ].order.client_order_id
    accept(engine, id_)
    return id_


def test_a_stop_has_to_wait_where_a_humans_exit_takes_all_that_is_held() -> None:
    engine = desk()
    entered(engine)
    engine.process(e.OrderExpired(only(engine).client_order_id, "venue", T0, T0))
    resting = by_hand(engine)
    assert not of(engine.process(m.Timer(T0 + 2 * S)), e.OrderDenied)
    assert exits(engine) == [], "two exits of the whole would turn the position"
    cancelled(engine, resting)
    engine.process(m.Timer(T0 + 3 * S))
    assert (only(engine).type, only(engine).quantity) == (OrderType.STOP, D("0.1"))


def test_a_stop_is_asked_to_grow_by_nothing_where_a_humans_exit_takes_the_rest() -> None:
    engine = desk()
    entry = entered(engine, "0.1", "0.04")
    engine.process(fill(BTC_PERP, Side.BUY, "0.06", "60000", "others"))
    by_hand(engine, "0.06")
    engine.process(fill(BTC_PERP, Side.BUY, "0.06", "60000", "more", entry))
    engine.process(fill(BTC_PERP, Side.SELL, "0.06", "60000", "others again"))
    assert (held(engine, BTC_PERP), left(engine, entry)) == (D("0.1"), D("0.1"))
    stop = exits(engine)[0].order.client_order_id
    assert not of(engine.process(e.OrderAccepted(stop, VenueOrderId("v"), T0, T0)), Approved)


def test_a_target_has_to_wait_where_a_humans_exit_takes_all_that_is_held() -> None:
    engine = desk()
    entered(engine, stop_loss=None, take_profit=HALVES[:1])
    resting = by_hand(engine)
    assert not of(price(engine, 61_000.2), e.OrderDenied)
    assert exits(engine) == []
    cancelled(engine, resting)
    price(engine, 61_000.4)
    assert only(engine).quantity == D("0.05")


def test_a_stop_that_would_be_larger_than_the_venue_takes_gets_another_beside_it() -> None:
    engine = desk()
    entry = entered(engine, "0.1", "0.04")
    accept(engine, only(engine).client_order_id)
    engine.process(m.InstrumentDefined(replace(BTC_PERP, max_size=D("0.05")), T0))
    sent = of(engine.process(fill(BTC_PERP, Side.BUY, "0.04", "60000", "more", entry)), Approved)
    assert [type(one.command) for one in sent] == [c.SubmitOrder]
    assert [one.order.quantity for one in exits(engine)] == [D("0.04"), D("0.04")]


def test_a_stop_that_the_gate_denies_is_tried_again_and_not_at_once() -> None:
    engine = desk()
    wanted = order(BTC_PERP, Side.BUY, "0.1", "60000", stop_loss=StopLoss(D(59_050)))
    entry = of(engine.process(c.SubmitOrder(wanted, "test", T0)), e.OrderSubmitted)[0].order.client_order_id
    accept(engine, entry)
    engine.process(m.InstrumentDefined(replace(BTC_PERP, tick_size=D(100)), T0))  # its venue has a coarser tick now
    (refusal,) = of(engine.process(fill(BTC_PERP, Side.BUY, "0.05", "60000", "f1", entry)), e.OrderDenied)
    assert "59050 is not a multiple of tick 100" in refusal.reason
    assert not of(engine.process(fill(BTC_PERP, Side.BUY, "0.05", "60000", "f2", entry)), e.OrderDenied)
    assert not of(engine.process(m.Timer(T0 + S - 1)), e.OrderDenied)
    assert len(of(engine.process(m.Timer(T0 + S)), e.OrderDenied)) == 1
    engine.process(m.InstrumentDefined(BTC_PERP, T0 + S))
    engine.process(m.Timer(T0 + 2 * S))
    assert (only(engine).quantity, only(engine).trigger) == (D("0.1"), D(59_050))


def test_a_left_over_stop_whose_cancel_is_refused_is_cancelled_again_and_not_at_once() -> None:
    engine = desk()
    entered(engine)
    stop = only(engine).client_order_id
    accept(engine, stop)
    (taken,) = of(engine.process(e.PositionSet(BTC_PERP.id, D(0), D(0), "reconciled", T0)), Approved)
    assert taken.command == c.CancelOrder(stop, "bracket")
    assert not of(engine.process(e.CancelRejected(stop, "busy", T0, T0)), Approved)
    assert not of(engine.process(m.Timer(T0 + S - 1)), Approved)
    assert [one.command for one in of(engine.process(m.Timer(T0 + S)), Approved)] == [taken.command]


def test_a_trailing_stop_is_not_moved_by_what_a_double_rounds_up() -> None:
    """11851.199999999999 - 2.8 - 11848.3 is a tick in doubles; in truth it is less: the next tick is not reached."""
    engine = desk(PLAIN)
    engine.process(quote(BTC_PERP, 11_850.9, 11_851.0))
    wanted = order(BTC_PERP, Side.BUY, "0.1", stop_loss=StopLoss(D("11848.3"), D("2.8")))
    entry = of(engine.process(c.SubmitOrder(wanted, "test", T0)), e.OrderSubmitted)[0].order.client_order_id
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "11851", "entry", entry))
    assert D("0.1") <= 11_851.199999999999 - 2.8 - 11_848.3
    assert not of(engine.process(quote(BTC_PERP, 11_851.199999999999, 11_851.3)), e.StopTrailed)
    moved = of(engine.process(quote(BTC_PERP, 11_851.2, 11_851.3)), e.StopTrailed)
    assert [one.trigger for one in moved] == [D("11848.4")]
