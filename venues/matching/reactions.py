"""What market data set off at the venue: margin first (the worse case), then resting orders, then triggers."""

from collections.abc import Callable
from typing import Any

from core.domain.market import Bar, BookDelta, BookSnapshot, MarkPrice, Quote, Trade
from core.domain.message import Message
from venues.matching.floor import Floor
from venues.matching.liquidation import Liquidator
from venues.matching.listing import Listing
from venues.matching.resting import Resting
from venues.matching.stops import Stops


class Reactions:
    """Apply data to the listings; where nothing of ours is open, only the newest prices and levels are kept."""

    def __init__(self, floor: Floor, stops: Stops, resting: Resting, liquidator: Liquidator) -> None:
        self._listings = floor.listings
        self._stops, self._resting, self._liquidator = stops, resting, liquidator
        self.handlers: dict[type[Message], Callable[[Any], None]] = {
            Quote: self._quote,
            Trade: self._trade,
            BookDelta: self._delta,
            BookSnapshot: self._snapshot,
            MarkPrice: self.mark_price,
            Bar: self._bar,
        }

    def _quote(self, quote: Quote) -> None:
        listing = self._listings.get(quote.instrument)
        if listing is not None and listing.liquidity.quote(quote) and listing.busy:
            self._check_margin(listing)
            if listing.bids or listing.asks or listing.waiting:
                self._react(listing)

    def _delta(self, delta: BookDelta) -> None:
        listing = self._listings.get(delta.instrument)
        if listing is not None:
            listing.liquidity.delta(delta)
            if listing.busy:
                self._moved(listing)

    def _snapshot(self, snapshot: BookSnapshot) -> None:
        listing = self._listings.get(snapshot.instrument)
        if listing is not None:
            listing.liquidity.snapshot(snapshot)
            if listing.busy:
                self._moved(listing)

    def mark_price(self, message: MarkPrice) -> None:
        """Take the venue's own mark: margin and stops look at it, and the next funding stamp moves with it."""
        listing = self._listings.get(message.instrument)
        if listing is None or not listing.liquidity.mark_price(message):
            return
        holding = listing.holding
        if holding is not None and holding.funding_due and message.next_funding > message.ts:
            holding.funding_due = message.next_funding
        if listing.busy:
            self._check_margin(listing)
            self._stops.moved(listing)

    def _trade(self, trade: Trade) -> None:
        listing = self._listings.get(trade.instrument)
        if listing is None or not (0.0 < trade.price < float("inf")) or not trade.size > 0.0:
            return
        listing.liquidity.last = trade.price
        if listing.busy:
            listing.liquidity.now = trade.ts
            self._printed(listing, trade.price, trade.size, trade.buyer)

    def _bar(self, bar: Bar) -> None:
        """Walk a closed bar as four prints, the nearer extreme of its direction first; used where there is no quote."""
        listing = self._listings.get(bar.instrument)
        if listing is None or not bar.closed or bar.revision or bar.empty or listing.liquidity.bid:
            return
        length = bar.interval.ns
        if listing.bar_ns and length > listing.bar_ns:
            return
        listing.bar_ns = length
        listing.liquidity.now = bar.ts
        path = (bar.open, bar.low, bar.high, bar.close)
        if bar.close < bar.open:
            path = (bar.open, bar.high, bar.low, bar.close)
        for price in path:
            listing.liquidity.last = price
            if listing.busy:
                self._printed(listing, price, bar.volume / len(path), None)

    def _printed(self, listing: Listing, price: float, size: float, buyer: bool | None) -> None:
        self._check_margin(listing)
        self._resting.printed(listing, price, size, buyer)
        if listing.waiting:
            self._stops.moved(listing, price)

    def _moved(self, listing: Listing) -> None:
        self._check_margin(listing)
        self._react(listing)

    def _react(self, listing: Listing) -> None:
        if listing.bids or listing.asks:
            self._resting.moved(listing)
        if listing.waiting:
            self._stops.moved(listing)

    def _check_margin(self, listing: Listing) -> None:
        if listing.holding is not None and listing.holding.position.quantity:
            mark = listing.liquidity.mark
            if mark != listing.marked_at:
                listing.marked_at = mark
                self._liquidator.marked(listing)
