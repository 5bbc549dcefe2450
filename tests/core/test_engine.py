"""The engine: what one message leads to, and what never happens whatever comes."""

import msgspec
import pytest

from core.config.settings import AccountSettings
from core.digest import Digest
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved, TradingState
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueOrderId
from core.domain.message import Event, Message, Nanoseconds
from core.domain.order import OrderStatus, OrderType, Side, TimeInForce
from core.engine import Engine
from core.errors import IllegalTransition
from core.execution.ids import OrderIds
from core.outbox import Resync
from core.ports import Abilities
from core.state.state import State
from tests.core.kit import (
    BTC_PERP,
    ETH_PERP,
    PERP,
    SPOT,
    T0,
    D,
    S,
    accept,
    denied,
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

A = OrderStatus
DAY = 86_400 * S
NO_STOPS = {PERP: Abilities()}


def test_an_order_is_recorded_before_it_is_sent_and_sent_once() -> None:
    effects = submit(opened(ids=OrderIds("t7")), order(BTC_PERP, Side.BUY, "0.01"))
    assert [type(effect) for effect in effects] == [e.OrderSubmitted, Approved]
    submitted, approved = effects
    assert isinstance(approved, Approved)
    assert isinstance(submitted, e.OrderSubmitted)
    assert approved.command.order == submitted.order
    assert (submitted.order.client_order_id, submitted.venue) == ("t7r1n1", PERP)


def test_an_instruction_is_never_carried_out_twice() -> None:
    engine = opened()
    wanted = order(BTC_PERP, Side.BUY, "0.01", operation_id="op-1")
    sent(engine, wanted)
    refusal = denied(engine, wanted, T0 + 60 * S)
    assert (refusal.limit, refusal.reason) == ("operation_id", "this instruction was taken before; nothing sent")


def test_a_denied_instruction_counts_as_taken_too() -> None:
    engine = opened()
    denied(engine, order(BTC_PERP, Side.BUY, "0", operation_id="op-1"))
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.01", operation_id="op-1")).limit == "operation_id"


def test_ids_never_repeat_across_runs() -> None:
    engine = opened()
    first = sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    engine.process(e.EngineStarted(2, "test", "paper", T0))
    engine.process(m.VenueStatus(PERP, True, "", T0))
    engine.process(e.VenueReconciled(PERP, T0, T0))
    second = sent(engine, order(BTC_PERP, Side.BUY, "0.02"))
    assert (first, second) == ("t0r1n1", "t0r2n2")


def test_a_fill_told_twice_is_one_fill_and_no_record() -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    one = fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", id_)
    assert of(engine.process(one), e.OrderFilled) == [one]
    assert list(engine.process(one)) == []
    assert held(engine, BTC_PERP) == D("0.01")


def test_an_illegal_event_is_kept_and_not_applied() -> None:
    engine = opened(strict=False)
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", id_))
    effects = list(engine.process(e.OrderRejected(id_, "no", T0, T0)))
    assert [type(effect) for effect in effects] == [e.IllegalEventSeen]
    assert "FILLED cannot become REJECTED" in of(effects, e.IllegalEventSeen)[0].what
    assert (record_of(engine, id_).status, engine.state.illegal) == (A.FILLED, 1)


def test_strict_raises() -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    engine.process(e.OrderCancelled(id_, "", T0, T0))
    with pytest.raises(IllegalTransition):
        engine.process(e.OrderRejected(id_, "no", T0, T0))
    with pytest.raises(KeyError):
        engine.process(e.OrderCancelled(ClientOrderId("who"), "", T0, T0))


def test_a_fill_is_never_lost_even_where_the_orders_life_objects() -> None:
    engine = opened(strict=False)
    refused = denied(engine, order(BTC_PERP, Side.BUY, "0"))
    effects = engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", refused.order.client_order_id))
    assert [type(effect) for effect in effects] == [e.OrderFilled, e.IllegalEventSeen]
    assert held(engine, BTC_PERP) == D("0.01")


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "0", "-1", "sNaN"])
@pytest.mark.parametrize("where", ["quantity", "price"])
def test_a_senseless_fill_reaches_no_record(where: str, quantity: str) -> None:
    engine = opened()
    one = fill(BTC_PERP, Side.BUY, "1", "60000", "f1").replace(**{where: D(quantity)})
    effects = engine.process(one)
    assert [type(effect) for effect in effects] == [e.IllegalEventSeen]
    assert f"{where} must be a number greater than 0" in of(effects, e.IllegalEventSeen)[0].what
    assert held(engine, BTC_PERP) == 0


