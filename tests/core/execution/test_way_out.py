"""What stood in the way of an exit, or took more than it should: refused changes, late fills, waiting stops, turns."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.differences import DifferenceFound, DifferenceKind, OrderAdopted
from core.domain.identifiers import Asset, ClientOrderId, VenueOrderId
from core.domain.instrument import Instrument
from core.domain.market import SentinelStatus
from core.domain.order import OrderStatus, OrderType, Side, StopLoss, TakeProfit
from core.engine import Engine
from core.outbox import Effect
from core.state.state import State
from tests.core.execution.test_exit_ladder import ABLE, WIDE, bring, desk, exits, expired, tick
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    BTC_USDC,
    ETH_PERP,
    PERP,
    PRICES,
    SPOT,
    T0,
    D,
    S,
    accept,
    fill,
    held,
    of,
    opened,
    order,
    quote,
    record_of,
    sent,
    submit,
)

WAITING = replace(ABLE, order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}), native_stops=False)
"""A venue that holds no stops: they wait here."""


def stopped(engine: Engine, quantity: str = "1", trigger: int = 58_000) -> ClientOrderId:
    """Place a stop by hand and return its id."""
    effects = submit(
        engine, order(BTC_PERP, Side.SELL, quantity, type=OrderType.STOP, trigger=D(trigger), reduce_only=True)
    )
    made = of(effects, e.OrderApproved) or of(effects, e.OrderSubmitted)
    id_: ClientOrderId = made[0].order.client_order_id
    return id_


def differing(ours: str, theirs: str) -> DifferenceFound:
    return DifferenceFound(
        1,
        DifferenceKind.POSITION,
        PERP,
        BTC_PERP.holding,
        Asset(""),
        ClientOrderId(""),
        D(ours),
        D(theirs),
        D(60_000),
        "position",
        T0,
    )


def sentinel(holds: str) -> SentinelStatus:
    return SentinelStatus(seen=T0, armed=True, holds=holds, did="", drill="", ts=T0)


def at(engine: Engine, price: float, now: int) -> list[Effect]:
    return [*engine.process(quote(BTC_PERP, price - 0.1, price + 0.1, now)), *tick(engine, now)]


# --- what stands in the way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bracketed", [False, True])
def test_a_stop_whose_change_is_refused_is_taken_away_for_the_exit(bracketed: bool) -> None:
    engine = opened(settings=WIDE, abilities={PERP: ABLE}, cash="1000000")
    stop_loss = StopLoss(D(55_000)) if bracketed else None
    entry = sent(engine, order(BTC_PERP, Side.BUY, "1", "60000", stop_loss=stop_loss))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f", entry))
    stop = next(iter(engine.state.blotter.open)) if bracketed else stopped(engine)
    accept(engine, stop)
    bring(engine, "0.5")
    engine.process(e.AmendRejected(stop, "cannot be modified", T0, T0))
    for number in range(1, 4):
        tick(engine, T0 + number * S)
    assert record_of(engine, stop).status is OrderStatus.PENDING_CANCEL
    (exit_,) = exits(list(engine.process(e.OrderCancelled(stop, "asked", T0, T0))))
    assert exit_.quantity == D("0.5")


def test_a_stop_on_another_pair_is_made_smaller_on_its_own_step(monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = replace(BTC_USDC, size_step=D("0.001"), min_size=D("0.001"))
    monkeypatch.setitem(PRICES, coarse.id, 60_000.0)
    engine = opened(instruments=(BTC_SPOT, coarse), settings=WIDE, cash="1000000", abilities={SPOT: ABLE})
    engine.process(fill(BTC_SPOT, Side.BUY, "1", "60000", "f0"))
    stop = sent(engine, order(coarse, Side.SELL, "1", type=OrderType.STOP, trigger=D(50_000), reduce_only=True))
    accept(engine, stop)
    engine._exits.bring(BTC_SPOT.id, D("0.54321"), "guardian test")
    (change,) = of(list(engine.decided()), e.AmendSubmitted)
    assert change.quantity == D("0.543")


def test_a_stop_that_waits_here_is_made_smaller_and_guards_what_is_left() -> None:
    engine = desk("1", WAITING)
    stop = stopped(engine)
    (exit_,) = exits([*bring(engine, "0.5"), *tick(engine, T0 + S)])
    assert (record_of(engine, stop).status, record_of(engine, stop).order.quantity) == (OrderStatus.APPROVED, D("0.5"))
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "x", exit_.client_order_id))
    assert [one.quantity for one in exits(at(engine, 57_900.0, T0 + 2 * S))] == [D("0.5")]


# --- late fills -------------------------------------------------------------------------------------------------------


def flattened(instrument: Instrument) -> tuple[Engine, ClientOrderId]:
    """Return an engine that was flattened, and the id of the entry which that has cancelled."""
    able = {instrument.venue: ABLE}
    engine = opened(instruments=(instrument,), settings=WIDE, abilities=able, cash="1000000")
    old = sent(engine, order(instrument, Side.BUY, "0.5", "59000"))
    accept(engine, old)
    engine.process(c.Flatten(instrument.id, "me", T0))
    engine.process(e.OrderCancelled(old, "asked", T0, T0))
    return engine, old


def test_a_late_fill_takes_no_more_than_it_brought() -> None:
    engine, old = flattened(BTC_PERP)
    hour = T0 + 3_600 * S
    at(engine, 60_000.0, hour)
    new = sent(engine, order(BTC_PERP, Side.BUY, "5", "60000", stop_loss=StopLoss(D(59_000))), hour)
    engine.process(fill(BTC_PERP, Side.BUY, "5", "60000", "n", new, hour))
    (stop,) = [one.order for one in engine.state.blotter.open.values() if one.order.parent == new]
    accept(engine, stop.client_order_id, hour)
    more = sent(engine, order(BTC_PERP, Side.BUY, "1", "58000"), hour)
    accept(engine, more, hour)
    effects = list(engine.process(fill(BTC_PERP, Side.BUY, "0.001", "59000", "late", old, hour)))
    (exit_,) = exits(effects)
    assert (exit_.quantity, exit_.reduce_only) == (D("0.001"), True)
    assert not of(effects, e.FlattenStarted) + of(effects, e.CancelSubmitted), "what is wanted is left alone"
    engine.process(fill(BTC_PERP, Side.SELL, "0.001", "60000", "x", exit_.client_order_id, hour + S))
    tick(engine, hour + 2 * S)
    assert held(engine, BTC_PERP) == 5
    assert not engine.state.exits.flattening
    (bracket,) = engine.state.brackets.all()
    assert bracket.left == D(5)


def test_a_late_fill_that_no_order_can_sell_stays() -> None:
    engine, old = flattened(BTC_SPOT)
    engine.process(fill(BTC_SPOT, Side.BUY, "1", "60000", "wanted"))
    effects = list(engine.process(fill(BTC_SPOT, Side.BUY, "0.00001", "59000", "late", old)))
    assert not exits(effects)
    assert not of(effects, e.FlattenStarted)


def test_a_late_fill_that_closes_something_is_left_alone() -> None:
    engine, old = flattened(BTC_PERP)
    engine.process(fill(BTC_PERP, Side.SELL, "2", "60000", "short"))
    effects = list(engine.process(fill(BTC_PERP, Side.BUY, "0.5", "59000", "late", old)))
    assert not of(effects, e.FlattenStarted)
    assert not exits(effects)


def test_what_was_adopted_before_a_flatten_is_closed_with_it() -> None:
    engine = desk("1")
    theirs = order(BTC_PERP, Side.BUY, "1", "59000", client_order_id=ClientOrderId("hand"), venue=PERP)
    engine.process(e.OrderFound(theirs, PERP, VenueOrderId("v1"), D(0), ts=T0))
    engine.process(OrderAdopted(ClientOrderId("hand"), "me", T0))
    (exit_,) = exits(list(engine.process(c.Flatten(BTC_PERP.id, "me", T0))))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "x", exit_.client_order_id))
    engine.process(e.OrderCancelled(ClientOrderId("hand"), "asked", T0 + S, T0 + S))
    tick(engine, T0 + S)
    assert not engine.state.exits.flattening
    assert of(list(engine.process(fill(BTC_PERP, Side.BUY, "1", "59000", "a", "hand"))), e.FlattenStarted)


def test_what_a_trader_adopts_is_wanted_though_it_is_older_than_a_flatten() -> None:
    engine = desk("1")
    theirs = order(BTC_PERP, Side.BUY, "1", "59000", client_order_id=ClientOrderId("hand"), venue=PERP)
    engine.process(e.OrderFound(theirs, PERP, VenueOrderId("v1"), D(0), ts=T0))
    (exit_,) = exits(list(engine.process(c.Flatten(BTC_PERP.id, "me", T0))))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "x", exit_.client_order_id))
    assert engine.state.exits.flattened
    engine.process(OrderAdopted(ClientOrderId("hand"), "me", T0 + S))
    assert not of(list(engine.process(fill(BTC_PERP, Side.BUY, "1", "59000", "a", "hand"))), e.FlattenStarted)
    assert held(engine, BTC_PERP) == 1.0


# --- pace and turns ---------------------------------------------------------------------------------------------------


def test_exits_that_close_something_are_never_too_many() -> None:
    small = replace(BTC_PERP, max_size=D(1))
    engine = opened(instruments=(small,), settings=WIDE, abilities={PERP: ABLE}, cash="10000000")
    engine.process(fill(small, Side.BUY, "30", "60000", "f0"))
    effects = list(engine.process(c.Flatten(small.id, "me", T0)))
    for number in range(1, 31):
        (exit_,) = exits(effects)
        engine.process(fill(small, Side.SELL, "1", "60000", f"x{number}", exit_.client_order_id))
        effects = tick(engine, T0 + number * S)
    assert not held(engine, small)
    assert not engine.state.exits.flattening


def test_an_exit_that_waits_for_its_venue_calls_a_human_too() -> None:
    engine = desk()
    engine.process(m.VenueStatus(PERP, False, "down", T0))
    assert not exits(bring(engine))
    assert not of(tick(engine, T0 + 29 * S), w.ExitEscalated)
    assert of(tick(engine, T0 + 30 * S), w.ExitEscalated)


def test_behind_a_restart_a_human_is_called_when_the_venue_had_its_time_to_answer() -> None:
    before = desk()
    bring(before)
    engine = Engine(before.guardian, State.from_image(before.state.image()), abilities={PERP: ABLE})
    hour = T0 + 3_600 * S
    engine.process(m.VenueStatus(PERP, False, "down", hour))
    assert not of(tick(engine, hour + S), w.ExitEscalated)
    assert of(tick(engine, hour + 31 * S), w.ExitEscalated)


def test_behind_a_call_the_second_step_of_the_ladder_is_taken_at_once_all_the_same() -> None:
    engine = desk()
    engine.process(m.VenueStatus(PERP, False, "down", T0))
    bring(engine)
    tick(engine, T0 + 31 * S)
    engine.process(m.VenueStatus(PERP, True, "", T0 + 40 * S))
    (first,) = exits(at(engine, 60_000.0, T0 + 44 * S))
    (second,) = exits(expired(engine, first.client_order_id, T0 + 44 * S))
    assert (first.type, second.type) == (OrderType.LIMIT, OrderType.MARKET)
    assert not exits(expired(engine, second.client_order_id, T0 + 45 * S)), "and the next takes its time"


def test_exits_that_are_refused_take_no_others_turn() -> None:
    engine = opened(settings=replace(WIDE, max_exits_per_second=1), abilities={PERP: ABLE}, cash="1000000")
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "b"))
    engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "e"))
    leaves: list[str] = []
    effects = list(engine.process(c.Flatten(None, "me", T0)))
    for second in range(1, 4):
        for exit_ in exits(effects):
            leaves.append(exit_.instrument)
            engine.process(e.OrderRejected(exit_.client_order_id, "trading is halted", T0, T0))
        effects = tick(engine, T0 + second * S)
    assert leaves == [BTC_PERP.id, ETH_PERP.id, BTC_PERP.id]


# --- stops that were found --------------------------------------------------------------------------------------------


def found(engine: Engine, quantity: str, id_: str = "r1t1", side: Side = Side.SELL) -> ClientOrderId:
    """Have a stop found at the venue whose entry no record knows, as ours; return its id."""
    stop = order(
        BTC_PERP,
        side,
        quantity,
        type=OrderType.STOP,
        trigger=D(58_000 if side is Side.SELL else 62_000),
        reduce_only=True,
        client_order_id=ClientOrderId(id_),
        parent=ClientOrderId("lost"),
        strategy_intent="stop_loss",
        venue=PERP,
    )
    engine.process(e.OrderFound(stop, PERP, VenueOrderId(id_), D(0), ts=T0))
    engine.process(OrderAdopted(stop.client_order_id, "me", T0))
    return stop.client_order_id


def lost_and_back(engine: Engine) -> None:
    """Lose the link and have it back, not yet reconciled, the instrument's exits being watched."""
    engine._protection.watched.add(BTC_PERP.id)
    engine.process(m.VenueStatus(PERP, False, "lost", T0))
    engine.process(m.VenueStatus(PERP, True, "", T0))


