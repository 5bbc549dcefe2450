"""Stops and take profits that wait in the engine, for venues that cannot hold them."""

from decimal import Decimal

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType, Side, TimeInForce
from core.execution.flatten import RESTING, at_once, exitable, is_immediate
from core.state.markets import DAY_NS, Market
from core.state.outright import orders_of
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


class Room(msgspec.Struct, frozen=True):
    """What is left for an exit that waited here: how much, what has to become how small, which limits stand beside."""

    left: Decimal
    smaller: list[tuple[OrderRecord, Decimal]] = []
    """Exits that wait here too, and what may stay of each; the farthest first."""
    limits: list[OrderRecord] = []
    """Limits that rest at the venue to close what this exit is for."""


def room_for(state: State, record: OrderRecord, market: Market) -> Room | None:
    """Return what is left for an exit that is met; None where it is no exit or nothing is held that it would close."""
    order, held, least = record.order, exitable(state, market), market.instrument.min_size
    if not order.reduce_only or held * order.side.sign >= ZERO or market.instrument.floor_size(abs(held)) < least:
        return None
    beside = [
        one
        for one in orders_of(state, market)
        if one is not record and one.order.reduce_only and one.order.side is order.side and not one.foreign
    ]
    there = [one for one in beside if one.status is not OrderStatus.APPROVED]
    free = abs(held) - sum((one.may_fill for one in there), ZERO)
    left = min(market.instrument.floor_size(max(free, ZERO)), order.quantity)
    if left < least:
        limits = [one for one in there if one.order.type is OrderType.LIMIT and one.status in RESTING]
        return Room(ZERO, limits=[one for one in limits if not is_immediate(one.order)])
    waiting = [one for one in beside if one.status is OrderStatus.APPROVED]
    excess, smaller = sum((one.may_fill for one in waiting), ZERO) - (free - left), []
    mark = Decimal(repr(market.mark))
    for one in sorted(waiting, key=lambda one: abs((one.order.trigger or mark) - mark), reverse=True):
        if excess <= ZERO:
            break
        instrument = state.markets[one.order.instrument].instrument
        stays = instrument.floor_size(max(one.remaining - excess, ZERO))
        stays = stays if stays >= instrument.min_size else ZERO
        excess -= one.remaining - stays
        smaller.append((one, stays))
    return Room(left, smaller)


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
