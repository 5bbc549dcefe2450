"""A wallet of several contracts written plainly, bar by bar, with no speed in mind: what the kernel is held against."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from core.domain.instrument import MarginBracket
from research.simulator.simulator import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT, Account
from tests.research.plain import PlainBar, PlainSet

Bars = Mapping[int, PlainBar]


class Done(NamedTuple):
    """A round trip; ``quantity`` has the side's sign."""

    symbol: int
    opened: int
    closed: int
    quantity: float
    exit: float
    why: str


class Part:
    """One contract: its set, its tariff, and what is held of it."""

    def __init__(
        self, chosen: PlainSet, fee: Callable[[int], float], brackets: Callable[[int], tuple[MarginBracket, ...]]
    ) -> None:
        self.chosen, self.fee, self.brackets = chosen, fee, brackets
        self.quantity = self.entry = self.best = self.last = 0.0
        self.opened = 0

    @property
    def side(self) -> int:
        return int(np.sign(self.quantity))

    def gain(self, price: float) -> float:
        return self.quantity * (price - self.entry)

    def maintenance(self, t: int, mark: float) -> float:
        value = abs(self.quantity) * mark
        tiers = self.brackets(t)
        tier = next((tier for tier in tiers if value <= float(tier.cap)), tiers[-1])
        return value * float(tier.maintenance_rate) - float(tier.cum)


