"""Bringing a position to a target: the guardian's ladder, what makes room for it, and how it ends."""

from typing import Any

import pytest

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.approval import Approved
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueOrderId
from core.domain.order import Order, OrderType, Side, StopLoss, TimeInForce
from core.domain.reports import BalanceReport, VenueSnapshot
from core.engine import Engine
from core.outbox import Confirm
from core.ports import Abilities
from core.reconcile.reconcile import reported
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    ETH_PERP,
    PERP,
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
    sent,
)

MS = S // 1000
WIDE = GuardianSettings(
    max_position_frac=10,
    max_sector_frac=10,
    max_gross_frac=10,
    max_net_frac=10,
    max_order_notional_frac=10,
    duplicate_window_ms=0,
    max_position_loss_frac=1,
    max_daily_loss_frac=1,
    drawdown_steps=(),
    min_liquidation_distance_frac=0,
    forced_stop_frac=0,
)
ABLE = Abilities(
    order_types=frozenset(OrderType),
    time_in_force=frozenset(TimeInForce),
    amend=True,
    reduce_only=True,
    native_stops=True,
)


def desk(quantity: str = "1", able: Abilities = ABLE, **changes: Any) -> Engine:
    """Return an engine that holds so much and has nothing to do about it."""
    engine = opened(settings=WIDE, abilities={PERP: able}, cash="1000000", **changes)
    engine.process(fill(BTC_PERP, Side.BUY, quantity, "60000", "f0"))
    return engine


def bring(engine: Engine, target: str = "0", at: int | None = None) -> list[Any]:
    """Have the guardian bring the position to a target, and return what leaves."""
    engine.state.now = at or engine.state.now
    engine._exits.bring(BTC_PERP.id, D(target), "guardian test")
    return list(engine.decided())


def exits(effects: list[Any]) -> list[Order]:
    return [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]


def tick(engine: Engine, now: int) -> list[Any]:
    return list(engine.process(m.Timer(now)))


def expired(engine: Engine, id_: ClientOrderId, now: int) -> list[Any]:
    return list(engine.process(e.OrderExpired(id_, "IOC", now, now)))


def confirmed(engine: Engine, now: int, *reported: InstrumentId) -> list[Any]:
    return list(engine.process(e.VenueReconciled(PERP, now, now, now, reported)))


# --- the ladder -------------------------------------------------------------------------------------------------------


def test_the_first_exit_is_a_collared_limit_that_ends_at_once_and_the_next_is_at_the_market() -> None:
    engine = desk()
    effects = bring(engine)
    (first,) = exits(effects)
    assert (first.type, first.time_in_force, first.reduce_only) == (OrderType.LIMIT, TimeInForce.IOC, True)
    assert first.price == D("56999.9"), "five per cent through the bid 59 999.9, on the tick"
    assert [one.urgent for one in of(effects, Approved)] == [True]
    accept(engine, first.client_order_id)
    (second,) = exits(expired(engine, first.client_order_id, T0 + 10 * MS))
    assert (second.type, second.price, second.quantity) == (OrderType.MARKET, None, D(1)), "at once, not in a second"
    engine.process(e.OrderRejected(second.client_order_id, "busy", T0 + 20 * MS, T0 + 20 * MS))
    assert not exits(tick(engine, T0 + 500 * MS)), "a no is not a storm"
    assert [one.type for one in exits(tick(engine, T0 + 1020 * MS))] == [OrderType.MARKET]


def test_a_short_is_bought_back_through_the_ask() -> None:
    engine = opened(settings=WIDE, abilities={PERP: ABLE})
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "f0"))
    (first,) = exits(bring(engine))
    assert (first.side, first.price, first.quantity) == (Side.BUY, D("63000.2"), D("0.5"))


def test_a_venue_without_immediate_limits_gets_a_market_order_first() -> None:
    engine = desk(able=Abilities(order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}), reduce_only=True))
    assert [one.type for one in exits(bring(engine))] == [OrderType.MARKET]


NO_MARKET = Abilities(
    order_types=frozenset({OrderType.LIMIT}),
    time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
    reduce_only=True,
)