def looked(engine: Engine, now: int = T0) -> list[ClientOrderId]:
    """Have the venue compared, and return what is cancelled."""
    effects = [*engine.process(e.VenueReconciled(PERP, now, now)), *tick(engine, now + S)]
    return [one.client_order_id for one in of(effects, e.CancelSubmitted)]


def test_a_found_stop_stays_for_what_is_held_and_goes_with_it() -> None:
    engine = desk("1")
    stop = found(engine, "1")
    assert not looked(engine)
    effects = list(engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "gone")))
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [stop]


def test_a_found_stop_stays_until_it_is_known_what_is_held() -> None:
    engine = opened(settings=WIDE, abilities={PERP: ABLE}, cash="1000000")
    lost_and_back(engine)
    stop = found(engine, "1")
    tick(engine, T0 + S)
    assert record_of(engine, stop).status is OrderStatus.ACCEPTED
    assert looked(engine) == [stop]


def test_a_found_stop_stays_for_what_the_venue_alone_says_is_held() -> None:
    engine = opened(settings=WIDE, abilities={PERP: ABLE}, cash="1000000")
    engine.process(differing("0", "1"))
    found(engine, "1")
    assert not looked(engine)


@pytest.mark.parametrize("order_", [("SELL", "BUY"), ("BUY", "SELL")])
def test_a_found_stop_of_the_other_side_takes_no_place(order_: tuple[str, str]) -> None:
    engine = desk("2")
    lost_and_back(engine)
    ids = {side: found(engine, "1", f"r1{side}", Side[side]) for side in order_}
    assert looked(engine) == [ids["BUY"]]
    assert record_of(engine, ids["SELL"]).status is OrderStatus.ACCEPTED
    assert record_of(engine, ids["BUY"]).status is OrderStatus.PENDING_CANCEL


