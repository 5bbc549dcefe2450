"""A journal that is not the one that was: how it is noticed at a venue, and the halt that follows."""

from collections.abc import Iterator

from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId
from core.domain.message import Nanoseconds
from core.domain.reports import VenueSnapshot
from core.execution.ids import OrderIds
from core.state.exiting import GUARDIAN
from core.state.state import State


def halted_behind_another_journal(now: Nanoseconds) -> e.TradingStateChanged:
    """Return the halt of an engine whose journal is not the one it had.

    That one may have stood HALTED, with orders and positions that this one does not know.
    """
    reason = "the journal was lost or put back: look at positions and orders, then RESUME"
    return e.TradingStateChanged(TradingState.HALTED, GUARDIAN, f"{GUARDIAN} journal", reason, now)


def of_forgotten_runs(state: State, snapshot: VenueSnapshot, ids: OrderIds) -> Iterator[ClientOrderId]:
    """Yield what a venue tells of our own orders that were made in runs of which our journal has no word.

    Journal and run numbers were put back together, or another engine works under a copy of this home. What was filled
    before our first look at the account counts at that look alone.
    """
    first, blotter = snapshot.venue not in state.ledger.balances, state.blotter
    opened = 0 if first else state.venue(snapshot.venue).opened
    told = [report.client_order_id for report in snapshot.open_orders if report.order.instrument in state.markets]
    told += [
        fill.client_order_id
        for fill in snapshot.fills
        if fill.instrument in state.markets
        and fill.ts_exchange >= opened
        and not blotter.knows_fill(fill.instrument, fill.fill_id)
    ]
    for id_ in told:
        if id_ not in blotter.orders and ids.is_of_forgotten_run(id_, state.run):
            yield id_
