"""One market of a venue and our orders in it."""

from bisect import insort
from decimal import Decimal

from core.domain.identifiers import InstrumentType
from core.domain.instrument import ZERO, Instrument
from core.domain.order import Side
from venues.matching.account import Holding
from venues.matching.liquidity import Liquidity
from venues.matching.working import Working


def _rank(order: Working) -> tuple[float, int]:
    return order.rank


class Listing:
    """Hold the liquidity of one instrument, our position in it, and our resting and waiting orders.

    ``bids`` and ``asks`` stand best price first, then by place. ``busy`` tells that data must be looked at.
    """

    __slots__ = ("asks", "bar_ns", "bids", "busy", "holding", "instrument", "liquidity", "marked_at", "spot", "waiting")

    def __init__(self, instrument: Instrument, liquidity: Liquidity, holding: Holding | None) -> None:
        self.instrument = instrument
        self.liquidity = liquidity
        self.holding = holding
        self.spot = instrument.type is InstrumentType.SPOT_PAIR
        self.bids: list[Working] = []
        self.asks: list[Working] = []
        self.waiting: list[Working] = []
        self.busy = False
        self.marked_at = 0.0
        """The mark at which margin was last looked at."""
        self.bar_ns = 0
        """The shortest bar this market was fed; longer ones tell nothing new."""

    def look(self) -> None:
        """Set ``busy`` anew; called after every change of orders or position."""
        held = self.holding is not None and bool(self.holding.position.quantity)
        self.busy = bool(held or self.bids or self.asks or self.waiting)

    def rest(self, order: Working) -> None:
        """Add a resting order."""
        insort(self.bids if order.buying else self.asks, order, key=_rank)
        self.busy = True

    def wait(self, order: Working) -> None:
        """Add an order that waits for its trigger."""
        self.waiting.append(order)
        self.busy = True

    def drop(self, order: Working) -> None:
        """Remove an order from wherever it stands."""
        for orders in (self.bids, self.asks, self.waiting):
            if order in orders:
                orders.remove(order)
        self.look()

    def open_orders(self) -> list[Working]:
        """Return resting and waiting orders."""
        return [*self.bids, *self.asks, *self.waiting]

    def reducible(self, side: Side, balance: Decimal) -> Decimal:
        """Return how much an order of this side can reduce: the position against it, or the balance a spot sale has."""
        if self.holding is None:
            return balance if side is Side.SELL else ZERO
        quantity = self.holding.position.quantity
        return max(ZERO, -quantity if side is Side.BUY else quantity)