@pytest.mark.parametrize("guarded", [True, False])
def test_where_a_venue_takes_no_market_orders_limits_go_further_and_further_up_to_the_collar(guarded: bool) -> None:
    engine = desk(able=NO_MARKET)
    effects = bring(engine) if guarded else list(engine.process(c.Flatten(BTC_PERP.id, "me", T0)))
    prices = []
    for second in range(1, 5):
        (one,) = exits(effects)
        assert (one.type, one.time_in_force, one.reduce_only) == (OrderType.LIMIT, TimeInForce.IOC, True)
        prices.append(one.price)
        effects = expired(engine, one.client_order_id, T0 + second * S)
        effects += [] if exits(effects) else tick(engine, T0 + second * S + MS)
    assert prices == [D("59249.9"), D("58499.9"), D("56999.9"), D("56999.9")], "1.25, 2.5 and 5 % through the bid"
    assert not of(effects, e.OrderDenied)


def test_a_flatten_by_hand_goes_at_the_market_as_ever() -> None:
    engine = desk()
    assert [one.type for one in exits(list(engine.process(c.Flatten(BTC_PERP.id, "me", T0))))] == [OrderType.MARKET]


def test_only_what_the_venue_says_is_flat() -> None:
    engine = desk()
    (first,) = exits(bring(engine))
    effects = list(engine.process(fill(BTC_PERP, Side.SELL, "1", "59990", "f1", first.client_order_id, T0 + 5 * MS)))
    assert of(effects, Confirm) == [Confirm(PERP)]
    assert engine.state.exits.flattening, "our record says flat; nobody else has"
    assert not of(confirmed(engine, T0 + 4 * MS, BTC_PERP.id), e.FlattenEnded), "asked before the last fill"
    assert not of(confirmed(engine, T0 + 6 * MS, ETH_PERP.id), e.FlattenEnded), "a missing report is not flat"
    (end,) = of(confirmed(engine, T0 + 7 * MS, BTC_PERP.id), e.FlattenEnded)
    assert (end.flat, end.reason) == (True, "flat, confirmed by the venue")
    assert engine.state.exits.flattened == {BTC_PERP.id: T0 + 7 * MS}


def rests_of_others(engine: Engine, side: Side, quantity: str, *, reduce_only: bool) -> None:
    theirs = order(BTC_PERP, side, quantity, "90000", client_order_id="x1", venue=PERP, reduce_only=reduce_only)
    engine.process(e.OrderFound(theirs, PERP, VenueOrderId("v1"), D(0), T0))


def test_a_resting_exit_of_others_holds_up_no_exit_of_ours() -> None:
    engine = desk()
    rests_of_others(engine, Side.SELL, "1", reduce_only=True)
    (first,) = exits(bring(engine))
    assert first.quantity == D(1), "the venue lets neither exceed the position"
    assert of(list(engine.process(c.Flatten(BTC_PERP.id, "me", T0))), e.FlattenEnded) == []
    engine.process(fill(BTC_PERP, Side.SELL, "1", "59990", "f1", first.client_order_id, T0 + MS))
    assert of(confirmed(engine, T0 + 5 * MS, BTC_PERP.id), e.FlattenEnded)[0].flat
    assert ClientOrderId("x1") in engine.state.blotter.open, "it is theirs to cancel"


def test_what_others_keep_from_being_closed_is_not_flat() -> None:
    engine = desk(able=Abilities(order_types=frozenset({OrderType.MARKET})))
    rests_of_others(engine, Side.SELL, "1", reduce_only=False)
    effects = list(engine.process(c.Flatten(BTC_PERP.id, "me", T0)))
    (end,) = of(effects, e.FlattenEnded)
    assert not end.flat
    assert "orders of others stand in the way" in end.reason
    assert not exits(bring(engine))
    assert not of(confirmed(engine, T0 + 5 * MS, BTC_PERP.id), e.FlattenEnded)
    assert [type(one) for one in of(tick(engine, T0 + 31 * S), w.ExitEscalated)] == [w.ExitEscalated]


def test_what_was_never_held_is_flat_when_its_venue_has_answered() -> None:
    """Only an order was open there. No venue reports a position that never was: nothing else would ever be said."""
    engine = opened(settings=WIDE, abilities={PERP: ABLE})
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.1", "59000"))
    accept(engine, id_)
    bring(engine)
    engine.process(e.OrderCancelled(id_, "asked", T0 + 5 * MS, T0 + 5 * MS))
    assert engine.state.exits.flattening, "the venue has not answered since"
    assert not of(confirmed(engine, T0 + 4 * MS), e.FlattenEnded), "asked before the order was over"
    assert [end.flat for end in of(confirmed(engine, T0 + 6 * MS), e.FlattenEnded)] == [True]


