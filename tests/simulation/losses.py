"""What the account has lost, reckoned beside the engine from fills and prices alone, and what must be done of it."""

from collections.abc import Mapping

import msgspec

from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, InstrumentId
from core.domain.message import Event
from core.domain.watch import LossAccepted
from tests.core.kit import BTC_PERP, ETH_PERP

DAY, POSITION = 0.05, 0.02
"""The bounds of the day's loss and of one position's, as they are in a new ``config.toml``."""
SLACK = 0.002
"""What a double, a spread and the last digit may make of a loss; it counts only beyond that."""
DERIVATIVES = {one.id: float(one.min_size) for one in (BTC_PERP, ETH_PERP)}
USDT = Asset("USDT")


class Holding(msgspec.Struct):
    """What is held of one instrument: units, and what one of them cost on average."""

    units: float = 0.0
    entry: float = 0.0

    def take(self, units: float, price: float) -> None:
        """Add units (signed) at a price."""
        after = self.units + units
        if self.units * units >= 0.0:
            self.entry = (self.entry * self.units + price * units) / after if after else 0.0
        elif after * self.units < 0.0:
            self.entry = price
        self.units = after


class Losses:
    """Reckon the account's value; silent where something beside trading has moved it, or a price is missing."""

    def __init__(self) -> None:
        self._cash = 0.0
        self._held: dict[InstrumentId, Holding] = {}
        self._touch: dict[InstrumentId, tuple[float, float]] = {}
        self._base = 0.0
        """What the day's loss counts from."""
        self._sure = True

    # --- what it hears ----------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take a record."""
        if isinstance(event, e.OrderFilled):
            self._fill(event)
        elif isinstance(event, e.BalanceSet):
            self._cash += float(event.total)
        elif isinstance(event, (e.DayStarted, LossAccepted)):
            self._base = float(event.equity)
        elif isinstance(event, (e.PositionLiquidated, e.FundingPaid, e.PositionSet)):
            self._sure = False

    def _fill(self, fill: e.OrderFilled) -> None:
        sign, quantity, price = fill.side.sign, float(fill.quantity), float(fill.price)
        fee = float(fill.fee)
        self._cash -= sign * quantity * price + (fee if fill.fee_asset == USDT else 0.0)
        units = sign * quantity - (fee if fill.fee_asset != USDT else 0.0)
        self._held.setdefault(fill.instrument, Holding()).take(units, price)

    def price(self, quote: m.Quote) -> None:
        """Take a price that is one."""
        self._touch[quote.instrument] = (quote.bid, quote.ask)

    # --- what must be -----------------------------------------------------------------------------------------------

    def look(self, trading: TradingState, closing: Mapping[InstrumentId, e.FlattenStarted]) -> str:
        """Return what the watch has left undone behind a look of its own, or nothing."""
        held = {key: one for key, one in self._held.items() if abs(one.units) > 1e-9}
        if not (held and self._sure and self._base) or any(key not in self._touch for key in held):
            return ""
        equity = self._cash + sum(one.units * sum(self._touch[key]) / 2 for key, one in held.items())
        lost = (self._base - equity) / self._base
        if lost > DAY + SLACK and trading is not TradingState.HALTED:
            return f"invariant 10: the day's loss is {lost:.2%}, and trading is {trading}"
        for key, one in held.items():
            smallest = DERIVATIVES.get(key)
            if smallest is None or abs(one.units) < smallest - 1e-9:
                continue  # a spot position is its wallet
            begun = closing.get(key)
            if begun is not None and not begun.target:
                continue
            if lost > DAY + SLACK:
                return f"invariant 10: the day's loss is {lost:.2%}, and {key} is not being closed"
            out = self._touch[key][0 if one.units > 0 else 1]
            loss = one.units * (one.entry - out) / equity if equity > 0 else 1.0
            if loss > POSITION + SLACK:
                return f"invariant 10: {key} loses {loss:.2%} of equity and is not being closed"
        return ""
