"""An account kept from the records alone: orders, fills, positions, what is being closed."""

from collections import Counter
from decimal import Decimal

import msgspec

from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId, InstrumentId, InstrumentType, VenueId, holding_of, parse_id, venue_of
from core.domain.message import Event, Nanoseconds
from core.domain.order import Order, Side

ZERO = Decimal(0)


class Mine(msgspec.Struct):
    """One order as the audit sees it."""

    order: Order
    open: bool = True
    filled: Decimal = ZERO
    asked: Decimal = ZERO
    sent: bool = False
    amended: Nanoseconds = 0
    """The exchange's stamp of the last change of quantity: an older one that is told again is none."""

    @property
    def left(self) -> Decimal:
        return max(self.order.quantity, self.asked) - self.filled


class Shadow:
    """What the records say: kept while the engine lives, and made anew from what was durable when it died."""

    def __init__(self) -> None:
        self.orders: dict[ClientOrderId, Mine] = {}
        self.fills: set[tuple[VenueId, str]] = set()
        self.held: Counter[InstrumentId] = Counter()
        self.coins: Counter[InstrumentId] = Counter()
        """What wallets hold, fees taken off, by what every pair of them trades into."""
        self.flattening: dict[InstrumentId, e.FlattenStarted] = {}
        self.trading = TradingState.ACTIVE
        self.run = 0

    def take(self, event: Event) -> str:
        """Apply a record; return what is wrong with it, or nothing."""
        if isinstance(event, (e.OrderSubmitted, e.OrderApproved)):
            return self._intent(event)
        if isinstance(event, e.OrderFound):
            self.orders[event.order.client_order_id] = Mine(event.order, filled=event.filled, sent=True)
        elif isinstance(event, e.OrderFilled):
            self._fill(event)
        elif isinstance(event, (e.OrderCancelled, e.OrderExpired, e.OrderRejected)):
            self._close(event.client_order_id)
        elif isinstance(event, e.OrderDenied):
            self._close(event.order.client_order_id)
        elif isinstance(event, (e.AmendSubmitted, e.OrderAmended, e.AmendRejected)):
            self._amend(event)
        elif isinstance(event, e.PositionSet):
            self.held[event.instrument] = event.quantity  # type: ignore[assignment]
        elif isinstance(event, e.TradingStateChanged):
            self.trading = event.state
        elif isinstance(event, e.FlattenStarted):
            self.flattening[event.instrument] = event
        elif isinstance(event, e.FlattenEnded):
            self.flattening.pop(event.instrument, None)
        elif isinstance(event, e.EngineStarted):
            before, self.run = self.run, event.run
            return f"run {event.run} follows {before}" if event.run <= before else ""
        return ""

    def _intent(self, event: e.OrderSubmitted | e.OrderApproved) -> str:
        id_ = event.order.client_order_id
        known = self.orders.get(id_)
        if known is not None and (known.sent or isinstance(event, e.OrderApproved)):
            return f"order id {id_} is used again"
        self.orders[id_] = Mine(event.order, sent=isinstance(event, e.OrderSubmitted))
        return ""

    def _fill(self, fill: e.OrderFilled) -> None:
        key = (venue_of(fill.instrument), str(fill.fill_id))
        if key in self.fills:
            return
        self.fills.add(key)
        self.held[fill.instrument] += fill.quantity * fill.side.sign  # type: ignore[assignment]
        if parse_id(fill.instrument).type is InstrumentType.SPOT_PAIR:
            self._move(fill)
        mine = self.orders.get(fill.client_order_id)
        if mine is not None:
            mine.filled += fill.quantity
            mine.open = mine.open and mine.left > 0  # what a change on its way asks for may rest there already

    def _move(self, fill: e.OrderFilled) -> None:
        """Move what wallets hold: of both sides of a pair, and of what the fee is paid in."""
        key, bought = parse_id(fill.instrument), fill.quantity * fill.side.sign
        base, _, quote = key.payload.partition("-")
        for asset, amount in ((base, bought), (quote, -bought * fill.price), (fill.fee_asset, -fill.fee)):
            wallet = InstrumentId(f"{key.venue}:{InstrumentType.SPOT_ASSET}:{asset}")
            self.coins[wallet] += amount  # type: ignore[assignment]

    def _close(self, id_: ClientOrderId) -> None:
        if id_ in self.orders:
            self.orders[id_].open = False

    def _amend(self, event: e.AmendSubmitted | e.OrderAmended | e.AmendRejected) -> None:
        mine = self.orders.get(event.client_order_id)
        if mine is None:
            return
        if isinstance(event, e.AmendSubmitted):
            mine.asked = event.quantity or ZERO
            return
        if isinstance(event, e.OrderAmended):
            if event.ts_exchange < mine.amended:
                return
            if event.quantity is not None:  # what names none is no newer word on it
                mine.amended = event.ts_exchange
                mine.order = msgspec.structs.replace(mine.order, quantity=event.quantity)
        mine.asked = ZERO
        mine.open = mine.open and mine.left > 0

    def exits(self, instrument: InstrumentId, side: Side, but: ClientOrderId) -> Decimal:
        """Return what exits that may be at the exchange would still close."""
        found = (
            mine.left
            for id_, mine in self.orders.items()
            if mine.open
            and mine.sent
            and mine.order.reduce_only
            and holding_of(mine.order.instrument) == holding_of(instrument)
            and mine.order.side is side
            and id_ != but
        )
        return sum(found, ZERO)