def test_an_exit_that_takes_too_long_calls_a_human_once_and_goes_on() -> None:
    engine = desk()
    (first,) = exits(bring(engine))
    expired(engine, first.client_order_id, T0 + MS)
    called, sent_later = [], 0
    for second in range(1, 91):
        for record in list(engine.state.blotter.open.values()):
            expired(engine, record.order.client_order_id, T0 + second * S - MS)
        effects = tick(engine, T0 + second * S)
        called += [(second, event) for event in of(effects, w.ExitEscalated)]
        sent_later += len(exits(effects)) if second > 30 else 0
    assert [second for second, _ in called] == [30]
    assert "30 s and" in called[0][1].reason
    assert engine.state.exits.flattening[BTC_PERP.id].escalated == T0 + 30 * S
    assert 11 <= sent_later <= 13, "every five seconds"


def test_a_traders_flatten_that_its_venue_does_not_answer_calls_a_human_too() -> None:
    """A resting stop is to go first, and its cancel is not answered: nothing may leave beside it."""
    engine = desk()
    stop = sent(engine, order(BTC_PERP, Side.SELL, "1", "70000", reduce_only=True))
    accept(engine, stop)
    effects = list(engine.process(c.Flatten(BTC_PERP.id, "me", T0)))
    assert not exits(effects)
    called = []
    for second in range(1, 91):
        effects = tick(engine, T0 + second * S)
        called += [(second, event.reason) for event in of(effects, w.ExitEscalated)]
        assert not exits(effects)
    assert [second for second, _ in called] == [30]
    assert "since me asked, it is not done" in called[0][1]


def test_where_nothing_was_ever_held_a_late_fill_is_closed_again() -> None:
    engine = opened(settings=WIDE, abilities={PERP: ABLE}, cash="1000000")
    entry = sent(engine, order(BTC_PERP, Side.BUY, "1", "50000"))
    accept(engine, entry)
    effects = bring(engine)
    assert [type(one.command) for one in of(effects, Approved)] == [c.CancelOrder]
    engine.process(e.OrderCancelled(entry, "asked", T0 + MS, T0 + MS))
    (end,) = of(confirmed(engine, T0 + 2 * MS), e.FlattenEnded)
    assert (end.flat, engine.state.exits.flattening) == (True, {}), "no venue reports a position that never was"
    engine.process(fill(BTC_PERP, Side.BUY, "1", "50000", "late", entry, T0 + 3 * MS))
    assert engine.state.exits.flattening, "a fill behind it is closed again"


def test_a_flat_that_is_never_confirmed_calls_a_human_too() -> None:
    engine = desk()
    (first,) = exits(bring(engine))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "59990", "f1", first.client_order_id, T0 + MS))
    asked = [len(of(tick(engine, T0 + second * S), Confirm)) for second in range(1, 29)]
    assert 12 <= sum(asked) <= 15, "every two seconds"
    (call,) = of(tick(engine, T0 + 31 * S), w.ExitEscalated)
    assert "has not confirmed it flat" in call.reason


def test_a_venue_that_is_away_is_told_once_and_tried_when_it_is_back() -> None:
    engine = desk()
    engine.process(m.VenueStatus(PERP, False, "link lost", T0))
    assert not exits(bring(engine))
    assert not of([one for second in range(1, 20) for one in tick(engine, T0 + second * S)], e.OrderDenied)
    engine.process(m.VenueStatus(PERP, True, "", T0 + 20 * S))
    engine.process(e.VenueReconciled(PERP, T0, T0 + 20 * S))
    assert exits(tick(engine, T0 + 21 * S))


