"""Changes of orders that are lost, late or refused while fills go on: nothing is forgotten, stuck or counted twice."""

import pytest
from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.order import OrderRecord, OrderStatus, OrderType, Side, StopLoss, TakeProfit
from core.domain.reports import OrderReport, VenueSnapshot
from core.engine import Engine
from core.execution.brackets import RETRY_NS
from core.execution.flatten import ASK_NS
from core.ports import Abilities
from core.reconcile.reconcile import reconcile
from tests.core.execution.test_brackets import WHOLE, WIDE, desk, entered, exits, only, price
from tests.core.execution.test_exit_ladder import ABLE, bring
from tests.core.execution.test_exit_ladder import WIDE as QUIET
from tests.core.kit import BTC_PERP, PERP, T0, D, S, accept, fill, held, of, opened, order, record_of, sent


def resting(quantity: str) -> tuple[Engine, ClientOrderId]:
    """Return an engine with an entry that rests at its venue, and its id."""
    engine = opened(settings=WIDE, abilities=WHOLE)
    id_ = sent(engine, order(BTC_PERP, Side.BUY, quantity, "60000"))
    accept(engine, id_)
    return engine, id_


def listed(engine: Engine, record: OrderRecord) -> None:
    """Have a look at the venue find an order that rests as it was."""
    id_ = record.order.client_order_id
    report = OrderReport(
        id_, VenueOrderId("v"), record.order, OrderStatus.PARTIALLY_FILLED, record.filled, None, T0 + 9 * S
    )
    seen = VenueSnapshot(PERP, T0 + 9 * S, (report,), (), (), ())
    for event in list(reconcile(engine.state, seen, {}, T0 + 9 * S, T0 + 10 * S)):
        engine.process(event)


# --- nothing stays unknown --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["cancel", "amend"])
def test_a_partly_filled_order_whose_change_was_lost_is_known_again_once_its_venue_lists_it(change: str) -> None:
    engine, id_ = resting("0.06")
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", id_))
    engine.process(c.CancelOrder(id_, "me") if change == "cancel" else c.AmendOrder(id_, D("0.07"), origin="me"))
    engine.process(e.OrderUnknown(id_, "no answer", T0))
    assert record_of(engine, id_).status is OrderStatus.UNKNOWN
    listed(engine, record_of(engine, id_))
    assert record_of(engine, id_).status is OrderStatus.PARTIALLY_FILLED


# --- a change on its way may rest at the venue already ----------------------------------------------------------------


