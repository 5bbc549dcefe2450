"""An order while it is being filled in: text, and the order that the text describes. Pure."""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

import msgspec

from core.domain.instrument import ONE, ZERO, Instrument
from core.domain.message import Nanoseconds
from core.domain.numbers import cited, plain_decimal
from core.domain.order import CONDITIONAL, Order, OrderType, Side, StopLoss, TakeProfit, TimeInForce

TYPES = (
    OrderType.LIMIT,
    OrderType.MARKET,
    OrderType.STOP,
    OrderType.STOP_LIMIT,
    OrderType.TRAILING_STOP,
    OrderType.TAKE_PROFIT,
)
TIFS = tuple(TimeInForce)
FLAGS = ("none", "post-only", "reduce-only", "post-only reduce-only")
NUMBERS = {*"0123456789."}
TEXTS: dict[str, set[str]] = {
    "quantity": NUMBERS,
    "price": NUMBERS,
    "trigger": NUMBERS,
    "trail": NUMBERS,
    "stop": NUMBERS,
    "stop_trail": NUMBERS,
    "targets": NUMBERS | {*" :/%"},
    "expires": NUMBERS | {*":smhd"},
}
"""The fields that are typed, and the characters that each takes."""
LONGEST = {"targets": 60}
_PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_HUNDRED = Decimal(100)
TRIGGER_AWAY = 0.01
"""How far from the market a trigger is proposed, as a part of the price."""


class Unit(StrEnum):
    """What the quantity field counts."""

    AMOUNT = "amount"
    NOTIONAL = "notional"
    EQUITY = "% of equity"
    RISK = "% at risk"


UNITS = tuple(Unit)


class Context(msgspec.Struct, frozen=True):
    """What a ticket knows of its market and account: prices, equity (reporting currency), rates into it, the time."""

    bid: float = 0.0
    ask: float = 0.0
    equity: float = 0.0
    quote_rate: float = 1.0
    settle_rate: float = 1.0
    currency: str = ""
    now: Nanoseconds = 0


