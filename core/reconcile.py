"""A venue's snapshot against our record: the messages that make them agree. Pure; the runtime asks the questions."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal

import msgspec

from core.domain import events as e
from core.domain.identifiers import ClientOrderId, InstrumentId, InstrumentType, VenueId
from core.domain.instrument import ZERO
from core.domain.message import Event, Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType
from core.domain.reports import BalanceReport, OrderReport, VenueSnapshot
from core.state import State

_OVER = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})
_UNANSWERED = frozenset({OrderStatus.SUBMITTED, OrderStatus.UNKNOWN})


class Underway(msgspec.Struct, frozen=True):
    """Where our orders were when a venue was asked."""

    unsent: frozenset[ClientOrderId] = frozenset()
    """They had not left: no venue can know of them, and its "never had it" is no answer."""
    silent: frozenset[ClientOrderId] = frozenset()
    """They had left and never been answered: whatever the venue says of them is new."""


NOTHING = Underway()


def underway(state: State, venue: VenueId, unsent: AbstractSet[ClientOrderId]) -> Underway:
    """Return where our orders are now, before a venue is asked."""
    silent = (id_ for id_, record in state.blotter.open.items() if record.venue == venue and _is_unanswered(record))
    return Underway(frozenset(unsent), frozenset(silent) - unsent)


def missing(state: State, snapshot: VenueSnapshot, then: Underway = NOTHING) -> list[ClientOrderId]:
    """Return our open orders that the venue does not list, so that it must be asked about each.

    An exit that waits here for its trigger may have left without a record, in a run before.
    """
    listed = {report.client_order_id for report in snapshot.open_orders}
    return [
        id_
        for id_, record in state.blotter.open.items()
        if record.venue == snapshot.venue
        and (record.status is not OrderStatus.APPROVED or record.order.reduce_only)
        and id_ not in listed
        and id_ not in then.unsent
    ]


def _is_newer(record: OrderRecord, asked: Nanoseconds, then: Underway) -> bool:
    """Tell whether what is known of an order may be newer than an answer to what was asked then.

    What we have asked of an order meanwhile is no news of it: a cancel that is tried again and again would otherwise
    keep an order that never arrived from ever being asked about.
    """
    silent = record.order.client_order_id in then.silent and _is_unanswered(record)
    return record.updated >= asked and not silent


def doubtful(state: State, snapshot: VenueSnapshot, asked: Nanoseconds, then: Underway) -> bool:
    """Tell whether a venue lists an order otherwise than we hold it that was touched since: it must be asked again."""
    listed = ((state.blotter.open.get(report.client_order_id), report.order) for report in snapshot.open_orders)
    return any(
        record is not None and _is_newer(record, asked, then) and _amended(record.order, theirs)
        for record, theirs in listed
    )


def _is_over(record: OrderRecord, answer: OrderReport) -> bool:
    """Tell whether nothing of an order is still to come, not even a fill."""
    filled = answer.status is OrderStatus.FILLED and record.filled >= answer.filled
    return filled or answer.status in _OVER


def _is_unanswered(record: OrderRecord) -> bool:
    changing = record.status in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_AMEND)
    return (record.resume_status if changing else record.status) in _UNANSWERED and not record.filled


def reconcile(
    state: State,
    snapshot: VenueSnapshot,
    answers: Mapping[ClientOrderId, OrderReport | None],
    asked: Nanoseconds,
    now: Nanoseconds,
    then: Underway = NOTHING,
) -> Iterator[Event]:
    """Yield the events that bring our record to what the venue reports, fills first.

    Each is to be applied before the next is taken. Orders touched since ``asked`` (when the snapshot was asked for) may
    be newer than it; but an order that is over stays so. A missing position report changes nothing: it is not "flat".
    """
    # Taken before the fills below touch their orders: only what came from elsewhere meanwhile is newer.
    newer = {id_ for id_, record in state.blotter.orders.items() if _is_newer(record, asked, then)}
    for fill in snapshot.fills:
        if not state.blotter.knows_fill(snapshot.venue, fill.fill_id):
            yield from _released(state.blotter.orders.get(fill.client_order_id), now)
            yield fill.replace(ts=now)
    for report in snapshot.open_orders:
        if report.client_order_id not in newer:
            yield from _open_order(state, snapshot, report, now)
    for id_, answer in answers.items():
        record = state.blotter.open.get(id_)
        if record is None or (answer is None and record.status is OrderStatus.APPROVED):
            continue
        if id_ not in newer or (answer is not None and _is_over(record, answer)):
            yield from _released(record, now)
            yield from _closed_order(record, answer, now)
    yield from _positions(state, snapshot, now)
    yield from _balances(state, snapshot, now)
    yield e.VenueReconciled(snapshot.venue, snapshot.ts_exchange, now, asked, _reported(state, snapshot))


def _reported(state: State, snapshot: VenueSnapshot) -> tuple[InstrumentId, ...]:
    """Name what the venue told the amount of, a zero too: what is missing there is not flat."""
    told = {report.instrument for report in snapshot.positions}
    wallets = {report.asset for report in snapshot.balances}
    spot = (market for market in state.markets.values() if market.kind is InstrumentType.SPOT_PAIR)
    told |= {one.holding for one in spot if one.venue == snapshot.venue and one.instrument.base in wallets}
    return tuple(sorted(told))


def _open_order(state: State, snapshot: VenueSnapshot, report: OrderReport, now: Nanoseconds) -> Iterator[Event]:
    record = state.blotter.orders.get(report.client_order_id)
    if record is None:
        id_ = report.client_order_id or ClientOrderId(f"foreign-{report.venue_order_id}")
        if id_ not in state.blotter.orders:
            yield e.OrderFound(
                msgspec.structs.replace(report.order, client_order_id=id_),
                snapshot.venue,
                report.venue_order_id,
                report.filled,
                now,
            )
    elif not record.is_open:
        what = f"the venue lists it as {report.status}, our record says {record.status}"
        yield e.IllegalEventSeen(report.client_order_id, what, now)
    else:
        yield from _released(record, now)
        yield from _resting(record, report, now)


def _released(record: OrderRecord | None, now: Nanoseconds) -> Iterator[Event]:
    """Catch up on an order that waited here for its trigger, as far as our record goes, and that the venue has."""
    if record is not None and record.status is OrderStatus.APPROVED:
        yield e.OrderSubmitted(record.order, record.venue, now)


def _resting(record: OrderRecord, report: OrderReport, now: Nanoseconds) -> Iterator[Event]:
    """Bring an order that rests at the venue to what it reports: a request of ours may have got lost on its way."""
    id_ = record.order.client_order_id
    if _is_unanswered(record):
        yield e.OrderAccepted(id_, report.venue_order_id, report.ts_exchange, now)
    theirs = report.order
    if _amended(record.order, theirs):
        yield e.OrderAmended(id_, theirs.quantity, theirs.price, theirs.trigger, report.ts_exchange, now)
    elif record.status is OrderStatus.PENDING_AMEND:
        yield e.AmendRejected(id_, "the venue holds it unchanged", report.ts_exchange, now)
    if record.status is OrderStatus.PENDING_CANCEL:
        yield e.CancelRejected(id_, "the venue still lists it", report.ts_exchange, now)


def _amended(ours: Order, theirs: Order) -> bool:
    """Tell whether the venue holds other values; a trailing stop's trigger moves by itself."""
    if ours.type is not theirs.type:
        return False  # a stop that has been released is another order there
    if ours.type is OrderType.TRAILING_STOP:
        return ours.quantity != theirs.quantity
    return (ours.quantity, ours.price, ours.trigger) != (theirs.quantity, theirs.price, theirs.trigger)


