"""Reconciliation: what we remember against what the venue says, each status with each answer."""

import itertools
from collections.abc import Mapping

import msgspec
import pytest

from core.domain import events as e
from core.domain.differences import DifferenceFound, DifferenceKind, OrderAdopted
from core.domain.identifiers import Asset, ClientOrderId, FillId, VenueOrderId
from core.domain.instrument import Instrument
from core.domain.market import InstrumentDefined
from core.domain.message import Event, Nanoseconds
from core.domain.order import AMEND_LIFE_NS, CLOSED, Order, OrderStatus, OrderType, Side
from core.domain.reports import BalanceReport, OrderReport, PositionReport, VenueSnapshot
from core.reconcile.opening import filled_by, is_past
from core.reconcile.reconcile import explained, missing, reconcile, reported
from core.state.state import State
from tests.core.kit import BTC_PERP, BTC_SPOT, PERP, SPOT, T0, D, S, fill, opened, order, quote
from tests.core.state.test_blotter import ID, ORDER, ROADS, at, blank

A = OrderStatus
ASKED, NOW = T0 + S, T0 + 2 * S
LATE = T0 + AMEND_LIFE_NS
"""A look asked for then speaks of a change that left at T0: it has arrived, or never will."""
OPEN = [status for status in ROADS if status not in CLOSED]
ENDS = sorted(CLOSED - {A.DENIED})


def report(
    status: OrderStatus, filled: str = "0", held: Order = ORDER, id_: ClientOrderId = ID, venue_id: str = "v1"
) -> OrderReport:
    return OrderReport(id_, VenueOrderId(venue_id), held, status, D(filled), None, T0 + 5)


def snapshot(*open_orders: OrderReport, **changes: object) -> VenueSnapshot:
    found = {"fills": (), "positions": (), "balances": ()} | changes
    return VenueSnapshot(PERP, T0 + S, open_orders, **found)  # type: ignore[arg-type]


def run(
    state: State,
    seen: VenueSnapshot,
    answers: Mapping[ClientOrderId, OrderReport | None] | None = None,
    asked: Nanoseconds = ASKED,
) -> list[Event]:
    """Reconcile as the engine does: each event is applied before the next is asked for."""
    events = []
    for event in reconcile(state, seen, answers or {}, asked, NOW):
        state.apply(event)
        events.append(event)
    assert isinstance(events[-1], e.VenueReconciled)
    assert state.venue(PERP).reconciled
    return events[:-1]


STILL_OPEN = {
    A.TRIGGERED: A.TRIGGERED,
    A.SUBMITTED: A.ACCEPTED,
    A.UNKNOWN: A.ACCEPTED,
    A.ACCEPTED: A.ACCEPTED,
    A.PARTIALLY_FILLED: A.PARTIALLY_FILLED,
    A.PENDING_CANCEL: A.ACCEPTED,
    A.PENDING_AMEND: A.ACCEPTED,
}


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "answered"])
@pytest.mark.parametrize("before", list(STILL_OPEN))
def test_an_order_that_rests_at_the_venue(before: OrderStatus, listed: bool) -> None:
    """A cancel or amend of which the venue knows nothing was lost: the order stands and can be cancelled again."""
    state, theirs = at(before), report(A.ACCEPTED)
    run(state, snapshot(theirs) if listed else snapshot(), None if listed else {ID: theirs}, LATE)
    record = state.blotter.orders[ID]
    assert (record.status, record.is_open) == (STILL_OPEN[before], True)


@pytest.mark.parametrize("before", [A.SUBMITTED, A.UNKNOWN])
def test_an_order_that_is_on_its_way_at_the_venue_waits_for_its_answer(before: OrderStatus) -> None:
    """It may be a no, which an order that was accepted cannot take."""
    state = at(before)
    events = run(state, snapshot(), {ID: report(A.SUBMITTED)}, LATE)
    assert state.blotter.orders[ID].status is before
    state.apply(e.OrderRejected(ID, "no money", T0, T0))
    assert state.blotter.orders[ID].status is A.REJECTED
    assert not [event for event in events if isinstance(event, e.IllegalEventSeen)]


