"""Orders of the sentinel's, as the engine meets them: asked for and put into the blotter before what became of them."""

from collections.abc import Iterable

import structlog

from core.beating import Beating
from core.domain import events as e
from core.domain.differences import OrderAdopted
from core.domain.identifiers import ClientOrderId, VenueId
from core.domain.instrument import ZERO
from core.domain.message import Event, Message, Nanoseconds
from core.domain.order import CLOSED
from core.domain.reports import OrderReport, VenueSnapshot
from core.errors import VenueError
from core.ports import Venue
from core.state import State

log = structlog.get_logger()


class Meeting:
    """Hold back what one venue says of an order of the sentinel's that the engine has not met yet."""

    def __init__(self, venue: Venue, beating: Beating) -> None:
        self._venue, self._beating = venue, beating
        self._waiting: dict[ClientOrderId, list[Message]] = {}

    def unmet(self, message: Event, state: State) -> ClientOrderId | None:
        """Return the id of an order that must be asked for first; the message is kept until ``met``."""
        prefix = self._beating.sentinels
        if not prefix:
            return None
        id_: ClientOrderId = getattr(message, "client_order_id", ClientOrderId(""))
        if not id_.startswith(prefix) or id_ in state.blotter.orders:
            return None
        self._waiting.setdefault(id_, []).append(message)
        return id_

    def first(self, id_: ClientOrderId) -> bool:
        """Tell whether nobody has asked for this order yet."""
        return len(self._waiting[id_]) == 1

    def met(self, id_: ClientOrderId) -> list[Message]:
        """Return what waited for an order."""
        return self._waiting.pop(id_, [])

    async def ask(self, id_: ClientOrderId) -> OrderReport | None:
        """Ask the venue for an order; None where it cannot say."""
        try:
            return await self._venue.order(id_)
        except VenueError as error:
            log.warning("sentinel order not known", order=id_, error=str(error))
            return None

    def in_fills(self, snapshot: VenueSnapshot, state: State) -> list[ClientOrderId]:
        """Return the orders that a snapshot's fills tell of and that have not been met, oldest first."""
        prefix = self._beating.sentinels
        if not prefix:
            return []
        ids = dict.fromkeys(fill.client_order_id for fill in snapshot.fills)
        return [id_ for id_ in ids if id_.startswith(prefix) and id_ not in state.blotter.orders]


def found(report: OrderReport, venue: VenueId, now: Nanoseconds) -> list[Event]:
    """Return the events that put an order into the blotter, as ours; its fills follow them."""
    return [
        e.OrderFound(report.order, venue, report.venue_order_id, ZERO, now),
        OrderAdopted(report.client_order_id, "sent by the sentinel", now),
    ]


def endings(reports: Iterable[OrderReport], state: State, now: Nanoseconds) -> list[Event]:
    """Return the ends of orders that the venue calls closed and that their fills have not closed here."""
    return [
        e.OrderCancelled(report.client_order_id, f"{report.status} at the venue", report.ts_exchange, now)
        for report in reports
        if report.status in CLOSED and report.client_order_id in state.blotter.open
    ]