def test_a_senseless_fee_too() -> None:
    effects = opened().process(fill(BTC_PERP, Side.BUY, "1", "60000", "f1").replace(fee=D("NaN")))
    assert "fee must be a number" in of(effects, e.IllegalEventSeen)[0].what


def test_a_fill_of_an_unknown_instrument_is_counted() -> None:
    engine = Engine(strict=True)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f1"))
    assert engine.state.illegal == 1


def test_contract_data_are_recorded_when_they_are_new() -> None:
    engine = Engine()
    assert of(engine.process(m.InstrumentDefined(BTC_PERP, T0)), m.InstrumentDefined)
    assert not engine.process(m.InstrumentDefined(BTC_PERP, T0 + S))
    changed = msgspec.structs.replace(BTC_PERP, min_size=D(1))
    assert of(engine.process(m.InstrumentDefined(changed, T0)), m.InstrumentDefined)


def test_the_recorded_events_alone_rebuild_the_ledger() -> None:
    engine, events = Engine(), list[Event]()
    script: list[Message] = [
        e.EngineStarted(1, "t", "paper", T0),
        m.InstrumentDefined(BTC_PERP, T0),
        m.VenueStatus(PERP, True, "", T0),
        e.BalanceSet(PERP, Asset("USDT"), D(50000), "opening", T0),
        e.VenueReconciled(PERP, T0, T0),
        quote(BTC_PERP, 59_999.9, 60_000.1),
        c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01"), "test", T0),
        fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", "t0r1n1"),
    ]
    for message in script:
        events += [effect for effect in engine.process(message) if isinstance(effect, Event)]
    again = Engine()
    for event in events:
        again.recover(event)
    assert again.state.ledger.positions == engine.state.ledger.positions
    assert again.state.ledger.balances == engine.state.ledger.balances
    assert again.state.blotter.orders == engine.state.blotter.orders
    assert again.state.illegal == 0


# --- cancel, amend ----------------------------------------------------------------------------------------------------


def test_one_cancel_at_a_time() -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    accept(engine, id_)
    first = engine.process(c.CancelOrder(id_, "test", T0))
    assert [type(effect) for effect in first] == [e.CancelSubmitted, Approved]
    assert not engine.process(c.CancelOrder(id_, "test", T0))


@pytest.mark.parametrize("command", [c.CancelOrder, c.AmendOrder])
def test_what_cannot_be_changed_is_refused_in_words(command: type[c.CancelOrder | c.AmendOrder]) -> None:
    engine = opened()
    unknown = of(engine.process(command(ClientOrderId("x"), ts=T0)), e.CommandRefused)[0]
    assert "order x is not known" in unknown.reason
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", id_))
    assert "is FILLED already" in of(engine.process(command(id_, ts=T0)), e.CommandRefused)[0].reason


def test_an_amend_passes_the_guardian_and_waits_for_the_venue() -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    accept(engine, id_)
    effects = engine.process(c.AmendOrder(id_, price=D("59000.1"), ts=T0))
    assert [type(effect) for effect in effects] == [e.AmendSubmitted, Approved]
    again = of(engine.process(c.AmendOrder(id_, price=D(59001), ts=T0)), e.CommandRefused)[0]
    assert "PENDING_AMEND; wait" in again.reason
    engine.process(e.OrderAmended(id_, None, D("59000.1"), None, T0, T0))
    assert record_of(engine, id_).order.price == D("59000.1")


def test_a_venue_that_cannot_amend_is_not_asked() -> None:
    engine = opened(abilities=NO_STOPS)
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    assert "cannot amend" in of(engine.process(c.AmendOrder(id_, price=D(1), ts=T0)), e.CommandRefused)[0].reason


