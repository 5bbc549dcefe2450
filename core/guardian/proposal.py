"""An order seen against the account: computed once, read by every limit. Floats, in the reporting currency."""

from math import isfinite

from core.domain.identifiers import Asset, ClientOrderId, InstrumentId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import CONDITIONAL, Order, OrderRecord, OrderStatus, OrderType
from core.state.markets import Market
from core.state.outright import SPOT_PAIR, owned
from core.state.state import State

NOTHING = ClientOrderId("")
LIMIT = OrderType.LIMIT


class Pending:
    """What open entry orders may still buy and sell of one holding: in units, and each at the price that is dearest."""

    __slots__ = ("base", "bought", "buys", "sells", "sold")

    def __init__(self, base: Asset) -> None:
        self.base = base
        self.buys = self.sells = self.bought = self.sold = 0.0


class Proposal:
    """Hold what an order would do at worst: together with every open entry order, of which any may fill first.

    ``reduces`` is true when the order can only shrink the position. ``worst`` is the largest position (signed units) it
    can lead to; its value is ``position_worst``. The order it ``replaces`` is left out. ``unit`` is the value of
    one unit at the ``dearest`` of its price, its trigger and the mark, so that no price makes a position look small.
    """

    __slots__ = (
        "dearest",
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
        if market.instrument.inverse or order.trigger is not None:
            self.dearest = dearest(order, market, price)
            unit = unit_value(state, market, self.dearest)
        else:  # the common case, as unit_value has it
            self.dearest = top = price if price > market.mark else market.mark
            unit = market.contract_size * top * ledger.rate(market.instrument.quote)
        self.notional, self.unit = quantity * unit, unit
        held = ledger.positions.get(market.holding)
        self.position = held.quantity if held is not None else ZERO
        self._weigh(quantity, unit)

    @property
    def is_met(self) -> bool:
        """Tell whether this waited in the engine and leaves now, its trigger met."""
        before = self.state.blotter.open.get(self.replaces)
        return before is not None and before.status is OrderStatus.TRIGGERED

    def counts(self, exit_: OrderRecord) -> bool:
        """Tell whether an exit beside this one takes its room: one that waits here fits what is left when it is met."""
        return exit_.status is not OrderStatus.APPROVED or not self.is_met

    def _weigh(self, quantity: float, unit: float) -> None:
        """Find the worst case: positions, every open entry order, and this order."""
        state, market, order = self.state, self.market, self.order
        buys = sells = before = more_bought = more_sold = 0.0
        pending: dict[InstrumentId, Pending] = {}
        if state.blotter.open:
            pending = pending_orders(state, self.replaces)
            own = pending.pop(market.holding, None)
            if own is not None:
                buys, sells = own.buys, own.sells
                more_bought, more_sold = max(own.bought - buys * unit, 0.0), max(own.sold - sells * unit, 0.0)
        if self.position:
            before = float(self.position)
        worst, up, more = before, order.side.sign > 0, 0.0
        same = (buys if up else sells) + quantity
        if before or order.reduce_only:
            same = self._judge_reduction(before, same, up)
        else:
            self.reduces = False
        if not self.reduces:
            if up:
                buys, worst, more = same, before + same, more_bought
            else:
                sells, worst, more = same, before - same, more_sold
        self.worst = worst
        self.position_worst = abs(worst) * unit + more
        self.net_high = high = (before + buys) * unit + more_bought
        self.net_low = low = (before - sells) * unit - more_sold
        self.gross = self.sector = max(high, -low)
        positions = state.ledger.positions
        if pending or len(positions) > (market.holding in positions):
            self._add_others(pending)

    def _add_others(self, pending: dict[InstrumentId, Pending]) -> None:
        """Add what is held of other instruments, and what ``pending`` orders may buy or sell of them."""
        ledger = self.state.ledger
        base, own = self.market.instrument.base, self.market.holding
        gross, sector, high, low = self.gross, self.sector, self.net_high, self.net_low
        values = {}
        for position in ledger.positions.values():
            if position.quantity and position.instrument != own:
                values[position.instrument] = ledger.notional(position)
        for holding, resting in pending.items():
            value = values.pop(holding, 0.0)
            most, least = value + resting.bought, value - resting.sold
            size = max(abs(most), abs(least))
            gross += size
            sector += size if resting.base == base else 0.0
            high += most
            low += least
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
        most = abs(before)
        if against and self.market.kind is SPOT_PAIR:  # coins that are owed are not there to be sold
            most = float(owned(self.state, self.market, self.position))
        self.reduces = order.reduce_only or (against and same <= most)
        return same


def pending_orders(state: State, but: ClientOrderId) -> dict[InstrumentId, Pending]:
    """Return what open entry orders may still buy and sell, by what is held after it: two pairs may buy one coin."""
    found: dict[InstrumentId, Pending] = {}
    for record in state.blotter.open.values():
        order = record.order
        if order.reduce_only or order.client_order_id == but:
            continue
        market = state.markets.get(order.instrument)
        if market is None:
            continue  # of others, where we trade and value nothing: it may hold up no order, an exit least of all
        resting = found.get(market.holding)
        if resting is None:
            resting = found[market.holding] = Pending(market.instrument.base)
        left = float(record.may_fill)
        value = left * unit_value(state, market, dearest(order, market, reference_price(order, market)))
        if order.side.sign > 0:
            resting.buys += left
            resting.bought += value
        else:
            resting.sells += left
            resting.sold += value
    return found


def dearest(order: Order, market: Market, price: float) -> float:
    """Return the price at which an order's units are worth most: its own, its trigger or the mark; 0 if none is known.

    An inverse contract is worth the more coins the lower its price.
    """
    known = [price, market.mark] if order.trigger is None else [price, market.mark, float(order.trigger)]
    if not market.instrument.inverse:
        return max(known)
    return min((one for one in known if one > 0.0), default=0.0)


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