class PlainShared:
    """Hold one wallet and a position a contract; a contract without a bar stands at its last close."""

    def __init__(self, account: Account, parts: list[Part]) -> None:
        self.account, self.parts = account, parts
        self.wallet = account.cash
        self.liquidated, self.orders = -1, 0
        self.equities: list[float] = []
        self.trades: list[Done] = []

    def run(self, times: int, bars: list[Bars], signals: list[dict[int, int]]) -> "PlainShared":
        """Take every time in turn; ``bars[s]`` and ``signals[s]`` are those of contract ``s`` by time."""
        for t in range(times):
            now = [one.get(t) for one in bars]
            for part, bar in zip(self.parts, now, strict=True):
                if bar is not None:
                    self.wallet -= part.quantity * bar.mark * bar.rate
            self.act(t, now, [one.get(t, 0) for one in signals])
            if self.dies(t, now):
                break
            if self.leave(t, now) and self.dies(t, now):
                break
            for part, bar in zip(self.parts, now, strict=True):
                part.last = part.last if bar is None else bar.close
            self.equities.append(self.wallet + sum(part.gain(part.last) for part in self.parts))
        return self

    def act(self, t: int, now: list[PlainBar | None], signals: list[int]) -> None:
        opens: list[tuple[int, int, bool]] = []
        for s, (part, bar, signal) in enumerate(zip(self.parts, now, signals, strict=True)):
            if bar is None or not signal:
                continue
            buy, sell = bool(signal & LONG_ENTRY), bool(signal & SHORT_ENTRY)
            leave_long, leave_short = bool(signal & LONG_EXIT), bool(signal & SHORT_EXIT)
            if buy and leave_long:
                buy = leave_long = False
            if sell and leave_short:
                sell = leave_short = False
            if buy and sell:
                buy = sell = False
            side = -1 if sell and part.quantity >= 0 else 1 if buy and part.quantity <= 0 else 0
            turns = part.quantity != 0
            if side:
                opens.append((s, side, turns))
            elif not ((leave_long and part.quantity > 0) or (leave_short and part.quantity < 0)):
                continue
            if turns:
                self.close(s, t, bar.open, "signal")
        prices = [part.last if bar is None else bar.open for part, bar in zip(self.parts, now, strict=True)]
        for s, side, turns in opens:
            size = self.size(s, t, prices, side)
            if size > 0:
                self.orders -= turns
                self.open(s, t, prices[s], side * size)

    def size(self, s: int, t: int, prices: list[float], side: int) -> float:
        part, account, price = self.parts[s], self.account, prices[s]
        chosen = part.chosen
        equity = self.wallet + sum(one.gain(at) for one, at in zip(self.parts, prices, strict=True))
        used = sum(abs(one.quantity) * at / one.chosen.leverage for one, at in zip(self.parts, prices, strict=True))
        notional = chosen.notional or chosen.fraction * equity * chosen.leverage
        if chosen.max_size:
            notional = min(notional, chosen.max_size)
        if account.margin:
            allowed = 0.0
            for tier in part.brackets(t):
                if tier.max_leverage < chosen.leverage:
                    break
                allowed = float(tier.cap)
            cost = (1 + side * account.slippage) * (1 / chosen.leverage + part.fee(t))
            free = equity - used if equity - used > 1e-9 * equity else 0.0
            notional = min(notional, allowed, free / cost)
        size = notional / price
        if account.size_step:
            size = np.floor(size / account.size_step + 1e-9) * account.size_step
        return float(size) if size * price >= account.min_notional else 0.0

    def open(self, s: int, t: int, price: float, quantity: float) -> None:
        part = self.parts[s]
        part.entry = price * (1 + np.sign(quantity) * self.account.slippage)
        part.quantity, part.best, part.opened = quantity, part.entry, t
        self.wallet -= abs(quantity) * part.entry * part.fee(t)
        self.orders += 1

    def close(self, s: int, t: int, price: float, why: str) -> None:
        part = self.parts[s]
        price *= 1 - part.side * self.account.slippage
        self.wallet += part.gain(price) - abs(part.quantity) * price * part.fee(t)
        self.trades.append(Done(s, part.opened, t, part.quantity, price, why))
        part.quantity = part.entry = 0.0
        self.orders += 1

    def dies(self, t: int, now: list[PlainBar | None]) -> bool:
        """Tell whether the worst marks of all, at once, leave no more than the maintenance of all; lose all then."""
        left, kept, holds = self.wallet, 0.0, False
        for part, bar in zip(self.parts, now, strict=True):
            if part.quantity:
                mark = part.last if bar is None else bar.mark_low if part.side > 0 else bar.mark_high
                left += part.gain(mark)
                kept += part.maintenance(t, mark)
                holds = True
        if not (self.account.margin and holds and left <= kept):
            return False
        self.liquidated, self.wallet = t, 0.0
        for part in self.parts:
            part.quantity = 0.0
        self.equities.append(0.0)
        return True

    def leave(self, t: int, now: list[PlainBar | None]) -> bool:
        """End by stop or target what must end inside a bar; tell whether any did."""
        before = len(self.trades)
        for s, (part, bar) in enumerate(zip(self.parts, now, strict=True)):
            if bar is None or not part.quantity:
                continue
            side, chosen = part.side, part.chosen
            adverse, kind = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
            level, why = 0.0, ""
            if chosen.stop and side * adverse <= side * part.entry * (1 - side * chosen.stop):
                level, why = part.entry * (1 - side * chosen.stop), "stop"
            elif chosen.trail and side * adverse <= side * part.best * (1 - side * chosen.trail):
                level, why = part.best * (1 - side * chosen.trail), "stop"
            elif chosen.target and side * kind >= side * part.entry * (1 + side * chosen.target):
                level, why = part.entry * (1 + side * chosen.target), "target"
            part.best = max(part.best, bar.high) if side > 0 else min(part.best, bar.low)
            if why:
                beyond = side * bar.open <= side * level if why == "stop" else side * bar.open >= side * level
                self.close(s, t, bar.open if beyond else level, why)
        return len(self.trades) > before

    @property
    def drawdown(self) -> float:
        """Return the deepest fall of the closing equity below its peak, the opening cash among the peaks."""
        values = np.array([self.account.cash, *self.equities])
        return float(np.max(1 - values / np.maximum.accumulate(values)))

    def sums(self, ends: list[int]) -> list[float]:
        """Return the sums of daily returns and of their squares; ``ends`` are the last times of days."""
        over = [t for t in ends if t < len(self.equities)]
        cut = [self.liquidated] if self.liquidated >= 0 and self.liquidated not in over else []
        values = np.array([self.account.cash, *(self.equities[t] for t in over + cut)])
        returns = values[1:] / values[:-1] - 1
        return [float(np.sum(returns)), float(np.sum(returns**2))]
