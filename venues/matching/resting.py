"""Fills of resting orders: by prints at or through their price, and by the other side of the book reaching them."""

from decimal import Decimal

from core.domain.order import Liquidity as FillSide
from venues.matching import queue
from venues.matching.floor import Floor
from venues.matching.listing import Listing
from venues.matching.working import Working

_DUST_DIGITS = 9
"""Float sums are rounded here before they become sizes: 0.3 - 0.1 is 0.2, not 0.19999999999999998."""


class Resting:
    """Watch the resting orders of a listing while data come in. A resting order fills at its own price, as maker."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def moved(self, listing: Listing) -> None:
        """Take a new top or new levels: places in the queue, then orders that the other side has reached."""
        liquidity = listing.liquidity
        for working in listing.bids if liquidity.bid else ():
            queue.level_shows(working, liquidity.shown(True, working.price_f))
        for working in listing.asks if liquidity.ask else ():
            queue.level_shows(working, liquidity.shown(False, working.price_f))
        if listing.bids and 0.0 < liquidity.ask <= listing.bids[0].price_f:
            self._crossed(listing, listing.bids, buying=True)
        if listing.asks and liquidity.bid >= listing.asks[0].price_f:
            self._crossed(listing, listing.asks, buying=False)

    def _crossed(self, listing: Listing, orders: list[Working], buying: bool) -> None:
        """Fill orders that the market's other side has reached, by what is shown there."""
        for working in tuple(orders):
            if not working.is_open:
                continue
            offers = listing.liquidity.plan(buying, working.remaining, working.price_f, deep=False)
            if not offers:
                return
            total = Decimal(0)
            for quantity, _, level in offers:
                listing.liquidity.take(buying, level, quantity)
                total += quantity
            self._fill(working, listing, total)

    def printed(self, listing: Listing, price: float, size: float, buyer: bool | None) -> None:
        """Take a print; ``buyer`` None means that the aggressor is not known and only prices through ours count.

        A print through an order's price would have met the order first: it fills by the size of the print.
        """
        if listing.bids and price <= listing.bids[0].price_f:
            self._hit(listing, listing.bids, price, size if buyer is False else 0.0, size)
        elif listing.asks and price >= listing.asks[0].price_f:
            self._hit(listing, listing.asks, price, size if buyer is True else 0.0, size)

    def _hit(self, listing: Listing, orders: list[Working], price: float, at_price: float, size: float) -> None:
        buying = orders[0].buying
        used = 0.0
        for working in tuple(orders):
            if not working.is_open:
                continue
            if working.price_f == price:
                reached = queue.print_at(working, at_price, used) if at_price else 0.0
            elif (working.price_f > price) is buying:
                reached = size - used
            else:
                break
            if reached > 0.0:
                available = listing.instrument.floor_size(Decimal(repr(round(reached, _DUST_DIGITS))))
                quantity = min(available, working.remaining)
                if quantity > 0:
                    used += float(quantity)
                    self._fill(working, listing, quantity)

    def _fill(self, working: Working, listing: Listing, quantity: Decimal) -> None:
        price = working.order.price
        assert price is not None, "only priced orders rest"
        self._floor.fill(working, listing, quantity, price, FillSide.MAKER)