def test_a_partly_filled_exit_can_be_amended_over_what_is_left() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    id_ = sent(engine, order(BTC_PERP, Side.SELL, "0.02", "61000", reduce_only=True))
    accept(engine, id_)
    engine.process(fill(BTC_PERP, Side.SELL, "0.01", "61000", "f1", id_))
    assert of(engine.process(c.AmendOrder(id_, price=D(60900), ts=T0)), Approved)


def test_cancel_all_leaves_what_is_not_ours() -> None:
    engine = opened()
    mine = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    eth = sent(engine, order(ETH_PERP, Side.BUY, "0.1", "2900"))
    foreign = order(BTC_PERP, Side.SELL, "1", "70000", client_order_id="foreign-1", venue=PERP)
    engine.process(e.OrderFound(foreign, PERP, VenueOrderId("1"), D(0), T0))
    one = of(engine.process(c.CancelAll(BTC_PERP.id, ts=T0)), e.CancelSubmitted)
    assert [event.client_order_id for event in one] == [mine]
    rest = of(engine.process(c.CancelAll(ts=T0)), e.CancelSubmitted)
    assert [event.client_order_id for event in rest] == [eth]


def test_an_order_of_others_where_we_trade_nothing_holds_up_nothing() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    unknown = InstrumentId("BINANCE-FUTURES:PERPETUAL:X-USDT@LIN")
    wanted = order(BTC_PERP, Side.BUY, "1", "50", client_order_id="x1", venue=PERP)
    elsewhere = msgspec.structs.replace(wanted, instrument=unknown)
    engine.process(e.OrderFound(elsewhere, PERP, VenueOrderId("1"), D(0), T0))
    sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    assert exits(engine.process(c.Flatten(BTC_PERP.id, ts=T0))) == [(Side.SELL, "0.02", True)]


# --- flatten ----------------------------------------------------------------------------------------------------------


def exits(effects: object) -> list[tuple[Side, str, bool]]:
    found = of(list(effects), e.OrderSubmitted)  # type: ignore[call-overload]
    return [(event.order.side, str(event.order.quantity), event.order.reduce_only) for event in found]


def test_flatten_cancels_and_exits_and_ends_flat() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    accept(engine, entry)
    effects = list(engine.process(c.Flatten(BTC_PERP.id, ts=T0)))
    assert [event.client_order_id for event in of(effects, e.CancelSubmitted)] == [entry]
    assert exits(effects) == [(Side.SELL, "0.02", True)]
    exit_id = of(effects, e.OrderSubmitted)[0].order.client_order_id
    engine.process(fill(BTC_PERP, Side.SELL, "0.02", "60000", "f1", exit_id))
    assert not of(engine.process(m.Timer(T0 + 2 * S)), e.OrderSubmitted)
    engine.process(e.OrderCancelled(entry, "asked", T0, T0))
    assert held(engine, BTC_PERP) == 0
    assert not engine.state.blotter.open


def test_an_entry_that_fills_while_it_is_being_cancelled_is_closed_too() -> None:
    engine = opened()
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    accept(engine, entry)
    assert exits(engine.process(c.Flatten(BTC_PERP.id, ts=T0 + S))) == []
    effects = engine.process(fill(BTC_PERP, Side.BUY, "0.01", "59000", "f1", entry, T0 + S))
    assert exits(effects) == [(Side.SELL, "0.01", True)]


def test_a_fill_behind_the_confirmed_cancel_is_closed_too() -> None:
    engine = opened()
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    engine.process(c.Flatten(BTC_PERP.id, ts=T0 + S))
    engine.process(e.OrderCancelled(entry, "asked", T0, T0 + S))
    effects = engine.process(fill(BTC_PERP, Side.BUY, "0.01", "59000", "f1", entry, T0 + 9 * S))
    assert exits(effects) == [(Side.SELL, "0.01", True)]


def test_a_new_entry_after_a_flatten_is_left_alone() -> None:
    engine = opened()
    engine.process(c.Flatten(BTC_PERP.id, ts=T0 + S))
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"), T0 + S + 1)
    assert exits(engine.process(fill(BTC_PERP, Side.BUY, "0.01", "59000", "f1", entry, T0 + 2 * S))) == []


