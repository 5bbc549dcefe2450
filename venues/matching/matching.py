"""The matching and margin rules that paper, replay, back-tests and the practice exchange share.

``Matching`` is one account on one venue: synchronous, deterministic, without I/O and without a clock. Time comes in
with every call; answers go out through ``emit`` in the order the venue gave them. ``emit`` must not call back.

The parts: ``liquidity`` (what a market offers, less what we took), ``queue`` (our place among resting orders),
``floor`` (orders), ``stops`` (triggers), ``resting`` (maker fills), ``account`` and ``margin`` (money), ``liquidation``
(forced closing, funding), ``latency`` (the way there and back). Our own orders never match each other.
"""

import heapq
from collections.abc import Mapping, Sequence
from decimal import Decimal

from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import Asset, ClientOrderId, VenueId
from core.domain.instrument import Instrument
from core.domain.market import MarkPrice
from core.domain.message import Event, Message, Nanoseconds
from core.domain.order import CONDITIONAL, Order, OrderStatus, Side, TimeInForce
from core.domain.reports import OrderReport, VenueSnapshot
from core.ports import Emit
from venues.matching import image as images
from venues.matching.account import Account
from venues.matching.answers import Answers
from venues.matching.checks import order_fault
from venues.matching.floor import Floor
from venues.matching.latency import Leg
from venues.matching.liquidation import Liquidator
from venues.matching.liquidity import Liquidity
from venues.matching.listing import Listing
from venues.matching.reactions import Reactions
from venues.matching.resting import Resting
from venues.matching.settings import MatchingSettings
from venues.matching.stops import Stops
from venues.matching.working import Working

NEVER: Nanoseconds = 1 << 62
DAY_NS: Nanoseconds = 86_400_000_000_000
_BUY = Side.BUY
_ENDING = frozenset({TimeInForce.GTD, TimeInForce.DAY})