@pytest.mark.parametrize("change", [e.CancelSubmitted(ID, T0), e.AmendSubmitted(ID, None, D(59000), None, T0)])
def test_an_order_whose_answer_and_change_were_both_lost_rests(change: Event) -> None:
    state = at(A.SUBMITTED)
    state.apply(change)
    run(state, snapshot(report(A.ACCEPTED)), asked=LATE)
    assert state.blotter.orders[ID].status is A.ACCEPTED


@pytest.mark.parametrize(
    ("before", "answer"),
    list(itertools.product([s for s in OPEN if s is not A.APPROVED], [None, *ENDS])),
)
def test_an_order_that_ended_while_we_were_away(before: OrderStatus, answer: OrderStatus | None) -> None:
    """Whatever we thought, an order the venue has ended is closed here, and nothing illegal is needed for it."""
    state = at(before)
    filled = "0.5" if before is A.PARTIALLY_FILLED else "0"
    events = run(state, snapshot(), {ID: None if answer is None else report(answer, filled)})
    record = state.blotter.orders[ID]
    waiting = before in (A.SUBMITTED, A.UNKNOWN)
    wanted = {
        None: A.REJECTED if waiting else A.CANCELLED,
        A.REJECTED: A.REJECTED if waiting else A.CANCELLED,
        A.CANCELLED: A.CANCELLED,
        A.EXPIRED: A.EXPIRED,
        A.FILLED: A.CANCELLED,
    }[answer]
    assert record.status is wanted
    assert ID not in state.blotter.open
    assert not [event for event in events if isinstance(event, e.IllegalEventSeen)]


def test_fills_of_the_time_away_come_first_and_end_their_orders() -> None:
    state = at(A.ACCEPTED)
    events = run(
        state, snapshot(fills=(fill(BTC_PERP, Side.BUY, "2", "60000", "f", ID, T0 + 7),)), {ID: report(A.FILLED, "2")}
    )
    assert [type(event) for event in events] == [e.OrderFilled]
    assert state.blotter.orders[ID].status is A.FILLED
    assert state.ledger.positions[BTC_PERP.id].quantity == D(2)
    assert state.venue(PERP).last_fill == T0 + 7


@pytest.mark.parametrize("before", [A.ACCEPTED, A.PENDING_CANCEL, A.UNKNOWN, A.SUBMITTED])
def test_partly_filled_and_then_cancelled_while_we_were_away(before: OrderStatus) -> None:
    state = at(before)
    run(state, snapshot(fills=(fill(BTC_PERP, Side.BUY, "0.5", "60000", "f", ID),)), {ID: report(A.CANCELLED, "0.5")})
    record = state.blotter.orders[ID]
    assert (record.status, record.filled) == (A.CANCELLED, D("0.5"))


def test_a_lost_cancel_behind_a_fill_leaves_the_order_working() -> None:
    state = at(A.PENDING_CANCEL)
    run(state, snapshot(report(A.PARTIALLY_FILLED, "0.5"), fills=(fill(BTC_PERP, Side.BUY, "0.5", "60000", "f", ID),)))
    assert state.blotter.orders[ID].status is A.PARTIALLY_FILLED


def test_a_known_fill_is_not_told_again() -> None:
    state = at(A.PARTIALLY_FILLED)
    assert (
        run(
            state,
            snapshot(report(A.PARTIALLY_FILLED, "0.5"), fills=(fill(BTC_PERP, Side.BUY, "0.5", "60000", "f1", ID),)),
        )
        == []
    )


def test_filled_beyond_what_the_fills_explain_is_said_and_ends_the_order() -> None:
    state = at(A.ACCEPTED)
    events = run(state, snapshot(), {ID: report(A.FILLED, "2")})
    assert [type(event) for event in events] == [e.IllegalEventSeen, e.OrderCancelled]
    assert "reports 2 filled, its fills explain 0" in events[0].what  # type: ignore[attr-defined]


def test_a_change_that_never_arrived_counts_no_more_whatever_was_asked_behind_it() -> None:
    state = at(A.ACCEPTED)
    state.apply(e.AmendSubmitted(ID, D(5), None, None, T0))
    state.apply(e.CancelSubmitted(ID, T0))
    state.apply(e.CancelRejected(ID, "not known", T0, T0))
    assert state.blotter.orders[ID].may_fill == D(5)
    run(state, snapshot(report(A.ACCEPTED)), asked=LATE)
    assert state.blotter.orders[ID].may_fill == D(2)


