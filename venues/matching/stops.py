"""Orders that wait for a price: stop, stop-limit, trailing stop, take profit.

A buy stop wakes when the price rises to its trigger, a sell stop when it falls to it; a take profit the other way
round. An order whose trigger is already met wakes at once. A trailing stop starts at its ``trigger`` where it has one,
else ``trail`` away from the price, and only ever moves towards the price.
"""

from decimal import Decimal

from core.domain.order import OrderStatus, OrderType, Side
from venues.matching.floor import Floor
from venues.matching.listing import Listing
from venues.matching.settings import TriggerPrice
from venues.matching.working import Working


class Stops:
    """Keep waiting orders and wake them."""

    def __init__(self, floor: Floor, trigger_by: TriggerPrice) -> None:
        self._floor = floor
        self._by_mark = trigger_by is TriggerPrice.MARK

    def place(self, working: Working, listing: Listing) -> None:
        """Take a conditional order: refuse what the account cannot set aside, else wait."""
        order, floor = working.order, self._floor
        if listing.spot:
            reason = floor.account.refusal(order, listing.instrument, (), working.remaining, working.locked)
            if reason is not None:
                floor.refuse(working, listing, reason)
                return
        elif order.reduce_only and not listing.reducible(order.side, Decimal(0)):
            floor.refuse(working, listing, "reduce-only: there is no position to reduce")
            return
        working.trigger = order.trigger
        working.trigger_f = float(order.trigger) if order.trigger is not None else 0.0
        floor.accept(working)
        if listing.spot:
            floor.account.reserve(working, listing.instrument, active=True)
        listing.wait(working)
        price = self._price(listing, working, 0.0)
        if price:
            self._look(working, listing, price)

    def _price(self, listing: Listing, working: Working, printed: float) -> float:
        """Return the price that may wake this order now; 0.0 where there is none."""
        if self._by_mark:
            return listing.liquidity.mark
        return printed or listing.liquidity.last or listing.liquidity.side_price(working.buying)

    def moved(self, listing: Listing, printed: float = 0.0) -> None:
        """Look at every waiting order after the price moved; ``printed`` is the price of a print."""
        if not printed and not self._by_mark and listing.liquidity.last:
            return  # only prints move the last price
        for working in tuple(listing.waiting):
            if working.is_open:
                price = self._price(listing, working, printed)
                if price:
                    self._look(working, listing, price)

    def _look(self, working: Working, listing: Listing, price: float) -> None:
        if working.order.type is OrderType.TRAILING_STOP:
            self._trail(working, listing, price)
        rises = (working.order.side is Side.BUY) is not (working.order.type is OrderType.TAKE_PROFIT)
        if price >= working.trigger_f if rises else price <= working.trigger_f:
            self._wake(working, listing)

    def _trail(self, working: Working, listing: Listing, price: float) -> None:
        trail = working.order.trail or Decimal(0)
        exact = Decimal(repr(price))
        candidate = listing.instrument.quantise_price(exact + trail if working.buying else exact - trail)
        now = working.trigger
        if now is None or (candidate < now if working.buying else candidate > now):
            working.trigger, working.trigger_f = candidate, float(candidate)

    def _wake(self, working: Working, listing: Listing) -> None:
        floor = self._floor
        listing.drop(working)
        working.status, working.updated = OrderStatus.TRIGGERED, floor.now
        floor.answers.triggered(working, working.trigger or Decimal(0), floor.now)
        floor.place(working, listing)