def test_a_flatten_by_hand_outlasts_an_outage() -> None:
    """Twenty tries are twenty answers of the venue: while it is away, or has not said what it holds, none counts."""
    engine = desk()
    engine.process(m.VenueStatus(PERP, False, "link lost", T0))
    effects = list(engine.process(c.Flatten(BTC_PERP.id, "me", T0)))
    assert len(of(effects, e.OrderDenied)) == 1, "said once"
    effects = [one for second in range(1, 60) for one in tick(engine, T0 + second * S)]
    assert not of(effects, e.OrderDenied)
    assert [one.ts for one in of(effects, w.ExitEscalated)] == [T0 + 30 * S], "a human is called once"
    engine.process(m.VenueStatus(PERP, True, "", T0 + 60 * S))
    tries = 0
    for second in range(61, 90):
        for one in exits(tick(engine, T0 + second * S)):
            tries += 1
            engine.process(e.OrderRejected(one.client_order_id, "busy", T0 + second * S, T0 + second * S))
    assert tries > 20
    assert engine.state.exits.flattening, "not reconciled yet"
    engine.process(m.VenueStatus(PERP, False, "again", T0 + 90 * S))
    assert len(of(tick(engine, T0 + 91 * S), e.OrderDenied)) == 1, "another outage"
    engine.process(m.VenueStatus(PERP, True, "", T0 + 92 * S))
    engine.process(e.VenueReconciled(PERP, T0, T0 + 92 * S))
    (last,) = exits(tick(engine, T0 + 93 * S))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "59990", "f1", last.client_order_id, T0 + 93 * S))
    assert not engine.state.exits.flattening


def test_a_flatten_by_hand_that_its_venue_refuses_twenty_times_is_given_up() -> None:
    engine, ends, tries = desk(), list[Any](), 0
    effects = list(engine.process(c.Flatten(BTC_PERP.id, "me", T0)))
    for second in range(1, 40):
        tries += len(exits(effects))
        effects = []
        for one in list(engine.state.blotter.open):
            effects += engine.process(e.OrderRejected(one, "busy", T0 + second * S - MS, T0 + second * S - MS))
        effects += tick(engine, T0 + second * S)
        ends += of(effects, e.FlattenEnded)
    assert (tries, [end.flat for end in ends]) == (20, [False])


# --- targets ----------------------------------------------------------------------------------------------------------


def test_a_part_is_closed_and_no_more() -> None:
    engine = desk()
    (first,) = exits(bring(engine, "0.4"))
    assert first.quantity == D("0.6")
    assert not exits(tick(engine, T0 + 2 * S)), "what is on its way counts"
    effects = list(engine.process(fill(BTC_PERP, Side.SELL, "0.6", "59990", "f1", first.client_order_id, T0 + 3 * S)))
    assert [(end.flat, end.reason) for end in of(effects, e.FlattenEnded)] == [(True, "reduced")]
    assert (held(engine, BTC_PERP), engine.state.exits.flattened) == (D("0.4"), {})


def test_a_breach_tightens_a_target_and_never_widens_it() -> None:
    engine = desk()
    (first,) = exits(bring(engine, "0.4"))
    assert not bring(engine, "0.5")
    (more,) = exits(bring(engine, "0"))
    assert (first.quantity, more.quantity) == (D("0.6"), D("0.4")), "together the position, never more"
    assert engine.state.exits.flattening[BTC_PERP.id].target == 0


def test_a_guardian_goes_on_where_a_hand_began() -> None:
    engine = desk()
    (first,) = exits(list(engine.process(c.Flatten(BTC_PERP.id, "me", T0))))
    engine.process(c.Flatten(BTC_PERP.id, "me again", T0))
    engine.state.now = T0 + S
    assert engine.state.exits.flattening[BTC_PERP.id].origin == "me again"
    assert not exits(bring(engine, "0.3")), "what is on its way is enough"
    closing = engine.state.exits.flattening[BTC_PERP.id]
    assert closing.since == T0 + S, "what the guardian does counts from when it began"
    assert (closing.target, closing.origin) == (D(0), "guardian test"), "all of it still, and it gives up nothing"
    assert not bring(engine), "it is the guardian's already"
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "x1", first.client_order_id))
    assert of(tick(engine, T0 + 100 * MS), Confirm) or engine.state.exits.flattening, "the venue has to say so"
    other = desk()
    bring(other, "0.5")
    other.process(c.Flatten(BTC_PERP.id, "me", T0))
    closing = other.state.exits.flattening[BTC_PERP.id]
    assert (closing.target, closing.guarded) == (D(0), True)