def test_an_amend_that_arrived_is_taken_over() -> None:
    state = at(A.PENDING_AMEND)
    theirs = report(A.ACCEPTED, held=order(BTC_PERP, Side.BUY, "3", "59000"))
    events = run(state, snapshot(theirs))
    assert [type(event) for event in events] == [e.OrderAmended]
    held = state.blotter.orders[ID]
    assert (held.status, held.order.quantity, held.order.price) == (A.ACCEPTED, D(3), D(59000))


def test_a_trailing_stop_that_moved_is_no_amend() -> None:
    state = blank()
    trailing = order(
        BTC_PERP,
        Side.SELL,
        "1",
        type=OrderType.TRAILING_STOP,
        trail=D(10),
        trigger=D(100),
        client_order_id=ID,
        venue=PERP,
    )
    state.apply(e.OrderSubmitted(trailing, PERP, T0))
    state.apply(e.OrderAccepted(ID, VenueOrderId("v1"), T0, T0))
    moved = order(BTC_PERP, Side.SELL, "1", type=OrderType.TRAILING_STOP, trail=D(10), trigger=D(130))
    assert run(state, snapshot(report(A.ACCEPTED, held=moved))) == []


def test_a_released_stop_is_another_order_there() -> None:
    state = blank()
    stop = order(BTC_PERP, Side.SELL, "1", type=OrderType.STOP, trigger=D(100), client_order_id=ID, venue=PERP)
    for event in (
        e.OrderApproved(stop, PERP, T0),
        e.OrderTriggered(ID, D(1), T0, T0),
        e.OrderSubmitted(stop, PERP, T0),
    ):
        state.apply(event)
    events = run(state, snapshot(report(A.ACCEPTED, held=order(BTC_PERP, Side.SELL, "1"))))
    assert [type(event) for event in events] == [e.OrderAccepted]


@pytest.mark.parametrize("closed", sorted(CLOSED))
def test_an_order_we_thought_closed_is_left_to_the_comparison(closed: OrderStatus) -> None:
    assert run(at(closed), snapshot(report(A.ACCEPTED))) == []


@pytest.mark.parametrize("before", [A.SUBMITTED, A.CANCELLED, A.PENDING_CANCEL])
def test_what_we_heard_since_we_asked_is_newer_than_the_snapshot(before: OrderStatus) -> None:
    state = at(before)
    assert run(state, snapshot(report(A.ACCEPTED)), asked=T0) == []
    assert run(state, snapshot(), {ID: None}, asked=T0) == []
    assert state.blotter.orders[ID].status is before


def test_an_answer_for_an_order_closed_meanwhile_is_not_needed() -> None:
    assert run(at(A.CANCELLED), snapshot(), {ID: report(A.CANCELLED)}) == []


def test_orders_of_others_are_shown_once() -> None:
    state = blank()
    foreign = report(A.ACCEPTED, "0.5", id_=ClientOrderId(""), venue_id="v9")
    assert [type(event) for event in run(state, snapshot(foreign))] == [e.OrderFound]
    assert run(state, snapshot(foreign)) == []
    record = state.blotter.open[ClientOrderId("foreign-v9")]
    assert (record.filled, record.order.quantity) == (D("0.5"), D(2))
    named = report(A.ACCEPTED, id_=ClientOrderId("x77"))
    run(state, snapshot(named))
    assert ClientOrderId("x77") in state.blotter.open


def test_only_what_is_missing_there_is_asked_about() -> None:
    assert missing(at(A.SUBMITTED), snapshot(), ASKED) == [ID]
    assert missing(at(A.SUBMITTED), snapshot(report(A.ACCEPTED)), ASKED) == []
    assert missing(at(A.APPROVED), snapshot(), ASKED) == []  # waits here, the venue never had it
    assert missing(at(A.FILLED), snapshot(), ASKED) == []
    elsewhere = VenueSnapshot(SPOT, T0, (), (), (), ())
    assert missing(at(A.SUBMITTED), elsewhere, ASKED) == []


# --- positions and balances -------------------------------------------------------------------------------------------


def position(quantity: str, entry: str = "60000") -> PositionReport:
    return PositionReport(BTC_PERP.id, D(quantity), D(entry), None, D(0), T0)


def holding(quantity: str = "2", ts: Nanoseconds = T0) -> State:
    state = blank()
    state.apply(fill(BTC_PERP, Side.BUY, quantity, "60000", "f0", ts=ts))
    return state


