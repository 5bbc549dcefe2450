"""The venue's floor: orders are taken, matched, rested, changed and ended. Answers leave through ``Answers``."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from core.domain.commands import AmendOrder
from core.domain.events import FundingPaid, OrderFilled, PositionLiquidated
from core.domain.identifiers import ClientOrderId, FillId, InstrumentId, VenueOrderId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import CLOSED, Order, OrderStatus, Side, TimeInForce
from core.domain.order import Liquidity as FillSide
from venues.matching import queue
from venues.matching.account import Account
from venues.matching.answers import Answers
from venues.matching.checks import notional_fault, size_fault, tick_fault
from venues.matching.liquidity import Offer
from venues.matching.listing import Listing
from venues.matching.settings import MatchingSettings
from venues.matching.working import Working

_SUBMITTED, _ACCEPTED, _FILLED = OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.FILLED
_PARTIALLY_FILLED = OrderStatus.PARTIALLY_FILLED
_BUY, _TAKER = Side.BUY, FillSide.TAKER
_IMMEDIATE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_REDUCED = "reduce-only: there is no position left to reduce"


class Floor:
    """Carry out what reaches the venue; one account, all its listings. ``now`` is the venue's time."""

    def __init__(
        self, listings: Mapping[InstrumentId, Listing], account: Account, answers: Answers, settings: MatchingSettings
    ) -> None:
        self.listings = listings
        self.account = account
        self.answers = answers
        self.now: Nanoseconds = 0
        self.orders: dict[ClientOrderId, Working] = {}
        self.closed: deque[ClientOrderId] = deque()
        self.fills: deque[OrderFilled] = deque(maxlen=settings.kept_fills)
        self.bookings: deque[FundingPaid | PositionLiquidated] = deque(maxlen=settings.kept_bookings)
        """Funding and forced closes, for those who were away."""
        self.counters = {"order": 0, "fill": 0, "place": 0}
        self._kept_orders = settings.kept_orders
        self.id_prefix = settings.id_prefix
        self.trigger_fault: Callable[[Working, Order, Listing], str | None] = lambda *_: None
        """Tells why a waiting order cannot be changed to another: set by who watches triggers."""

    # --- new orders ---------------------------------------------------------------------------------------------------

    def count(self, what: str) -> int:
        """Return the next number of a series."""
        self.counters[what] = number = self.counters[what] + 1
        return number

    def book(self, order: Order) -> Working:
        """Take an order into the venue's books under an id of its own."""
        counters = self.counters
        counters["order"] += 1
        counters["place"] += 1
        number = VenueOrderId(f"{self.id_prefix}{counters['order']}")
        working = Working(order, number, counters["place"], self.now)
        self.orders[order.client_order_id] = working
        return working

    def accept(self, working: Working) -> None:
        """Acknowledge an order once."""
        if working.status is _SUBMITTED:
            working.status = _ACCEPTED
            working.updated = self.now
            self.answers.accepted(working, self.now)

    def place(self, working: Working, listing: Listing) -> None:
        """Match an order against the market and rest what its time in force lets rest."""
        order = working.order
        quantity, buying = order.quantity - working.filled, order.side is _BUY
        if order.reduce_only:
            quantity = min(quantity, self._reducible(order, listing, working))
            if not quantity:
                self.refuse(working, listing, _REDUCED)
                return
        liquidity, limit = listing.liquidity, None
        if order.price is not None:
            limit = working.price_f = float(order.price)
        priced = limit is not None
        offers = liquidity.plan(buying, quantity, limit)
        reason = self._unplaceable(order, offers, quantity) if order.post_only or not offers else None
        if reason is None:
            offered = offers[0][0] if len(offers) == 1 else sum((offer[0] for offer in offers), ZERO)
            if offered < quantity and order.time_in_force is TimeInForce.FOK:
                self.accept(working)
                self.end(working, listing, OrderStatus.EXPIRED, "FOK: cannot be filled whole now")
                return
            resting = quantity - offered if priced and order.time_in_force not in _IMMEDIATE else ZERO
            reason = self.account.refusal(order, listing.instrument, offers, resting, working.locked)
        if reason is not None:
            self.refuse(working, listing, reason)
            return
        self.accept(working)
        for offered, price, level in offers:
            liquidity.take(buying, level, offered)
            self.fill(working, listing, offered, price, _TAKER)
        if working.status not in CLOSED:
            self._rest_or_end(working, listing, priced)

    def _unplaceable(self, order: Order, offers: Sequence[Offer], quantity: Decimal) -> str | None:
        if order.post_only and offers:
            return f"post-only: would take at {offers[0][1].normalize():f}"
        if order.price is None and not offers:
            return f"no liquidity: nothing is offered against {order.side.value} {quantity}"
        return None

    def _reducible(self, order: Order, listing: Listing, working: Working) -> Decimal:
        free = ZERO
        if listing.spot:
            free = listing.instrument.floor_size(self.account.free(listing.instrument.base) + working.locked)
        return listing.reducible(order.side, free)

    def _rest_or_end(self, working: Working, listing: Listing, priced: bool) -> None:
        order = working.order
        if order.reduce_only and not self._reducible(order, listing, working):
            self.end(working, listing, OrderStatus.CANCELLED, _REDUCED)
        elif priced and order.time_in_force not in _IMMEDIATE:
            self.rest(working, listing)
        elif order.time_in_force in _IMMEDIATE:
            self.end(working, listing, OrderStatus.EXPIRED, f"{order.time_in_force.value}: the rest found no offer")
        else:
            self.end(working, listing, OrderStatus.CANCELLED, "no liquidity for the rest")

    def rest(self, working: Working, listing: Listing) -> None:
        """Put an order at the end of the queue of its price."""
        queue.join(working, listing.liquidity.shown(working.buying, working.price_f))
        listing.rest(working)
        self.account.reserve(working, listing.instrument, active=True)

    # --- fills --------------------------------------------------------------------------------------------------------

    def fill(self, working: Working, listing: Listing, quantity: Decimal, price: Decimal, liquidity: FillSide) -> None:
        """Fill an order; a reduce-only order by no more than it may reduce, and what it may not is cancelled."""
        order, instrument, now = working.order, listing.instrument, self.now
        if order.reduce_only:
            quantity = min(quantity, self._reducible(order, listing, working))
            if not quantity:
                if working.is_open:
                    self.end(working, listing, OrderStatus.CANCELLED, _REDUCED)
                return
        rate = instrument.taker_fee if liquidity is _TAKER else instrument.maker_fee
        fee, asset = self.account.fill(instrument, order.side, quantity, price, rate, now)
        working.filled += quantity
        working.value += quantity * price
        working.updated = now
        self.counters["fill"] = number = self.counters["fill"] + 1
        event = OrderFilled(
            order.client_order_id,
            FillId(f"{self.id_prefix}{number}"),
            order.instrument,
            order.side,
            quantity,
            price,
            fee,
            asset,
            liquidity,
            working.venue_order_id,
            now,
            now,
        )
        self.fills.append(event)
        self.answers.filled(event, now)
        if working.filled >= order.quantity:
            self.end(working, listing, _FILLED, "")
        else:
            working.status = _PARTIALLY_FILLED
            if working.locked:
                self.account.reserve(working, instrument, active=True)
        self.settle(listing)

    def settle(self, listing: Listing) -> None:
        """Look at a listing after its position changed: reduce-only orders with nothing to reduce are cancelled."""
        holding, open_ = listing.holding, bool(listing.bids or listing.asks or listing.waiting)
        if holding is None:
            listing.busy = open_
            return
        held = bool(holding.position.quantity)
        listing.busy = held or open_
        if not held:
            holding.funding_due = 0
        if open_:
            for working in listing.open_orders():
                if working.order.reduce_only and not listing.reducible(working.order.side, ZERO):
                    self.end(working, listing, OrderStatus.CANCELLED, _REDUCED)

    # --- endings ------------------------------------------------------------------------------------------------------

    def refuse(self, working: Working, listing: Listing, reason: str) -> None:
        """Reject a new order; cancel one that the venue had accepted before (a stop that could not be carried out)."""
        fresh = working.status is OrderStatus.SUBMITTED
        self.end(working, listing, OrderStatus.REJECTED if fresh else OrderStatus.CANCELLED, reason)

    def end(self, working: Working, listing: Listing, status: OrderStatus, reason: str) -> None:
        """Close an order, give back what it had set aside, and say so."""
        working.status, working.reason, working.updated = status, reason, self.now
        if working.locked:
            self.account.reserve(working, listing.instrument, active=False)
        if listing.bids or listing.asks or listing.waiting:
            listing.drop(working)
        key, closed = working.order.client_order_id, self.closed
        closed.append(key)
        while len(closed) > self._kept_orders:
            self.orders.pop(closed.popleft(), None)
        if status is _FILLED:
            return
        if status is OrderStatus.CANCELLED:
            self.answers.cancelled(key, reason, self.now)
        elif status is OrderStatus.EXPIRED:
            self.answers.expired(key, reason, self.now)
        elif status is OrderStatus.REJECTED:
            self.answers.rejected(key, reason, self.now)

    def repeat(self, working: Working) -> None:
        """Answer a known client order id by the state of its order, without making another."""
        key, status = working.order.client_order_id, working.status
        if working.is_open:
            self.answers.accepted(working, self.now)
        for fill in self.fills if working.filled else ():
            if fill.client_order_id == key:
                self.answers.filled(fill, self.now)
        if status is OrderStatus.REJECTED:
            self.answers.rejected(key, working.reason, self.now)
        elif status is OrderStatus.CANCELLED:
            self.answers.cancelled(key, working.reason, self.now)
        elif status is OrderStatus.EXPIRED:
            self.answers.expired(key, working.reason, self.now)

    # --- changes ------------------------------------------------------------------------------------------------------

    def amend(self, command: AmendOrder) -> None:
        """Change a working order or say why not."""
        key = command.client_order_id
        working = self.orders.get(key)
        if working is None or not working.is_open:
            what = "is not known" if working is None else f"is {working.status.value}"
            self.answers.amend_rejected(key, f"order {key} {what}: nothing to amend", self.now)
            return
        listing = self.listings[working.order.instrument]
        changed = msgspec.structs.replace(working.order, **_changes(command))
        fault = self._amend_fault(working, changed, listing)
        if fault is not None:
            self.answers.amend_rejected(key, fault, self.now)
            return
        self._change(working, changed, listing)

    def _amend_fault(self, working: Working, changed: Order, listing: Listing) -> str | None:
        order, instrument = working.order, listing.instrument
        waits = working in listing.waiting
        if changed.quantity <= working.filled:
            return f"quantity {changed.quantity} is not above the {working.filled} already filled"
        if changed.trigger != order.trigger and not waits:
            return "the order does not wait for a trigger (any more)"
        if changed.price != order.price and order.price is None:
            return f"a {order.type.value} order has no price to amend"
        fault = size_fault(changed.quantity, instrument)
        for name, price in (("price", changed.price), ("trigger", changed.trigger)):
            if fault is None and price is not None:
                fault = tick_fault(name, price, instrument)
        if fault is None and waits and changed.trigger != order.trigger:
            fault = self.trigger_fault(working, changed, listing)
        fault = fault or notional_fault(changed, instrument, 0.0)
        if fault is not None or (waits and not listing.spot):
            return fault
        if waits:
            return self._unaffordable(working, changed, listing)
        remaining = changed.quantity - working.filled
        limit = float(changed.price) if changed.price is not None else None
        offers = listing.liquidity.plan(working.buying, remaining, limit)
        if changed.post_only and offers and changed.price != order.price:
            return f"post-only: would take at {offers[0][1].normalize():f}"
        return self._unaffordable(working, changed, listing)

    def _unaffordable(self, working: Working, changed: Order, listing: Listing) -> str | None:
        """Return why the account cannot carry the changed order, asked as if the old one were not there."""
        self.account.reserve(working, listing.instrument, active=False)
        remaining = changed.quantity - working.filled
        reason = self.account.refusal(changed, listing.instrument, (), remaining, ZERO)
        self.account.reserve(working, listing.instrument, active=True)
        return reason

    def _change(self, working: Working, changed: Order, listing: Listing) -> None:
        order = working.order
        waits = working in listing.waiting
        keeps_place = waits or (changed.price == order.price and changed.quantity <= order.quantity)
        working.order, working.updated = changed, self.now
        self.answers.amended(
            order.client_order_id,
            changed.quantity if changed.quantity != order.quantity else None,
            changed.price if changed.price != order.price else None,
            changed.trigger if changed.trigger != order.trigger else None,
            self.now,
        )
        if waits and changed.trigger is not None and changed.trigger != order.trigger:
            working.trigger, working.trigger_f = changed.trigger, float(changed.trigger)
        if keeps_place:
            self.account.reserve(working, listing.instrument, active=bool(working.locked) or not waits)
            return
        self.account.reserve(working, listing.instrument, active=False)
        listing.drop(working)
        working.place = self.count("place")
        self.place(working, listing)


def _changes(command: AmendOrder) -> dict[str, Decimal]:
    wanted = (("quantity", command.quantity), ("price", command.price), ("trigger", command.trigger))
    return {name: value for name, value in wanted if value is not None}