def test_what_an_exit_left_is_tried_again_after_a_second() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    effects = engine.process(c.Flatten(BTC_PERP.id, ts=T0))
    first = of(list(effects), e.OrderSubmitted)[0].order.client_order_id
    engine.process(fill(BTC_PERP, Side.SELL, "0.005", "60000", "f1", first))
    assert exits(engine.process(e.OrderExpired(first, "IOC", T0, T0))) == []
    assert exits(engine.process(m.Timer(T0 + S - 1))) == []
    assert exits(engine.process(m.Timer(T0 + S))) == [(Side.SELL, "0.015", True)]


def test_two_flattens_do_not_oversell() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    assert len(exits(engine.process(c.Flatten(BTC_PERP.id, ts=T0)))) == 1
    assert exits(engine.process(c.Flatten(ts=T0 + 5 * S))) == []


def test_a_resting_exit_counts_until_its_cancel_is_confirmed() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    resting = sent(engine, order(BTC_PERP, Side.SELL, "0.02", "70000", reduce_only=True))
    effects = engine.process(c.Flatten(BTC_PERP.id, ts=T0))
    assert (len(of(list(effects), e.CancelSubmitted)), exits(effects)) == (1, [])
    assert exits(engine.process(e.OrderCancelled(resting, "", T0, T0))) == [(Side.SELL, "0.02", True)]


def test_flatten_leaves_orders_that_are_not_ours() -> None:
    engine = opened()
    foreign = order(BTC_PERP, Side.SELL, "1", "70000", client_order_id="foreign-1", venue=PERP)
    engine.process(e.OrderFound(foreign, PERP, VenueOrderId("1"), D(0), T0))
    assert list(engine.process(c.Flatten(ts=T0))) == []


