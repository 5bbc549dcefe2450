"""Stops by hand whose exit was forced: each is its bracket's stop from then on, whatever becomes of the exit."""

from typing import Any

import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain.differences import OrderAdopted
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.order import Order, OrderStatus, OrderType, Side, StopLoss
from core.engine import Engine
from tests.core.guardian.watch.kit import acted, exits, long, price, timer, watched
from tests.core.kit import BTC_PERP, PERP, T0, D, S, accept, fill, held, of, order, record_of, sent


def found(*stops: tuple[str, int]) -> tuple[Engine, list[ClientOrderId]]:
    """Return 1 long with stops that its venue gave back, each of an entry whose record was lost."""
    engine, ids = long(watched(forced_stop_frac=0.001)), []
    for number, (quantity, trigger) in enumerate(stops):
        id_, entry = ClientOrderId(f"r1t{2 * number + 1}"), ClientOrderId(f"r1t{2 * number}")
        stop = Order(
            BTC_PERP.id,
            Side.SELL,
            D(quantity),
            OrderType.STOP,
            trigger=D(trigger),
            reduce_only=True,
            client_order_id=id_,
            venue=PERP,
            strategy_intent="stop_loss",
            parent=entry,
        )
        engine.process(e.OrderFound(stop, PERP, VenueOrderId(id_), D(0), T0))
        engine.process(OrderAdopted(id_, "its id is ours: its record was lost", T0))
        ids.append(id_)
    engine.process(e.VenueReconciled(PERP, T0, T0))
    return engine, ids


def answer(engine: Engine, effects: list[Any], now: int, but: ClientOrderId) -> None:
    """Do at once all that is asked of the venue, but for the cancel of one order."""
    queue = list(effects)
    while queue:
        one = queue.pop(0)
        if isinstance(one, e.CancelSubmitted) and one.client_order_id != but:
            queue += engine.process(e.OrderCancelled(one.client_order_id, "asked", now, now))
        elif isinstance(one, e.AmendSubmitted):
            id_ = one.client_order_id
            queue += engine.process(e.OrderAmended(id_, one.quantity, one.price, one.trigger, now, now))
        for exit_ in exits([one]):
            id_ = exit_.client_order_id
            queue += engine.process(fill(BTC_PERP, exit_.side, str(exit_.quantity), "58040", f"x{id_}", id_, now))


@pytest.mark.parametrize("refused", [True, False])
def test_a_found_stop_that_fills_before_its_cancel_closes_its_part_once_and_the_others_stay(refused: bool) -> None:
    """The race of a forced stop: it is triggered at its venue while its cancel is on the way there."""
    engine, (first, second, third) = found(("0.5", 58_000), ("0.3", 55_000), ("0.2", 54_000))
    answer(engine, price(engine, 58_040.0, now=T0 + S), T0 + S, first)
    if refused:
        engine.process(e.CancelRejected(first, "it is being triggered", T0 + S, T0 + S))
    answer(engine, list(engine.process(fill(BTC_PERP, Side.SELL, "0.5", "58000", "f", first, T0 + S))), T0 + S, first)
    for second_ in range(2, 8):
        now = T0 + second_ * S
        answer(engine, [*price(engine, 58_200.0, now=now), *timer(engine, now)], now, first)
    assert held(engine, BTC_PERP) == D("0.5")
    assert {one.order.client_order_id: one.remaining for one in engine.state.blotter.open.values()} == {
        second: D("0.3"),
        third: D("0.2"),
    }


