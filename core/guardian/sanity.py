"""Order sanity: values that no venue could take, told with the nearest that it could."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.domain.identifiers import InstrumentType
from core.domain.instrument import ONE, ZERO, Instrument, quantise
from core.domain.numbers import cited, exact, plain
from core.domain.order import CONDITIONAL, Order, OrderType, Side, TakeProfit, TimeInForce
from core.guardian.limits import Breach
from core.guardian.proposal import reference_price
from core.state.markets import Market

NAME = "order"
DIGITS = 18
_UNTRADABLE = frozenset({InstrumentType.INDEX, InstrumentType.SPOT_ASSET})
_TRADE_SIDES = frozenset({Side.BUY, Side.SELL})
_PRICED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_MARKET, _TRAILING = OrderType.MARKET, OrderType.TRAILING_STOP
_TRIGGERED = CONDITIONAL - {_TRAILING}
_IMMEDIATE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_GTD = TimeInForce.GTD


def sanity(order: Order, market: Market) -> Breach | None:
    """Return what is wrong with an order's values, or None."""
    wrong = _quantity(order, market.instrument) or _combination(order)
    if wrong is None and (order.price is not None or order.trigger is not None or order.trail is not None):
        wrong = _prices(order, market.instrument) or _trail("trail", order.trail, market)
    if wrong is None and (order.take_profit or order.stop_loss is not None):
        wrong = attached(order, market)
    return wrong


def positive(name: str, value: Decimal | None) -> Breach | None:
    """Return a breach unless the value is a finite number above 0."""
    if value is not None and value.is_finite() and value > ZERO:
        if abs(value.adjusted()) <= DIGITS:
            return None
        return Breach(NAME, plain(value), plain(ONE.scaleb(DIGITS if value > ONE else -DIGITS)), _vast(name))
    got = cited(str(value))
    return Breach(NAME, got, "0", f'{name} must be a number greater than 0 (got "{got}")')


def _vast(name: str) -> str:
    return f"{name} has more than {DIGITS} digits before or behind the point"


def _quantity(order: Order, instrument: Instrument) -> Breach | None:
    quantity, most = order.quantity, instrument.max_size
    if not quantity.is_finite() or quantity <= ZERO or abs(quantity.adjusted()) > DIGITS:
        return positive("quantity", quantity)
    if quantity % instrument.size_step:
        low, high = instrument.floor_size(quantity), instrument.ceil_size(quantity)
        near = f"{high:f}" if low < instrument.min_size else f"{low:f} / {high:f}"
        text = f"quantity {quantity:f} is not a multiple of the step {instrument.size_step:f}; nearest {near}"
        return Breach(NAME, plain(quantity), plain(instrument.size_step), text)
    if quantity < instrument.min_size:
        text = f"quantity {quantity:f} is below the venue's minimum {instrument.min_size:f}"
        return Breach(NAME, plain(quantity), plain(instrument.min_size), text)
    if most is not None and quantity > most:
        text = f"quantity {quantity:f} is above the venue's maximum {most:f}"
        return Breach(NAME, plain(quantity), plain(most), text)
    return None


def _combination(order: Order) -> Breach | None:
    """Refuse fields that do not go together."""
    kind, wrong = order.type, ""
    bare = kind is _MARKET and order.price is None and order.trigger is None and not order.post_only
    if bare and order.side in _TRADE_SIDES and order.time_in_force is not _GTD:
        return None  # the common case: nothing that could be wrong together
    if order.side not in _TRADE_SIDES and not order.selection:
        wrong = f"side {order.side} does not trade this instrument; use BUY or SELL"
    elif order.price is None and kind in _PRICED:
        wrong = f"a {kind} order needs a price"
    elif order.price is not None and kind is OrderType.MARKET:
        wrong = "a MARKET order takes no price; use LIMIT"
    elif order.trail is None and kind is _TRAILING:
        wrong = "a TRAILING_STOP order needs a trail distance"
    elif order.trigger is None and kind in _TRIGGERED:
        wrong = f"a {kind} order needs a trigger price"
    elif order.trigger is not None and kind not in CONDITIONAL:
        wrong = f"a {kind} order takes no trigger price"
    elif order.post_only and (kind is not OrderType.LIMIT or order.time_in_force in _IMMEDIATE):
        wrong = "post-only goes with a resting LIMIT order"
    elif order.time_in_force is _GTD and order.expires <= 0:
        wrong = "GTD needs an expiry time"
    return Breach(NAME, kind.value, "combination", wrong) if wrong else None


def _prices(order: Order, instrument: Instrument) -> Breach | None:
    for name, price in (("price", order.price), ("trigger", order.trigger)):
        wrong = on_tick(name, price, instrument) if price is not None else None
        if wrong is not None:
            return wrong
    return None


