"""A venue that does what its script says, truthfully: it keeps orders, fills and positions, and answers for them."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

from core.domain import events as e
from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import Asset, ClientOrderId, FillId, InstrumentId, VenueId, VenueOrderId
from core.domain.instrument import Instrument
from core.domain.market import Bar, Feed, Interval, VenueStatus
from core.domain.message import Nanoseconds
from core.domain.order import Liquidity, Order, OrderStatus
from core.domain.reports import BalanceReport, OrderReport, PositionReport, VenueSnapshot
from core.errors import VenueError
from core.ports import Abilities, Clock, Emit
from tests.core.kit import BTC_PERP, D, quote


class ScriptedVenue:
    """Hold orders until told to fill them. ``deaf`` loses what it answers, ``broken`` raises what it holds."""

    def __init__(self, clock: Clock, id_: VenueId = BTC_PERP.venue) -> None:
        self.id = id_
        self.abilities = Abilities(amend=True, reduce_only=True, feeds=frozenset({Feed.QUOTE, Feed.BOOK}))
        self.deaf = False
        self.broken: Exception | None = None
        self.on_submit: Callable[[Order], None] = lambda order: None
        self.gate = asyncio.Event()
        """Requests reach the venue while it is set."""
        self.gate.set()
        self.slow_cancels = False
        """Cancels are taken and never carried out."""
        self.cancelled: list[ClientOrderId] = []
        self.submitted: list[ClientOrderId] = []
        self.snapshots: list[Nanoseconds] = []
        self.subscriptions: list[tuple[InstrumentId, Feed]] = []
        self.asked_history: list[tuple[InstrumentId, Interval, Nanoseconds, Nanoseconds]] = []
        self._clock = clock
        self._emit: Emit | None = None
        self._orders: dict[ClientOrderId, tuple[Order, OrderStatus]] = {}
        self._fills: list[e.OrderFilled] = []
        self._filled: dict[ClientOrderId, Decimal] = {}
        self._position = D(0)

    async def start(self, emit: Emit) -> None:
        self._emit = emit
        self.link(up=True)

    async def stop(self) -> None:
        self._emit = None

    def link(self, *, up: bool) -> None:
        """Say that the link came up or went down."""
        assert self._emit is not None
        self._emit(VenueStatus(self.id, up, "scripted", self._clock.now()))
        if up:
            self.price(60_000.0)

    def price(self, middle: float) -> None:
        """Publish a quote."""
        assert self._emit is not None
        self._emit(quote(BTC_PERP, middle - 0.1, middle + 0.1, self._clock.now()))

    def _say(self, event: e.OrderAccepted | e.OrderFilled | e.OrderCancelled) -> None:
        if self._emit is not None and not self.deaf:
            self._emit(event)

    async def instruments(self) -> Sequence[Instrument]:
        if self.broken is not None:
            raise self.broken
        return (BTC_PERP,)

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        self.subscriptions.append((instrument, feed))

    async def unsubscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        self.subscriptions.remove((instrument, feed))

    async def submit(self, order: Approved[SubmitOrder]) -> None:
        wanted = order.command.order
        self.on_submit(wanted)
        await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        self.submitted.append(wanted.client_order_id)
        self._orders[wanted.client_order_id] = (wanted, OrderStatus.ACCEPTED)
        now = self._clock.now()
        self._say(e.OrderAccepted(wanted.client_order_id, VenueOrderId(f"v{len(self._orders)}"), now, now))
        if self.deaf and self._emit is not None:
            self._emit(e.OrderUnknown(wanted.client_order_id, "no answer", now))

    async def amend(self, order: Approved[AmendOrder]) -> None:
        if self.broken is not None:
            raise self.broken

    async def cancel(self, order: Approved[CancelOrder]) -> None:
        id_ = order.command.client_order_id
        if self.broken is not None:
            raise self.broken
        self.cancelled.append(id_)
        if self.slow_cancels:
            return
        self._orders[id_] = (self._orders[id_][0], OrderStatus.CANCELLED)
        self._say(e.OrderCancelled(id_, "asked", self._clock.now(), self._clock.now()))

    def fill(self, id_: ClientOrderId, price: str = "60000", quantity: str = "") -> None:
        """Fill an order whole, or a part of it."""
        order, _ = self._orders[id_]
        filled = self._filled.get(id_, D(0))
        part = D(quantity) if quantity else order.quantity - filled
        self._filled[id_] = filled + part
        if self._filled[id_] == order.quantity:
            self._orders[id_] = (order, OrderStatus.FILLED)
        self._position += part * order.side.sign
        now, number = self._clock.now(), len(self._fills) + 1
        made = e.OrderFilled(
            id_,
            FillId(f"f{number}"),
            order.instrument,
            order.side,
            part,
            D(price),
            D(0),
            Asset("USDT"),
            Liquidity.TAKER,
            VenueOrderId(""),
            now,
            now,
        )
        self._fills.append(made)
        self._say(made)

    def expire(self, id_: ClientOrderId) -> None:
        """End what is left of an order, as an IOC ends."""
        self._orders[id_] = (self._orders[id_][0], OrderStatus.EXPIRED)
        if self._emit is not None and not self.deaf:
            self._emit(e.OrderExpired(id_, "IOC", self._clock.now(), self._clock.now()))

    @property
    def position(self) -> Decimal:
        """Return what the venue holds for us."""
        return self._position

    def _report(self, id_: ClientOrderId) -> OrderReport:
        order, status = self._orders[id_]
        filled = self._filled.get(id_, D(0))
        return OrderReport(id_, VenueOrderId(f"v-{id_}"), order, status, filled, None, self._clock.now())

    async def order(self, client_order_id: ClientOrderId) -> OrderReport | None:
        return self._report(client_order_id) if client_order_id in self._orders else None

    async def snapshot(self, since: Nanoseconds) -> VenueSnapshot:
        await asyncio.sleep(0)
        if self.broken is not None:
            raise VenueError(str(self.broken))
        self.snapshots.append(since)
        return VenueSnapshot(
            self.id,
            self._clock.now(),
            tuple(self._report(id_) for id_, (_, status) in self._orders.items() if status is OrderStatus.ACCEPTED),
            tuple(fill for fill in self._fills if fill.ts_exchange >= since),
            (PositionReport(BTC_PERP.id, self._position, D(60000), None, D(0), self._clock.now()),),
            (BalanceReport(Asset("USDT"), D(100_000), D(100_000)),),
        )

    async def history(
        self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[Bar]:
        self.asked_history.append((instrument, interval, start, end))
        return []
