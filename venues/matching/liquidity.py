"""What one market offers us: its book, quote or prints, less what we have already taken.

Our own trades do not print into the feed, so a level that we consumed is remembered as consumed until the feed
refreshes it (a delta names it, or a snapshot or quote shows it with another size), at the latest after ``impact_ns``.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache

from core.domain.instrument import ZERO, Instrument
from core.domain.market import BookDelta, BookSnapshot, Levels, MarkPrice, Quote
from core.domain.message import Nanoseconds
from core.state.book import Book, Sync
from venues.matching.settings import MatchingSettings

Offer = tuple[Decimal, Decimal, float]
"""(size to take, price, the price as the key of its level)."""
Taken = tuple[Decimal, float, Nanoseconds]
"""(what we took of a level, the size it then showed, when)."""
UNLIMITED = float("inf")
KEPT_TAKEN = 32
"""Levels remembered as taken from before those whose time is over are looked for."""


@lru_cache(8192)
def exact(value: float) -> Decimal:
    """Return a parsed float as the decimal it was written as; market prices come again and again."""
    return Decimal(repr(value))


class Liquidity:
    """The newest top of one market and the levels behind it. Prices are floats as parsed; 0.0 means not seen yet.

    The newest of quote and synchronised book gives the top; book levels better than it are taken to be gone.
    """

    __slots__ = (
        "_impact_ns",
        "_slippage",
        "_synthetic",
        "_ttl",
        "ask",
        "ask_size",
        "bid",
        "bid_size",
        "book",
        "funding_rate",
        "instrument",
        "last",
        "marked",
        "next_funding",
        "now",
        "published_mark",
        "quoted",
        "taken_asks",
        "taken_bids",
    )

    def __init__(self, instrument: Instrument, settings: MatchingSettings) -> None:
        self.instrument = instrument
        self.book = Book()
        self.now: Nanoseconds = 0
        self.bid = self.bid_size = self.ask = self.ask_size = self.last = 0.0
        self.quoted = False
        self.published_mark = 0.0
        self.marked: Nanoseconds = 0
        self.funding_rate = 0.0
        self.next_funding: Nanoseconds = 0
        self.taken_bids: dict[float, Taken] = {}
        self.taken_asks: dict[float, Taken] = {}
        self._ttl = settings.mark_ttl_ns
        self._impact_ns = settings.impact_ns
        self._synthetic = settings.synthetic_levels
        self._slippage = settings.slippage_ticks

    # --- data -------------------------------------------------------------------------------------------------------

    def quote(self, quote: Quote) -> bool:
        """Take a quote; a senseless one is left out and answered by false."""
        bid, ask = quote.bid, quote.ask
        if not 0.0 < bid < ask < UNLIMITED:
            return False
        if self.taken_asks:
            _refresh(self.taken_asks, ask, quote.ask_size)
        if self.taken_bids:
            _refresh(self.taken_bids, bid, quote.bid_size)
        self.bid, self.bid_size, self.ask, self.ask_size = bid, quote.bid_size, ask, quote.ask_size
        self.now = quote.ts
        self.quoted = True
        return True

    def delta(self, delta: BookDelta) -> None:
        """Take changed levels."""
        self.now = delta.ts
        book = self.book
        book.apply_delta(delta)
        if self.taken_asks:
            _forget(self.taken_asks, delta.asks)
        if self.taken_bids:
            _forget(self.taken_bids, delta.bids)
        if not self.quoted or book.sync is Sync.SYNCED:
            self._top()

    def snapshot(self, snapshot: BookSnapshot) -> None:
        """Take a whole book."""
        self.now = snapshot.ts
        self.book.apply_snapshot(snapshot)
        for price, size in snapshot.asks if self.taken_asks else ():
            _refresh(self.taken_asks, price, size)
        for price, size in snapshot.bids if self.taken_bids else ():
            _refresh(self.taken_bids, price, size)
        if not snapshot.bids and not snapshot.asks:  # the feed starts again: nothing is known until it speaks
            self.bid = self.bid_size = self.ask = self.ask_size = 0.0
            self.quoted = False
        self._top()

    def _top(self) -> None:
        book = self.book
        if not book.bid_prices or not book.ask_prices:
            return
        bid, ask = book.bid_prices[-1], book.ask_prices[0]
        if bid < ask:
            self.bid, self.ask = bid, ask
            self.bid_size, self.ask_size = book.bids[bid], book.asks[ask]

    def mark_price(self, message: MarkPrice) -> bool:
        """Take the venue's own mark and funding rate; one that is not a price is left out and answered by false."""
        if not 0.0 < message.mark < UNLIMITED:
            return False
        self.now = self.marked = message.ts
        self.published_mark = message.mark
        self.funding_rate = message.funding_rate
        self.next_funding = message.next_funding
        return True

    # --- prices -----------------------------------------------------------------------------------------------------

    @property
    def mark(self) -> float:
        """Return the published mark while it is fresh, else the mid, else the last print; 0.0 if none is known."""
        if self.marked and self.now - self.marked <= self._ttl:
            return self.published_mark
        if self.bid and self.ask:
            return (self.bid + self.ask) * 0.5
        return self.last or self.published_mark

    def side_price(self, buying: bool) -> float:
        """Return what a taker would pay now: the ask or bid, else the last print; 0.0 where nothing is known."""
        return (self.ask if buying else self.bid) or self.last

    def shown(self, buying: bool, price: float) -> float:
        """Return the size shown at a price on the side where a buy (or sell) order rests.

        Where a venue shows no depth, a price behind the top is taken to hold as much as the top.
        """
        book = self.book
        sizes, top, top_size = (book.bids, self.bid, self.bid_size) if buying else (book.asks, self.ask, self.ask_size)
        if price == top:
            return top_size
        if not top or (price > top if buying else price < top):
            return 0.0
        size = sizes.get(price)
        if size is not None:
            return size
        return 0.0 if sizes and book.sync is Sync.SYNCED else top_size

    # --- taking -----------------------------------------------------------------------------------------------------

    def plan(self, buying: bool, quantity: Decimal, limit: float | None, deep: bool = True) -> list[Offer]:
        """Return what an order of ``quantity`` would take now, best price first, up to ``limit``.

        ``deep`` allows for levels assumed behind a bare quote; without it only what is shown counts.
        """
        if buying:
            top, top_size, taken = self.ask, self.ask_size, self.taken_asks
        else:
            top, top_size, taken = self.bid, self.bid_size, self.taken_bids
        within = limit is None or (top <= limit if buying else top >= limit)
        if top and within and top not in taken and top_size >= float(quantity):
            return [(quantity, exact(top), top)]  # the common case
        offers: list[Offer] = []
        for price, size in self._levels(buying, deep):
            if limit is not None and (price > limit if buying else price < limit):
                break
            consumed = taken.get(price) if taken else None
            if consumed is None and size >= float(quantity):
                offers.append((quantity, exact(price), price))
                break
            available = self._available(size, consumed)
            if available >= quantity:
                offers.append((quantity, exact(price), price))
                break
            if available > 0:
                offers.append((available, exact(price), price))
                quantity -= available
        return offers

    def _available(self, size: float, consumed: Taken | None) -> Decimal:
        left = exact(size)
        if consumed is not None and self.now - consumed[2] < self._impact_ns:
            left -= consumed[0]
        return self.instrument.floor_size(left) if left > 0 else ZERO

    def _levels(self, buying: bool, deep: bool) -> Iterator[tuple[float, float]]:
        book = self.book
        if buying:
            top, top_size, sizes, prices = self.ask, self.ask_size, book.asks, book.ask_prices
        else:
            top, top_size, sizes, prices = self.bid, self.bid_size, book.bids, book.bid_prices
        if not top:
            if deep and self.last:
                yield self._beyond(self.last, self._slippage, buying), UNLIMITED
            return
        yield top, top_size
        if not prices:
            for steps in range(1, self._synthetic + 1) if deep else ():
                yield self._beyond(top, steps, buying), top_size
            return
        order = range(bisect_right(prices, top), len(prices)) if buying else range(bisect_left(prices, top) - 1, -1, -1)
        for index in order:
            price = prices[index]
            yield price, sizes[price]

    def _beyond(self, price: float, steps: int, buying: bool) -> float:
        tick = self.instrument.tick_size * steps
        start = exact(price)
        return float(start + tick if buying else max(start - tick, self.instrument.tick_size))

    def take(self, buying: bool, price: float, quantity: Decimal) -> None:
        """Remember that we took ``quantity`` from a level."""
        if not self._impact_ns:
            return
        taken = self.taken_asks if buying else self.taken_bids
        before = taken.get(price)
        if before is not None and self.now - before[2] < self._impact_ns:
            quantity += before[0]
        taken[price] = (quantity, self._level_size(not buying, price), self.now)
        if len(taken) > KEPT_TAKEN:
            self._forget_old(taken)

    def _forget_old(self, taken: dict[float, Taken]) -> None:
        """Drop levels that no feed will name again: where a venue shows quotes alone, a price may never come back."""
        for price in [price for price, (_, _, when) in taken.items() if self.now - when >= self._impact_ns]:
            del taken[price]

    def _level_size(self, bids: bool, price: float) -> float:
        sizes, top, top_size = (
            (self.book.bids, self.bid, self.bid_size) if bids else (self.book.asks, self.ask, self.ask_size)
        )
        return top_size if price == top else sizes.get(price, 0.0)


def _refresh(taken: dict[float, Taken], price: float, size: float) -> None:
    before = taken.get(price)
    if before is not None and before[1] != size:
        del taken[price]


def _forget(taken: dict[float, Taken], levels: Levels) -> None:
    for price, _ in levels:
        taken.pop(price, None)