class Matching:
    """Match one account's orders on one venue against market data that come from elsewhere.

    Every call brings the time; ``now`` never runs backwards. With latency, a request takes effect at ``now`` + request
    leg and its answer is emitted by the first call at or after ``next_due``.
    """

    def __init__(
        self,
        venue: VenueId,
        instruments: Sequence[Instrument],
        balances: Mapping[Asset, Decimal],
        settings: MatchingSettings,
        emit: Emit,
    ) -> None:
        self.venue = venue
        self.now: Nanoseconds = 0
        self.next_due: Nanoseconds = NEVER
        """When ``advance`` has something to do: a request or answer on its way, an expiry, a funding stamp."""
        latency = settings.latency
        markets = {instrument.id: Liquidity(instrument, settings) for instrument in instruments}
        account = Account(balances, markets, settings)
        listings = {
            key: Listing(market.instrument, market, account.holdings.get(key)) for key, market in markets.items()
        }
        self._requests: Leg[images.Request] = Leg(latency, latency.request_ns, salt=0)
        self._answer_leg: Leg[Event] = Leg(latency, latency.answer_ns, salt=1)
        self._answers = Answers(emit, self._answer_leg)
        self._floor = floor = Floor(listings, account, self._answers, settings)
        self._liquidator = Liquidator(floor)
        self._stops = Stops(floor, settings.trigger_by)
        self._reactions = Reactions(floor, self._stops, Resting(floor), self._liquidator)
        self._handlers = dict(self._reactions.handlers)
        self._handlers[MarkPrice] = self._on_mark_price
        self._account = account
        self._expiries: list[tuple[Nanoseconds, int, ClientOrderId]] = []

    # --- time and data ------------------------------------------------------------------------------------------------

    def on_data(self, message: Message) -> None:
        """Take a Quote, Trade, BookDelta, BookSnapshot, MarkPrice or closed Bar; others are ignored.

        Advances to ``message.ts`` first, then liquidates, fills resting orders and wakes triggers.
        """
        handler = self._handlers.get(type(message))
        if handler is None:
            return
        ts: Nanoseconds = message.ts  # type: ignore[attr-defined]
        if ts >= self.next_due:
            self.advance(ts)
        elif ts > self.now:
            self.now = self._floor.now = ts
        counters = self._floor.counters
        fills = counters["fill"]
        handler(message)
        if counters["fill"] != fills or self._answer_leg.items:
            self._schedule()

    def _on_mark_price(self, message: MarkPrice) -> None:
        """Take a mark price, which may tell of another funding stamp."""
        self._reactions.mark_price(message)
        self._schedule()

    def advance(self, now: Nanoseconds) -> None:
        """Let time pass: requests arrive, answers leave, orders expire, funding is paid, all in the order of time."""
        while self.next_due <= now:
            due = self.next_due
            self._set(due)
            self._act(due)
            self._schedule()
        self._set(now)

    def _set(self, now: Nanoseconds) -> None:
        if now > self.now:
            self.now = self._floor.now = now

    def _act(self, due: Nanoseconds) -> None:
        """Do what is due: answers leave first, then funding, expiries and at last requests."""
        self._answers.deliver(due)
        for holding in self._account.holdings.values():
            if 0 < holding.funding_due <= due:
                self._liquidator.fund(holding)
        while self._expiries and self._expiries[0][0] <= due:
            self._expire(heapq.heappop(self._expiries)[2])
        items = self._requests.items
        while items and items[0][0] <= due:
            self._carry_out(items.popleft()[1])

    def _schedule(self) -> None:
        """Find when there is something to do next."""
        due = NEVER
        answers, requests, expiries = self._answer_leg.items, self._requests.items, self._expiries
        if answers:
            due = answers[0][0]
        if requests:
            due = min(due, requests[0][0])
        if expiries:
            due = min(due, expiries[0][0])
        for holding in self._account.holdings.values():
            if holding.position.quantity:
                if not holding.funding_due:
                    holding.funding_due = self._liquidator.schedule(holding)
                if holding.funding_due:
                    due = min(due, holding.funding_due)
        self.next_due = due

    def _expire(self, key: ClientOrderId) -> None:
        working = self._floor.orders.get(key)
        if working is not None and working.is_open:
            listing = self._floor.listings[working.order.instrument]
            reason = f"{working.order.time_in_force.value}: its time is over"
            self._floor.end(working, listing, OrderStatus.EXPIRED, reason)

    # --- requests -----------------------------------------------------------------------------------------------------

    def submit(self, command: SubmitOrder, now: Nanoseconds) -> None:
        """Take an order; a client order id already known is answered by that order's state."""
        self._request(command, now)

    def amend(self, command: AmendOrder, now: Nanoseconds) -> None:
        """Change a working order; a new price or a larger size loses the place in the queue."""
        self._request(command, now)

    def cancel(self, command: CancelOrder, now: Nanoseconds) -> None:
        """Cancel a working order."""
        self._request(command, now)

    def _request(self, command: images.Request, now: Nanoseconds) -> None:
        if now >= self.next_due:
            self.advance(now)
        elif now > self.now:
            self.now = self._floor.now = now
        requests = self._requests
        if not requests.instant:
            requests.put(requests.arrival(self.now), command)
        elif type(command) is SubmitOrder:
            self._take(command.order)
        else:
            self._carry_out(command)
        self._schedule()

    def _carry_out(self, command: images.Request) -> None:
        if type(command) is SubmitOrder:
            self._take(command.order)
        elif type(command) is CancelOrder:
            self._cancel(command.client_order_id)
        elif type(command) is AmendOrder:
            self._floor.amend(command)

    def _take(self, order: Order) -> None:
        floor = self._floor
        known = floor.orders.get(order.client_order_id)
        if known is not None:
            floor.repeat(known)
            return
        listing = floor.listings.get(order.instrument)
        if listing is None:
            reason = f"{order.instrument} is not listed at {self.venue}"
            self._answers.rejected(order.client_order_id, reason, self.now)
            return
        working = floor.book(order)
        liquidity = listing.liquidity
        reference = (liquidity.ask if order.side is _BUY else liquidity.bid) or liquidity.last
        fault = order_fault(order, listing.instrument, reference, self.now)
        if fault is not None:
            floor.refuse(working, listing, fault)
        elif order.type in CONDITIONAL:
            self._stops.place(working, listing)
        else:
            floor.place(working, listing)
        if order.time_in_force in _ENDING and working.is_open:
            self._watch_expiry(working)

    def _watch_expiry(self, working: Working) -> None:
        order = working.order
        if order.time_in_force is TimeInForce.GTD:
            heapq.heappush(self._expiries, (order.expires, working.place, order.client_order_id))
        elif order.time_in_force is TimeInForce.DAY:
            end = (self.now // DAY_NS + 1) * DAY_NS
            heapq.heappush(self._expiries, (end, working.place, order.client_order_id))

    def _cancel(self, key: ClientOrderId) -> None:
        working = self._floor.orders.get(key)
        if working is None or not working.is_open:
            what = "is not known" if working is None else f"is {working.status.value}"
            self._answers.cancel_rejected(key, f"order {key} {what}: nothing to cancel", self.now)
            return
        listing = self._floor.listings[working.order.instrument]
        self._floor.end(working, listing, OrderStatus.CANCELLED, "cancelled on request")

    # --- questions ----------------------------------------------------------------------------------------------------

    def order(self, id: ClientOrderId) -> OrderReport | None:
        """Return an order by client id, closed ones too; SUBMITTED while its request is on its way."""
        working = self._floor.orders.get(id)
        if working is not None:
            return working.report()
        for _, command in self._requests.items:
            if type(command) is SubmitOrder and command.order.client_order_id == id:
                empty = Decimal(0)
                return OrderReport(id, images.NO_VENUE_ID, command.order, OrderStatus.SUBMITTED, empty, None, self.now)
        return None

    def snapshot(self, since: Nanoseconds) -> VenueSnapshot:
        """Return open orders, fills and bookings with ``ts_exchange >= since``, positions and balances."""
        floor = self._floor
        return VenueSnapshot(
            self.venue,
            self.now,
            tuple(working.report() for working in floor.orders.values() if working.is_open),
            tuple(fill for fill in floor.fills if fill.ts_exchange >= since),
            self._account.position_reports(self.now),
            self._account.balance_reports(),
            tuple(booking for booking in floor.bookings if booking.ts_exchange >= since),
        )

    # --- across restarts ----------------------------------------------------------------------------------------------

    def image(self, market: bool = True) -> bytes:
        """Return the whole state; without ``market`` the books and quotes are left out (small, for frequent writes)."""
        floor, answers = self._floor, self._answer_leg
        return images.encode(
            images.Image(
                images.FORMAT,
                self.now,
                floor.counters,
                self._account.wallets,
                self._account.locked,
                list(floor.orders.values()),
                list(floor.closed),
                list(floor.fills),
                {key: images.of_listing(listing, market) for key, listing in floor.listings.items()},
                self._expiries,
                list(self._requests.items),
                self._requests.state(),
                images.pack_answers(answers.items),
                answers.state(),
                list(floor.bookings),
            )
        )

    def restore(self, image: bytes) -> None:
        """Take the state of an image made with the same instruments and settings; emits nothing.

        Raises:
            VenueError: when the image cannot be read.
        """
        read = images.decode(image)
        images.into_floor(read, self._floor, self._account)
        self.now = read.now
        self._expiries = read.expiries
        self._requests.resume(read.request_leg, read.requests)
        self._answer_leg.resume(read.answer_leg, images.unpack_answers(read.answers))
        self._schedule()