def test_a_stop_that_covers_all_is_made_smaller_before_a_part_is_closed() -> None:
    engine = desk()
    stop = sent(engine, order(BTC_PERP, Side.SELL, "1", type=OrderType.STOP, trigger=D(55_000), reduce_only=True))
    accept(engine, stop)
    effects = bring(engine, "0.4")
    assert not exits(effects), "the stop still has all of it"
    (amend,) = [one.command for one in of(effects, Approved)]
    assert (amend.client_order_id, amend.quantity) == (stop, D("0.4"))
    (exit_,) = exits(list(engine.process(e.OrderAmended(stop, D("0.4"), None, None, T0 + MS, T0 + MS))))
    assert exit_.quantity == D("0.6")
    assert engine.state.blotter.orders[stop].remaining == D("0.4"), "protected throughout"


def test_a_bracket_survives_a_reduction_and_ends_with_a_flat() -> None:
    engine = opened(settings=WIDE, abilities={PERP: ABLE}, cash="1000000")
    wanted = order(BTC_PERP, Side.BUY, "1", "60000", stop_loss=StopLoss(D(55_000)))
    entry = sent(engine, wanted)
    accept(engine, entry)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0", entry))
    (stop,) = [one.order.client_order_id for one in engine.state.blotter.open.values()]
    accept(engine, stop)
    bring(engine, "0.4")
    (exit_,) = exits(list(engine.process(e.OrderAmended(stop, D("0.4"), None, None, T0 + MS, T0 + MS))))
    engine.process(fill(BTC_PERP, Side.SELL, "0.6", "59990", "f1", exit_.client_order_id, T0 + 2 * MS))
    assert [(one.left, one.entry) for one in engine.state.brackets.all()] == [(D("0.4"), entry)]
    bring(engine)
    assert not engine.state.brackets.all()


def test_where_reduce_only_is_not_kept_an_entry_on_the_exits_side_counts_until_it_is_cancelled() -> None:
    loose = Abilities(order_types=frozenset(OrderType), time_in_force=frozenset(TimeInForce))
    engine = desk(able=loose)
    entry = sent(engine, order(BTC_PERP, Side.SELL, "0.7", "61000"))
    accept(engine, entry)
    (exit_,) = exits(bring(engine))
    assert exit_.quantity == D("0.3"), "0.7 may be sold by the entry before its cancel arrives"
    (rest,) = exits(list(engine.process(e.OrderCancelled(entry, "asked", T0, T0 + MS))))
    assert exit_.quantity + rest.quantity == 1


def test_exits_have_a_budget_of_their_own() -> None:
    engine = opened(settings=GuardianSettings(max_orders_per_second=1, max_exits_per_second=1), cash="1000000")
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f0"))
    engine.process(fill(ETH_PERP, Side.BUY, "0.1", "3000", "f1"))
    sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    first = exits(list(engine.process(c.Flatten(ts=T0))))
    assert [one.instrument for one in first] == [BTC_PERP.id], "the biggest first, the entry's rate does not count"
    assert not exits(tick(engine, T0 + 900 * MS))
    assert [one.instrument for one in exits(tick(engine, T0 + S))] == [ETH_PERP.id]


def test_a_restarted_engine_goes_on_with_a_reduction() -> None:
    engine = desk()
    bring(engine, "0.4")
    again = Engine(engine.guardian, abilities={PERP: ABLE}, strict=True)
    again.restore(engine.state.image())
    again.process(e.EngineStarted(2, "test", "paper", T0 + S))
    again.process(m.VenueStatus(PERP, True, "", T0 + S))
    assert not exits(tick(again, T0 + 2 * S)), "what the first run had sent is learnt first"
    lost = next(iter(again.state.blotter.open))
    again.process(fill(BTC_PERP, Side.SELL, "0.2", "59990", "f1", lost, T0 + 3 * S))
    again.process(e.OrderExpired(lost, "IOC", T0 + 3 * S, T0 + 3 * S))
    again.process(e.VenueReconciled(PERP, T0 + 3 * S, T0 + 3 * S, T0 + 3 * S))
    (rest,) = exits(tick(again, T0 + 4 * S)) or exits(list(again.decided()))
    assert rest.quantity == D("0.4"), "1 less 0.2, down to 0.4"


@pytest.mark.parametrize("target", ["0", "0.4"])
def test_dust_is_no_exit(target: str) -> None:
    engine = desk("0.0005" if target == "0" else "0.4005")
    assert not exits(bring(engine, target))


