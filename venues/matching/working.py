"""One order as the venue holds it."""

from decimal import Decimal

import msgspec

from core.domain.identifiers import VenueOrderId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import CLOSED, Order, OrderStatus, Side
from core.domain.reports import OrderReport

_BUY = Side.BUY


class Working(msgspec.Struct, array_like=True, eq=False, gc=False):
    """Keep one order's progress; changed by the floor alone. Prices with ``_f`` are the float keys of their level."""

    order: Order
    venue_order_id: VenueOrderId
    place: int
    """Time priority: lower comes first; renewed when the place in the queue is lost."""
    updated: Nanoseconds
    status: OrderStatus = OrderStatus.SUBMITTED
    filled: Decimal = ZERO
    value: Decimal = ZERO
    """Sum of quantity * price of the fills."""
    locked: Decimal = ZERO
    """Spot balance set aside for the rest of this order."""
    price_f: float = 0.0
    ahead: float = 0.0
    """Size in front of us at our price."""
    seen: float = 0.0
    """Size last shown at our price."""
    printed: float = 0.0
    """Size printed at our price since ``seen``: the feed will show it as a decrease again."""
    trigger: Decimal | None = None
    trigger_f: float = 0.0
    reason: str = ""

    @property
    def buying(self) -> bool:
        """Tell whether the order buys."""
        return self.order.side is _BUY

    @property
    def remaining(self) -> Decimal:
        """Return what is not filled yet."""
        return self.order.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Tell whether the order can still fill."""
        return self.status not in CLOSED

    @property
    def rank(self) -> tuple[float, int]:
        """Return the priority among our own orders of one side: price, then time."""
        return (-self.price_f if self.buying else self.price_f, self.place)

    def report(self) -> OrderReport:
        """Return the order as a venue reports it; a trailing stop with the trigger where it stands now."""
        order = self.order
        if self.trigger is not None and self.trigger != order.trigger:
            order = msgspec.structs.replace(order, trigger=self.trigger)
        return OrderReport(
            order.client_order_id,
            self.venue_order_id,
            order,
            self.status,
            self.filled,
            self.value / self.filled if self.filled else None,
            self.updated,
        )