def test_flatten_everything_begins_with_the_biggest_risk() -> None:
    engine = opened()
    engine.process(fill(ETH_PERP, Side.SELL, "0.1", "3000", "f0"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f1"))
    assert exits(engine.process(c.Flatten(ts=T0))) == [(Side.SELL, "0.1", True), (Side.BUY, "0.1", True)]


def test_flatten_of_nothing_known_is_refused() -> None:
    refused = of(opened().process(c.Flatten(InstrumentId("X:SPOT_ASSET:Y"), ts=T0)), e.CommandRefused)[0]
    assert "is not known here" in refused.reason


def test_a_flatten_that_gets_nowhere_says_so() -> None:
    """Twenty refusals of the venue; what an outage keeps from leaving is no try."""
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    engine.process(c.Flatten(BTC_PERP.id, ts=T0))
    refusals = []
    for second in range(1, 40):
        for id_ in list(engine.state.blotter.open):
            rejected = e.OrderRejected(id_, "busy", T0 + second * S, T0 + second * S)
            refusals += of(engine.process(rejected), e.CommandRefused)
        refusals += of(engine.process(m.Timer(T0 + second * S)), e.CommandRefused)
    assert len(refusals) == 1
    assert "not flat after 20 exits" in refusals[0].reason


def test_stop_needs_leave_while_something_is_open() -> None:
    engine = opened()
    assert not engine.process(c.StopEngine(ts=T0))
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    assert of(engine.process(c.StopEngine(ts=T0)), e.CommandRefused)
    assert not engine.process(c.StopEngine(leave=True, ts=T0))


# --- triggers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "quiet", "met"),
    [
        (OrderType.STOP, Side.BUY, "60100", (60_000.0, 60_099.9), (60_000.0, 60_100.0)),
        (OrderType.STOP, Side.SELL, "59900", (59_900.1, 60_000.0), (59_900.0, 60_000.0)),
        (OrderType.TAKE_PROFIT, Side.SELL, "60100", (60_099.9, 60_200.0), (60_100.0, 60_200.0)),
        (OrderType.TAKE_PROFIT, Side.BUY, "59900", (59_800.0, 59_900.1), (59_800.0, 59_900.0)),
        (OrderType.STOP_LIMIT, Side.BUY, "60100", (60_000.0, 60_099.9), (60_000.0, 60_100.0)),
    ],
)
def test_a_stop_the_venue_cannot_hold_waits_here(
    kind: OrderType, side: Side, trigger: str, quiet: tuple[float, float], met: tuple[float, float]
) -> None:
    engine = opened(abilities=NO_STOPS)
    price = "60150" if kind is OrderType.STOP_LIMIT else None
    effects = submit(engine, order(BTC_PERP, side, "0.01", price, type=kind, trigger=D(trigger)))
    assert [type(effect) for effect in effects] == [e.OrderApproved]
    id_ = of(effects, e.OrderApproved)[0].order.client_order_id
    assert not of(engine.process(quote(BTC_PERP, *quiet, T0 + 1)), e.OrderTriggered)
    effects = list(engine.process(quote(BTC_PERP, *met, T0 + 2)))
    assert [type(effect) for effect in effects] == [e.OrderTriggered, e.OrderSubmitted, Approved]
    leaving = of(effects, e.OrderSubmitted)[0].order
    assert (leaving.client_order_id, leaving.type is OrderType.LIMIT) == (id_, kind is OrderType.STOP_LIMIT)
    assert record_of(engine, id_).status is A.SUBMITTED
    assert not engine.process(quote(BTC_PERP, *met, T0 + 3))


def test_a_waiting_stop_survives_a_restart_and_can_be_cancelled() -> None:
    engine = opened(abilities=NO_STOPS)
    wanted = order(BTC_PERP, Side.BUY, "0.01", type=OrderType.STOP, trigger=D(60100))
    id_ = of(submit(engine, wanted), e.OrderApproved)[0].order.client_order_id
    again = Engine(abilities=NO_STOPS)
    again.restore(engine.state.image())
    assert record_of(again, id_).status is A.APPROVED
    cancelled = again.process(c.CancelOrder(id_, ts=T0))
    assert [type(effect) for effect in cancelled] == [e.OrderCancelled]
    assert not again.process(quote(BTC_PERP, 60_200.0, 60_201.0, T0 + 1))


def test_a_waiting_stop_is_amended_here_and_its_venue_is_not_asked() -> None:
    engine = opened(abilities=NO_STOPS)
    wanted = order(BTC_PERP, Side.BUY, "0.01", type=OrderType.STOP, trigger=D(60100))
    id_ = of(submit(engine, wanted), e.OrderApproved)[0].order.client_order_id
    effects = engine.process(c.AmendOrder(id_, trigger=D(60200), ts=T0))
    assert [type(effect) for effect in effects] == [e.OrderAmended]
    assert record_of(engine, id_).status is A.APPROVED
    assert not of(engine.process(quote(BTC_PERP, 60_099.0, 60_100.0, T0 + 1)), e.OrderTriggered)
    assert of(engine.process(quote(BTC_PERP, 60_199.0, 60_200.0, T0 + 2)), e.OrderTriggered)


def test_a_waiting_stop_cannot_be_amended_beyond_a_limit() -> None:
    engine = opened(abilities=NO_STOPS)
    wanted = order(BTC_PERP, Side.BUY, "0.01", type=OrderType.STOP, trigger=D(60100))
    id_ = of(submit(engine, wanted), e.OrderApproved)[0].order.client_order_id
    assert of(engine.process(c.AmendOrder(id_, quantity=D(100), ts=T0)), e.ChangeDenied)
    assert record_of(engine, id_).order == msgspec.structs.replace(wanted, client_order_id=id_, venue=PERP)


def test_a_stop_refused_at_its_trigger_is_denied() -> None:
    engine = opened(abilities=NO_STOPS)
    wanted = order(BTC_PERP, Side.BUY, "0.01", type=OrderType.STOP, trigger=D(60100))
    id_ = of(submit(engine, wanted), e.OrderApproved)[0].order.client_order_id
    engine.process(c.SetTradingState(TradingState.HALTED, who="me", ts=T0))
    effects = engine.process(quote(BTC_PERP, 60_100.0, 60_101.0, T0 + 1))
    assert [type(effect) for effect in effects] == [e.OrderTriggered, e.OrderDenied]
    assert record_of(engine, id_).status is A.DENIED


def test_a_stop_with_an_end_leaves_with_its_end() -> None:
    engine = opened(abilities={PERP: Abilities(time_in_force=frozenset({TimeInForce.GTC, TimeInForce.GTD}))})
    gtd = order(BTC_PERP, Side.BUY, "0.01", "60150", type=OrderType.STOP_LIMIT, trigger=D(60100), expires=T0 + DAY)
    gtd = msgspec.structs.replace(gtd, time_in_force=TimeInForce.GTD)
    submit(engine, gtd)
    leaving = of(engine.process(quote(BTC_PERP, 60_100.0, 60_101.0, T0 + 1)), e.OrderSubmitted)[0].order
    assert leaving.expires == T0 + DAY


# --- books, days ------------------------------------------------------------------------------------------------------


def delta(first: int, last: int, ts: Nanoseconds = T0) -> m.BookDelta:
    return m.BookDelta(BTC_PERP.id, (), (), first, last, m.NO_ID, ts, ts)


def test_a_gap_asks_once_for_a_new_book() -> None:
    engine = opened()
    whole = m.BookSnapshot(BTC_PERP.id, ((59_999.0, 1.0),), ((60_001.0, 1.0),), 100, True, T0, T0)
    engine.process(whole)
    assert not of(engine.process(delta(101, 102)), Resync)
    assert of(engine.process(delta(105, 106)), Resync) == [Resync(BTC_PERP.id)]
    assert not of(engine.process(delta(107, 108)), Resync)
    engine.process(whole.replace(last_id=108))
    assert of(engine.process(delta(120, 121)), Resync)
    assert "GAP" in denied(engine, order(BTC_PERP, Side.BUY, "0.01"), T0 + 1).reason.upper()


def test_the_day_starts_at_midnight_with_what_there_was() -> None:
    engine = opened()
    midnight = T0 - T0 % DAY
    assert (engine.state.day_started, engine.state.day_start) == (midnight, D(100_000))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "59000", "f0"))
    engine.process(m.Timer(T0 + S))
    assert round(engine.state.day_profit) == 1000
    assert engine.state.peak == D(101_000)
    effects = engine.process(m.Timer(midnight + DAY))
    assert [event.equity for event in of(effects, e.DayStarted)] == [D(101_000)]
    assert engine.state.day_profit == 0