def spot_dust(quantity: str = "0.00008") -> Engine:
    """Hold coins that are worth less than the least order: 4.80 of 5; their venue refuses any order for them."""
    engine = opened(settings=WIDE, abilities={SPOT: ABLE}, cash="1000000")
    engine.process(fill(BTC_SPOT, Side.BUY, quantity, "60000", "f0"))
    return engine


def refused(engine: Engine, effects: list[Any], now: int) -> None:
    for one in exits(effects):
        engine.process(e.OrderRejected(one.client_order_id, "Filter failure: NOTIONAL", now, now))


def test_coins_worth_less_than_an_order_are_flat_and_bar_no_entry() -> None:
    engine = spot_dust()
    engine._exits.bring(BTC_SPOT.id, D(0), "guardian test")
    effects = list(engine.decided())
    refused(engine, effects, T0)
    effects += tick(engine, T0 + MS)
    wallet = BalanceReport(Asset("BTC"), D("0.00008"), D("0.00008"))
    seen = VenueSnapshot(SPOT, T0 + 2 * MS, (), (), (), (wallet,))
    told = reported(engine.state, seen)
    effects += engine.process(e.VenueReconciled(SPOT, T0 + 2 * MS, T0 + 2 * MS, T0 + 2 * MS, told))
    assert not exits(effects), "no order of so little leaves"
    (end,) = of(effects, e.FlattenEnded)
    assert end.flat
    assert end.reason.startswith("flat but for dust (0.00008), which is less than the venue's least order")
    assert sent(engine, order(BTC_SPOT, Side.BUY, "0.01", "59990"), T0 + 3 * MS)


def test_a_flatten_by_hand_of_dust_says_what_it_leaves() -> None:
    engine = spot_dust()
    (end,) = of(list(engine.process(c.Flatten(BTC_SPOT.id, "me", T0))), e.FlattenEnded)
    assert (end.flat, "dust (0.00008)" in end.reason) == (True, True)
    assert not of(list(engine.process(c.StopEngine(ts=T0))), e.CommandRefused), "nothing is open"


def test_of_coins_no_part_is_reduced_that_is_worth_less_than_an_order() -> None:
    engine = spot_dust("0.01008")
    engine._exits.bring(BTC_SPOT.id, D("0.01"), "guardian test")
    effects = list(engine.decided())
    assert not exits(effects)
    assert [end.flat for end in of(effects, e.FlattenEnded)] == [True]


def test_dust_of_coins_is_not_watched() -> None:
    """It could not be closed: a rule that its age breaks would begin an exit with each timer."""
    engine = spot_dust()
    assert BTC_SPOT.id not in engine.guardian.watch.held
    engine.process(fill(BTC_SPOT, Side.BUY, "0.01", "60000", "f1"))
    assert BTC_SPOT.id in engine.guardian.watch.held


# --- what fails beside an exit ----------------------------------------------------------------------------------------


def broken(*_: object) -> None:
    raise RuntimeError("a side computation fails")


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("core.engine.mark_account", ""),
        ("_guard", "timer"),
        ("_guard", "follow"),
        ("_alerts", "look"),
        ("_orders", "expire"),
        ("_protection", "timer"),
    ],
)
def test_an_exit_goes_on_whatever_fails_beside_it(where: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 9: the timer tries an exit again that its venue refused, with any of its other duties broken."""
    engine = desk(strict=False)
    engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "f1"))
    if name:
        monkeypatch.setattr(getattr(engine, where), name, broken)
    else:
        monkeypatch.setattr(where, broken)
    (first,) = exits(list(engine.process(c.Flatten(BTC_PERP.id, "me", T0))))
    engine.process(e.OrderRejected(first.client_order_id, "busy", T0, T0))
    assert [one.instrument for one in exits(tick(engine, T0 + 2 * S))] == [BTC_PERP.id]


def test_an_instrument_whose_exit_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = desk(strict=False)
    engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "f1"))
    for one in exits(list(engine.process(c.Flatten(None, "me", T0)))):
        engine.process(e.OrderRejected(one.client_order_id, "busy", T0, T0))
    step = engine._exits.step
    failing = next(iter(engine.state.exits.flattening))
    monkeypatch.setattr(engine._exits, "step", lambda one: broken() if one == failing else step(one))
    others = [one for one in engine.state.exits.flattening if one != failing]
    assert others == [one.instrument for one in exits(tick(engine, T0 + 2 * S))] != []
