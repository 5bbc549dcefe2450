"""Correlations and volatilities of the underlyings, from the engine's own bars: one underlying a second, by timer."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import Asset
from core.domain.market import Bar, Interval
from core.domain.message import Nanoseconds
from core.state.state import State

Series = NDArray[np.float64]
LOOK_NS: Nanoseconds = 1_000_000_000
"""How often one underlying is looked at: with n of them each is up to n seconds old."""
MOST = 64
"""Underlyings looked at, those held first; what lies beyond has no known correlation."""
WINDOW = 240
"""Returns kept of each underlying and interval."""
LEAST = 60
"""Returns in common below which a correlation is not known."""
DECAY = 0.97
YEAR_NS: Nanoseconds = 365 * 86_400 * 1_000_000_000
INTERVALS = (Interval.H1, Interval.M15, Interval.M1)
"""The longest that has enough returns counts: short bars correlate too little (Epps effect)."""


class Returns:
    """Keep aligned log returns of the underlyings, and what follows from them."""

    def __init__(self) -> None:
        self.volatility: dict[Asset, float] = {}
        """Annualised, by exponential weights without the mean (RiskMetrics); none where history is missing."""
        self._known: dict[tuple[Asset, Asset], float] = {}
        self._slots: dict[Asset, int] = {}
        self._queue: deque[Asset] = deque()
        self._looked: Nanoseconds = 0
        self._returns = {interval: np.zeros((MOST, WINDOW)) for interval in INTERVALS}
        self._stamps = {interval: np.full((MOST, WINDOW), -1, np.int64) for interval in INTERVALS}
        """The number of the bar that each return ends with, -1 for none."""
        self._seen: dict[tuple[int, Interval], tuple[int, int]] = {}
        """Up to which bar each row was taken, and how many bars there were then."""

    def correlation(self, one: Asset, other: Asset) -> float | None:
        """Return the correlation of two underlyings, or None where too little is known."""
        return 1.0 if one == other else self._known.get((one, other))

    def look(self, state: State, now: Nanoseconds) -> None:
        """Take the next underlying's bars, once a second."""
        if 0 <= now - self._looked < LOOK_NS:
            return
        self._looked = now
        if not self._queue:
            self._queue.extend(self._chosen(state))
        if self._queue:
            self.refresh(state, self._queue.popleft(), now)

    def _chosen(self, state: State) -> list[Asset]:
        markets, ledger = state.markets, state.ledger
        held = [market for position in ledger.positions.values() if position.quantity
                and (market := ledger.mark_of(position.instrument)) is not None]  # fmt: skip
        bases = list(dict.fromkeys(market.instrument.base for market in (*held, *markets.values())))[:MOST]
        for gone in self._slots.keys() - set(bases):
            self._forget(gone)
        return bases

    def _forget(self, base: Asset) -> None:
        slot = self._slots.pop(base)
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] != slot}
        self.volatility.pop(base, None)
        for pair in [pair for pair in self._known if base in pair]:
            del self._known[pair]

    def refresh(self, state: State, base: Asset, now: Nanoseconds) -> None:
        """Take one underlying's bars, and correlate it with all others."""
        slot = self._slots.get(base)
        if slot is None:
            taken = set(self._slots.values())
            slot = self._slots[base] = next(free for free in range(MOST) if free not in taken)
        markets = [market for market in state.markets.values() if market.instrument.base == base]
        fresh = False
        for interval in INTERVALS:
            bars = max((market.bars[interval] for market in markets), key=len, default={})
            fresh |= self._take(slot, interval, bars, now)
        if not fresh:
            return
        volatility = next(filter(None, (self._volatility(slot, interval, now) for interval in INTERVALS)), None)
        if volatility:
            self.volatility[base] = volatility
        else:
            self.volatility.pop(base, None)
        self._correlate(base, slot)

    def _take(self, slot: int, interval: Interval, bars: dict[Nanoseconds, Bar], now: Nanoseconds) -> bool:
        """Put the bars that have closed since into an underlying's row; tell whether there were any.

        Bars that come from further back (a history, a gap that is filled) have the whole row taken again.
        """
        end = now // interval.ns
        until, count = self._seen.get((slot, interval), (0, 0))
        more = end - until
        if not more and len(bars) == count:
            return False
        self._seen[slot, interval] = (end, len(bars))
        if not 0 <= more < WINDOW or len(bars) - count > more + 1:
            more = WINDOW
        closes = np.full(more + 1, np.nan)
        for place in range(more + 1 if bars else 0):
            bar = bars.get((end - more - 1 + place) * interval.ns)
            if bar is not None and bar.closed and bar.close > 0.0:
                closes[place] = bar.close
        returns = np.diff(np.log(closes))
        there, numbers = np.isfinite(returns), np.arange(end - more, end)
        columns = numbers % WINDOW
        self._returns[interval][slot, columns] = np.where(there, returns, 0.0)
        self._stamps[interval][slot, columns] = np.where(there, numbers, -1)
        return True

    def _volatility(self, slot: int, interval: Interval, now: Nanoseconds) -> float | None:
        """Return the yearly volatility by the returns of one interval, or None where they are too few."""
        columns = np.arange(now // interval.ns - WINDOW, now // interval.ns) % WINDOW
        own = self._returns[interval][slot, columns][self._stamps[interval][slot, columns] >= 0]
        return ewma_volatility(own) * float((YEAR_NS / interval.ns) ** 0.5) if len(own) >= LEAST else None

    def _correlate(self, base: Asset, slot: int) -> None:
        found: dict[Asset, float] = {}
        rows = max(self._slots.values()) + 1
        for interval in INTERVALS:
            if len(found) == len(self._slots) - 1:
                break
            returns, stamps = self._returns[interval][:rows], self._stamps[interval][:rows]
            own = returns[slot]
            common = (stamps == stamps[slot]) & (stamps[slot] >= 0)
            count = common.sum(1)
            product = (returns * common) @ own
            scale = np.sqrt((common @ (own * own)) * ((returns * returns) * common).sum(1))
            for other, place in self._slots.items():
                if other != base and other not in found and count[place] >= LEAST and scale[place] > 0.0:
                    found[other] = float(min(1.0, max(-1.0, product[place] / scale[place])))
        for other in self._slots:
            for pair in ((base, other), (other, base)):
                if other in found:
                    self._known[pair] = found[other]
                else:
                    self._known.pop(pair, None)


def ewma_volatility(returns: Series, decay: float = DECAY) -> float:
    """Return the volatility per step by exponential weights that sum to 1, the newest last."""
    weights = decay ** np.arange(len(returns) - 1, -1, -1)
    return float(np.sqrt((weights * returns * returns).sum() / weights.sum()))
