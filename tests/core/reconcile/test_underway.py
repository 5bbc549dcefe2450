"""Orders that were on their way when their venue was asked: what it says of them, and what it cannot know."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import VenueOrderId
from core.domain.message import Event, Nanoseconds
from core.domain.order import AMEND_LIFE_NS, Order, OrderRecord, OrderStatus, OrderType, Side
from core.domain.reports import OrderReport, VenueSnapshot
from core.ports import Abilities
from core.reconcile.reconcile import NOTHING, Underway, doubtful, explained, missing, reconcile, underway
from core.state.state import State
from store.memory import MemoryJournal
from tests.core.kit import BTC_PERP, PERP, T0, D, S, fill, of, opened, order, quote, submit
from tests.core.reconcile.test_reconcile import report, snapshot
from tests.core.state.test_blotter import ID, ORDER, at
from tests.core.test_runtime import Desk, until

A = OrderStatus
ASKED = T0 + S
WAITING = Order(
    BTC_PERP.id, Side.SELL, D("0.01"), OrderType.STOP, trigger=D(59_000), reduce_only=True, client_order_id=ID
)


def run(state: State, seen: VenueSnapshot, answer: OrderReport | None, then: Underway = NOTHING) -> list[Event]:
    """Reconcile with one answer, where the order is not listed, asked for before it was touched last."""
    events, answers = [], {} if seen.open_orders else {ID: answer}
    for event in reconcile(state, seen, answers, ASKED, ASKED + S, then=then):
        state.apply(event)
        events.append(event)
    return events[:-1]


def touched(status: OrderStatus) -> State:
    """Return a state whose order was asked to be cancelled, and refused, after its venue was asked."""
    state = at(status)
    state.apply(e.CancelSubmitted(ID, ASKED + 1))
    state.apply(e.CancelRejected(ID, "not known", ASKED + 2, ASKED + 2))
    return state


# --- what the venue says of them --------------------------------------------------------------------------------------


def test_an_order_that_never_arrived_is_called_so_however_often_its_cancel_is_tried() -> None:
    before = underway(at(A.SUBMITTED), PERP, set())
    assert before.silent == {ID}
    state = touched(A.SUBMITTED)
    assert [type(event) for event in run(state, snapshot(), None, before)] == [e.OrderRejected]


def test_an_order_that_was_answered_meanwhile_is_newer_than_never_had_it() -> None:
    before = underway(at(A.SUBMITTED), PERP, set())
    state = at(A.ACCEPTED)
    state.apply(e.CancelSubmitted(ID, ASKED + 1))
    assert run(state, snapshot(), None, before) == []


@pytest.mark.parametrize("end", [A.CANCELLED, A.EXPIRED, A.REJECTED])
def test_an_order_that_is_over_stays_so_whatever_we_asked_of_it_meanwhile(end: OrderStatus) -> None:
    state = touched(A.ACCEPTED)
    assert not state.blotter.orders[ID].order.reduce_only
    run(state, snapshot(), report(end))
    assert not state.blotter.orders[ID].is_open


def test_a_fill_that_is_still_to_come_closes_its_order_itself() -> None:
    assert run(touched(A.ACCEPTED), snapshot(), report(A.FILLED, "2")) == []


def test_an_order_that_was_made_smaller_unheard_and_filled_so_is_over() -> None:
    state = touched(A.ACCEPTED)
    state.apply(fill(BTC_PERP, Side.BUY, "1.5", "60000", "f1", ID, ASKED + 3))
    run(state, snapshot(), report(A.FILLED, "1.5"))
    assert not state.blotter.orders[ID].is_open


def test_an_order_that_is_listed_otherwise_while_something_is_asked_of_it_is_in_doubt() -> None:
    smaller = report(A.ACCEPTED, held=replace(ORDER, quantity=D(1)))
    assert doubtful(touched(A.ACCEPTED), snapshot(smaller), ASKED, NOTHING)
    assert not doubtful(at(A.ACCEPTED), snapshot(smaller), ASKED, NOTHING)  # it is brought to that at once
    assert not doubtful(touched(A.ACCEPTED), snapshot(report(A.ACCEPTED)), ASKED, NOTHING)


def changing(*since: Event) -> State:
    """Return a state whose order of 2 was asked to become 5 just before its venue was asked, and what came since."""
    state = at(A.ACCEPTED)
    for event in (e.AmendSubmitted(ID, D(5), None, None, ASKED - 1), *since):
        state.apply(event)
    return state


def look(state: State, theirs: OrderReport, asked: Nanoseconds, *, listed: bool = True) -> list[type]:
    """Let a venue tell of the order; return what that makes of it."""
    seen, kinds = snapshot(*([theirs] if listed else [])), []
    for event in explained(state, seen, {} if listed else {ID: theirs}, asked, asked):
        state.apply(event)
        kinds.append(type(event))
    return kinds


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "answered"])
@pytest.mark.parametrize("since", [(), (e.OrderUnknown(ID, "no answer", ASKED),)], ids=["travels", "unknown"])
def test_an_amend_counts_as_long_as_it_may_arrive_though_the_venue_lists_the_order_unchanged(
    since: tuple[Event, ...], listed: bool
) -> None:
    state = changing(*since)
    record, before = state.blotter.orders[ID], state.blotter.orders[ID].status
    for asked in (ASKED + 1, ASKED + AMEND_LIFE_NS - 2):
        assert doubtful(state, snapshot(report(A.ACCEPTED)), asked, NOTHING), "it is asked again soon"
        assert look(state, report(A.ACCEPTED), asked, listed=listed) == []
        assert (record.may_fill, record.status) == (D(5), before)
    late = ASKED + AMEND_LIFE_NS - 1
    assert not doubtful(state, snapshot(report(A.ACCEPTED)), late, NOTHING)
    assert e.AmendRejected in look(state, report(A.ACCEPTED), late, listed=listed)
    assert (record.may_fill, record.status) == (D(2), A.ACCEPTED)


def test_an_amend_that_has_arrived_is_taken_at_once() -> None:
    state, theirs = changing(), report(A.ACCEPTED, held=replace(ORDER, quantity=D(5)))
    assert not doubtful(state, snapshot(theirs), ASKED, NOTHING)
    assert look(state, theirs, ASKED) == [e.OrderAmended]
    assert state.blotter.orders[ID].order.quantity == D(5)


def test_a_cancel_that_was_lost_behind_an_amend_is_tried_again_at_once() -> None:
    """An exit waits for it; the amend may still arrive and counts on."""
    state = changing(e.CancelSubmitted(ID, ASKED))
    assert look(state, report(A.ACCEPTED), ASKED + 1) == [e.CancelRejected]
    record = state.blotter.orders[ID]
    assert (record.status, record.may_fill) == (A.ACCEPTED, D(5))
    assert look(state, report(A.ACCEPTED), ASKED + AMEND_LIFE_NS) == [e.AmendRejected]
    assert record.may_fill == D(2)


def test_an_amend_of_a_checkpoint_of_before_is_no_longer_on_its_way() -> None:
    state = changing()
    fields = msgspec.to_builtins(state.blotter.orders[ID])
    record = msgspec.convert(fields[:-1], OrderRecord)
    state.blotter.orders[ID] = state.blotter.open[ID] = record
    assert (record.asked, record.asked_at) == (D(5), 0)
    assert look(state, report(A.ACCEPTED), ASKED + 1) == [e.AmendRejected]


def test_no_entry_passes_on_the_room_of_an_amend_that_may_still_arrive() -> None:
    """15 % of 50 000 is the most of a position: 0.04 that may become 0.08 and another 0.08 are 19.2 %."""
    engine = opened(instruments=(BTC_PERP,), cash="50000")
    (sent,) = of(submit(engine, order(BTC_PERP, Side.BUY, "0.04", "59900"), T0), e.OrderSubmitted)
    id_ = sent.order.client_order_id
    engine.process(e.OrderAccepted(id_, VenueOrderId("v1"), T0, T0))
    engine.process(c.AmendOrder(id_, D("0.08"), None, None, "test", T0 + S))
    engine.process(e.OrderUnknown(id_, "no answer", T0 + 2 * S))
    theirs = OrderReport(id_, VenueOrderId("v1"), sent.order, A.ACCEPTED, D(0), None, T0)
    for asked, passes in ((T0 + 3 * S, False), (T0 + S + AMEND_LIFE_NS, True)):
        for event in explained(engine.state, snapshot(theirs), {}, asked, asked):
            engine.process(event)
        engine.process(quote(BTC_PERP, 59_999.9, 60_000.1, asked))
        told = submit(engine, order(BTC_PERP, Side.BUY, "0.08", "59900"), asked)
        assert bool(of(told, e.OrderSubmitted)) is passes
        assert [denied.limit for denied in of(told, e.OrderDenied)] == ([] if passes else ["max_position"])


# --- what it cannot know ----------------------------------------------------------------------------------------------


def test_of_an_order_that_has_not_left_no_venue_is_asked() -> None:
    state = at(A.SUBMITTED)
    before = underway(state, PERP, {ID})
    assert before.unsent == {ID}
    assert not before.silent
    assert missing(state, snapshot(), ASKED, before) == []


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Give a desk that runs on a journal in memory."""
    made = await Desk(None, MemoryJournal()).start()
    yield made
    assert isinstance(made.journal, MemoryJournal)
    made.journal.held = False
    made.journal.release()
    made.venue.gate.set()
    await made.runtime.stop("test over")


