"""Orders of the sentinel's, as the engine meets them: asked for and put into the blotter before what became of them."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import structlog

from core.beating import Beating
from core.domain import events as e
from core.domain.differences import BY_SENTINEL, OrderAdopted
from core.domain.identifiers import ClientOrderId, VenueId
from core.domain.instrument import ZERO
from core.domain.message import Event, Message, Nanoseconds
from core.domain.order import CLOSED
from core.domain.reports import OrderReport, VenueSnapshot
from core.engine import Engine
from core.errors import VenueError
from core.ports import Clock, Venue
from core.state.state import State

log = structlog.get_logger()


class Asker(Protocol):
    """What meeting and looking need of the runtime."""

    @property
    def engine(self) -> Engine:
        """Return the engine."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        ...

    @property
    def beating(self) -> Beating:
        """Return what knows whether the sentinel holds the lease."""
        ...

    def take(self, message: Message) -> None:
        """Process a message now."""
        ...

    def waiting(self) -> set[ClientOrderId]:
        """Return the orders that wait for their record."""
        ...


class Meeting:
    """Hold back what one venue says of an order of the sentinel's that the engine has not met yet."""

    def __init__(self, venue: Venue, runtime: Asker) -> None:
        self._venue, self._runtime, self._beating = venue, runtime, runtime.beating
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
        """Return what waited for an order: one that its venue refused was met as one that rests, and ends like that.

        Of one that the venue does not know, as a refused one, or cannot tell of, fills alone count: there is no record
        that could take the rest, and what rests after all is met by the next look.
        """
        waited = self._waiting.pop(id_, [])
        if id_ not in self._runtime.engine.state.blotter.orders:
            return [message for message in waited if isinstance(message, e.OrderFilled)]
        return [_ended(message) for message in waited]

    async def ask(self, id_: ClientOrderId) -> OrderReport | None:
        """Ask the venue for an order; None where it cannot say."""
        try:
            return await self._venue.order(id_)
        except VenueError as error:
            log.warning("sentinel order not known", order=id_, error=str(error))
            return None

    async def in_snapshot(self, snapshot: VenueSnapshot) -> list[OrderReport]:
        """Ask for the orders that a snapshot's fills tell of and that have not been met, oldest first.

        None of before the first look at an account: what they did is part of the wallets that it opened with.
        """
        prefix, state = self._beating.sentinels, self._runtime.engine.state
        orders = state.blotter.orders
        if not prefix or self._venue.id not in state.ledger.balances:
            return []
        opened = state.venue(self._venue.id).opened
        ids = dict.fromkeys(fill.client_order_id for fill in snapshot.fills if fill.ts_exchange >= opened)
        asks = [self.ask(id_) for id_ in ids if id_.startswith(prefix) and id_ not in orders]
        return [report for report in await asyncio.gather(*asks) if report is not None]

    def take_in(self, reports: Iterable[OrderReport]) -> None:
        """Put orders into the blotter, as ours, where they are not there yet."""
        for report in reports:
            if report.client_order_id not in self._runtime.engine.state.blotter.orders:
                first = self._venue.id not in self._runtime.engine.state.ledger.balances
                for event in found(report, self._venue.id, self._runtime.clock.now(), first=first):
                    self._runtime.take(event)


def _ended(message: Message) -> Message:
    if not isinstance(message, e.OrderRejected):
        return message
    return e.OrderCancelled(message.client_order_id, message.reason, message.ts_exchange, message.ts)


def found(report: OrderReport, venue: VenueId, now: Nanoseconds, *, first: bool = False) -> list[Event]:
    """Return the events that put an order into the blotter, as ours; its fills follow them.

    Before the ``first`` look at an account they do not: they are part of what it opens with.
    """
    return [
        e.OrderFound(report.order, venue, report.venue_order_id, report.filled if first else ZERO, now),
        OrderAdopted(report.client_order_id, BY_SENTINEL, now),
    ]


def endings(reports: Iterable[OrderReport], state: State, now: Nanoseconds) -> list[Event]:
    """Return the ends of orders that the venue calls closed and that their fills have not closed here."""
    return [
        e.OrderCancelled(report.client_order_id, f"{report.status} at the venue", report.ts_exchange, now)
        for report in reports
        if report.status in CLOSED and report.client_order_id in state.blotter.open
    ]