@pytest.mark.parametrize("hours", [0, 7, 22])
def test_the_day_starts_at_its_hour_over_restarts_too(hours: int) -> None:
    """T0 is 22:13 UTC. The day before goes on over a restart, and the new one begins while nobody trades."""
    begins = AccountSettings(day_start=f"{hours:02}:30").day_start_ns
    assert begins == (hours * 60 + 30) * 60 * S
    engine = opened(day_start=begins)
    first = engine.state.day_started
    assert (first % DAY, T0 - DAY < first <= T0) == (begins, True)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "59000", "f0"))
    again = Engine(strict=True, day_start=begins)
    again.restore(engine.state.image())
    again.process(quote(BTC_PERP, 59_999.9, 60_000.1, first + DAY - 2))
    assert not of(again.process(m.Timer(first + DAY - 1)), e.DayStarted)
    assert round(again.state.day_profit) == 1000
    assert [event.ts for event in of(again.process(m.Timer(first + DAY)), e.DayStarted)] == [first + DAY]
    assert again.state.day_profit == 0
    assert not of(again.process(m.Timer(first + DAY + S)), e.DayStarted)


def test_capital_that_comes_or_goes_is_no_profit() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "1", "59500", "f0"))
    engine.process(m.Timer(T0 + S))
    profit = engine.state.day_profit
    for total, reason in ((80_000, "deposit"), (60_000, "withdrawal")):
        engine.process(e.BalanceSet(SPOT, Asset("USDT"), D(total), reason, T0 + S))
        engine.process(m.Timer(T0 + 2 * S))
        assert engine.state.day_profit == pytest.approx(profit)
        assert engine.state.drawdown == pytest.approx(0.0)
    assert engine.state.peak == D(110_500)


def test_a_second_venue_that_opens_later_is_no_profit() -> None:
    engine = opened(instruments=(BTC_PERP,))
    engine.process(e.BalanceSet(SPOT, Asset("USDT"), D(50_000), "opening", T0 + S))
    assert (engine.state.day_profit, engine.state.peak) == (0.0, D(100_000))


