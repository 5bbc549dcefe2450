"""What the venue says: events, stamped where they happened and where they arrive, sent down the answer leg."""

from collections.abc import Callable
from decimal import Decimal

from core.domain.events import (
    AmendRejected,
    CancelRejected,
    FundingPaid,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
    PositionLiquidated,
)
from core.domain.identifiers import Asset, ClientOrderId, FillId, InstrumentId
from core.domain.message import Event, Nanoseconds
from core.ports import Emit
from venues.matching.latency import Leg
from venues.matching.working import Working


class Answers:
    """Build the venue's events and send them; on an instant leg they are emitted at once."""

    __slots__ = ("_arrival", "_emit", "leg", "send")

    def __init__(self, emit: Emit, leg: Leg[Event]) -> None:
        self.leg = leg
        self._emit = emit
        self._arrival: Callable[[Nanoseconds], Nanoseconds] = int if leg.instant else leg.arrival
        self.send: Callable[[Event], None] = emit if leg.instant else self._travel

    def _travel(self, event: Event) -> None:
        self.leg.put(event.ts, event)  # type: ignore[attr-defined]

    def deliver(self, now: Nanoseconds) -> None:
        """Emit what has arrived by now."""
        items = self.leg.items
        while items and items[0][0] <= now:
            self._emit(items.popleft()[1])

    def accepted(self, order: Working, now: Nanoseconds) -> None:
        """Say that the venue holds the order."""
        self.send(OrderAccepted(order.order.client_order_id, order.venue_order_id, now, self._arrival(now)))

    def rejected(self, order: ClientOrderId, reason: str, now: Nanoseconds) -> None:
        """Say no."""
        self.send(OrderRejected(order, reason, now, self._arrival(now)))

    def triggered(self, order: Working, price: Decimal, now: Nanoseconds) -> None:
        """Say that a waiting order met its price."""
        self.send(OrderTriggered(order.order.client_order_id, price, now, self._arrival(now)))

    def filled(self, fill: OrderFilled, now: Nanoseconds) -> None:
        """Report a fill; its ``ts`` becomes its arrival."""
        ts = self._arrival(now)
        self.send(fill if ts == fill.ts else fill.replace(ts=ts))

    def cancelled(self, order: ClientOrderId, reason: str, now: Nanoseconds) -> None:
        """Say that an order rests no more."""
        self.send(OrderCancelled(order, reason, now, self._arrival(now)))

    def expired(self, order: ClientOrderId, reason: str, now: Nanoseconds) -> None:
        """Say that the time in force ended an order."""
        self.send(OrderExpired(order, reason, now, self._arrival(now)))

    def amended(
        self,
        order: ClientOrderId,
        quantity: Decimal | None,
        price: Decimal | None,
        trigger: Decimal | None,
        now: Nanoseconds,
    ) -> None:
        """Say that an order stands with new values."""
        self.send(OrderAmended(order, quantity, price, trigger, now, self._arrival(now)))

    def amend_rejected(self, order: ClientOrderId, reason: str, now: Nanoseconds) -> None:
        """Say that an order stands as before."""
        self.send(AmendRejected(order, reason, now, self._arrival(now)))

    def cancel_rejected(self, order: ClientOrderId, reason: str, now: Nanoseconds) -> None:
        """Say that there is nothing to cancel."""
        self.send(CancelRejected(order, reason, now, self._arrival(now)))

    def funded(
        self,
        instrument: InstrumentId,
        asset: Asset,
        amount: Decimal,
        rates: tuple[Decimal, Decimal],
        funding_id: FillId,
        now: Nanoseconds,
    ) -> FundingPaid:
        """Report funding and return the report; ``rates`` are the rate and the mark it was paid at."""
        paid = FundingPaid(instrument, asset, amount, rates[0], rates[1], funding_id, now, self._arrival(now))
        self.send(paid)
        return paid

    def liquidated(self, fill: OrderFilled, quantity: Decimal, fee: Decimal, now: Nanoseconds) -> PositionLiquidated:
        """Report a forced close before its fill and return the report; ``quantity`` is the signed position it ended."""
        ts, name = self._arrival(now), fill.fill_id
        closed = PositionLiquidated(fill.instrument, quantity, fill.price, fee, fill.fee_asset, now, ts, name)
        self.send(closed)
        return closed
