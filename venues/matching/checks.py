"""What a venue refuses before it looks at account or book: fields, tick, lot and minimums, in clear words."""

from decimal import Decimal

from core.domain.instrument import ONE, ZERO, Instrument
from core.domain.message import Nanoseconds
from core.domain.order import CONDITIONAL, Operation, Order, OrderType, Side, TimeInForce
from venues.matching.liquidity import exact

_TRADE, _MARKET, _GTD = Operation.TRADE, OrderType.MARKET, TimeInForce.GTD
_SIDES = frozenset({Side.BUY, Side.SELL})
_PRICED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_MAY_BE_PRICED = _PRICED | {OrderType.TAKE_PROFIT}
_TRIGGERED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT})
_IMMEDIATE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_DIGITS = 27
"""A value this many digits longer than its step is beyond what Decimal divides exactly."""


def order_fault(order: Order, instrument: Instrument, reference: float, now: Nanoseconds) -> str | None:
    """Return what is wrong with an order by itself; ``reference`` values a market order (0.0: nothing does)."""
    if order.operation is not _TRADE or order.side not in _SIDES:
        return f"only BUY and SELL trades are matched here, not {order.operation.value} {order.side.value}"
    bare = order.price is None and order.trigger is None and order.type is _MARKET
    if bare and not order.post_only and order.time_in_force is not _GTD:  # the common case: only a size to look at
        return size_fault(order.quantity, instrument) or notional_fault(order, instrument, reference)
    return (
        size_fault(order.quantity, instrument)
        or _price_fault(order, instrument)
        or _life_fault(order, now)
        or notional_fault(order, instrument, reference)
    )


def size_fault(quantity: Decimal, instrument: Instrument) -> str | None:
    """Return what is wrong with a size."""
    if not quantity.is_finite() or quantity <= ZERO:
        return f"quantity {quantity} must be above 0"
    if quantity < instrument.min_size:
        return f"quantity {quantity} is below the minimum size {instrument.min_size}"
    most = instrument.max_size
    if most is not None and quantity > most:
        return f"quantity {quantity} is above the maximum size {most}"
    if off_grid(quantity, instrument.size_step):
        return f"quantity {quantity} is not a multiple of the lot {instrument.size_step}"
    return None


def tick_fault(name: str, price: Decimal, instrument: Instrument) -> str | None:
    """Return what is wrong with a price."""
    if not price.is_finite() or price <= 0:
        return f"{name} {price} must be above 0"
    if off_grid(price, instrument.tick_size):
        return f"{name} {price} is not a multiple of the tick {instrument.tick_size}"
    return None


def off_grid(value: Decimal, step: Decimal) -> bool:
    """Tell whether a finite value is no multiple of a step."""
    return bool(value % step) if value.adjusted() - step.adjusted() < _DIGITS else True


def notional_fault(order: Order, instrument: Instrument, reference: float) -> str | None:
    """Return whether the order is worth too little; orders that only reduce may be small."""
    least = instrument.min_notional
    if not least or order.reduce_only:
        return None
    price = order.price or order.trigger
    if price is None:
        if not reference:
            return None
        price = exact(reference)
    worth = order.quantity * instrument.contract_size * (ONE if instrument.inverse else price)
    if worth < least:
        return f"notional {worth.normalize():f} is below the minimum {least} {instrument.quote}"
    return None


def _price_fault(order: Order, instrument: Instrument) -> str | None:
    kind = order.type
    if order.price is not None:
        if kind not in _MAY_BE_PRICED:
            return f"a {kind.value} order takes no price; use LIMIT or STOP_LIMIT"
        fault = tick_fault("price", order.price, instrument)
        if fault:
            return fault
    elif kind in _PRICED:
        return f"a {kind.value} order needs a price"
    if kind not in CONDITIONAL:
        return None if order.trigger is None else f"a {kind.value} order takes no trigger"
    return _trigger_fault(order, instrument)


def _trigger_fault(order: Order, instrument: Instrument) -> str | None:
    if order.type is OrderType.TRAILING_STOP and (order.trail is None or not order.trail > 0):
        return "a TRAILING_STOP order needs trail, its distance in price units, above 0"
    if order.trigger is not None:
        return tick_fault("trigger", order.trigger, instrument)
    return f"a {order.type.value} order needs a trigger" if order.type in _TRIGGERED else None


def _life_fault(order: Order, now: Nanoseconds) -> str | None:
    if order.post_only and (order.price is None or order.time_in_force in _IMMEDIATE):
        return "post-only needs a price and a time in force that rests (GTC, GTD or DAY)"
    if order.time_in_force is TimeInForce.GTD and order.expires <= now:
        return "a GTD order needs an expiry in the future" if order.expires else "a GTD order needs expires"
    return None