def test_a_wallet_without_a_price_is_no_profit_when_its_price_comes() -> None:
    engine, eth = opened(instruments=(BTC_PERP,)), Asset("ETH")
    engine.process(m.InstrumentDefined(ETH_PERP, T0))
    effects = engine.process(e.BalanceSet(SPOT, eth, D(2), "opening", T0 + S))
    assert of(effects, e.CapitalWaits) == [e.CapitalWaits(eth, D(2), T0 + S)]
    engine.process(e.BalanceSet(SPOT, eth, D(3), "deposit", T0 + S))
    again = Engine(strict=True)
    again.restore(engine.state.image())
    again.process(quote(BTC_PERP, 59_999.9, 60_000.1, T0 + 2 * S))
    effects = list(again.process(quote(ETH_PERP, 2_999.0, 3_001.0, T0 + 2 * S)))
    assert of(effects, e.CapitalCounted) == [e.CapitalCounted(eth, D(3), D("9000.0"), T0 + 2 * S)]
    assert (again.state.day_profit, again.state.drawdown, again.state.equity) == (0.0, 0.0, 59_000.0)
    assert (again.state.day_start, again.state.peak) == (D(59_000), D(59_000))
    assert not of(again.process(quote(ETH_PERP, 3_009.0, 3_011.0, T0 + 3 * S)), e.CapitalCounted)
    assert again.state.day_profit == pytest.approx(30.0), "from its first price on it is profit or loss"


def test_capital_that_leaves_before_it_was_priced_leaves_nothing_behind() -> None:
    engine, eth = opened(instruments=(BTC_PERP,)), Asset("ETH")
    for total, reason in ((2, "deposit"), (0, "withdrawal")):
        engine.process(e.BalanceSet(SPOT, eth, D(total), reason, T0 + S))
    assert not any(engine.state.capital.waiting.values())
    assert not engine.state.ledger.unvalued


def test_what_reconciliation_puts_right_is_profit_or_loss() -> None:
    engine = opened()
    engine.process(e.BalanceSet(PERP, Asset("USDT"), D(49_000), "reconciled: ours 50000, it reports 49000", T0 + S))
    assert engine.state.day_profit == -1000.0
    assert engine.state.drawdown == pytest.approx(0.01)


def test_no_day_begins_while_a_price_is_missing() -> None:
    engine = Engine(state=State())
    engine.process(e.BalanceSet(SPOT, Asset("BTC"), D(1), "opening", T0))
    assert not engine.process(m.Timer(T0))


# --- the same again ---------------------------------------------------------------------------------------------------


def played(extra: bool = False) -> Digest:
    engine, digest = Engine(strict=True), Digest()
    messages: list[Message] = [
        e.EngineStarted(1, "t", "paper", T0),
        m.InstrumentDefined(BTC_PERP, T0),
        m.VenueStatus(PERP, True, "", T0),
        e.BalanceSet(PERP, Asset("USDT"), D(50000), "opening", T0),
        e.VenueReconciled(PERP, T0, T0),
        m.Quote(BTC_PERP.id, 59_999.9, 1.0, 60_000.1, 1.0, 1, T0, T0),
        c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01"), "test", T0),
        fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1", "t0r1n1"),
        m.Timer(T0 + S),
    ]
    for message in messages + [m.Timer(T0 + 2 * S)] * extra:
        digest.update(engine.process(message))
    return digest


def test_the_same_messages_give_the_same_digest_twice() -> None:
    first, second = played(), played()
    assert (first.hex(), first.count) == (second.hex(), second.count)
    assert first.count > 8
    assert played(extra=True).hex() != first.hex()


def test_a_trailing_stop_that_nobody_would_trail_is_refused() -> None:
    engine = opened(abilities=NO_STOPS)
    refusal = denied(engine, order(BTC_PERP, Side.SELL, "0.010", type=OrderType.TRAILING_STOP, trail=D("50.0")))
    assert refusal.limit == "supported"
    assert "trailing" in refusal.reason
    assert not engine.state.blotter.open
