"""A venue's snapshot against our record: what our record explains becomes events. Pure; the runtime asks the questions.

Explained is what happened to orders of ours (fills, acknowledgements, ends, amends), funding, forced closes that the
venue reports, and a wallet that is seen for the first time. What is left over is a difference: ``compare``.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal

import msgspec

from core.domain import events as e
from core.domain.differences import DifferenceFound, DifferenceKind, OrderAdopted
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, InstrumentType, VenueId
from core.domain.instrument import ZERO
from core.domain.message import Event, Nanoseconds
from core.domain.numbers import plain
from core.domain.order import AMEND_LIFE_NS, Order, OrderRecord, OrderStatus, OrderType
from core.domain.position import Position
from core.domain.reports import OrderReport, VenueSnapshot
from core.reconcile.opening import is_past, lacking, opened
from core.state.blotter import funding_key, liquidation_key
from core.state.contact import OPENING
from core.state.flaws import flaw
from core.state.outright import is_unsellable
from core.state.state import State

_OVER = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})
_UNANSWERED = frozenset({OrderStatus.SUBMITTED, OrderStatus.UNKNOWN})
Owns = Callable[[ClientOrderId], bool]
"""Tell whether an id was made by this home, so that its orders are ours though their record be lost."""


def nobody(_: ClientOrderId) -> bool:
    """Own no id that stands in no record."""
    return False


class Underway(msgspec.Struct, frozen=True):
    """Where our orders were when a venue was asked."""

    unsent: frozenset[ClientOrderId] = frozenset()
    """They had not left: no venue can know of them, and its "never had it" is no answer."""
    silent: frozenset[ClientOrderId] = frozenset()
    """They had left and never been answered: whatever the venue says of them is new."""


NOTHING = Underway()


def underway(state: State, venue: VenueId, unsent: AbstractSet[ClientOrderId]) -> Underway:
    """Return where our orders are now, before a venue is asked."""
    silent = (id_ for id_, record in state.blotter.open.items() if record.venue == venue and is_unanswered(record))
    return Underway(frozenset(unsent), frozenset(silent) - unsent)


def missing(state: State, snapshot: VenueSnapshot, asked: Nanoseconds, then: Underway = NOTHING) -> list[ClientOrderId]:
    """Return our open orders that the venue does not list, so that it must be asked about each.

    A request younger than ``asked`` may still travel. An exit that waits here for its trigger may have left without a
    record, in a run before.
    """
    listed = {report.client_order_id for report in snapshot.open_orders}
    return [
        id_
        for id_, record in state.blotter.open.items()
        if record.venue == snapshot.venue
        and (record.status is not OrderStatus.APPROVED or record.order.reduce_only)
        and id_ not in listed
        and id_ not in then.unsent
        and record.created < asked
    ]


def explained(
    state: State,
    snapshot: VenueSnapshot,
    answers: Mapping[ClientOrderId, OrderReport | None],
    asked: Nanoseconds,
    now: Nanoseconds,
    owns: Owns = nobody,
    then: Underway = NOTHING,
) -> Iterator[Event]:
    """Yield the events that bring our record as far to what the venue reports as it can explain, bookings first.

    Each is to be applied before the next is taken. Orders touched since ``asked`` (when the snapshot was asked for) may
    be newer than it; but an order that is over stays so.
    """
    # Taken before the fills below touch their orders: only what came from elsewhere meanwhile is newer.
    newer = {id_ for id_, record in state.blotter.orders.items() if _is_newer(record, asked, then)}
    yield from _bookings(state, snapshot, now)
    yield from _fills(state, snapshot, answers, owns, now)
    for report in snapshot.open_orders:
        if report.client_order_id not in newer:
            yield from _open_order(state, snapshot, report, owns, asked, now)
    for id_, answer in answers.items():
        record = state.blotter.open.get(id_)
        if record is None or (answer is None and record.status is OrderStatus.APPROVED):
            continue
        if id_ not in newer or (answer is not None and _is_over(record, answer)):
            yield from _released(record, now)
            yield from _closed_order(record, answer, asked, now)
    yield from _wallets(state, snapshot, now)


def _is_newer(record: OrderRecord, asked: Nanoseconds, then: Underway) -> bool:
    """Tell whether what is known of an order may be newer than an answer to what was asked then.

    What we have asked of an order meanwhile is no news of it: a cancel that is tried again and again would otherwise
    keep an order that never arrived from ever being asked about.
    """
    silent = record.order.client_order_id in then.silent and is_unanswered(record)
    return record.updated >= asked and not silent


def doubtful(state: State, snapshot: VenueSnapshot, asked: Nanoseconds, then: Underway) -> bool:
    """Tell whether a venue must be asked again: how it lists an order that was touched since, or is, may not be all."""
    listed = ((state.blotter.open.get(report.client_order_id), report.order) for report in snapshot.open_orders)
    return any(
        record is not None
        and (_may_change(record, theirs, asked) or (_is_newer(record, asked, then) and _amended(record.order, theirs)))
        for record, theirs in listed
    )


def _is_over(record: OrderRecord, answer: OrderReport) -> bool:
    """Tell whether nothing of an order is still to come, not even a fill."""
    filled = answer.status is OrderStatus.FILLED and record.filled >= answer.filled
    return filled or answer.status in _OVER


def is_unanswered(record: OrderRecord) -> bool:
    """Tell whether the venue has never said a word about an order, a change of it on its way or not."""
    changing = record.status in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_AMEND)
    return (record.resume_status if changing else record.status) in _UNANSWERED and not record.filled


def reconcile(
    state: State,
    snapshot: VenueSnapshot,
    answers: Mapping[ClientOrderId, OrderReport | None],
    asked: Nanoseconds,
    now: Nanoseconds,
    owns: Owns = nobody,
    then: Underway = NOTHING,
) -> Iterator[Event]:
    """Yield what is explained, and that the venue is reconciled: for a venue whose every word is an event."""
    yield from explained(state, snapshot, answers, asked, now, owns, then)
    yield e.VenueReconciled(snapshot.venue, snapshot.ts_exchange, now, asked, reported(state, snapshot))


def reported(state: State, snapshot: VenueSnapshot) -> tuple[InstrumentId, ...]:
    """Name what the venue said explicitly to be flat, dust aside: not what is missing nor what it holds."""
    amounts: dict[InstrumentId, Decimal] = {}
    for report in snapshot.positions:  # of two legs neither is flat while the other is held
        amounts[report.instrument] = amounts.get(report.instrument, ZERO) + abs(report.quantity)
    wallets = {report.asset: report.total for report in snapshot.balances}
    flat = set()
    for market in state.markets.values():
        instrument, id_ = market.instrument, market.holding
        amount = wallets.get(instrument.base) if market.kind is InstrumentType.SPOT_PAIR else amounts.get(id_)
        if market.venue == snapshot.venue and amount is not None:
            flat |= {id_} if is_unsellable(market, amount) else set()
    return tuple(sorted(flat))


def _bookings(state: State, snapshot: VenueSnapshot, now: Nanoseconds) -> Iterator[Event]:
    """Yield funding and forced closes that we have not heard of, those before our first look excepted."""
    since = opened(state, snapshot)
    for booking in snapshot.bookings:
        if booking.ts_exchange < since or booking.instrument not in state.markets:
            continue
        if isinstance(booking, e.FundingPaid):
            key = funding_key(booking.instrument, booking.funding_id)
        else:
            key = liquidation_key(booking.instrument, booking.fill_id)
        if not state.blotter.fills.knows(key):
            yield booking.replace(ts=now)


def _fills(
    state: State,
    snapshot: VenueSnapshot,
    answers: Mapping[ClientOrderId, OrderReport | None],
    owns: Owns,
    now: Nanoseconds,
) -> Iterator[Event]:
    """Yield the fills we have not heard of; behind one that no order of ours explains, its difference."""
    since, uncounted = opened(state, snapshot), lacking(state, snapshot, answers)
    for fill in snapshot.fills:
        if state.blotter.knows_fill(fill.instrument, fill.fill_id):
            continue
        if is_past(state, fill, since) and (fill.instrument, fill.fill_id) not in uncounted:
            continue
        if is_foreign(state, fill, owns):
            if fill.instrument not in state.markets:
                continue
            yield fill.replace(ts=now)
            if not flaw(fill):
                yield foreign_fill(snapshot.venue, fill, now)
        else:
            yield from _released(state.blotter.orders.get(fill.client_order_id), now)
            yield fill.replace(ts=now)


def is_foreign(state: State, fill: e.OrderFilled, owns: Owns) -> bool:
    """Tell whether no order of ours and no forced close that the venue has told of explains a fill."""
    record = state.blotter.orders.get(fill.client_order_id)
    if record is not None:
        return record.foreign
    key = liquidation_key(fill.instrument, fill.fill_id)
    return not (owns(fill.client_order_id) or state.blotter.fills.knows(key))


def foreign_fill(venue: VenueId, fill: e.OrderFilled, now: Nanoseconds) -> DifferenceFound:
    """Return the difference that a fill of somebody else's order makes; the engine knows what was held before."""
    signed = fill.quantity * fill.side.sign
    who = f"order {fill.client_order_id}, which is not ours" if fill.client_order_id else "an order that is not ours"
    what = f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)} by {who}"
    kind = DifferenceKind.FILL
    return DifferenceFound(
        0, kind, venue, fill.instrument, Asset(""), ClientOrderId(""), ZERO, signed, fill.price, what, now
    )