def outlived(trail: str = "", **changes: Any) -> tuple[Engine, ClientOrderId]:
    """Return half of a position whose stop by hand for 0.3 was taken in, and stands: a drawdown step went before it."""
    engine = long(watched(forced_stop_frac=0.001, drawdown_steps=((0.0197, 0.5), (0.5, 0.0)), **changes))
    kind = OrderType.TRAILING_STOP if trail else OrderType.STOP
    distance = D(trail) if trail else None
    stop = order(BTC_PERP, Side.SELL, "0.3", type=kind, trigger=D(58_000), trail=distance, reduce_only=True)
    accept(engine, id_ := sent(engine, stop))
    price(engine, 58_040.0, now=T0 + S)
    price(engine, 58_020.0, now=T0 + S + 1)
    assert ("drawdown", "reduce") in acted(timer(engine, T0 + S + 1))
    for millisecond in (2, 3):
        price(engine, 59_500.0, now=T0 + S + millisecond)
    for record in list(engine.state.blotter.open.values()):
        exit_, now = record.order, T0 + S + 4
        if exit_.client_order_id != id_:
            engine.process(fill(BTC_PERP, Side.SELL, str(exit_.quantity), "58040", "x", exit_.client_order_id, now))
    engine.process(e.CancelRejected(id_, "the venue still lists it", T0 + 2 * S, T0 + 2 * S))
    for second in range(3, 6):
        price(engine, 59_500.0, now=T0 + second * S)
        timer(engine, T0 + second * S)
    (bracket,) = [one for one in engine.state.brackets.all() if one.entry == id_]
    assert (held(engine, BTC_PERP), bracket.left) == (D("0.5"), D("0.3"))
    assert (engine.state.exits.flattening, record_of(engine, id_).status) == ({}, OrderStatus.ACCEPTED)
    return engine, id_


def test_a_trader_moves_a_stop_that_was_taken_in_and_nothing_is_forced_where_it_stood() -> None:
    engine, id_ = outlived()
    now = T0 + 6 * S
    engine.process(c.AmendOrder(id_, None, None, D(55_000), "trader", now))
    engine.process(e.OrderAmended(id_, None, None, D(55_000), now, now))
    assert [one.stop for one in engine.state.brackets.all()] == [StopLoss(D(55_000))]
    effects = [*price(engine, 58_600.0, now=now), *price(engine, 58_040.0, now=now + S), *timer(engine, now + S)]
    assert not acted(effects)
    assert not exits(effects)


def test_a_trader_cancels_a_stop_that_was_taken_in_and_it_is_not_placed_again() -> None:
    engine, id_ = outlived()
    now = T0 + 6 * S
    effects = list(engine.process(c.CancelOrder(id_, "trader", now)))
    effects += engine.process(e.OrderCancelled(id_, "asked", now, now))
    for second in range(7, 12):
        effects += [*price(engine, 59_500.0, now=T0 + second * S), *timer(engine, T0 + second * S)]
    assert engine.state.brackets.all() == []
    assert not exits(effects)


def test_a_stop_that_was_taken_in_and_may_not_be_changed_is_not_asked_without_end() -> None:
    engine, id_ = outlived()
    asked, effects, now = 0, list(engine.process(fill(BTC_PERP, Side.SELL, "0.4", "59500", "hand", ts=T0 + 6 * S))), 0
    while effects and asked < 100:
        answers = list[Any]()
        for one in effects:
            if isinstance(one, e.AmendSubmitted | e.CancelSubmitted):
                asked += 1
                now = T0 + 6 * S + asked * 1_000_000
                refused = e.AmendRejected if isinstance(one, e.AmendSubmitted) else e.CancelRejected
                answers += engine.process(refused(id_, "not now", now, now))
        effects = answers
    assert 1 <= asked <= 2, "asked to become smaller, then to go, then not within a second"


def test_a_stop_that_was_taken_in_protects_its_part_once() -> None:
    engine, id_ = outlived(protective_stop="place", max_position_loss_frac=0.2)
    timer(engine, T0 + 6 * S)
    stops = {one.order.client_order_id: one.remaining for one in engine.state.blotter.open.values()}
    assert (sum(stops.values()), stops[id_]) == (D("0.5"), D("0.3"))


def test_a_trailing_stop_that_was_taken_in_trails_on() -> None:
    engine, id_ = outlived(trail="2000")
    (bracket,) = engine.state.brackets.all()
    assert bracket.stop is not None
    assert bracket.stop.trail == D(2_000)
    for second in range(6, 12):
        price(engine, 61_000.0, now=T0 + second * S)
    assert bracket.stop.price == D(59_000)
    assert not of(list(timer(engine, T0 + 12 * S)), e.AmendSubmitted), f"the venue trails {id_} itself"
