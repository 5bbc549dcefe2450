"""A venue whose orders are matched here, inside the engine's process, against whatever feed is wired to it."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueId
from core.domain.instrument import Instrument
from core.domain.market import Bar, Feed, Interval, VenueStatus
from core.domain.message import Message, Nanoseconds
from core.domain.order import Operation, OrderType, TimeInForce
from core.domain.reports import OrderReport, VenueSnapshot
from core.errors import VenueError
from core.ports import Abilities, Clock, Emit
from venues.matching.matching import NEVER, Matching
from venues.matching.settings import MatchingSettings

ABILITIES = Abilities(
    order_types=frozenset(OrderType),
    time_in_force=frozenset(TimeInForce),
    feeds=frozenset(Feed),
    operations=frozenset({Operation.TRADE}),
    amend=True,
    post_only=True,
    reduce_only=True,
    native_stops=True,
)
"""What the matching can do by itself: every order type, nothing is left to the engine."""
START_BALANCES: Mapping[Asset, Decimal] = {Asset("USDT"): Decimal(100_000)}
COIN_BALANCES: Mapping[Asset, Decimal] = {Asset("BTC"): Decimal(1)}


def opening_balances(instruments: Sequence[Instrument]) -> Mapping[Asset, Decimal]:
    """Return what an account starts with: 100 000 USDT, or a coin where every contract settles in coin."""
    return COIN_BALANCES if instruments and all(listed.inverse for listed in instruments) else START_BALANCES


class PriceFeed(Protocol):
    """Where prices come from; wired by desk. Its messages carry the ids that are traded."""

    async def start(self, emit: Emit) -> None:
        """Begin to emit data, stamped by the engine's clock; a VenueStatus tells when the link is lost or back."""
        ...

    async def stop(self) -> None:
        """End every task."""
        ...

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """Start a feed; repeated calls change nothing."""
        ...

    async def unsubscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """End a feed."""
        ...

    async def history(
        self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[Bar]:
        """Return closed bars with ``start <= bar.start < end``; none where there is no history."""
        ...


class MatchedVenue:
    """Trade one venue's instruments against a feed; the account lives in memory and ends with the process.

    The engine sees a tick before the fills that it caused. Our fills do not print into the feed, but move the
    remembered impact (see ``venues.matching.liquidity``).
    """

    def __init__(
        self,
        venue: VenueId,
        instruments: Sequence[Instrument],
        feed: PriceFeed,
        clock: Clock,
        settings: MatchingSettings | None = None,
        balances: Mapping[Asset, Decimal] | None = None,
    ) -> None:
        self.id = venue
        self.abilities = ABILITIES
        wallets = opening_balances(instruments) if balances is None else balances
        self.matching = Matching(venue, instruments, wallets, settings or MatchingSettings(), self._out)
        self._instruments = tuple(instruments)
        self._feed = feed
        self._clock = clock
        self._emit: Emit | None = None
        self._armed: Nanoseconds = NEVER
        self._timer: asyncio.TimerHandle | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, emit: Emit) -> None:
        """Open the account and start the feed."""
        self._emit = emit
        emit(VenueStatus(self.id, True, "paper account", self._clock.now()))
        await self._feed.start(self._on_feed)

    async def stop(self) -> None:
        """Stop the feed and the timer."""
        self._emit = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed = NEVER
        await self._feed.stop()

    def _out(self, message: Message) -> None:
        if self._emit is not None:
            self._emit(message)

    def _on_feed(self, message: Message) -> None:
        if type(message) is VenueStatus:
            message = VenueStatus(self.id, message.connected, message.reason, message.ts)
        self._out(message)
        self.matching.on_data(message)
        if self.matching.next_due != self._armed:
            self._arm()

    def _arm(self) -> None:
        """Have the matching woken when it has something to do; while stopped it is not woken."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed = due = self.matching.next_due
        if due < NEVER and self._emit is not None:
            delay = max(0, due - self._clock.now()) / 1e9
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.matching.advance(self._clock.now())
        self._arm()

    def _now(self) -> Nanoseconds:
        """Return the time and let the matching reach it.

        Raises:
            VenueError: when the venue is not started.
        """
        if self._emit is None:
            raise VenueError(f"{self.id} is not connected; start it first")
        now = self._clock.now()
        self.matching.advance(now)
        return now

    # --- market -------------------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """Return what can be traded here."""
        return self._instruments

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """Start a feed."""
        await self._feed.subscribe(instrument, feed)

    async def unsubscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """End a feed."""
        await self._feed.unsubscribe(instrument, feed)

    async def history(
        self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[Bar]:
        """Return the feed's closed bars with ``start <= bar.start < end``."""
        return await self._feed.history(instrument, interval, start, end)

    # --- orders -------------------------------------------------------------------------------------------------------

    async def submit(self, order: Approved[SubmitOrder]) -> None:
        """Send an order.

        Raises:
            VenueError: when the venue is not started.
        """
        self.matching.submit(order.command, self._now())
        self._arm()

    async def amend(self, order: Approved[AmendOrder]) -> None:
        """Change a working order.

        Raises:
            VenueError: when the venue is not started.
        """
        self.matching.amend(order.command, self._now())
        self._arm()

    async def cancel(self, order: Approved[CancelOrder]) -> None:
        """Cancel a working order.

        Raises:
            VenueError: when the venue is not started.
        """
        self.matching.cancel(order.command, self._now())
        self._arm()

    async def order(self, id: ClientOrderId) -> OrderReport | None:
        """Return one order by client id.

        Raises:
            VenueError: when the venue is not started.
        """
        self._now()
        self._arm()
        return self.matching.order(id)

    async def snapshot(self, since: Nanoseconds) -> VenueSnapshot:
        """Return open orders, fills since then, positions and balances.

        Raises:
            VenueError: when the venue is not started.
        """
        self._now()
        self._arm()
        return self.matching.snapshot(since)