class Draft(msgspec.Struct):
    """An order as it stands in the ticket; numbers are text until it is sent."""

    side: Side = Side.BUY
    type: OrderType = OrderType.LIMIT
    quantity: str = ""
    price: str = ""
    trigger: str = ""
    tif: TimeInForce = TimeInForce.GTC
    flags: str = "none"
    unit: Unit = Unit.AMOUNT
    trail: str = ""
    stop: str = ""
    stop_trail: str = ""
    targets: str = ""
    expires: str = ""

    @property
    def reduces(self) -> bool:
        """Tell whether it may only shrink a position."""
        return "reduce-only" in self.flags

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that this order has, in the order in which the cursor visits them."""
        names = ["side", "type", "quantity"]
        if self.type in _PRICED:
            names.append("price")
        if self.type in CONDITIONAL:
            names.append("trail" if self.type is OrderType.TRAILING_STOP else "trigger")
        if not self.reduces:
            names += ["stop", "stop_trail", "targets"] if self.stop else ["stop", "targets"]
        if self.type is not OrderType.MARKET:
            names += ["tif", "expires"] if self.tif is TimeInForce.GTD else ["tif"]
        return (*names, "flags")

    def choose(self, name: str, steps: int) -> None:
        """Take the next choice of a field."""
        if name == "side":
            self.side = self.side.opposite
        elif name == "unit":
            self.unit = _cycle(UNITS, self.unit, steps)
            self.quantity = ""
        else:
            choices: tuple[Any, ...] = {"type": TYPES, "tif": TIFS, "flags": FLAGS}[name]
            setattr(self, name, _cycle(choices, getattr(self, name), steps))


def _cycle(choices: tuple[Any, ...], now: Any, steps: int) -> Any:
    return choices[(choices.index(now) + steps) % len(choices)]


def number_of(name: str, text: str, step: Decimal | None = None) -> Decimal:
    """Return a typed number.

    Raises:
        ValueError: naming the field, what was typed and what was expected.
    """
    value = plain_decimal(text.replace(" ", ""))
    if value is None or value <= 0:
        raise ValueError(f"{name} must be a number greater than 0 (got {cited(text) or 'nothing'})")
    if step is not None and value % step:
        raise ValueError(f"{name} {text} is not a multiple of {step.normalize():f}")
    return value


def entry_price(draft: Draft, context: Context) -> float:
    """Return the price at which a draft is expected to trade: its limit or trigger, else the far side; 0 if none."""
    for name in ("price", "trigger"):
        if name in draft.fields:
            try:
                return float(number_of(name, getattr(draft, name)))
            except ValueError:
                return 0.0
    return context.ask if draft.side.sign > 0 else context.bid


def unit_worth(instrument: Instrument, price: float, context: Context) -> float:
    """Return what one unit is worth at a price, in the reporting currency."""
    worth = float(instrument.contract_size) * context.quote_rate
    return worth if instrument.inverse else worth * price


def unit_risk(instrument: Instrument, price: float, stop: float, context: Context) -> float:
    """Return what one unit loses from a price to its stop, in the reporting currency."""
    size = float(instrument.contract_size)
    if instrument.inverse:
        return abs(1.0 / price - 1.0 / stop) * size * context.settle_rate
    return abs(price - stop) * size * context.quote_rate


def quantity_of(draft: Draft, instrument: Instrument, context: Context) -> Decimal:
    """Return the quantity in the instrument's units, rounded down to its step where another unit was typed.

    Raises:
        ValueError: it is no number, or what it is counted by is missing.
    """
    if draft.unit is Unit.AMOUNT:
        return number_of("quantity", draft.quantity, instrument.size_step)
    typed = float(number_of(f"quantity ({draft.unit})", draft.quantity))
    price = entry_price(draft, context)
    if price <= 0.0:
        raise ValueError(f"quantity by {draft.unit} needs a price; none is known")
    if draft.unit is Unit.RISK:
        if draft.reduces or not draft.stop:
            raise ValueError("quantity by risk needs a stop: the loss from the price to it is what is counted")
        each = unit_risk(instrument, price, float(number_of("stop", draft.stop)), context)
    else:
        each = unit_worth(instrument, price, context)
    whole = typed if draft.unit is Unit.NOTIONAL else typed / 100.0 * context.equity
    if each <= 0.0 or whole <= 0.0:
        raise ValueError(f"quantity by {draft.unit} cannot be worked out: no equity, or no distance to the stop")
    quantity = instrument.floor_size(Decimal(repr(whole / each)))
    if quantity <= ZERO:
        least = f"{instrument.size_step.normalize():f}"
        raise ValueError(f"{draft.quantity} {draft.unit} is less than the smallest step {least}")
    return quantity


def in_unit(quantity: Decimal, draft: Draft, instrument: Instrument, context: Context) -> str:
    """Write a quantity in the draft's unit, rounded up so that it leads back to itself; empty where that cannot be."""
    if draft.unit is Unit.AMOUNT:
        return f"{quantity or smallest(instrument, None):.{instrument.size_precision}f}"
    price = entry_price(draft, context)
    each = unit_worth(instrument, price, context)
    if draft.unit is Unit.RISK:
        each = unit_risk(instrument, price, float(draft.stop), context) if draft.stop.strip(".") and price else 0.0
    total = float(quantity) * each
    if draft.unit is not Unit.NOTIONAL:
        total = total / context.equity * 100.0 if context.equity > 0.0 else 0.0
    step = Decimal("0.01") if draft.unit is Unit.NOTIONAL else Decimal("0.0001")
    return f"{Decimal(repr(total)).quantize(step, ROUND_CEILING)}" if total > 0.0 else ""


def part_of(text: str) -> Decimal:
    """Return a part of a whole: ``0.5``, ``1/2`` or ``50%``.

    Raises:
        ValueError: it is none of these.
    """
    first, slash, second = text.partition("/")
    above = plain_decimal(text.removesuffix("%")) if not slash else plain_decimal(first)
    below = plain_decimal(second) if slash else _HUNDRED if text.endswith("%") else ONE
    value = above / below if above is not None and below else ZERO
    if not ZERO < value <= ONE:
        raise ValueError(f"a target's part is 0.5, 1/2 or 50% (got {cited(text) or 'nothing'})")
    return value.quantize(Decimal("0.000001")).normalize()