def quantity(state: State) -> object:
    held = state.ledger.positions.get(BTC_PERP.id)
    return held.quantity if held is not None else None


def test_a_missing_report_is_not_flat() -> None:
    state = holding()
    assert run(state, snapshot()) == []
    assert quantity(state) == D(2)


@pytest.mark.parametrize(
    ("theirs", "flat"), [("0", True), ("0.0001", True), ("-0.5", False), ("2", False), (None, False)]
)
def test_flat_is_what_the_venue_says_to_be_flat_and_nothing_else(theirs: str | None, flat: bool) -> None:
    told = (position(theirs),) if theirs is not None else ()
    assert reported(holding(), snapshot(positions=told)) == ((BTC_PERP.id,) if flat else ())


@pytest.mark.parametrize(("legs", "flat"), [(("1", "0"), False), (("0", "-1"), False), (("0", "0"), True)])
def test_of_two_legs_neither_is_flat_while_the_other_is_held(legs: tuple[str, str], flat: bool) -> None:
    told = tuple(position(leg) for leg in legs)
    assert reported(holding(), snapshot(positions=told)) == ((BTC_PERP.id,) if flat else ())


@pytest.mark.parametrize(("total", "flat"), [("0", True), ("0.000009", True), ("0.5", False), (None, False)])
def test_a_spot_holding_is_flat_by_its_wallet(total: str | None, flat: bool) -> None:
    wallets = (BalanceReport(Asset("BTC"), D(total), D(total)),) if total is not None else ()
    seen = VenueSnapshot(SPOT, T0 + S, (), (), (), wallets)
    assert reported(opened().state, seen) == ((BTC_SPOT.holding,) if flat else ())


@pytest.mark.parametrize("theirs", ["0", "-3", "5"])
def test_a_position_no_fill_explains_is_never_taken_in_silence(theirs: str) -> None:
    state = holding()
    assert run(state, snapshot(positions=(position(theirs),))) == []
    assert quantity(state) == D(2)


def test_an_older_snapshot_never_undoes_a_newer_fill() -> None:
    state = holding(ts=T0 + S + 1)
    assert run(state, snapshot(positions=(position("0"),), balances=(BalanceReport(Asset("USDT"), D(7), D(7)),))) == []
    assert quantity(state) == D(2)


OWN = ClientOrderId("t0r1n9")


def own(id_: ClientOrderId) -> bool:
    return id_ == OWN


def seen_before() -> State:
    """Return a state that has met the account before."""
    state = blank()
    state.apply(e.BalanceSet(PERP, Asset("USDT"), D(50), "opening", T0))
    return state


def told(state: State, seen: VenueSnapshot) -> list[Event]:
    events = []
    for event in explained(state, seen, {}, ASKED, NOW, own):
        state.apply(event.replace(number=1) if isinstance(event, DifferenceFound) else event)
        events.append(event)
    return events


def test_a_fill_of_ours_whose_record_was_lost_is_ours() -> None:
    state = seen_before()
    ours = fill(BTC_PERP, Side.BUY, "2", "60000", "f", OWN, ts=T0 + S)
    assert [type(event) for event in told(state, snapshot(fills=(ours,)))] == [e.OrderFilled]
    assert told(state, snapshot(fills=(ours,))) == []


def test_a_fill_of_others_is_booked_and_waits_for_a_word() -> None:
    state = seen_before()
    other = fill(BTC_PERP, Side.SELL, "2", "60000", "f", "x77", ts=T0 + S)
    events = told(state, snapshot(fills=(other,)))
    assert [type(event) for event in events] == [e.OrderFilled, DifferenceFound]
    found = events[1]
    assert isinstance(found, DifferenceFound)
    assert (found.kind, found.theirs - found.ours, found.number) == (DifferenceKind.FILL, D(-2), 0)
    assert "SELL 2 at 60000 by order x77" in found.what
    assert quantity(state) == D(-2)
    nameless = fill(BTC_PERP, Side.SELL, "1", "60000", "g", "", ts=T0 + S)
    assert "by an order that is not ours" in told(state, snapshot(fills=(nameless,)))[1].what  # type: ignore[attr-defined]
    state.markets.pop(BTC_SPOT.id, None)
    assert told(state, snapshot(fills=(fill(BTC_SPOT, Side.SELL, "1", "60000", "h", "x77", ts=T0 + S),))) == []


