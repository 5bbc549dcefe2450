"""What the account has lost, reckoned beside the engine from fills and prices alone, and what must be done of it."""

from collections.abc import Mapping

import msgspec

from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, InstrumentId
from core.domain.message import Event, Nanoseconds
from core.domain.watch import LossAccepted
from tests.core.kit import BTC_PERP, ETH_PERP
from tests.simulation.ladder import SLACK, Ladder

DAY, POSITION = 0.05, 0.02
"""The bounds of the day's loss and of one position's, as they are in a new ``config.toml``."""
FAR = 0.05
"""A price further than this from the last is believed of two."""
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

    def __init__(self, day: float = DAY, position: float = POSITION) -> None:
        self.ladder = Ladder()
        self._day, self._position = day, position
        self._cash = 0.0
        self._held: dict[InstrumentId, Holding] = {}
        self._touch: dict[InstrumentId, tuple[float, float]] = {}
        self._newest: dict[InstrumentId, tuple[int, Nanoseconds]] = {}
        """Number and stamp of the price that counts."""
        self._doubt: dict[InstrumentId, tuple[float, float]] = {}
        """Touches far from the last, which one more has to agree with."""
        self._base = 0.0
        """What the day's loss counts from."""
        self._accepted, self._day_began = 0.0, 0
        self._sure = True

    # --- what it hears ----------------------------------------------------------------------------------------------

    def take(self, event: Event) -> str:
        """Take a record; return what is wrong with it, or nothing."""
        if isinstance(event, e.OrderFilled):
            self._fill(event)
        elif isinstance(event, e.EngineStarted):
            self._touch, self._doubt = {}, {}  # what comes first is believed
        elif isinstance(event, e.BalanceSet):
            self._cash += float(event.total)
        elif isinstance(event, e.DayStarted):
            # A wallet that is heard of later raises what the day began with: what was accepted of it stays accepted.
            self._accepted, self._day_began = self._accepted if event.ts == self._day_began else 0.0, event.ts
            self._base = float(event.equity) - self._accepted
        elif isinstance(event, LossAccepted):
            self._accepted += self._base - float(event.equity)
            self._base = float(event.equity)
        elif isinstance(event, (e.PositionLiquidated, e.FundingPaid, e.PositionSet)):
            self._sure = False
        return self.ladder.take(event, self.value())

    def _fill(self, fill: e.OrderFilled) -> None:
        sign, quantity, price = fill.side.sign, float(fill.quantity), float(fill.price)
        fee = float(fill.fee)
        self._cash -= sign * quantity * price + (fee if fill.fee_asset == USDT else 0.0)
        units = sign * quantity - (fee if fill.fee_asset != USDT else 0.0)
        self._held.setdefault(fill.instrument, Holding()).take(units, price)

    def price(self, quote: m.Quote) -> None:
        """Take a price that is one, unless a newer one has overtaken it on its way: by its number and by its stamp."""
        number, stamp = self._newest.get(quote.instrument, (0, 0))
        if quote.update_id < number and quote.ts_exchange < stamp:
            return
        self._newest[quote.instrument] = (quote.update_id, quote.ts_exchange)
        self._believe(quote.instrument, (quote.bid, quote.ask), number < quote.update_id or stamp < quote.ts_exchange)

    def _believe(self, key: InstrumentId, touch: tuple[float, float], is_news: bool) -> None:
        """Take a touch near the last one; one more than 5 % away when a second has gone the same way: the nearer."""
        if key not in self._touch or abs(sum(touch) / 2 / self._mid(key) - 1.0) <= FAR:
            self._touch[key] = touch
            self._doubt.pop(key, None)
        elif is_news:
            before, up = self._doubt.pop(key, None), touch > self._touch[key]
            if before is None or (before > self._touch[key]) is not up:
                self._doubt[key] = touch
            else:
                self._touch[key] = min(before, touch) if up else max(before, touch)

    # --- what it is worth -------------------------------------------------------------------------------------------

    def _open(self) -> dict[InstrumentId, Holding]:
        return {key: one for key, one in self._held.items() if abs(one.units) > 1e-9}

    def value(self) -> float | None:
        """Return the account's value at the mids, or None where it is not known."""
        held = self._open()
        if not self._sure or any(key not in self._touch for key in held):
            return None
        return self._cash + sum(one.units * self._mid(key) for key, one in held.items())

    def _mid(self, key: InstrumentId) -> float:
        return sum(self._touch[key]) / 2

    def _gross(self, held: Mapping[InstrumentId, Holding]) -> float:
        return sum(abs(one.units) * self._mid(key) for key, one in held.items())

    def _is_left(
        self,
        key: InstrumentId,
        held: Mapping[InstrumentId, Holding],
        closing: Mapping[InstrumentId, e.FlattenStarted],
    ) -> bool:
        """Tell whether a derivative is held, and neither closed nor reduced."""
        smallest = DERIVATIVES.get(key)
        return smallest is not None and abs(held[key].units) >= smallest - 1e-9 and key not in closing

    # --- what must be -----------------------------------------------------------------------------------------------

    def look(self, trading: TradingState, closing: Mapping[InstrumentId, e.FlattenStarted]) -> str:
        """Return what the watch has left undone behind a look of its own, or nothing."""
        held, equity = self._open(), self.value()
        if not held or equity is None or not self._base:
            return ""
        undone = self.ladder.look(
            equity, self._gross(held), trading, [key for key in held if self._is_left(key, held, closing)]
        )
        if undone:
            return undone
        lost = (self._base - equity) / self._base
        if lost > self._day + SLACK and trading is not TradingState.HALTED:
            return f"invariant 10: the day's loss is {lost:.2%}, and trading is {trading}"
        for key, one in held.items():
            smallest = DERIVATIVES.get(key)
            if smallest is None or abs(one.units) < smallest - 1e-9:
                continue  # a spot position is its wallet
            begun = closing.get(key)
            if begun is not None and not begun.target:
                continue
            if lost > self._day + SLACK:
                return f"invariant 10: the day's loss is {lost:.2%}, and {key} is not being closed"
            out = self._touch[key][0 if one.units > 0 else 1]
            loss = one.units * (one.entry - out) / equity if equity > 0 else 1.0
            if loss > self._position + SLACK:
                return f"invariant 10: {key} loses {loss:.2%} of equity and is not being closed"
        return ""