def targets_of(text: str, tick: Decimal) -> tuple[TakeProfit, ...]:
    """Return take profits as typed: ``62400:1/2 63000:1/2``; without parts, equal ones of the whole.

    Raises:
        ValueError: naming the one that is wrong.
    """
    pairs = [one.partition(":") for one in text.split()]
    if len({bool(colon) for _, colon, _ in pairs}) > 1:
        raise ValueError("targets: name the part of every one, or of none")
    found, rest = [], ONE
    for place, (price, colon, part) in enumerate(pairs):
        last = place == len(pairs) - 1
        equal = rest if last else (ONE / len(pairs)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        fraction = part_of(part) if colon else equal
        found.append(TakeProfit(number_of("target", price, tick), fraction))
        rest -= fraction
    return tuple(found)


def expiry_of(text: str, now: Nanoseconds) -> Nanoseconds:
    """Return when an order ends: ``90s``, ``15m``, ``2h``, ``1d`` from now, or the next ``18:30`` UTC.

    Raises:
        ValueError: it is none of these.
    """
    if match := re.fullmatch(r"(\d{1,6})([smhd])", text, re.ASCII):
        return now + int(match[1]) * _SECONDS[match[2]] * 1_000_000_000
    if (match := re.fullmatch(r"(\d{1,2}):(\d{2})", text, re.ASCII)) and int(match[1]) < 24 and int(match[2]) < 60:
        moment = datetime.fromtimestamp(now // 1_000_000_000, UTC)
        end = moment.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
        return int((end if end > moment else end + timedelta(days=1)).timestamp()) * 1_000_000_000
    raise ValueError(f"expires is 90s, 15m, 2h, 1d or a time 18:30 UTC (got {text or 'nothing'})")


def propose_trigger(draft: Draft, instrument: Instrument, context: Context) -> None:
    """Give a draft that needs a trigger one that waits: a stop's on the losing side, a take profit's on the other.

    One that the market has not met yet stays: it was typed, or chosen in the ladder.
    """
    if "trigger" not in draft.fields or not context.bid or not context.ask:
        return
    buys = draft.side.sign > 0
    market = context.ask if buys else context.bid  # the price that triggers are met by
    rises = buys is not (draft.type is OrderType.TAKE_PROFIT)
    typed = plain_decimal(draft.trigger)
    if typed and (typed > Decimal(repr(market)) if rises else typed < Decimal(repr(market))):
        return
    away = Decimal(f"{market * (1.0 + (TRIGGER_AWAY if rises else -TRIGGER_AWAY)):.4g}")
    draft.trigger = f"{instrument.quantise_price(away):.{instrument.price_precision}f}"


def order_of(draft: Draft, instrument: Instrument, operation_id: str = "", context: Context | None = None) -> Order:
    """Make the order that a draft describes.

    Raises:
        ValueError: naming the field that is wrong and what was expected.
    """
    context = context or Context()
    names, tick = draft.fields, instrument.tick_size
    stop = None
    if "stop" in names and draft.stop:
        trail = number_of("trail", draft.stop_trail) if draft.stop_trail else None
        stop = StopLoss(number_of("stop", draft.stop, tick), trail)
    tif = draft.tif if "tif" in names else TimeInForce.GTC
    return Order(
        instrument=instrument.id,
        side=draft.side,
        quantity=quantity_of(draft, instrument, context),
        type=draft.type,
        price=number_of("price", draft.price, tick) if "price" in names else None,
        trigger=number_of("trigger", draft.trigger, tick) if "trigger" in names else None,
        trail=number_of("trail", draft.trail) if "trail" in names else None,
        time_in_force=tif,
        expires=expiry_of(draft.expires, context.now) if "expires" in names else 0,
        post_only="post-only" in draft.flags and draft.type is not OrderType.MARKET,
        reduce_only=draft.reduces,
        take_profit=targets_of(draft.targets, tick) if "targets" in names else (),
        stop_loss=stop,
        operation_id=operation_id,
    )


def smallest(instrument: Instrument, price: Decimal | None) -> Decimal:
    """Give the smallest quantity that the venue takes at a price."""
    if not price or not instrument.min_notional or instrument.inverse:
        return instrument.min_size
    needed = instrument.ceil_size(instrument.min_notional / (price * instrument.contract_size))
    return max(instrument.min_size, needed)
