"""Orders and their lives: open ones, the recent closed ones, and what has been seen before."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.domain.differences import OrderAdopted
from core.domain.events import (
    AmendRejected,
    AmendSubmitted,
    CancelRejected,
    CancelSubmitted,
    OrderAccepted,
    OrderAmended,
    OrderApproved,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderUnknown,
)
from core.domain.identifiers import ClientOrderId, FillId, InstrumentId, VenueId, holding_of
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import CLOSED, TRANSITIONS, Order, OrderRecord, OrderStatus, Side, check_transition

NOTHING = ClientOrderId("")
KEPT_CLOSED = 2000
KEPT_SEEN = 50_000
_SUBMITTED, _ACCEPTED, _FILLED = OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.FILLED
_UNACKNOWLEDGED = frozenset({OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.TRIGGERED})
_FILLS_WITHOUT_CHANGE = frozenset(
    {
        OrderStatus.PENDING_CANCEL,
        OrderStatus.PENDING_AMEND,
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
    }
)
"""A partial fill leaves these as they are; a DENIED order can have none."""


class Seen(dict[str, None]):
    """Remember the newest keys, oldest first, bounded.

    A plain dict and a line of what leaves next: a checkpoint takes all keys in the engine's loop, and an OrderedDict
    gives them fifteen times slower.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        super().__init__(dict.fromkeys(keys))
        self._line = deque(self)

    def add(self, key: str) -> None:
        """Remember a key."""
        if key in self:
            return
        self[key] = None
        self._line.append(key)
        if len(self) > KEPT_SEEN:
            del self[self._line.popleft()]


def fill_key(instrument: InstrumentId, fill: FillId) -> str:
    """Return what a fill is remembered as: fill ids are the venue's own, and some count them for each instrument."""
    return f"{instrument}|{fill}"


def funding_key(instrument: InstrumentId, funding: FillId) -> str:
    """Return what a funding payment is remembered as."""
    return f"{instrument}|funding|{funding}"


def liquidation_key(instrument: InstrumentId, fill: FillId) -> str:
    """Return what a liquidation is remembered as, by the id of its fill."""
    return f"{instrument}|liquidation|{fill}"


