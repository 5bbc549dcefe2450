"""Protective stops: who must have one, until when, and who says that it rests."""

from typing import Any

import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.order import OrderRecord, OrderStatus, OrderType, Side, StopLoss
from core.engine import Engine
from core.outbox import Confirm
from core.ports import Abilities
from tests.core.guardian.watch.kit import ABLE, acted, exits, long, timer, watched
from tests.core.kit import BTC_PERP, ETH_PERP, PERP, T0, D, S, accept, denied, fill, of, order, sent

MS = S // 1000


def bracketed(mode: str = "brackets", able: Abilities = ABLE) -> tuple[Engine, OrderRecord]:
    """Hold 1 that an entry with a stop has opened; return the stop, which nobody has acknowledged yet."""
    engine = watched(protective_stop=mode, able=able)
    entry = sent(engine, order(BTC_PERP, Side.BUY, "1", "60000", stop_loss=StopLoss(D(55_000))))
    accept(engine, entry)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0", entry))
    timer(engine, T0)
    (stop,) = engine.state.blotter.open.values()
    return engine, stop


def listed(engine: Engine, at: int) -> list[Any]:
    return list(engine.process(e.VenueReconciled(PERP, at, at, at, (BTC_PERP.id,))))


def missing(engine: Engine) -> dict[str, str]:
    return {str(id_): why for id_, why in engine.state.watched.unprotected.items()}


def test_a_stop_is_asked_about_and_confirmed() -> None:
    engine, stop = bracketed()
    accept(engine, stop.order.client_order_id, T0 + 10 * MS)
    assert of(timer(engine, T0 + 100 * MS), Confirm) == [Confirm(PERP)]
    assert not of(timer(engine, T0 + 200 * MS), Confirm), "once a second"
    listed(engine, T0 + 300 * MS)
    assert not of(timer(engine, T0 + 1500 * MS), Confirm)
    assert not acted(timer(engine, T0 + 60 * S))


def test_a_stop_that_the_venue_does_not_acknowledge_in_time_is_unprotected() -> None:
    engine, stop = bracketed()
    assert not acted(timer(engine, T0 + 2 * S - 1))
    effects = timer(engine, T0 + 2 * S)
    assert acted(effects) == [("protective_stop", "deny")]
    assert missing(engine) == {BTC_PERP.id: "stops cover 0 of 1"}
    refusal = denied(engine, order(BTC_PERP, Side.BUY, "1"))
    assert (refusal.limit, "UNPROTECTED" in refusal.reason) == ("unprotected", True)
    assert sent(engine, order(ETH_PERP, Side.BUY, "1")), "elsewhere they pass"
    assert not acted(timer(engine, T0 + 3 * S)), "said once"
    accept(engine, stop.order.client_order_id, T0 + 4 * S)
    timer(engine, T0 + 4 * S)
    listed(engine, T0 + 5 * S)
    assert acted(timer(engine, T0 + 6 * S)) == [("protective_stop", "ease")]
    assert missing(engine) == {}


def test_an_amend_of_a_stop_that_nobody_has_acknowledged_makes_it_none_that_rests() -> None:
    engine, stop = bracketed()
    id_ = stop.order.client_order_id
    engine.process(c.AmendOrder(id_, trigger=D(55_100)))
    assert engine.state.blotter.open[id_].status is OrderStatus.PENDING_AMEND
    timer(engine, T0 + 100 * MS)
    listed(engine, T0 + 300 * MS)  # it waits for its record: a look says nothing of it
    assert acted(timer(engine, T0 + 2 * S)) == [("protective_stop", "deny")]


def test_a_stop_that_rests_covers_while_an_amend_of_it_is_under_way() -> None:
    engine, stop = bracketed()
    id_ = stop.order.client_order_id
    accept(engine, id_, T0 + 10 * MS)
    timer(engine, T0 + 100 * MS)
    listed(engine, T0 + 300 * MS)
    engine.process(c.AmendOrder(id_, trigger=D(55_100)))
    assert engine.state.blotter.open[id_].status is OrderStatus.PENDING_AMEND
    assert not acted(timer(engine, T0 + 1 * S) + timer(engine, T0 + 60 * S))


def test_an_acknowledgement_alone_is_not_enough() -> None:
    engine, stop = bracketed()
    accept(engine, stop.order.client_order_id, T0 + 10 * MS)
    timer(engine, T0 + 100 * MS)
    engine.process(e.VenueReconciled(PERP, T0, T0 + S, T0 + 50 * MS, ()))  # asked before it was seen here
    assert acted(timer(engine, T0 + 2 * S)) == [("protective_stop", "deny")]
    assert missing(engine) == {BTC_PERP.id: "BINANCE-FUTURES has not confirmed its stop"}


def test_who_trades_without_a_stop_is_left_alone_by_default() -> None:
    engine = long(watched(protective_stop="brackets"))
    assert not acted(timer(engine, T0) + timer(engine, T0 + 10 * S))
    assert sent(engine, order(BTC_PERP, Side.BUY, "1"))


def test_with_alert_every_position_must_have_one() -> None:
    engine = long(watched(protective_stop="alert"))
    timer(engine, T0)
    assert acted(timer(engine, T0 + 2 * S)) == [("protective_stop", "deny")]
    assert denied(engine, order(BTC_PERP, Side.BUY, "1")).limit == "unprotected"
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "f1"))
    assert missing(engine) == {}, "flat needs no stop"


