"""Stops and take profits that wait in the engine, for venues that cannot hold them."""

from decimal import Decimal

from core.domain.identifiers import InstrumentId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType, Side, TimeInForce
from core.execution.flatten import at_once
from core.state.markets import DAY_NS, Market
from core.state.state import State

NEVER: Nanoseconds = 2**63 - 1
ENTRY = 0.5
"""The part of the collar that the limit of an entry uses."""


def waiting(state: State, instrument: InstrumentId) -> list[OrderRecord]:
    """Return the orders of an instrument that wait in the engine."""
    return [
        record
        for record in state.blotter.open.values()
        if record.status is OrderStatus.APPROVED and record.order.instrument == instrument
    ]


def end_of(record: OrderRecord) -> Nanoseconds:
    """Return when a waiting order's time is over: its own time, the end of its UTC day, or never."""
    tif = record.order.time_in_force
    if tif is TimeInForce.GTD:
        return record.order.expires
    return record.created - record.created % DAY_NS + DAY_NS if tif is TimeInForce.DAY else NEVER


def met(order: Order, market: Market) -> bool:
    """Tell whether the market has reached an order's trigger: a stop from the far side, a take profit from the near.

    By what is believed of the touch alone (``Mark.closes_at``): one odd quote sends nothing.
    """
    if order.trigger is None:
        return False
    buys = order.side in (Side.BUY, Side.BACK)
    sign, takes = -1 if buys else 1, order.type is OrderType.TAKE_PROFIT
    price = market.takes_at(sign) if takes else market.closes_at(sign)
    if price <= 0.0:
        return False
    return (price - float(order.trigger)) * sign >= 0.0 if takes else (price - float(order.trigger)) * sign <= 0.0


def left_for(state: State, record: OrderRecord, market: Market) -> Decimal:
    """Return how much an exit that waits here would close now, beside the other exits; 0 is nothing, or no exit."""
    order, position = record.order, state.ledger.positions.get(market.holding)
    held = state.differences.both(market, position.quantity) if position is not None else ZERO
    if not order.reduce_only or held * order.side.sign >= ZERO:
        return ZERO
    others = state.blotter.resting_reduction(order.instrument, order.side, order.client_order_id)
    left = market.instrument.floor_size(max(abs(held) - others, ZERO))
    return left if left >= market.instrument.min_size else ZERO


def released(order: Order, market: Market, collar: float | None) -> Order:
    """Return the order that leaves once its trigger is met: with a ``collar`` a limit stands for the market order.

    An entry uses a part of it alone: the gate measures its price from the mark, which may lie behind the touch.
    """
    kind = OrderType.LIMIT if order.type is OrderType.STOP_LIMIT else OrderType.MARKET
    ends = kind is OrderType.MARKET and order.time_in_force in (TimeInForce.GTD, TimeInForce.DAY)
    leaving = Order(
        order.instrument,
        order.side,
        order.quantity,
        kind,
        order.price if kind is OrderType.LIMIT else None,
        time_in_force=TimeInForce.GTC if ends else order.time_in_force,
        expires=0 if ends else order.expires,
        reduce_only=order.reduce_only,
        client_order_id=order.client_order_id,
        operation=order.operation,
        venue=order.venue,
        strategy_id=order.strategy_id,
        strategy_intent=order.strategy_intent,
        parent=order.parent,
    )
    if kind is OrderType.LIMIT or collar is None:
        return leaving
    return at_once(leaving, market, collar if order.reduce_only else collar * ENTRY)