def test_a_fill_of_a_foreign_order_that_is_shown_is_foreign_until_it_is_adopted() -> None:
    state = seen_before()
    named = report(A.ACCEPTED, id_=ClientOrderId("x77"))
    assert [type(event) for event in told(state, snapshot(named))] == [e.OrderFound]
    first = fill(BTC_PERP, Side.BUY, "1", "60000", "f", "x77", ts=T0 + S)
    assert [type(event) for event in told(state, snapshot(fills=(first,)))] == [e.OrderFilled, DifferenceFound]
    state.apply(OrderAdopted(ClientOrderId("x77"), "ada", NOW))
    second = fill(BTC_PERP, Side.BUY, "1", "60000", "g", "x77", ts=T0 + S)
    assert [type(event) for event in told(state, snapshot(fills=(second,)))] == [e.OrderFilled]


def test_what_was_traded_before_our_first_look_is_part_of_the_opening() -> None:
    state = blank()
    old = (fill(BTC_PERP, Side.BUY, "2", "60000", "f", OWN), fill(BTC_PERP, Side.BUY, "2", "60000", "g", "x77"))
    paid = funding("fund-1", T0)
    wallets = (BalanceReport(Asset("USDT"), D(7), D(7)),)
    events = told(state, snapshot(fills=old, bookings=(paid,), balances=wallets))
    assert [type(event) for event in events] == [e.BalanceSet]
    later = snapshot(fills=old[1:], bookings=(paid.replace(ts_exchange=T0 + S),), balances=wallets)
    assert told(state, later) == []
    assert state.ledger.balances[PERP][Asset("USDT")] == D(7)
    since = snapshot(bookings=(paid.replace(ts_exchange=T0 + S + 1),), balances=wallets)
    assert [type(event) for event in told(state, since)] == [e.FundingPaid], "by the venue's clock, not by ours"


WALLETS = (BalanceReport(Asset("USDT"), D(50_000), D(50_000)),)


def met(filled: str, *fills: e.OrderFilled) -> State:
    """Return a state whose first look has met an order of 2 of this home's, its record lost."""
    state, left = blank(), report(A.PARTIALLY_FILLED if D(filled) else A.ACCEPTED, filled, id_=OWN)
    left = msgspec.structs.replace(left, order=msgspec.structs.replace(ORDER, client_order_id=OWN))
    assert not [one for one in told(state, snapshot(left, fills=fills, balances=WALLETS)) if one in fills]
    assert state.blotter.open[OWN].filled == D(filled)
    return state


def test_a_fill_behind_the_first_look_is_booked_where_the_venues_clock_is_behind_ours() -> None:
    """It is stamped before our clock at the first look, by a clock that was further back."""
    state = met("0")
    since = fill(BTC_PERP, Side.BUY, "2", "60000", "f", OWN, ts=T0 + S + 1)
    assert since.ts_exchange < NOW
    assert not is_past(state, since, state.venue(PERP).opened), "nor does the stream drop it"
    done = {OWN: report(A.FILLED, "2", id_=OWN)}
    assert [type(event) for event in run(state, snapshot(fills=(since,)), done)] == [e.OrderFilled]
    assert (state.blotter.orders[OWN].status, quantity(state)) == (A.FILLED, D(2))


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "answered"])
def test_of_a_found_order_the_fills_are_booked_that_its_report_had_not_counted(listed: bool) -> None:
    """One tick of the venue's clock holds the first look and a fill behind it; that before the look counts no more."""
    old = fill(BTC_PERP, Side.BUY, "1", "50000", "f0", OWN, ts=T0 + S)
    state, since = met("1", old), fill(BTC_PERP, Side.BUY, "1", "60000", "f1", OWN, ts=T0 + S)
    assert is_past(state, since, state.venue(PERP).opened)
    other = fill(BTC_PERP, Side.BUY, "1", "60000", "f2", "x77", ts=T0 + S)
    theirs = report(A.PARTIALLY_FILLED if listed else A.FILLED, "2", id_=OWN)
    seen = snapshot(*([theirs] if listed else []), fills=(old, since, other))
    booked = [one for one in run(state, seen, {} if listed else {OWN: theirs}) if isinstance(one, e.OrderFilled)]
    assert [one.fill_id for one in booked] == ["f1"]
    position = state.ledger.positions[BTC_PERP.id]
    assert (position.quantity, position.entry_price) == (D(1), D(60_000))
    assert state.blotter.orders[OWN].status is A.FILLED
    assert run(state, seen, {} if listed else {OWN: theirs}) == []