@pytest.mark.parametrize(("side", "trigger"), [(Side.BUY, "58000.0"), (Side.SELL, "62000.0")])
def test_with_place_the_guardian_protects_what_nobody_did(side: Side, trigger: str) -> None:
    engine = watched(protective_stop="place", max_position_loss_frac=0.02)
    engine.process(fill(BTC_PERP, side, "1", "60000", "f0"))
    effects = timer(engine, T0 + 100 * MS)
    assert acted(effects) == [("protective_stop", "place")]
    (stop,) = of(effects, e.OrderSubmitted)
    assert (stop.order.type, stop.order.quantity, stop.order.trigger, stop.order.reduce_only) == (
        OrderType.STOP,
        D(1),
        D(trigger),
        True,
    ), "where two per cent of 100 000 are lost"
    accept(engine, stop.order.client_order_id)
    assert not acted(timer(engine, T0 + 200 * MS))
    engine.process(fill(BTC_PERP, side, "0.5", "60000", "f1"))
    (more,) = of(timer(engine, T0 + 300 * MS), e.OrderSubmitted)
    assert more.order.quantity == D("0.5"), "what has come since"
    assert sum(one.left for one in engine.state.brackets.all()) == D("1.5")


def test_a_stop_that_was_found_is_not_placed_again() -> None:
    engine = watched(protective_stop="place", max_position_loss_frac=0.02)
    found = order(
        BTC_PERP,
        Side.SELL,
        "1",
        type=OrderType.STOP,
        trigger=D(58_000),
        reduce_only=True,
        client_order_id=ClientOrderId("r1t1"),
        parent=ClientOrderId("lost"),
        strategy_intent="stop_loss",
        venue=PERP,
    )
    engine.process(e.OrderFound(found, PERP, VenueOrderId("v"), D(0), ts=T0))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0"))
    assert not acted(timer(engine, T0 + 100 * MS))
    engine.process(fill(BTC_PERP, Side.BUY, "0.5", "60000", "f1"))
    (more,) = of(timer(engine, T0 + 200 * MS), e.OrderSubmitted)
    assert more.order.quantity == D("0.5")


def test_a_placed_stop_goes_with_what_it_protects() -> None:
    engine = watched(protective_stop="place", max_position_loss_frac=0.02)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0"))
    (stop,) = of(timer(engine, T0 + 100 * MS), e.OrderSubmitted)
    accept(engine, stop.order.client_order_id)
    effects = engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "f1"))
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [stop.order.client_order_id]


def test_a_placed_stop_survives_a_restart() -> None:
    engine = long(watched(protective_stop="place", max_position_loss_frac=0.02))
    timer(engine, T0 + 100 * MS)
    again = watched(protective_stop="place", max_position_loss_frac=0.02)
    again.restore(engine.state.image())
    assert again.state.brackets.all() == engine.state.brackets.all()
    assert len(again.state.brackets.all()) == 1


def test_what_is_being_closed_needs_no_stop() -> None:
    engine = long(watched(protective_stop="alert"))
    engine.process(c.Flatten(BTC_PERP.id, "me", T0))
    assert not acted(timer(engine, T0) + timer(engine, T0 + 5 * S))


def test_a_stop_in_the_engine_is_one_where_the_venue_holds_none() -> None:
    plain = Abilities(order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}), amend=True, reduce_only=True)
    engine, stop = bracketed(able=plain)
    assert stop.status.value == "APPROVED"
    effects = [one for second in range(1, 9) for one in timer(engine, T0 + second * S)]
    assert not acted(effects)
    assert not of(effects, Confirm)
    assert not exits(effects)


def test_a_stop_that_took_anothers_place_between_two_looks_is_asked_about_anew() -> None:
    engine, stop = bracketed()
    id_ = stop.order.client_order_id
    accept(engine, id_, T0 + 10 * MS)
    timer(engine, T0 + 100 * MS)
    listed(engine, T0 + 200 * MS)
    assert not of(timer(engine, T0 + 2 * S), Confirm)
    ended = engine.process(e.OrderCancelled(id_, "by the venue", T0 + 2010 * MS, T0 + 2010 * MS))
    (other,) = [event.order.client_order_id for event in of(ended, e.OrderSubmitted)]
    accept(engine, other, T0 + 2020 * MS)
    assert of(timer(engine, T0 + 2100 * MS), Confirm) == [Confirm(PERP)]
    timer(engine, T0 + 4200 * MS)
    assert missing(engine) == {BTC_PERP.id: f"{PERP} has not confirmed its stop"}
    listed(engine, T0 + 4300 * MS)
    timer(engine, T0 + 4400 * MS)
    assert not missing(engine)


def test_with_place_a_part_is_closed_by_a_plain_order_and_the_stop_follows() -> None:
    """The stop covers all of it, so a reduce-only order finds no room; what to do instead is said, and works."""
    engine = long(watched(protective_stop="place", max_position_loss_frac=0.02))
    (stop,) = of(timer(engine, T0 + 100 * MS), e.OrderSubmitted)
    accept(engine, stop.order.client_order_id)
    refusal = denied(engine, order(BTC_PERP, Side.SELL, "0.4", reduce_only=True))
    assert "send it without reduce-only" in refusal.reason
    id_ = sent(engine, order(BTC_PERP, Side.SELL, "0.4"))
    (smaller,) = of(engine.process(fill(BTC_PERP, Side.SELL, "0.4", "60000", "f1", id_)), e.AmendSubmitted)
    assert (smaller.client_order_id, smaller.quantity) == (stop.order.client_order_id, D("0.6"))
    engine.process(c.SetTradingState(TradingState.HALTED, "", "", "me", "test", T0))
    assert "without reduce-only" not in denied(engine, order(BTC_PERP, Side.SELL, "0.1", reduce_only=True)).reason
