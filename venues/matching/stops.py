"""Orders that wait for a price: stop, stop-limit, trailing stop, take profit.

A buy stop wakes when the price rises to its trigger, a sell stop when it falls to it; a take profit the other way
round. An order whose trigger is met when it arrives is refused, as exchanges do. A trailing stop starts at its
``trigger`` where it has one, else ``trail`` away from the price, and only ever moves towards the price.
"""

from decimal import Decimal

from core.domain.order import WOULD_TRIGGER, Order, OrderStatus, OrderType, Side
from venues.matching.floor import Floor
from venues.matching.liquidity import exact
from venues.matching.listing import Listing
from venues.matching.settings import TriggerPrice
from venues.matching.working import Working


class Stops:
    """Keep waiting orders and wake them."""

    def __init__(self, floor: Floor, trigger_by: TriggerPrice) -> None:
        self._floor = floor
        self._by_mark = trigger_by is TriggerPrice.MARK
        floor.trigger_fault = self._met_already

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
        fault = self._met_already(working, order, listing)
        if fault is not None:
            floor.refuse(working, listing, fault)
            return
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

    def _met_already(self, working: Working, order: Order, listing: Listing) -> str | None:
        """Return why an order, or what it is changed to, cannot wait: the price has met its trigger."""
        price = self._price(listing, working, 0.0)
        if not price or order.trigger is None or not _met(order, float(order.trigger), price):
            return None
        return f"{WOULD_TRIGGER}: the price {exact(price).normalize():f} has met the trigger {order.trigger:f} already"

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
        if _met(working.order, working.trigger_f, price):
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


def _met(order: Order, trigger: float, price: float) -> bool:
    rises = (order.side is Side.BUY) is not (order.type is OrderType.TAKE_PROFIT)
    return price >= trigger if rises else price <= trigger