async def reconnect(desk: Desk) -> None:
    desk.venue.link(up=False)
    asked = len(desk.venue.snapshots)
    desk.venue.link(up=True)
    await until(lambda: len(desk.venue.snapshots) > asked and desk.engine.state.venue(PERP).reconciled)


async def test_an_order_that_waits_for_its_record_is_not_called_lost(desk: Desk) -> None:
    journal = desk.journal
    assert isinstance(journal, MemoryJournal)
    journal.held = True
    desk.runtime.spawn(_give(desk, order(BTC_PERP, Side.BUY, "0.01")))
    await until(lambda: bool(desk.engine.state.blotter.open))
    id_ = next(iter(desk.engine.state.blotter.open))
    await reconnect(desk)
    assert desk.status(id_) is A.SUBMITTED
    journal.held = False
    journal.release()
    await until(lambda: desk.status(id_) is A.ACCEPTED)
    assert desk.venue.submitted == [id_]


async def test_an_order_that_its_connection_still_holds_is_not_called_lost(desk: Desk) -> None:
    desk.venue.gate.clear()
    id_ = await desk.buy()
    await reconnect(desk)
    assert desk.status(id_) is A.SUBMITTED
    desk.venue.gate.set()
    await until(lambda: desk.status(id_) is A.ACCEPTED)