def _open_order(
    state: State, snapshot: VenueSnapshot, report: OrderReport, owns: Owns, asked: Nanoseconds, now: Nanoseconds
) -> Iterator[Event]:
    record = state.blotter.orders.get(report.client_order_id)
    if record is None:
        id_ = listed_id(report)
        if id_ not in state.blotter.orders and report.order.instrument in state.markets:
            order = msgspec.structs.replace(report.order, client_order_id=id_)
            yield e.OrderFound(order, snapshot.venue, report.venue_order_id, report.filled, now)
            if owns(id_):
                yield OrderAdopted(id_, "its id is ours: its record was lost", now)
    elif record.is_open:
        yield from _released(record, now)
        yield from _resting(record, report, asked, now)


def listed_id(report: OrderReport) -> ClientOrderId:
    """Return what an order that the venue lists is called here."""
    return report.client_order_id or ClientOrderId(f"foreign-{report.venue_order_id}")


def _released(record: OrderRecord | None, now: Nanoseconds) -> Iterator[Event]:
    """Catch up on an order that waited here for its trigger, as far as our record goes, and that the venue has."""
    if record is not None and record.status is OrderStatus.APPROVED:
        yield e.OrderSubmitted(record.order, record.venue, now)


def _resting(record: OrderRecord, report: OrderReport, asked: Nanoseconds, now: Nanoseconds) -> Iterator[Event]:
    """Bring an order that rests at the venue to what it reports: a request of ours may have got lost on its way."""
    id_ = record.order.client_order_id
    travels = _may_change(record, report.order, asked)
    if travels and record.status is not OrderStatus.PENDING_CANCEL:
        return  # busy until then: it counts as what it may become, and no other amend is asked for
    if is_unanswered(record) or record.status is OrderStatus.UNKNOWN:  # a change that got lost, behind fills too
        yield e.OrderAccepted(id_, report.venue_order_id, report.ts_exchange, now)
    theirs = report.order
    if _amended(record.order, theirs):
        yield e.OrderAmended(id_, theirs.quantity, theirs.price, theirs.trigger, report.ts_exchange, now)
    elif _is_changing(record) and not travels:
        yield e.AmendRejected(id_, "the venue holds it unchanged", report.ts_exchange, now)
    if record.status is OrderStatus.PENDING_CANCEL:
        yield e.CancelRejected(id_, "the venue still lists it", report.ts_exchange, now)