def _closed_order(record: OrderRecord, answer: OrderReport | None, now: Nanoseconds) -> Iterator[Event]:
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
        what = f"the venue reports {answer.filled} filled, its fills explain {record.filled}"
        if record.filled < answer.filled:
            yield e.IllegalEventSeen(id_, what, now)
        yield e.OrderCancelled(id_, what, answer.ts_exchange, now)
    else:
        yield from _resting(record, answer, now)


def _positions(state: State, snapshot: VenueSnapshot, now: Nanoseconds) -> Iterator[Event]:
    for report in snapshot.positions:
        market = state.markets.get(report.instrument)
        if market is None:
            continue
        held = state.ledger.positions.get(report.instrument)
        quantity = held.quantity if held is not None else 0
        if quantity == report.quantity:
            continue
        if held is not None and state.venue(snapshot.venue).last_fill > snapshot.ts_exchange:
            continue  # a fill came after this snapshot was taken; the next one decides
        reason = f"reconciled: ours {quantity}, {snapshot.venue} reports {report.quantity}"
        yield e.PositionSet(report.instrument, report.quantity, report.entry_price, reason, now)


def _balances(state: State, snapshot: VenueSnapshot, now: Nanoseconds) -> Iterator[Event]:
    if state.venue(snapshot.venue).last_fill > snapshot.ts_exchange:
        return
    wallet = state.ledger.balances.get(snapshot.venue)
    for report in snapshot.balances:
        ours = wallet.get(report.asset) if wallet is not None else None
        if ours != report.total:
            reason = (
                "opening" if wallet is None else f"reconciled: ours {ours}, {snapshot.venue} reports {report.total}"
            )
            yield e.BalanceSet(snapshot.venue, report.asset, report.total, reason, now)
        if wallet is not None:
            yield from _spot_position(state, snapshot.venue, report, now)


def _spot_position(state: State, venue: VenueId, report: BalanceReport, now: Nanoseconds) -> Iterator[Event]:
    """Bring what is held of a spot asset to its wallet: the fills that would explain the difference are not known."""
    pairs = (
        market
        for market in state.markets.values()
        if market.kind is InstrumentType.SPOT_PAIR and market.venue == venue and market.instrument.base == report.asset
    )
    market = next(pairs, None)
    if market is None:
        return
    held = state.ledger.positions.get(market.holding)
    quantity = held.quantity if held is not None else ZERO
    if quantity == report.total or (held is None and not report.total):
        return
    entry = held.entry_price if held is not None and quantity else Decimal(repr(market.mark))
    reason = f"reconciled: position {quantity}, wallet {report.total}"
    yield e.PositionSet(market.holding, report.total, entry if report.total else ZERO, reason, now)
