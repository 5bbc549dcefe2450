"""The margin simulator written plainly, bar by bar, with no speed in mind: what the kernel is held against."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from core.domain.instrument import MarginBracket
from research.simulator.simulator import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT, Account


class PlainBar(NamedTuple):
    """One bar; ``rate`` is the funding fraction at its open."""

    open: float
    high: float
    low: float
    close: float
    mark: float
    mark_high: float
    mark_low: float
    rate: float


class PlainSet(NamedTuple):
    """One parameter set."""

    leverage: float = 1.0
    notional: float = 0.0
    fraction: float = 0.0
    max_size: float = 0.0
    stop: float = 0.0
    target: float = 0.0
    trail: float = 0.0


class Plain:
    """Hold one wallet and one position; money in the quote asset."""

    def __init__(
        self,
        account: Account,
        chosen: PlainSet,
        fee: Callable[[int], float],
        brackets: Callable[[int], tuple[MarginBracket, ...]],
    ) -> None:
        self.account, self.chosen, self.fee, self.brackets = account, chosen, fee, brackets
        self.wallet = account.cash
        self.quantity = self.entry = self.own = self.best = 0.0
        self.liquidated, self.orders = -1, 0
        self.equities: list[float] = []
        self.trades: list[tuple[int, int, float, float, str]] = []
        self.opened = 0

    def run(self, bars: list[PlainBar], signals: dict[int, int]) -> "Plain":
        """Take every bar in turn."""
        for t, bar in enumerate(bars):
            self.fund(bar)
            self.act(t, bar, signals.get(t, 0))
            if self.quantity and self.leaves(t, bar):
                break
            self.equities.append(self.wallet + self.quantity * (bar.close - self.entry))
        return self

    def fund(self, bar: PlainBar) -> None:
        paid = self.quantity * bar.mark * bar.rate
        self.wallet -= paid
        self.own -= paid

    def act(self, t: int, bar: PlainBar, signal: int) -> None:
        buy, sell = bool(signal & LONG_ENTRY), bool(signal & SHORT_ENTRY)
        leave_long, leave_short = bool(signal & LONG_EXIT), bool(signal & SHORT_EXIT)
        if buy and leave_long:
            buy = leave_long = False
        if sell and leave_short:
            sell = leave_short = False
        if buy and sell:
            buy = sell = False
        turns = self.quantity != 0.0
        if sell and self.quantity >= 0:
            side = -1
        elif buy and self.quantity <= 0:
            side = 1
        elif (leave_long and self.quantity > 0) or (leave_short and self.quantity < 0):
            side = 0
        else:
            return
        if turns:
            self.close(t, bar.open, "signal")
        if side:
            size = self.size(t, bar.open, side)
            if size > 0:
                self.orders -= turns
                self.open(t, bar.open, side * size)

    def size(self, t: int, price: float, side: int) -> float:
        chosen, account = self.chosen, self.account
        notional = chosen.notional or chosen.fraction * self.wallet * chosen.leverage
        if chosen.max_size:
            notional = min(notional, chosen.max_size)
        if account.margin:
            allowed = 0.0
            for tier in self.brackets(t):
                if tier.max_leverage < chosen.leverage:
                    break
                allowed = float(tier.cap)
            cost = (1 + side * account.slippage) * (1 / chosen.leverage + self.fee(t))
            notional = min(notional, allowed, self.wallet / cost)
        size = notional / price
        if account.size_step:
            size = np.floor(size / account.size_step + 1e-9) * account.size_step
        return float(size) if size * price >= account.min_notional else 0.0

    def open(self, t: int, price: float, quantity: float) -> None:
        self.entry = price * (1 + np.sign(quantity) * self.account.slippage)
        self.quantity, self.best, self.opened = quantity, self.entry, t
        self.own = abs(quantity) * self.entry / self.chosen.leverage
        self.wallet -= abs(quantity) * self.entry * self.fee(t)
        self.orders += 1

    def close(self, t: int, price: float, why: str) -> None:
        price *= 1 - np.sign(self.quantity) * self.account.slippage
        self.wallet += self.quantity * (price - self.entry) - abs(self.quantity) * price * self.fee(t)
        self.trades.append((self.opened, t, self.quantity, price, why))
        self.quantity = self.entry = self.own = 0.0
        self.orders += 1

    def leaves(self, t: int, bar: PlainBar) -> bool:
        """End the position inside a bar if it must end; tell whether the account was liquidated."""
        side = 1 if self.quantity > 0 else -1
        adverse, kind = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
        mark = bar.mark_low if side > 0 else bar.mark_high
        if self.account.margin and self.left(t, mark) <= 0:
            lost = min(self.own, self.wallet) if self.account.isolated else self.wallet
            self.wallet -= lost
            self.liquidated, self.quantity = t, 0.0
            self.equities.append(self.wallet)
            return True
        chosen, levels = self.chosen, []
        if chosen.stop and side * adverse <= side * self.entry * (1 - side * chosen.stop):
            levels.append((self.entry * (1 - side * chosen.stop), "stop"))
        elif chosen.trail and side * adverse <= side * self.best * (1 - side * chosen.trail):
            levels.append((self.best * (1 - side * chosen.trail), "stop"))
        elif chosen.target and side * kind >= side * self.entry * (1 + side * chosen.target):
            levels.append((self.entry * (1 + side * chosen.target), "target"))
        self.best = max(self.best, bar.high) if side > 0 else min(self.best, bar.low)
        for level, why in levels:
            beyond = side * bar.open <= side * level if why == "stop" else side * bar.open >= side * level
            self.close(t, bar.open if beyond else level, why)
        return False

    def left(self, t: int, mark: float) -> float:
        value = abs(self.quantity) * mark
        backing = self.own if self.account.isolated else self.wallet
        tiers = self.brackets(t)
        tier = next((tier for tier in tiers if value <= float(tier.cap)), tiers[-1])
        return backing + self.quantity * (mark - self.entry) - (value * float(tier.maintenance_rate) - float(tier.cum))

    @property
    def drawdown(self) -> float:
        """Return the deepest fall of the closing equity below its peak, the opening cash among the peaks."""
        values = np.array([self.account.cash, *self.equities])
        return float(np.max(1 - values / np.maximum.accumulate(values)))