def test_what_a_found_order_had_filled_before_does_not_count_twice() -> None:
    old = fill(BTC_PERP, Side.BUY, "1", "50000", "f0", OWN, ts=T0)
    state = met("1", old)
    since = fill(BTC_PERP, Side.BUY, "0.5", "60000", "f1", OWN, ts=T0 + S + 1)
    assert filled_by(state, state.blotter.orders[OWN], snapshot(fills=(old, since))) == D("1.5")


def test_what_was_filled_long_before_the_first_look_is_never_what_a_report_counts_more() -> None:
    """A venue whose list of fills is behind its list of orders: the new one comes by the stream."""
    long_ago = fill(BTC_PERP, Side.BUY, "1", "50000", "f0", OWN, ts=T0 - S)
    state = met("1", long_ago)
    assert run(state, snapshot(report(A.PARTIALLY_FILLED, "2", id_=OWN), fills=(long_ago,))) == []
    assert quantity(state) is None


@pytest.mark.parametrize("instrument", [BTC_PERP, BTC_SPOT], ids=["perpetual", "spot"])
@pytest.mark.parametrize("id_", [OWN, "x77"], ids=["ours", "others"])
def test_behind_a_lost_journal_no_look_books_what_was_traded_before_the_first(
    instrument: Instrument, id_: ClientOrderId
) -> None:
    """Of an order that is gone and of one that still rests, with a prefix of this home's and of others."""
    state, venue = blank(), instrument.venue
    state.markets.define(instrument)
    resting = ClientOrderId(f"{id_}b")
    old = tuple(fill(instrument, Side.BUY, "2", "60000", f"f{one}", one, ts=T0 + 7) for one in (id_, resting))
    held = msgspec.structs.replace(ORDER, instrument=instrument.id, quantity=D(9), client_order_id=resting)
    left = report(A.PARTIALLY_FILLED, "2", held, resting)
    coins = (BalanceReport(Asset("USDT"), D(7), D(7)), BalanceReport(Asset("BTC"), D(0), D(0)))
    for _ in range(3):
        seen = VenueSnapshot(venue, T0 + S, (left,), old, (), coins)
        for event in explained(state, seen, {}, ASKED, NOW, lambda one: one in (OWN, f"{OWN}b")):
            assert not isinstance(event, e.OrderFilled | DifferenceFound)
            state.apply(event)
    assert state.ledger.balances[venue] == {Asset("USDT"): D(7), Asset("BTC"): D(0)}
    assert not any(position.quantity for position in state.ledger.positions.values())
    assert state.blotter.orders[resting].filled == D(2)
    since = fill(instrument, Side.BUY, "1", "60000", "g", resting, ts=NOW)
    seen = VenueSnapshot(venue, NOW + S, (left,), (*old, since), (), coins)
    booked = [one for one in explained(state, seen, {}, NOW, NOW, own) if isinstance(one, e.OrderFilled)]
    assert [one.fill_id for one in booked] == ["g"], "what trades since is booked"


def test_a_fill_of_an_order_that_we_sent_is_booked_whatever_the_clocks_say() -> None:
    state = at(A.ACCEPTED)
    state.apply(e.BalanceSet(PERP, Asset("USDT"), D(50), "opening", NOW))
    early = fill(BTC_PERP, Side.BUY, "2", "60000", "f", ID, ts=T0)
    assert [type(event) for event in told(state, snapshot(fills=(early,)))] == [e.OrderFilled]


def funding(id_: str, ts: Nanoseconds) -> e.FundingPaid:
    return e.FundingPaid(BTC_PERP.id, Asset("USDT"), D(-3), D("0.0001"), D(60000), FillId(id_), ts, ts)


