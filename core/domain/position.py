"""Positions: what the fills add up to. Decimal ledger; changed by ``State.apply`` alone."""

from decimal import Decimal

import msgspec

from core.domain.identifiers import Asset, InstrumentId
from core.domain.instrument import ONE, ZERO, Instrument
from core.domain.message import Nanoseconds
from core.domain.order import Side


class Position(msgspec.Struct, gc=False):
    """Keep one held instrument: signed quantity, average entry and what was realised, in the settle asset.

    Linear: profit = quantity * contract_size * (price - entry).
    Inverse: quantity * contract_size * (1/entry - 1/price), in the base asset; its entry is the harmonic mean.
    ``realised`` is before fees and funding. What was found before it had a price has an entry of 0, until its first
    price or fill: nothing is realised against it.
    """

    instrument: InstrumentId
    settle: Asset
    inverse: bool = False
    contract_size: Decimal = ONE
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    opened: Nanoseconds = 0
    updated: Nanoseconds = 0
    other_fees: dict[Asset, Decimal] = {}
    """Fees paid in another asset than the settle asset and the base, by asset."""

    @classmethod
    def of(cls, instrument: Instrument) -> "Position":
        """Return a flat position in what this instrument is held as."""
        return cls(instrument.holding, instrument.settle, instrument.inverse, instrument.contract_size)

    def retake(self, instrument: Instrument) -> None:
        """Take the terms of now, before something is held again: a venue may have changed them meanwhile."""
        self.settle, self.inverse, self.contract_size = instrument.settle, instrument.inverse, instrument.contract_size

    def charge(self, asset: Asset, fee: Decimal) -> None:
        """Add a fee."""
        if asset == self.settle:
            self.fees += fee
        else:
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) + fee

    def profit(self, quantity: Decimal, entry: Decimal, price: Decimal) -> Decimal:
        """Return what ``quantity`` (signed) earns from ``entry`` to ``price``, in the settle asset.

        An inverse contract earns nothing that could be said where either is 0, not known.
        """
        if self.inverse:
            if not (entry and price):
                return ZERO
            return quantity * self.contract_size * (ONE / entry - ONE / price)
        return quantity * self.contract_size * (price - entry)

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return the open profit at a mark price, in the settle asset; none where no entry is known."""
        if not self.quantity or not self.entry_price:
            return ZERO
        return self.profit(self.quantity, self.entry_price, mark)

    def apply_fill(self, side: Side, quantity: Decimal, price: Decimal, ts: Nanoseconds) -> Decimal:
        """Apply a fill and return the profit it realised (settle asset, before fees)."""
        change = quantity if side.sign > 0 else -quantity
        before = self.quantity
        after = before + change
        self.updated = ts
        self.quantity = after
        if not before:
            self.entry_price, self.opened = price, ts
            return ZERO
        if not self.entry_price:
            self.entry_price = price
        long = before > ZERO
        if long is (change > ZERO):
            self.entry_price = self._average(before, change, price)
            return ZERO
        flips = bool(after) and (after > ZERO) is not long
        realised = self.profit(before if flips else -change, self.entry_price, price)
        self.realised += realised
        if not after:
            self.entry_price, self.opened = ZERO, 0
        elif flips:
            self.entry_price, self.opened = price, ts
        return realised

    def move(self, change: Decimal, ts: Nanoseconds) -> None:
        """Take what was traded for other money than the entry's: the quantity alone moves, nothing is realised."""
        before, self.quantity = self.quantity, self.quantity + change
        self.updated = ts
        if before * self.quantity <= ZERO:  # from flat, to flat or to the other side: no entry is known
            self.entry_price, self.opened = ZERO, ts if self.quantity else 0

    def _average(self, before: Decimal, change: Decimal, price: Decimal) -> Decimal:
        if self.inverse:
            return (before + change) / (before / self.entry_price + change / price)
        return (before * self.entry_price + change * price) / (before + change)


class BetPosition(msgspec.Struct, gc=False):
    """Keep the matched bets on one selection: profit if it wins and if it loses (account currency).

    BACK s at o: earns s*(o-1) if the selection wins, loses s if not. LAY s at o: the other way round.
    """

    instrument: InstrumentId
    selection: str
    if_wins: Decimal = ZERO
    if_loses: Decimal = ZERO
    updated: Nanoseconds = 0

    @property
    def liability(self) -> Decimal:
        """Return the most this selection can lose; never negative."""
        return max(ZERO, -min(self.if_wins, self.if_loses))

    def apply_fill(self, side: Side, stake: Decimal, odds: Decimal, ts: Nanoseconds) -> None:
        """Apply a matched bet: stake at decimal odds."""
        win = stake * (odds - ONE)
        if side is Side.BACK:
            self.if_wins += win
            self.if_loses -= stake
        else:
            self.if_wins -= win
            self.if_loses += stake
        self.updated = ts

    def green(self, odds: Decimal) -> Decimal:
        """Return the stake that equalises both outcomes at these odds: positive to lay, negative to back."""
        return (self.if_wins - self.if_loses) / odds


def market_liability(selections: "list[BetPosition]", outcomes: int = 0) -> Decimal:
    """Return the most a market of exclusive selections can lose: the worst outcome over all its selections.

    ``outcomes`` is how many selections the market has; 0 is not known. Unless every one has been bet on, a selection
    without a bet may win.
    """
    none_wins = sum((bet.if_loses for bet in selections), ZERO)
    worst = min((none_wins - bet.if_loses + bet.if_wins for bet in selections), default=ZERO)
    if not outcomes or len(selections) < outcomes:
        worst = min(worst, none_wins)
    return max(ZERO, -worst)