def _trail(name: str, trail: Decimal | None, market: Market) -> Breach | None:
    """Refuse a distance behind which no price lies: a stop that trails by more than the price never triggers."""
    if trail is None:
        return None
    wrong = positive(name, trail)
    if wrong is not None or not market.mark or float(trail) < market.mark:
        return wrong
    text = f"{name} {trail:f} must be less than the price, {Decimal(repr(market.mark)).normalize():f}; it is a distance"
    return Breach(NAME, plain(trail), exact(market.mark), text)


def on_tick(name: str, price: Decimal, instrument: Instrument) -> Breach | None:
    """Return a breach unless a price is positive and on the instrument's grid."""
    wrong = positive(name, price)
    tick = instrument.tick_size
    if wrong is not None or not price % tick:
        return wrong
    low, high = (quantise(price, tick, way) for way in (ROUND_FLOOR, ROUND_CEILING))
    near = f"{low:f} / {high:f}" if low > ZERO else f"{high:f}"
    text = f"{name} {price:f} is not a multiple of tick {tick:f}; nearest {near}"
    return Breach(NAME, plain(price), plain(tick), text)


def attached(order: Order, market: Market) -> Breach | None:
    """Return what is wrong with the stop loss and the take profits that an entry brings, or None."""
    stop, targets, instrument = order.stop_loss, order.take_profit, market.instrument
    if order.reduce_only:
        return _attached("a reduce-only order opens nothing that a stop loss or take profit could close; send it alone")
    if instrument.is_bet:
        return _attached("a bet takes no stop loss and no take profit")
    prices = [("take profit", target.price) for target in targets]
    for name, price in [("stop loss", stop.price), *prices] if stop is not None else prices:
        wrong = on_tick(name, price, instrument)
        if wrong is not None:
            return wrong
    if stop is not None and stop.trail is not None:
        wrong = _trail("trail", stop.trail, market)
        if wrong is not None:
            return wrong
    return _levels(order, market) or _fractions(targets)


def _attached(text: str, value: str = "attached", bound: str = "combination") -> Breach:
    return Breach(NAME, value, bound, text)


def _levels(order: Order, market: Market) -> Breach | None:
    """Refuse a stop that would close at once, and a take profit that takes a loss."""
    entry, buys = reference_price(order, market), order.side.sign > 0
    where = f"the entry at {Decimal(repr(entry)).normalize():f}" if entry else ""
    levels = [("take profit", target.price, buys) for target in order.take_profit]
    if order.stop_loss is not None:
        levels.insert(0, ("stop loss", order.stop_loss.price, not buys))
    for name, price, above in levels:
        right = float(price) > entry if above else float(price) < entry
        if entry and not right:
            way = "above" if above else "below"
            text = f"the {name} of a {order.side} must be {way} {where} (got {price:f})"
            return _attached(text, plain(price), exact(entry))
    return None


def _fractions(targets: tuple[TakeProfit, ...]) -> Breach | None:
    total = ZERO
    for target in targets:
        wrong = positive("take-profit fraction", target.fraction)
        if wrong is not None:
            return wrong
        total += target.fraction
    if total > ONE:
        return _attached(f"take-profit fractions add up to {total:f}; they may take 1 in all", plain(total), "1")
    return None


def too_small(order: Order, market: Market, quantity: float, reference: float) -> Breach | None:
    """Return a breach when an order is worth less than the venue takes, its quantity valued at ``reference``."""
    if quantity * reference * market.contract_size > 1.000001 * market.min_notional:
        return None
    instrument = market.instrument
    if not instrument.min_notional or order.reduce_only or instrument.inverse or reference <= 0.0:
        return None
    price = Decimal(repr(reference))
    notional = instrument.notional(order.quantity, price)
    if notional >= instrument.min_notional:
        return None
    smallest = instrument.ceil_size(instrument.min_notional / (price * instrument.contract_size))
    text = (
        f"notional {notional:.2f} is below the venue's minimum {instrument.min_notional:.2f}; "
        f"smallest quantity here {plain(smallest)}"
    )
    return Breach(NAME, plain(notional), plain(instrument.min_notional), text)


def unknown(order: Order) -> Breach:
    """Return the breach of an order for an instrument that nobody defined."""
    text = f"instrument {order.instrument} is not known here; tradedeck instruments lists what is"
    return Breach("instrument", order.instrument, "known", text)


def tradable(market: Market, order: Order) -> Breach | None:
    """Return a breach unless the instrument can be traded."""
    if market.kind in _UNTRADABLE:
        text = f"{order.instrument} cannot be traded; a spot asset is traded through its pair"
        return Breach("instrument", market.instrument.type.value, "tradable", text)
    if order.venue and order.venue != market.venue:
        text = f"{order.instrument} is traded at {market.venue}, not at {order.venue}; nothing sent"
        return Breach("instrument", order.venue, market.venue, text)
    return None