def test_funding_and_a_forced_close_of_the_time_away_are_booked_once() -> None:
    state = seen_before()
    state.apply(fill(BTC_PERP, Side.BUY, "2", "60000", "f0", OWN))
    forced = e.PositionLiquidated(BTC_PERP.id, D(2), D(60000), D(5), Asset("USDT"), T0 + 7, T0 + 7, FillId("L1"))
    close = fill(BTC_PERP, Side.SELL, "2", "60000", "L1", "", ts=T0 + 7)
    unknown = funding("x", T0 + 7).replace(instrument=BTC_SPOT.id)
    seen = snapshot(fills=(close,), bookings=(funding("fund-1", T0 + 5), unknown, forced))
    state.markets.pop(BTC_SPOT.id, None)
    assert [type(event) for event in told(state, seen)] == [e.FundingPaid, e.PositionLiquidated, e.OrderFilled]
    assert told(state, seen) == []
    state.apply(forced)
    state.apply(funding("fund-1", T0 + 5))
    assert (quantity(state), state.ledger.balances[PERP][Asset("USDT")]) == (D(0), D(50) - D(3) - D(5))
    assert state.venue(PERP).last_booking == T0 + 7


def test_a_forced_close_without_an_id_is_taken_as_it_comes() -> None:
    state = seen_before()
    forced = e.PositionLiquidated(BTC_PERP.id, D(2), D(1), D(5), Asset("USDT"), T0, T0)
    for _ in range(2):
        state.apply(forced)
    assert state.ledger.balances[PERP][Asset("USDT")] == D(40)


def test_an_order_of_ours_whose_record_was_lost_is_ours_again() -> None:
    state = seen_before()
    events = told(state, snapshot(report(A.ACCEPTED, id_=OWN)))
    assert [type(event) for event in events] == [e.OrderFound, OrderAdopted]
    assert not state.blotter.open[OWN].foreign


def test_an_instrument_nobody_defined_is_passed_over() -> None:
    assert run(State(), snapshot(positions=(position("2"),))) == []
    state = State()
    assert run(state, snapshot(report(A.ACCEPTED, id_=ClientOrderId("x77")))) == []
    assert not state.blotter.open


def test_wallets_open_once_and_are_then_left_to_the_comparison() -> None:
    state = blank()
    opening = run(state, snapshot(balances=(BalanceReport(Asset("USDT"), D(50), D(50)),)))
    assert [event.reason for event in opening] == ["opening"]  # type: ignore[attr-defined]
    assert state.venue(PERP).opened == T0 + S + 1, "by the clock that stamps what was traded"
    changed = (BalanceReport(Asset("USDT"), D(49), D(49)), BalanceReport(Asset("BTC"), D(1), D(1)))
    assert run(state, snapshot(balances=changed)) == []


def test_coins_that_are_found_at_the_first_look_are_a_position_from_it_on() -> None:
    state = State()
    for event in (InstrumentDefined(BTC_SPOT, T0), quote(BTC_SPOT, 59999.0, 60001.0)):
        state.apply(event)
    coins = (BalanceReport(Asset("BTC"), D("0.3"), D("0.3")),)
    for found in reconcile(state, VenueSnapshot(SPOT, T0 + S, (), (), (), coins), {}, ASKED, NOW):
        state.apply(found)
    position = state.ledger.positions[BTC_SPOT.holding]
    assert (position.quantity, position.entry_price) == (D("0.3"), D("60000"))


@pytest.mark.parametrize(("total", "entry"), [("0.4", "60000"), ("0.7", "60000"), ("0", "0")])
def test_a_spot_position_follows_its_wallet(total: str, entry: str) -> None:
    engine = opened()
    engine.process(fill(BTC_SPOT, Side.BUY, "0.5", "60000", "s1"))
    engine.process(e.BalanceSet(BTC_SPOT.venue, Asset("BTC"), D(total), "deposit", T0))
    seen = VenueSnapshot(BTC_SPOT.venue, T0 + S, (), (), (), ())
    events = list(reconcile(engine.state, seen, {}, T0 + S, T0 + S))
    for event in events:
        engine.process(event)
    position = engine.state.ledger.positions[BTC_SPOT.holding]
    assert position.quantity == engine.state.ledger.balances[BTC_SPOT.venue][Asset("BTC")] == D(total)
    assert position.entry_price == D(entry)
    told = [event for event in events if isinstance(event, e.PositionSet)]
    assert [(event.instrument, event.reason) for event in told] == [
        (BTC_SPOT.holding, f"reconciled: position 0.5, wallet {total}")
    ]
    again = list(reconcile(engine.state, seen, {}, T0 + S, T0 + S))
    assert [type(event) for event in again] == [e.VenueReconciled]