def _is_changing(record: OrderRecord) -> bool:
    return record.status is OrderStatus.PENDING_AMEND or record.asked is not None


def _may_change(record: OrderRecord, theirs: Order, asked: Nanoseconds) -> bool:
    """Tell whether an amend may still arrive at the venue that it did not hold when it was asked."""
    travels = _is_changing(record) and asked - record.asked_at < AMEND_LIFE_NS
    return travels and not _amended(record.order, theirs)


def _amended(ours: Order, theirs: Order) -> bool:
    """Tell whether the venue holds other values; a trailing stop's trigger moves by itself."""
    if ours.type is not theirs.type:
        return False  # a stop that has been released is another order there
    if ours.type is OrderType.TRAILING_STOP:
        return ours.quantity != theirs.quantity
    return (ours.quantity, ours.price, ours.trigger) != (theirs.quantity, theirs.price, theirs.trigger)


def _closed_order(
    record: OrderRecord, answer: OrderReport | None, asked: Nanoseconds, now: Nanoseconds
) -> Iterator[Event]:
    id_ = record.order.client_order_id
    unanswered = record.status in _UNANSWERED and not record.filled
    if answer is None:
        if unanswered:
            yield e.OrderRejected(id_, "the order never reached the venue", now, now)
        else:
            yield e.OrderCancelled(id_, "the venue no longer knows this order", now, now)
    elif answer.status is OrderStatus.CANCELLED:
        yield e.OrderCancelled(id_, "cancelled at the venue", answer.ts_exchange, now)
    elif answer.status is OrderStatus.EXPIRED:
        yield e.OrderExpired(id_, "expired at the venue", answer.ts_exchange, now)
    elif answer.status is OrderStatus.REJECTED:
        if unanswered:
            yield e.OrderRejected(id_, "rejected by the venue", answer.ts_exchange, now)
        else:
            yield e.OrderCancelled(id_, "the venue took it back as rejected", answer.ts_exchange, now)
    elif answer.status is OrderStatus.FILLED:
        what = f"the venue reports {plain(answer.filled)} filled, its fills explain {plain(record.filled)}"
        if record.filled < answer.filled:
            yield e.IllegalEventSeen(id_, what, now)
        yield e.OrderCancelled(id_, what, answer.ts_exchange, now)
    elif answer.status is not OrderStatus.SUBMITTED:  # else it is on its way there: accepted or not, its answer comes
        yield from _resting(record, answer, asked, now)


