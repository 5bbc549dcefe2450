"""What a study's trade is, bar by bar: the rule that a live strategy follows, and is held against.

The same as the margin simulator's walk over one set (``research.simulator.walk``), which tests compare trade by
trade: a signal of a bar's close acts at the next open; stop, target and trailing stop count from the entry's fill; in
one bar the worse comes first: liquidation, then stop, then target; a level that the open is already beyond fills at
the open.
"""

from math import isfinite

import msgspec

from core.domain.instrument import Instrument
from core.domain.market import Bar
from core.domain.message import Nanoseconds
from core.domain.studies import Config, Parameter
from core.errors import ConfigError
from core.strategy.figures import CLOSE, affordable, asked, fills_at, wanted, whole

SIGNAL, STOP, TARGET, LIQUIDATION = "signal", "stop", "target", "liquidation"
"""Why a trade of the rule ended."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a position is: fractions of the entry price, money in the quote asset; 0 is none.

    An entry's size is ``notional`` or, where that is 0, ``fraction`` of the wallet times ``leverage``, at most
    ``max_size``. ``slippage`` is what the study took for every fill, as a fraction.
    """

    leverage: float = 1.0
    notional: float = 0.0
    fraction: float = 1.0
    max_size: float = 0.0
    stop: float = 0.0
    target: float = 0.0
    trail: float = 0.0
    slippage: float = 0.0
    isolated: bool = True


_POSITION = frozenset(Terms.__struct_fields__) - {"isolated"}


def split(config: Config) -> tuple[dict[str, float], Terms]:
    """Return a config's parameters as the strategy's own and the terms of its positions.

    Raises:
        ConfigError: a value that is no number, or terms that no position can have.
    """
    values = {name: _number(name, value) for name, value in config.parameters.items()}
    terms = {name: values.pop(name) for name in tuple(values) if name in _POSITION}
    terms["leverage"] = config.leverage
    bounds = [bound for bound in (terms.get("max_size", 0.0), config.max_position_size) if bound > 0.0]
    terms["max_size"] = min(bounds, default=0.0)
    for name, value in terms.items():
        if value < 0.0 or (name in ("stop", "trail", "slippage") and value >= 1.0):
            raise ConfigError(f"{name} is {value:g}, expected a fraction of the price, 0 for none")
    made = Terms(**terms, isolated=config.margin_mode != "cross")
    if made.leverage < 1.0:
        raise ConfigError(f"leverage is {made.leverage:g}, expected 1 or more")
    if not made.notional and not made.fraction:
        raise ConfigError("a position has no size: fraction and notional are both 0")
    return values, made


def _number(name: str, value: Parameter) -> float:
    if isinstance(value, str) or not isfinite(value):
        raise ConfigError(f"parameter {name} is {value!r}, expected a number")
    return float(value)


class Contract(msgspec.Struct, frozen=True):
    """A linear contract in floats: tiers are (cap, maintenance rate, cum, largest leverage)."""

    step: float
    min_notional: float
    fee: float
    units: float
    tiers: tuple[tuple[float, float, float, float], ...]

    @classmethod
    def of(cls, instrument: Instrument) -> "Contract":
        """Return what the rule needs of an instrument."""
        tiers = [(t.cap, t.maintenance_rate, t.cum, t.max_leverage) for t in instrument.brackets]
        floats = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in tiers)
        step, least, fee = instrument.size_step, instrument.min_notional, instrument.taker_fee
        return cls(float(step), float(least), float(fee), float(instrument.contract_size), floats)

    def bearable(self, leverage: float) -> float:
        """Return the largest notional that every tier up to it allows at a leverage."""
        cap = 0.0 if self.tiers else float("inf")
        for tier in self.tiers:
            if tier[3] < leverage:
                break
            cap = tier[0]
        return cap

    def maintenance(self, value: float) -> float:
        """Return the maintenance margin of a notional."""
        for cap, rate, cum, _ in self.tiers:
            if value <= cap:
                return value * rate - cum
        if not self.tiers:
            return 0.0
        return value * self.tiers[-1][1] - self.tiers[-1][2]


def size_of(
    terms: Terms, contract: Contract, wallet: float, price: float, side: int, free: float | None = None
) -> float:
    """Return the contracts of an entry at a price: bounded by tiers and wallet, rounded down to the step; 0 is none.

    ``free`` is what margin and fee can be paid from: where None, all of the wallet.
    """
    notional = min(
        asked(terms.notional, terms.fraction, terms.leverage, terms.max_size, wallet),
        contract.bearable(terms.leverage),
        affordable(wallet if free is None else free, terms.leverage, terms.slippage, contract.fee, side),
    )
    unit = price * contract.units
    return whole(notional / unit, contract.step, unit, contract.min_notional)


class RuleTrade(msgspec.Struct, frozen=True, array_like=True):
    """One trade of the rule: the starts of the bars of entry and exit, prices with slippage, profit after fees."""

    side: int
    opened: Nanoseconds
    closed: Nanoseconds
    quantity: float
    entry: float
    exit: float
    fees: float
    profit: float
    reason: str