def test_found_stops_leave_what_a_bracket_protects_to_it() -> None:
    engine = desk("1")
    kept, spare = found(engine, "0.6"), found(engine, "0.4", "r1t2")
    assert not looked(engine)
    engine.process(w.BracketBegun(ClientOrderId("b"), BTC_PERP.id, Side.BUY, D("0.4"), D(59_000), T0 + S))
    assert record_of(engine, spare).status is OrderStatus.PENDING_CANCEL
    effects = list(engine.process(e.OrderCancelled(spare, "asked", T0, T0)))
    assert [(one.order.parent, one.order.quantity) for one in of(effects, e.OrderSubmitted)] == [("b", D("0.4"))]
    assert record_of(engine, kept).status is OrderStatus.ACCEPTED


@pytest.mark.parametrize(
    ("price", "exits_of"),
    [
        (57_000.0, {"stop_loss": StopLoss(D(58_000))}),
        (62_000.0, {"stop_loss": StopLoss(D(50_000)), "take_profit": (TakeProfit(D(61_000), D(1)),)}),
    ],
)
def test_a_late_fill_of_a_bracketed_entry_is_closed_once(price: float, exits_of: dict[str, Any]) -> None:
    """It is given back at once; the bracket that it begins, its stop or its target met already, adds nothing."""
    engine = desk("0")
    entry = sent(engine, order(BTC_PERP, Side.BUY, "1", "59000", **exits_of))
    accept(engine, entry)
    engine.process(c.Flatten(BTC_PERP.id, "me", T0 + S))
    engine.process(e.OrderCancelled(entry, "asked", T0 + S, T0 + S))
    tick(engine, T0 + 2 * S)
    for nanosecond in (0, 1):
        at(engine, price, T0 + 3 * S + nanosecond)
    new = sent(engine, order(BTC_PERP, Side.BUY, "0.5"), T0 + 3 * S + 2)
    engine.process(fill(BTC_PERP, Side.BUY, "0.5", str(price), "n", new, T0 + 3 * S + 2))
    left = exits(list(engine.process(fill(BTC_PERP, Side.BUY, "0.3", "59000", "late", entry, T0 + 4 * S))))
    assert [one.quantity for one in left if one.type is not OrderType.STOP] == [D("0.3")]