def _wallets(state: State, snapshot: VenueSnapshot, now: Nanoseconds) -> Iterator[Event]:
    """Open the wallets of a venue that is seen for the first time, and bring what is held of spot assets to them.

    What the wallets hold then is the capital we begin with: it is guarded from this look on. Of one below nothing not
    all is told yet, or it waits for a word: what is held stays as the fills made it.
    """
    if snapshot.venue not in state.ledger.balances:
        for report in snapshot.balances:
            yield e.BalanceSet(snapshot.venue, report.asset, report.total, OPENING, now, snapshot.ts_exchange)
    for asset, total in tuple(state.ledger.balances.get(snapshot.venue, {}).items()):
        if total >= ZERO:
            yield from spot_position(state, snapshot.venue, asset, now)


def first_entries(state: State, now: Nanoseconds) -> Iterator[Event]:
    """Set the entry of what was found before anything marked it to its first mark: its loss is judged from there."""
    for position in state.ledger.positions.values():
        if position.quantity and not position.entry_price:
            entry = state.ledger.rates.entry_mark(position.instrument)
            if entry > ZERO:
                reason = "found before it had a price: counted from its first"
                yield e.PositionSet(position.instrument, position.quantity, entry, reason, now)


def spot_position(state: State, venue: VenueId, asset: Asset, now: Nanoseconds) -> Iterator[Event]:
    """Bring what is held of a spot asset to our wallet's total: no fill explains what came or went beside trading.

    What came is entered at its mark of now: it has neither lost nor earned what was held before. No less than none is
    owned: where our wallet says so, not all of what came is told yet, and a short of it would be bought back.
    """
    pairs = (
        market
        for market in state.markets.values()
        if market.kind is InstrumentType.SPOT_PAIR and market.venue == venue and market.instrument.base == asset
    )
    market = next(pairs, None)
    if market is None:
        return
    total = ZERO if asset == state.currency else state.ledger.balances[venue].get(asset, ZERO)  # cash is no position
    held = state.ledger.positions.get(market.holding)
    quantity = held.quantity if held is not None else ZERO
    total = max(total, min(quantity, ZERO))
    protected = sum((one.left for one in state.brackets.over(market.holding)), ZERO)
    if quantity == total >= protected:  # else brackets that were not cut while coins were owed are cut now
        return
    mark = state.ledger.rates.entry_mark(market.holding)
    entry = _entered(held, total, mark) if held is not None and quantity else mark
    reason = f"reconciled: position {plain(quantity)}, wallet {plain(total)}"
    yield e.PositionSet(market.holding, total, entry if total else ZERO, reason, now)


def _entered(held: Position, total: Decimal, mark: Decimal) -> Decimal:
    """Return the entry of so much where some was held: that of before, with what came at the mark where it is known."""
    quantity, entry = held.quantity, held.entry_price
    if quantity * total < ZERO:
        return mark
    if abs(total) <= abs(quantity) or not (entry and mark):
        return entry
    return (quantity * entry + (total - quantity) * mark) / total
