"""A truthful exchange without mercy: it fills what rests whenever it likes, and answers late.

It does not cap reduce-only orders, so that the engine must be right, until it has closed something by force itself.
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from core.domain import commands as c
from core.domain import events as e
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId, FillId, VenueOrderId
from core.domain.message import Command, Event, Nanoseconds
from core.domain.order import WOULD_TRIGGER, Order, OrderStatus, OrderType, Side, TimeInForce
from core.domain.reports import OrderReport, PositionReport, VenueSnapshot
from tests.core.kit import BTC_PERP, PERP, D, fill

_OPEN = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
NO_ID = VenueOrderId("")


class Held(msgspec.Struct):
    """One order as the exchange holds it."""

    order: Order
    status: OrderStatus = OrderStatus.ACCEPTED
    filled: Decimal = Decimal(0)

    @property
    def left(self) -> Decimal:
        return self.order.quantity - self.filled


class Exchange:
    """Hold orders of one instrument."""

    def __init__(self, *, amends: bool) -> None:
        self.amends = amends
        self.orders: dict[ClientOrderId, Held] = {}
        self.wire: list[Approved[Command]] = []
        """Requests that have left and not arrived."""
        self.answers: list[Event] = []
        """What has happened and is not told yet."""
        self.fills: list[e.OrderFilled] = []
        self.bookings: list[e.PositionLiquidated] = []
        self.position = D(0)
        self.now: Nanoseconds = 0
        self.forced = False
        self.last = 0.0
        """The price that it holds triggers of sell stops against; 0 looks at none."""
        self.depth: Decimal | None = None
        """How much an order that ends at once finds; None is all of it."""
        self.refuses = 0
        """How many of the next orders it refuses."""

    def open(self) -> list[Held]:
        return [held for held in self.orders.values() if held.status in _OPEN]

    def take(self) -> None:
        """Take the oldest request."""
        command = self.wire.pop(0).command
        if isinstance(command, c.SubmitOrder):
            self._submit(command.order)
        elif isinstance(command, c.CancelOrder):
            held = self.orders.get(command.client_order_id)
            if held is None or held.status not in _OPEN:
                self.answers.append(e.CancelRejected(command.client_order_id, "not open", self.now, self.now))
            else:
                self._end(held, OrderStatus.CANCELLED)
        elif isinstance(command, c.AmendOrder):
            self._amend(command)

    def _submit(self, order: Order) -> None:
        if self.refuses:
            self.refuses -= 1
            self.answers.append(e.OrderRejected(order.client_order_id, "too many requests", self.now, self.now))
            self.orders[order.client_order_id] = Held(order, OrderStatus.REJECTED)
            return
        if self._met(order.trigger):
            self.orders[order.client_order_id] = Held(order, OrderStatus.REJECTED)
            self.answers.append(e.OrderRejected(order.client_order_id, WOULD_TRIGGER, self.now, self.now))
            return
        self.orders[order.client_order_id] = held = Held(order)
        self.answers.append(e.OrderAccepted(order.client_order_id, NO_ID, self.now, self.now))
        immediate = order.type is OrderType.LIMIT and order.time_in_force is TimeInForce.IOC
        if order.type is OrderType.MARKET or immediate:
            part = held.left if self.depth is None else min(held.left, self.depth)
            if part:
                self.fill(held, part)
            elif order.time_in_force is TimeInForce.IOC:
                self._end(held, OrderStatus.CANCELLED)

    def _amend(self, command: c.AmendOrder) -> None:
        id_, held = command.client_order_id, self.orders.get(command.client_order_id)
        quantity = command.quantity
        if held is None or held.status not in _OPEN or (quantity is not None and quantity <= held.filled):
            self.answers.append(e.AmendRejected(id_, "not possible", self.now, self.now))
            return
        assert self.amends, "a venue that cannot amend was asked to"
        if self._met(command.trigger):
            self.answers.append(e.AmendRejected(id_, WOULD_TRIGGER, self.now, self.now))
            return
        changes = {"quantity": quantity, "trigger": command.trigger}
        held.order = msgspec.structs.replace(
            held.order, **{name: value for name, value in changes.items() if value is not None}
        )
        self.answers.append(e.OrderAmended(id_, quantity, None, command.trigger, self.now, self.now))

    def _met(self, trigger: Decimal | None) -> bool:
        return trigger is not None and bool(self.last) and float(trigger) >= self.last

    def _end(self, held: Held, status: OrderStatus) -> None:
        held.status = status
        self.answers.append(e.OrderCancelled(held.order.client_order_id, "gone", self.now, self.now))

    def fill(self, held: Held, quantity: Decimal) -> None:
        order = held.order
        if self.forced and order.reduce_only and quantity > self.position:
            self._end(held, OrderStatus.CANCELLED)
            return
        held.filled += quantity
        held.status = OrderStatus.PARTIALLY_FILLED if held.left else OrderStatus.FILLED
        self._book(order.client_order_id, order.side, quantity)
        if held.left and order.time_in_force is TimeInForce.IOC:
            self._end(held, OrderStatus.CANCELLED)

    def _book(self, id_: str, side: Side, quantity: Decimal) -> None:
        self.position += quantity * side.sign
        made = fill(BTC_PERP, side, str(quantity), "60000", FillId(f"f{len(self.fills)}"), id_, self.now)
        self.fills.append(made)
        self.answers.append(made)

    def force(self, quantity: Decimal) -> None:
        """Close by force, as in a liquidation: exits are cancelled first."""
        self.forced = True
        for held in self.open():
            if held.order.reduce_only:
                self._end(held, OrderStatus.CANCELLED)
        id_ = FillId(f"f{len(self.fills)}")
        closed = e.PositionLiquidated(BTC_PERP.id, quantity, D(60000), D(0), BTC_PERP.settle, self.now, self.now, id_)
        self.bookings.append(closed)
        self.answers.append(closed)
        self._book("", Side.SELL if self.position > 0 else Side.BUY, quantity)

    def snapshot(self) -> VenueSnapshot:
        return VenueSnapshot(
            PERP,
            self.now,
            tuple(self._report(held) for held in self.open()),
            tuple(self.fills),
            (PositionReport(BTC_PERP.id, self.position, D(60000), None, D(0), self.now),),
            (),
            tuple(self.bookings),
        )

    def _report(self, held: Held) -> OrderReport:
        return OrderReport(held.order.client_order_id, NO_ID, held.order, held.status, held.filled, None, self.now)

    def report(self, id_: ClientOrderId) -> OrderReport | None:
        held = self.orders.get(id_)
        return self._report(held) if held is not None else None


def exits(orders: "dict[ClientOrderId, Held]") -> Iterator[Held]:
    """Yield the exits that rest."""
    return (held for held in orders.values() if held.status in _OPEN and held.order.reduce_only)