def test_fills_beyond_the_old_quantity_leave_an_order_open_whose_change_is_on_its_way() -> None:
    engine, id_ = resting("0.01")
    engine.process(c.AmendOrder(id_, D("0.07"), origin="me"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.03", "60000", "f1", id_))
    assert record_of(engine, id_).is_open
    assert record_of(engine, id_).may_fill == D("0.04")
    engine.process(e.OrderAmended(id_, D("0.07"), None, None, T0, T0))
    record = record_of(engine, id_)
    assert (record.status, record.remaining) == (OrderStatus.PARTIALLY_FILLED, D("0.04"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.04", "60000", "f2", id_))
    assert record_of(engine, id_).status is OrderStatus.FILLED


def test_an_order_that_has_filled_when_its_change_is_refused_is_filled() -> None:
    engine, id_ = resting("0.01")
    engine.process(c.AmendOrder(id_, D("0.07"), origin="me"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", id_))
    assert record_of(engine, id_).is_open, "not known yet"
    engine.process(e.AmendRejected(id_, "filled", T0, T0))
    assert record_of(engine, id_).status is OrderStatus.FILLED


def test_a_no_to_a_cancel_says_nothing_of_a_larger_change_on_its_way() -> None:
    engine, id_ = resting("0.01")
    engine.process(c.AmendOrder(id_, D("0.07"), origin="me"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", id_))
    engine.process(c.CancelOrder(id_, "me"))
    engine.process(e.CancelRejected(id_, "not sent", T0, T0))
    assert (record_of(engine, id_).is_open, record_of(engine, id_).may_fill) == (True, D("0.06"))
    engine.process(e.AmendRejected(id_, "filled", T0, T0))
    assert record_of(engine, id_).status is OrderStatus.FILLED


def test_a_stop_that_fills_all_it_was_while_its_change_is_unknown_stays_to_be_asked_about() -> None:
    """What the change asks for would hold up every exit, and the venue may never have had it."""
    engine = opened(settings=QUIET, abilities=WHOLE, cash="1000000")
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0"))
    stop = sent(engine, order(BTC_PERP, Side.SELL, "0.5", type=OrderType.STOP, trigger=D(58_000), reduce_only=True))
    accept(engine, stop)
    engine.process(c.AmendOrder(stop, D(1), origin="me"))
    engine.process(e.OrderUnknown(stop, "no answer", T0 + S))
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "57900", "f1", stop, T0 + 2 * S))
    record = record_of(engine, stop)
    assert (record.status, record.may_fill) == (OrderStatus.UNKNOWN, D("0.5"))
    engine.process(e.CancelRejected(stop, "Unknown order", T0 + 3 * S, T0 + 3 * S))
    assert record_of(engine, stop).status is OrderStatus.UNKNOWN
    engine.process(e.OrderRejected(stop, "not known there", T0 + 4 * S, T0 + 4 * S))
    assert not record_of(engine, stop).is_open


def test_a_stop_whose_change_got_lost_is_not_taken_away_before_its_venue_was_asked() -> None:
    engine = opened(settings=QUIET, abilities=WHOLE, cash="1000000")
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0"))
    stop = sent(engine, order(BTC_PERP, Side.SELL, "1", type=OrderType.STOP, trigger=D(58_000), reduce_only=True))
    accept(engine, stop)
    bring(engine, "0.6")
    assert record_of(engine, stop).asked == D("0.6")
    engine.process(e.OrderUnknown(stop, "no answer", T0 + S))
    engine.process(m.Timer(T0 + 2 * S))
    assert record_of(engine, stop).status is OrderStatus.UNKNOWN
    engine.process(m.Timer(T0 + ASK_NS))
    assert record_of(engine, stop).status is OrderStatus.PENDING_CANCEL, "nobody has answered for too long"


# --- a stop becomes smaller and follows whatever rests beside it ------------------------------------------------------


def beside_a_limit() -> tuple[Engine, ClientOrderId]:
    """Hold 0.09, protect 0.05 of it, rest a limit of 0.03, and sell 0.06 by hand."""
    engine = desk()
    entered(engine, "0.05", stop_loss=StopLoss(D(59_000)))
    stop_id = only(engine).client_order_id
    accept(engine, stop_id)
    engine.process(fill(BTC_PERP, Side.BUY, "0.04", "60000", "plain"))
    limit = sent(engine, order(BTC_PERP, Side.SELL, "0.03", "62000", reduce_only=True))
    accept(engine, limit)
    engine.process(fill(BTC_PERP, Side.SELL, "0.06", "60000", "hand"))
    return engine, stop_id


def test_a_stop_becomes_smaller_though_a_limit_takes_the_room() -> None:
    engine, stop = beside_a_limit()
    assert record_of(engine, stop).asked == D("0.03")
    engine.process(e.OrderAmended(stop, D("0.03"), None, None, T0, T0))
    denials = [of(list(engine.process(m.Timer(T0 + number * S))), e.ChangeDenied) for number in range(1, 5)]
    assert not any(denials)


def test_a_change_that_would_make_an_exit_larger_than_its_room_is_denied_still() -> None:
    engine, stop = beside_a_limit()
    engine.process(e.OrderAmended(stop, D("0.03"), None, None, T0, T0))
    (no,) = of(list(engine.process(c.AmendOrder(stop, D("0.04"), origin="me"))), e.ChangeDenied)
    assert no.limit == "reduce_only"


def test_a_stop_that_is_smaller_than_its_bracket_follows_the_price_all_the_same() -> None:
    engine = desk({PERP: Abilities(amend=True)})
    entered(engine, "0.05", stop_loss=StopLoss(D(59_500), D(500)))
    stop = only(engine).client_order_id
    engine.process(c.AmendOrder(stop, D("0.02"), origin="me"))
    limit = sent(engine, order(BTC_PERP, Side.SELL, "0.03", "62000", reduce_only=True))
    accept(engine, limit)
    engine.process(m.Timer(T0 + 2 * RETRY_NS))
    price(engine, 60_400.1)
    engine.process(m.Timer(T0 + 3 * RETRY_NS))
    assert record_of(engine, stop).order.trigger == D(59_900)


# --- what the guardian protects ---------------------------------------------------------------------------------------


def test_the_guardians_stop_goes_to_a_bracket_of_take_profits_alone_and_they_fire() -> None:
    settings = replace(QUIET, protective_stop="place", max_position_loss_frac=0.02)
    engine = opened(settings=settings, abilities=WHOLE)
    half = (TakeProfit(D(60_500), D("0.5")),)
    entry = entered(engine, "0.08", stop_loss=None, take_profit=half)
    engine.process(m.Timer(T0 + S))
    (bracket,) = engine.state.brackets.all()
    (stop,) = exits(engine)
    assert (bracket.entry, bracket.left, stop.order.quantity) == (entry, D("0.08"), D("0.08"))
    accept(engine, stop.order.client_order_id)
    price(engine, 60_600.0, T0 + 2 * S)
    engine.process(e.OrderAmended(stop.order.client_order_id, D("0.04"), None, None, T0 + 2 * S, T0 + 2 * S))
    (target,) = [one.order for one in exits(engine) if one.order.type is not OrderType.STOP]
    engine.process(fill(BTC_PERP, Side.SELL, "0.04", "60600", "t", target.client_order_id, T0 + 2 * S))
    engine.process(m.Timer(T0 + 3 * S))
    assert (held(engine, BTC_PERP), sum(one.left for one in engine.state.brackets.all())) == (D("0.04"), D("0.04"))


def test_a_bracket_that_misses_less_than_an_order_beside_something_else_asks_for_nothing() -> None:
    coarse = replace(BTC_PERP, min_size=D("0.01"))
    engine = opened(instruments=(coarse,), settings=WIDE, abilities={PERP: replace(ABLE, amend=False)}, cash="1000000")
    engine.process(fill(coarse, Side.BUY, "1", "60000", "bare"))
    entry = sent(engine, order(coarse, Side.BUY, "0.06", "60000", stop_loss=StopLoss(D(58_000))))
    accept(engine, entry)
    engine.process(fill(coarse, Side.BUY, "0.05", "60000", "e1", entry))
    accept(engine, only(engine).client_order_id)
    engine.process(fill(coarse, Side.BUY, "0.003", "60000", "e2", entry))
    engine.process(e.OrderCancelled(entry, "asked", T0, T0))
    assert not [one for second in range(1, 9) for one in of(engine.process(m.Timer(T0 + second * S)), e.OrderDenied)]
    assert only(engine).quantity == D("0.05")