async def _give(desk: Desk, wanted: Order) -> None:
    await desk.runtime.command(c.SubmitOrder(wanted))


# --- exits that wait here, and may have left without a record ---------------------------------------------------------


def waiting() -> State:
    """Return a state that holds 0.01 and an exit that waits for its trigger."""
    state = opened().state
    state.apply(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f0"))
    state.apply(e.OrderApproved(WAITING, PERP, T0))
    return state


def test_an_exit_that_waits_is_asked_about_and_goes_on_waiting() -> None:
    state = waiting()
    assert missing(state, snapshot(), ASKED) == [ID]
    assert run(state, snapshot(), None) == []
    assert state.blotter.orders[ID].status is A.APPROVED


def test_an_exit_that_left_without_a_record_and_filled_is_not_sent_again() -> None:
    state = waiting()
    run(state, snapshot(fills=(fill(BTC_PERP, Side.SELL, "0.01", "59000", "f1", ID),)), report(A.FILLED, "0.01"))
    assert state.blotter.orders[ID].status is A.FILLED
    assert state.ledger.positions[BTC_PERP.id].quantity == 0


def test_an_exit_that_left_without_a_record_and_was_refused_is_over() -> None:
    state = waiting()
    run(state, snapshot(), report(A.REJECTED, held=WAITING))
    assert not state.blotter.orders[ID].is_open


def test_an_exit_that_left_without_a_record_and_rests_is_ours() -> None:
    state = waiting()
    run(state, snapshot(report(A.ACCEPTED, held=WAITING)), None)
    assert state.blotter.orders[ID].status is A.ACCEPTED


@pytest.mark.parametrize("exit_", [True, False])
def test_a_waiting_stop_waits_for_its_venues_word_too(exit_: bool) -> None:
    engine = opened(abilities={PERP: Abilities(reduce_only=True)})
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f0"))
    wanted = order(BTC_PERP, Side.SELL, "0.01", type=OrderType.STOP, trigger=D(59_000), reduce_only=exit_)
    assert of(submit(engine, wanted), e.OrderApproved)
    now = T0 + S
    engine.process(m.VenueStatus(PERP, True, "", now))
    low = (58_000.0, 58_000.1)
    assert not engine.process(quote(BTC_PERP, *low, now))
    if exit_:  # not for ever: a venue that cannot say what it has must not keep an exit from leaving
        assert of(engine.process(quote(BTC_PERP, *low, now + 4 * S)), e.OrderSubmitted)
        return
    assert not of(engine.process(quote(BTC_PERP, *low, now + 4 * S)), e.OrderSubmitted)
    engine.process(e.VenueReconciled(PERP, now, now + 4 * S))
    assert of(engine.process(quote(BTC_PERP, *low, now + 4 * S)), e.OrderSubmitted)
