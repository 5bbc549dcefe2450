"""Closing positions: cancel what rests, exit what is held, until the position is flat and nothing is open."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec

from core.domain.commands import CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType, Side, TimeInForce
from core.markets import Market
from core.state import State

RETRY_NS: Nanoseconds = 1_000_000_000
"""The least time between two exits of one instrument, so that a venue's "no" cannot become a storm."""
ASK_NS: Nanoseconds = 5_000_000_000
"""The least time between two cancels of an order whose outcome is unknown: the venue is asked about it in between."""
MAX_TRIES = 20
"""Exits of one instrument before the trader is told that it does not get flat."""
_LEAVING = frozenset({OrderStatus.PENDING_CANCEL})


class Pace(msgspec.Struct):
    """How fast closing one instrument goes on: when the last exit left, how many did, and the cancels sent.

    ``resumed`` is a flatten of a run that ended in the middle of it: what it had sent is learnt from the venue first.
    """

    resumed: bool = False
    last: Nanoseconds = 0
    tries: int = 0
    cancelled: dict[ClientOrderId, Nanoseconds] = {}

    def may_cancel(self, record: OrderRecord, now: Nanoseconds) -> bool:
        """Tell whether a cancel may leave (again), and note that it does."""
        id_ = record.order.client_order_id
        wait = ASK_NS if record.status is OrderStatus.UNKNOWN else RETRY_NS
        if now - self.cancelled.get(id_, -wait) < wait:
            return False
        self.cancelled[id_] = now
        return True


Ours = Callable[[OrderRecord], bool]
"""Tell whether an order is this engine's: others' orders are left alone."""


def steps(state: State, market: Market, origin: str, ours: Ours) -> Iterator[CancelOrder | SubmitOrder]:
    """Yield what brings an instrument closer to flat now: cancels first, then an exit of what nothing else closes.

    Resting exits count until their cancel is confirmed, so two exits never exceed the position.
    """
    instrument = market.instrument
    for record in state.blotter.of(instrument.id):
        leaving = record.status in _LEAVING
        exit_on_its_way = record.order.reduce_only and record.order.type is OrderType.MARKET
        if not leaving and not exit_on_its_way and ours(record):
            yield CancelOrder(record.order.client_order_id, origin)
    room = exit_quantity(state, market)
    if room > 0:
        position = state.ledger.positions[instrument.holding].quantity
        side = Side.SELL if position > 0 else Side.BUY
        order = Order(
            instrument.id,
            side,
            room,
            OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            reduce_only=True,
            strategy_intent="flatten",
        )
        yield SubmitOrder(order, origin)


def exit_quantity(state: State, market: Market) -> Decimal:
    """Return what an exit may still close: the position less resting exits, on the size step; 0 for dust."""
    instrument = market.instrument
    position = state.ledger.positions.get(instrument.holding)
    if position is None or not position.quantity:
        return Decimal(0)
    side = Side.SELL if position.quantity > 0 else Side.BUY
    room = abs(position.quantity) - state.blotter.resting_reduction(instrument.id, side)
    quantity = instrument.floor_size(max(room, Decimal(0)))
    if quantity < instrument.min_size:
        return Decimal(0)
    if instrument.max_size is not None:
        quantity = min(quantity, instrument.max_size)
    return quantity


def is_flat(state: State, instrument: InstrumentId, ours: Ours) -> bool:
    """Tell whether nothing is held that could be sold and nothing of ours is open."""
    if any(ours(record) for record in state.blotter.of(instrument)):
        return False
    return exit_quantity(state, state.markets[instrument]) == 0
