"""What an account was opened with, as apart from what was traded since our first look at it. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from core.domain import events as e
from core.domain.identifiers import ClientOrderId, FillId, InstrumentId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import OrderRecord
from core.domain.reports import OrderReport, VenueSnapshot
from core.state.state import State

TICK_NS: Nanoseconds = 2_000_000_000
"""The coarsest clock that a venue stamps by, with room for what ours was off in a journal of before."""


def opened(state: State, snapshot: VenueSnapshot) -> Nanoseconds:
    """Return until when what was traded is part of the opening: our first look at this account, which may be now."""
    first = snapshot.venue not in state.ledger.balances
    return snapshot.ts_exchange + 1 if first else state.venue(snapshot.venue).opened


def is_past(state: State, fill: e.OrderFilled, opened: Nanoseconds) -> bool:
    """Tell whether a fill is part of what the account was ``opened`` with, whoever traded: a record may have been lost.

    One of an order that this record has sent never is, whatever the clocks say.
    """
    if fill.ts_exchange >= opened:
        return False
    record = state.blotter.orders.get(fill.client_order_id)
    return record is None or record.found


def filled_by(state: State, record: OrderRecord, snapshot: VenueSnapshot) -> Decimal:
    """Return how much of an order is filled by our record and by what a snapshot tells beyond it."""
    id_, since = record.order.client_order_id, opened(state, snapshot)
    told = (
        fill.quantity
        for fill in snapshot.fills
        if fill.client_order_id == id_
        and not state.blotter.knows_fill(fill.instrument, fill.fill_id)
        and not is_past(state, fill, since)
    )
    return record.filled + sum(told, ZERO)


def lacking(
    state: State, snapshot: VenueSnapshot, answers: Mapping[ClientOrderId, OrderReport | None]
) -> frozenset[tuple[InstrumentId, FillId]]:
    """Name the fills of found orders that stamps put just before our first look and whose orders' reports count since.

    A venue's stamps may be coarse: one tick of its clock can hold the look and a fill behind it. What a report counts
    beyond our record are the newest of them. Older ones are in the opening, whatever a report counts.
    """
    lacks: dict[ClientOrderId, Decimal] = {}
    if snapshot.venue in state.ledger.balances:
        for report in (*snapshot.open_orders, *filter(None, answers.values())):
            record = state.blotter.orders.get(report.client_order_id)
            if record is not None and record.found:
                lacks[report.client_order_id] = report.filled - filled_by(state, record, snapshot)
    found, since = set(), opened(state, snapshot)
    for fill in reversed(snapshot.fills) if any(lacks.values()) else ():
        left = lacks.get(fill.client_order_id, ZERO)
        known = state.blotter.knows_fill(fill.instrument, fill.fill_id)
        is_near = fill.ts_exchange >= since - TICK_NS
        if is_near and fill.quantity <= left and not known and is_past(state, fill, since):
            lacks[fill.client_order_id] = left - fill.quantity
            found.add((fill.instrument, fill.fill_id))
    return frozenset(found)
