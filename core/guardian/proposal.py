"""An order seen against the account: computed once, read by every limit. Floats, in the reporting currency."""

from math import isfinite

from core.domain.identifiers import ClientOrderId, InstrumentId, InstrumentType
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import CONDITIONAL, Order, OrderType
from core.state.markets import Market
from core.state.state import State

NOTHING = ClientOrderId("")
NONE_OPEN = (0.0, 0.0)
SPOT, LIMIT = InstrumentType.SPOT_PAIR, OrderType.LIMIT


class Proposal:
    """Hold what an order would do at worst: together with every open entry order, of which any may fill first.

    ``reduces`` is true when the order can only shrink the position. ``worst`` is the largest position (signed units) it
    can lead to; its value is ``position_worst``. The order it ``replaces`` is left out. ``unit`` is the value of
    one unit at the dearer of its price and the mark, so that a cheap limit does not make a position look small.
    """

    __slots__ = (
        "equity",
        "gross",
        "market",
        "net_high",
        "net_low",
        "notional",
        "now",
        "order",
        "position",
        "position_worst",
        "price",
        "quantity",
        "reduces",
        "replaces",
        "sector",
        "state",
        "unit",
        "worst",
    )

    def __init__(
        self, state: State, order: Order, market: Market, now: Nanoseconds, replaces: ClientOrderId = NOTHING
    ) -> None:
        self.state, self.order, self.market, self.now = state, order, market, now
        self.replaces = replaces or order.client_order_id
        if order.price is None and order.trigger is None:  # as reference_price has it
            price = (market.ask if order.side.sign > 0 else market.bid) or market.mark or market.last
        else:
            price = reference_price(order, market)
        self.price = price
        ledger = state.ledger
        self.equity = ledger.equity if isfinite(ledger.equity) else 0.0  # no bound holds against what is no number
        self.quantity = quantity = float(order.quantity)
        if market.instrument.inverse:
            unit = unit_value(state, market, price)
            dearer = unit_value(state, market, market.mark) if price < market.mark else unit
        else:  # the common case, as unit_value has it
            size, rate, mark = market.contract_size, ledger.rate(market.instrument.quote), market.mark
            unit = size * price * rate
            dearer = size * mark * rate if price < mark else unit
        self.notional, self.unit = quantity * unit, dearer
        held = ledger.positions.get(market.holding)
        self.position = held.quantity if held is not None else ZERO
        self._weigh(quantity, dearer)

    def _weigh(self, quantity: float, unit: float) -> None:
        """Find the worst case: positions, every open entry order, and this order."""
        state, market, order = self.state, self.market, self.order
        buys = sells = before = 0.0
        pending: dict[InstrumentId, tuple[float, float]] = {}
        if state.blotter.open:
            pending = pending_orders(state, self.replaces)
            buys, sells = pending.pop(order.instrument, NONE_OPEN)
        if self.position:
            before = float(self.position)
        worst, up = before, order.side.sign > 0
        same = (buys if up else sells) + quantity
        if before or order.reduce_only:
            same = self._judge_reduction(before, same, up)
        else:
            self.reduces = False
        if not self.reduces:
            if up:
                buys, worst = same, before + same
            else:
                sells, worst = same, before - same
        self.worst = worst
        self.position_worst = abs(worst) * unit
        self.net_high, self.net_low = high, low = (before + buys) * unit, (before - sells) * unit
        self.gross = self.sector = max(high, -low)
        positions = state.ledger.positions
        if pending or len(positions) > (market.holding in positions):
            self._add_others(pending)

    def _add_others(self, pending: dict[InstrumentId, tuple[float, float]]) -> None:
        """Add what is held of other instruments, and what ``pending`` orders may (buy, sell) of them."""
        state, ledger = self.state, self.state.ledger
        base, own = self.market.instrument.base, self.market.holding
        gross, sector, high, low = self.gross, self.sector, self.net_high, self.net_low
        values = {}
        for position in ledger.positions.values():
            if position.quantity and position.instrument != own:
                values[position.instrument] = ledger.notional(position)
        for instrument, (more, less) in pending.items():
            other = state.markets[instrument]
            worth = unit_value(state, other, other.mark)
            value = values.pop(other.holding, 0.0)
            size = max(abs(value + more * worth), abs(value - less * worth))
            gross += size
            sector += size if other.instrument.base == base else 0.0
            high += value + more * worth
            low += value - less * worth
        for instrument, value in values.items():
            held = ledger.mark_of(instrument)
            gross += abs(value)
            sector += abs(value) if held is not None and held.instrument.base == base else 0.0
            high += value
            low += value
        self.gross, self.sector, self.net_high, self.net_low = gross, sector, high, low

    def _judge_reduction(self, before: float, same: float, up: bool) -> float:
        """Set ``reduces`` and return what this order and the open orders of its side may trade together."""
        order = self.order
        against = before < 0 if up else before > 0
        blotter = self.state.blotter
        if against and blotter.open and not order.reduce_only:
            # resting exits may fill first: then this order finds less to close
            exits = blotter.resting_reduction(order.instrument, order.side, self.replaces, others=True)
            same += min(float(exits), abs(before))
        self.reduces = order.reduce_only or (against and same <= abs(before))
        return same


def pending_orders(state: State, but: ClientOrderId) -> dict[InstrumentId, tuple[float, float]]:
    """Return what open entry orders may still (buy, sell) of each instrument, in units."""
    found: dict[InstrumentId, tuple[float, float]] = {}
    for record in state.blotter.open.values():
        order = record.order
        if order.reduce_only or order.client_order_id == but:
            continue
        if order.instrument not in state.markets:
            continue  # of others, where we trade and value nothing: it may hold up no order, an exit least of all
        buys, sells = found.get(order.instrument, NONE_OPEN)
        left = float(record.remaining)
        found[order.instrument] = (buys + left, sells) if order.side.sign > 0 else (buys, sells + left)
    return found


def unit_value(state: State, market: Market, price: float) -> float:
    """Return the value of one unit at a price, in the reporting currency."""
    instrument = market.instrument
    if instrument.inverse:
        return market.contract_size / price * state.ledger.rate(instrument.settle) if price else 0.0
    return market.contract_size * price * state.ledger.rate(instrument.quote)


def reference_price(order: Order, market: Market) -> float:
    """Return the price to value an order at: its limit or trigger, else the far side of the market; 0 if none."""
    if order.price is not None:
        return float(order.price)
    if order.trigger is not None and order.type in CONDITIONAL:
        return float(order.trigger)
    far = market.ask if order.side.sign > 0 else market.bid
    return far or market.mark or market.last


def marketable(order: Order, market: Market) -> bool:
    """Tell whether a limit order would trade at once."""
    if order.price is None or order.type is not LIMIT:
        return False
    price = float(order.price)
    if order.side.sign > 0:
        return bool(market.ask and price >= market.ask)
    return bool(market.bid and price <= market.bid)
