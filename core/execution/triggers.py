"""Stops and take profits that wait in the engine, for venues that cannot hold them."""

from decimal import Decimal

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType, Side, TimeInForce
from core.execution.flatten import ASK_NS, CHANGING, RESTING, RETRY_NS, at_once, exitable, is_immediate, sides
from core.state.markets import DAY_NS, Market
from core.state.outright import is_unsellable, orders_of
from core.state.state import State

NEVER: Nanoseconds = 2**63 - 1
_APPROVED = OrderStatus.APPROVED
_NEAR = (OrderType.LIMIT, OrderType.TAKE_PROFIT)
"""What rests at a venue to close where the price is good: further away than any exit that is met."""
_PASSING = CHANGING | {OrderStatus.SUBMITTED, OrderStatus.UNKNOWN}
ENTRY = 0.5
"""The part of the collar that the limit of an entry uses."""


def waiting(state: State, instrument: InstrumentId) -> list[OrderRecord]:
    """Return the orders of an instrument that wait in the engine."""
    return [
        record
        for record in state.blotter.open.values()
        if record.status is _APPROVED and record.order.instrument == instrument
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
    """What an exit that is met may close now; where that is nothing, what has to go first."""

    left: Decimal
    in_the_way: list[OrderRecord] = []
    """Limits and take profits that rest at the venue to close what this exit is for."""
    later: Decimal = ZERO
    """What such orders hold that do not go, or nobody knows anything of: it waits on."""


def room_for(state: State, record: OrderRecord, market: Market) -> Room | None:
    """Return what is left for an exit that is met; None where the guardian judges it as it is.

    What waits here beside it has its own turn, and finds what is left then. What is on its way to the venue has the
    first; limits that rest there give way, for an exit that is met is the nearer one; one that the venue would not
    cancel is left its part. Where our record and the venue differ it waits for the word on that.
    """
    order, own, held = record.order, sides(state, market)[0], abs(exitable(state, market))
    if not order.reduce_only or own * order.side.sign >= ZERO or is_unsellable(market, own):
        return None
    there = [
        one
        for one in orders_of(state, market)
        if one.order.reduce_only and one.order.side is order.side and not (one.foreign or one.status is _APPROVED)
    ]
    free = max(held - sum((one.may_fill for one in there), ZERO), ZERO)
    left = min(market.instrument.floor_size(free), order.quantity)
    is_nothing = is_unsellable(market, left)
    missing = min(order.quantity, market.instrument.floor_size(held)) - left
    if is_nothing or missing > ZERO:
        near = [one for one in there if one.order.type in _NEAR and not is_immediate(one.order)]
        going = [one for one in near if is_nothing or _gives_way(one, state.now)]
        if going:
            return Room(ZERO, [one for one in going if one.status in RESTING])
        if is_nothing and held and all(one.status in RESTING for one in there):
            return None  # stops that the venue holds cover all of it, or it is too small: the guardian says so
        kept = sum((one.may_fill for one in near), ZERO)
        later = min(missing, market.instrument.ceil_size(kept))  # another pair of a coin has other steps
        return Room(ZERO if is_nothing else left, later=later)
    return Room(left)


def is_refused(record: OrderRecord, now: Nanoseconds) -> bool:
    """Tell whether a venue would not change or cancel an order a moment ago."""
    return bool(record.reason) and now - record.updated < RETRY_NS


def _gives_way(limit: OrderRecord, now: Nanoseconds) -> bool:
    """Tell whether a limit will soon be gone, or known: what is silent for too long is left its part."""
    if limit.status in RESTING:
        return not is_refused(limit, now)
    return limit.status in _PASSING and now - limit.updated < ASK_NS


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