class Applied(Seen):
    """Remember fills, funding and forced closes as ``instrument|id``, as ``venue|id`` from a checkpoint of before."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        super().__init__(keys)
        self._has_older = bool(keys) and ":" not in keys[0].partition("|")[0]

    def knows(self, key: str) -> bool:
        """Tell whether one has been applied before."""
        return key in self or (self._has_older and f"{key.partition(':')[0]}|{key.partition('|')[2]}" in self)


class Blotter:
    """Keep every open order and the last closed ones; changed by ``State.apply`` alone."""

    def __init__(self) -> None:
        self.orders: dict[ClientOrderId, OrderRecord] = {}
        self.open: dict[ClientOrderId, OrderRecord] = {}
        self.operations = Seen()
        """Operation ids already taken: an instruction is never carried out twice."""
        self.fills = Applied()
        """Fills, funding and forced closes already applied."""
        self._closed: deque[ClientOrderId] = deque()
        """In the order in which they ended; a late fill does not make one younger."""

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns orders alone."""
        return {
            OrderDenied: self.denied,
            OrderApproved: self.approved,
            OrderSubmitted: self.submitted,
            OrderFound: self.found,
            OrderAdopted: self.adopted,
            OrderAccepted: self.accepted,
            OrderRejected: self.rejected,
            OrderTriggered: self.triggered,
            OrderCancelled: self.ended,
            OrderExpired: self.ended,
            CancelSubmitted: self.change_submitted,
            AmendSubmitted: self.change_submitted,
            CancelRejected: self.change_refused,
            AmendRejected: self.change_refused,
            OrderUnknown: self.unknown,
        }

    # --- questions --------------------------------------------------------------------------------------------------

    def of(self, instrument: InstrumentId) -> list[OrderRecord]:
        """Return the open orders of an instrument, oldest first."""
        return [record for record in self.open.values() if record.order.instrument == instrument]

    def resting_reduction(
        self,
        instrument: InstrumentId,
        side: Side,
        but: ClientOrderId = NOTHING,
        *,
        others: bool = False,
        waiting: bool = True,
    ) -> Decimal:
        """Return what open reduce-only orders of one side would still close, one of them left out.

        Those of every instrument with the same holding count: two pairs of one coin sell the same coins.
        Those of ``others`` count only where they could leave an order less to close: they must not hold up an exit of
        ours, and a venue lets no reduce-only order exceed the position. Those ``waiting`` here may be left out: each is
        made to fit what is left when it is met.
        """
        if not self.open:
            return ZERO
        holding = holding_of(instrument)
        return sum(
            (
                record.may_fill
                for record in self.open.values()
                if record.order.reduce_only
                and record.order.side is side
                and holding_of(record.order.instrument) == holding
                and record.order.client_order_id != but
                and (others or not record.foreign)
                and (waiting or record.status is not OrderStatus.APPROVED)
            ),
            ZERO,
        )

    def knows_fill(self, instrument: InstrumentId, fill: FillId) -> bool:
        """Tell whether a fill has been applied before."""
        return self.fills.knows(fill_key(instrument, fill))

    # --- events -----------------------------------------------------------------------------------------------------

    def denied(self, event: OrderDenied) -> None:
        """Keep a refused order for the blotter's history."""
        order = event.order
        record = OrderRecord(order, OrderStatus.DENIED, order.venue, event.ts, event.ts, reason=event.reason)
        known = self.orders.get(order.client_order_id)
        if known is not None:  # an emulated stop refused at its trigger
            self._enter(known, OrderStatus.DENIED, event.ts, event.reason)
            return
        if order.operation_id:
            self.operations.add(order.operation_id)
        self.orders[order.client_order_id] = record
        self._close(record)

    def approved(self, event: OrderApproved) -> None:
        """Keep an order that waits in the engine for its trigger."""
        self._new(event.order, OrderStatus.APPROVED, event.venue, event.ts)

    def submitted(self, event: OrderSubmitted) -> None:
        """Keep an order that is about to leave."""
        record = self.orders.get(event.order.client_order_id)
        if record is None:
            self._new(event.order, _SUBMITTED, event.venue, event.ts)
        else:
            self._enter(record, _SUBMITTED, event.ts)

    def found(self, event: OrderFound) -> None:
        """Take in an open order that only the venue knew."""
        record = self._new(event.order, OrderStatus.ACCEPTED, event.venue, event.ts)
        record.venue_order_id, record.filled, record.foreign = event.venue_order_id, event.filled, True
        record.found = True

    def adopted(self, event: OrderAdopted) -> None:
        """Take an order that others placed for ours, from now on: an older flatten did not concern it."""
        record = self._record(event.client_order_id)
        record.foreign, record.created = False, event.ts

    def accepted(self, event: OrderAccepted) -> None:
        """The venue holds the order; an acknowledgement behind a fill changes only the venue's id."""
        record = self.orders.get(event.client_order_id) or self._record(event.client_order_id)
        record.venue_order_id = event.venue_order_id
        working = self._working(record) if record.filled else _ACCEPTED
        if record.status in _UNACKNOWLEDGED:
            record.answered_in = event.ts - record.updated
            self._enter(record, working, event.ts)
        record.resume_status = working

    def rejected(self, event: OrderRejected) -> None:
        """The venue refused the order."""
        self._enter(self._record(event.client_order_id), OrderStatus.REJECTED, event.ts, event.reason)

    def triggered(self, event: OrderTriggered) -> None:
        """A waiting order met its price; a snapshot may have told what came of it already."""
        record = self._record(event.client_order_id)
        if not (record.filled or record.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED)):
            self._enter(record, OrderStatus.TRIGGERED, event.ts)

    def filled(self, event: OrderFilled, key: str) -> OrderRecord | None:
        """Apply a fill, remembered as ``key``, to its order and return that; legal wherever a venue may hold it."""
        self.fills.add(key)
        record = self.orders.get(event.client_order_id)
        if record is None:
            return None
        quantity, before, average = event.quantity, record.filled, record.average_price
        record.filled = filled = before + quantity
        record.average_price = event.price if average is None else (average * before + event.price * quantity) / filled
        if event.fee:
            record.fees += event.fee
        if event.venue_order_id:
            record.venue_order_id = event.venue_order_id
        most = max(record.order.quantity, record.asked or ZERO) if record.is_open else record.order.quantity
        if filled >= most:  # what a change on its way asks for may rest at the venue already
            self._enter(record, _FILLED, event.ts)
        elif record.status in _FILLS_WITHOUT_CHANGE or (
            record.status is OrderStatus.UNKNOWN and filled >= record.order.quantity
        ):  # whether there is a rest is asked of the venue
            record.resume_status = OrderStatus.PARTIALLY_FILLED
            record.updated = event.ts
        else:
            self._enter(record, OrderStatus.PARTIALLY_FILLED, event.ts)
            record.reason = ""  # what was refused before is over: its time is read from the last change
        return record

    def ended(self, event: OrderCancelled | OrderExpired) -> None:
        """The order rests no more: cancelled, or its time in force is over."""
        status = OrderStatus.CANCELLED if isinstance(event, OrderCancelled) else OrderStatus.EXPIRED
        record = self._record(event.client_order_id)
        if record.status is status or record.status is OrderStatus.FILLED:
            return  # said twice, or overtaken by the last fill
        self._enter(record, status, event.ts, event.reason)

    def change_submitted(self, event: CancelSubmitted | AmendSubmitted) -> None:
        """A cancel or amend is on its way."""
        status = OrderStatus.PENDING_CANCEL if isinstance(event, CancelSubmitted) else OrderStatus.PENDING_AMEND
        record = self._record(event.client_order_id)
        if record.is_open:
            if record.status not in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_AMEND):
                record.resume_status = record.status  # an outcome that was unknown stays so behind a refusal
            self._enter(record, status, event.ts)
            if isinstance(event, AmendSubmitted):
                record.asked, record.asked_at = event.quantity, event.ts

    def change_refused(self, event: CancelRejected | AmendRejected) -> None:
        """A cancel or amend was refused: the order stands as before; the word on a cancel is none on an amend."""
        record, reason, ts = self._record(event.client_order_id), event.reason, event.ts
        if isinstance(event, AmendRejected):
            record.asked = None
        full = record.filled >= max(record.order.quantity, record.asked or ZERO)
        if record.status in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_AMEND):
            if record.resume_status in _UNACKNOWLEDGED:  # the order's own answer is still to come, a no perhaps
                record.status, record.updated, record.reason = record.resume_status, ts, reason
            else:
                self._enter(record, _FILLED if full else self._working(record), ts, reason)
        elif full and record.is_open:  # the word on the cancel came before the one on the change
            self._enter(record, _FILLED, ts, reason)

    def amended(self, event: OrderAmended) -> bool:
        """The venue, or the engine while the order waits there, holds it with new values; tell whether they are new."""
        record = self._record(event.client_order_id)
        if event.ts_exchange < record.amended:
            return False
        changes: dict[str, Decimal] = {}
        if event.quantity is not None:
            changes["quantity"] = event.quantity
        if event.price is not None:
            changes["price"] = event.price
        if event.trigger is not None:
            changes["trigger"] = event.trigger
        if changes:  # one that names none says that there was nothing to change: an older one's values still count
            record.amended = event.ts_exchange
        record.order = msgspec.structs.replace(record.order, **changes)
        record.asked = None
        if record.status is OrderStatus.APPROVED:
            record.updated, record.reason = event.ts, ""
        elif record.is_open:
            record.reason = ""  # what was said of a change before is over
            full = record.filled >= record.order.quantity  # made smaller, down to what a fill has told before
            self._enter(record, _FILLED if full else self._working(record), event.ts)
        return True

    def unknown(self, event: OrderUnknown) -> None:
        """The outcome of a request is not known."""
        record = self._record(event.client_order_id)
        if record.is_open:
            self._enter(record, OrderStatus.UNKNOWN, event.ts, event.reason)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _record(self, order: ClientOrderId) -> OrderRecord:
        record = self.orders.get(order)
        if record is None:
            raise KeyError(f"order {order} is not known")
        return record

    def _new(self, order: Order, status: OrderStatus, venue: VenueId, ts: Nanoseconds) -> OrderRecord:
        record = OrderRecord(order, status, venue, ts, ts)
        if order.operation_id:
            self.operations.add(order.operation_id)
        self.orders[order.client_order_id] = self.open[order.client_order_id] = record
        return record

    def _working(self, record: OrderRecord) -> OrderStatus:
        return OrderStatus.PARTIALLY_FILLED if record.filled else _ACCEPTED

    def _enter(self, record: OrderRecord, status: OrderStatus, ts: Nanoseconds, reason: str = "") -> None:
        before = record.status
        if status not in TRANSITIONS[before]:
            check_transition(record.order.client_order_id, before, status)
        record.status = status
        record.updated = ts
        if reason:
            record.reason = reason
        if status in CLOSED and before not in CLOSED:
            self._close(record)

    def _close(self, record: OrderRecord) -> None:
        key, closed = record.order.client_order_id, self._closed
        self.open.pop(key, None)
        closed.append(key)
        while len(closed) > KEPT_CLOSED:
            self.orders.pop(closed.popleft(), None)

    def restore(self, records: "tuple[OrderRecord, ...]", operations: tuple[str, ...], fills: tuple[str, ...]) -> None:
        """Take the orders and memories of an image."""
        self.operations, self.fills = Seen(operations), Applied(fills)
        for record in records:
            self.orders[record.order.client_order_id] = record
            if record.is_open:
                self.open[record.order.client_order_id] = record
            else:
                self._closed.append(record.order.client_order_id)