class Shadow(msgspec.Struct, array_like=True):
    """The rule's own wallet and position in one instrument, without funding; small enough to be journalled.

    ``best`` is the best price since the entry, which a trailing stop follows; ``pending`` the signal that acts at the
    next bar's open.
    """

    wallet: float
    quantity: float = 0.0
    entry: float = 0.0
    best: float = 0.0
    own: float = 0.0
    """The position's own margin, which an isolated one can lose."""
    opened: Nanoseconds = 0
    paid: float = 0.0
    """The entry's fee."""
    pending: int = 0
    liquidated: bool = False
    last: float = 0.0
    """The last close, at which it stands where a time has no bar of it; kept where a wallet is shared."""

    def on_bar(self, bar: Bar, terms: Terms, contract: Contract) -> list[RuleTrade]:
        """Take a closed bar: act at its open, then leave inside it where a level was met; return trades that ended."""
        ended: list[RuleTrade] = []
        signal, self.pending = self.pending, 0
        if self.liquidated:
            return ended
        side = wanted(self.quantity, signal) if signal else 0
        if side:
            if self.quantity:
                ended.append(self.close(bar, bar.open, SIGNAL, terms, contract))
            if side != CLOSE:
                self.open(bar, side, size_of(terms, contract, self.wallet, bar.open, side), terms, contract)
        if self.quantity:
            left = self._leave(bar, terms, contract)
            ended += [left] if left is not None else []
            self.follow(bar)
        return ended

    def follow(self, bar: Bar) -> None:
        """Take the best price of a bar that was held through."""
        high, low = max(self.best, bar.high), min(self.best, bar.low)
        self.best = high if self.quantity > 0.0 else low

    def open(self, bar: Bar, side: int, size: float, terms: Terms, contract: Contract) -> None:
        """Enter at a bar's open; a size of 0 is no entry."""
        if not size:
            return
        self.entry = self.best = bar.open * (1.0 + side * terms.slippage)
        self.quantity, self.opened = side * size, bar.start
        value = size * contract.units * self.entry
        self.own, self.paid = value / terms.leverage, value * contract.fee
        self.wallet -= self.paid

    def close(self, bar: Bar, price: float, reason: str, terms: Terms, contract: Contract) -> RuleTrade:
        """Close at a price, slippage and fee added."""
        side = 1 if self.quantity > 0.0 else -1
        price *= 1.0 - side * terms.slippage
        units = self.quantity * contract.units
        fee = abs(units) * price * contract.fee
        gain = units * (price - self.entry)
        self.wallet += gain - fee
        return self.end(bar.start, price, fee, gain - self.paid - fee, reason)

    def end(self, closed: Nanoseconds, price: float, fee: float, net: float, reason: str) -> RuleTrade:
        """Return the trade that is over, and forget the position."""
        side, size = (1 if self.quantity > 0.0 else -1), abs(self.quantity)
        trade = RuleTrade(side, self.opened, closed, size, self.entry, price, self.paid + fee, net, reason)
        self.quantity = self.entry = self.own = self.paid = 0.0
        return trade

    def _leave(self, bar: Bar, terms: Terms, contract: Contract) -> RuleTrade | None:
        """End the position inside a bar where it must end."""
        adverse = bar.low if self.quantity > 0.0 else bar.high
        units = self.quantity * contract.units
        backing = self.own if terms.isolated else self.wallet
        if backing + units * (adverse - self.entry) <= contract.maintenance(abs(units) * adverse):
            return self._liquidate(bar, terms, contract)
        return self.at_levels(bar, terms, contract)

    def at_levels(self, bar: Bar, terms: Terms, contract: Contract) -> RuleTrade | None:
        """End the position where a bar met its stop or, if not, its target."""
        side = 1 if self.quantity > 0.0 else -1
        adverse, kind = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
        for level in stops(terms, side, self.entry, self.best):
            if side * adverse <= side * level:
                return self.close(bar, fills_at(bar.open, level, -side), STOP, terms, contract)
        level = self.entry * (1.0 + side * terms.target)
        if terms.target and side * kind >= side * level:
            return self.close(bar, fills_at(bar.open, level, side), TARGET, terms, contract)
        return None

    def _liquidate(self, bar: Bar, terms: Terms, contract: Contract) -> RuleTrade:
        """Lose what stood behind the position; the rule trades no more."""
        lost = min(self.own, self.wallet) if terms.isolated else self.wallet
        price = self.entry - lost / (self.quantity * contract.units)
        self.wallet -= lost
        self.liquidated = True
        return self.end(bar.start, price, 0.0, -lost - self.paid, LIQUIDATION)


def stops(terms: Terms, side: int, entry: float, best: float) -> list[float]:
    """Return where the fixed and the trailing stop of a position stand, the fixed one first."""
    fixed = [entry * (1.0 - side * terms.stop)] if terms.stop else []
    return fixed + ([best * (1.0 - side * terms.trail)] if terms.trail else [])


def target_of(terms: Terms, side: int, entry: float) -> float:
    """Return where a position takes its profit; 0.0 where it does not."""
    return entry * (1.0 + side * terms.target) if terms.target else 0.0
