"""The one place where indicators are defined: arrays of bars in, arrays out, the same for studies and for live.

A value at bar ``t`` uses bars up to ``t`` alone (``tests/core/strategy`` truncates and compares). What has no end to
its memory (EMA, Wilder's averages) is compared with a tolerance, so that whoever starts a warm-up earlier decides the
same; how many bars that takes is in ``ema_memory`` and its like. Formulas: TA-Lib where it has them; a session begins
at 00:00 UTC.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from itertools import pairwise
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.strategy.technical import talib

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
T = TypeVar("T")

DAY_NS = 86_400_000_000_000
MINUTE_NS = 60_000_000_000
CLOSE_ENOUGH = 1e-9
"""A relative difference that counts as none: a thousand times what a cut-off warm-up leaves."""
QUIET = 1e-6
"""A relative range of prices in which an RSI has nothing to say."""
MAD_TO_SIGMA = 1.482602218505602
_ROWS = 8192
"""Rows of a sliding window worked on at once: memory stays flat."""


def ema_memory(window: int) -> int:
    """Return the bars after which an EMA's start weighs less than 1e-12: ``(1 - 2 / (window + 1)) ** bars``."""
    return 14 * (window + 1)


def wilder_memory(window: int) -> int:
    """Return the bars after which the start of Wilder's average weighs less than 1e-12: ``(1 - 1 / n) ** bars``."""
    return 28 * window


def rsi_memory(window: int) -> int:
    """Return the bars after which an RSI's start moves it by less than 1e-6, wherever it speaks at all.

    Its gains and losses only matter relative to each other; the price has moved by QUIET in the last 4 windows, which
    weighs at least ``exp(-4) / window`` of it, against ``exp(-40)`` of what was before.
    """
    return 40 * window + 1


class Bars(msgspec.Struct, frozen=True):
    """Bars by rising start: ``ts`` (n,) in ns UTC; prices and volume (n,), or (symbols, n) where one looks across."""

    ts: NDArray[np.int64]
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    interval_ns: int

    @classmethod
    def of(cls, ts: NDArray[np.int64], rows: Iterable[Array], interval_ns: int) -> "Bars":
        """Return bars of open, high, low, close and volume, in this order."""
        opened, high, low, close, volume = (np.ascontiguousarray(row, np.float64) for row in rows)
        return cls(np.asarray(ts, np.int64), opened, high, low, close, volume, interval_ns)

    def upto(self, end: int) -> "Bars":
        """Return the first ``end`` bars."""
        return self.between(0, end)

    def between(self, start: int, end: int) -> "Bars":
        """Return the bars from ``start`` up to, not with, ``end``."""
        columns = (self.open, self.high, self.low, self.close, self.volume)
        return Bars.of(self.ts[start:end], [column[..., start:end] for column in columns], self.interval_ns)

    @property
    def size(self) -> int:
        """Return the number of bars."""
        return int(self.ts.size)


def above(values: Array, others: Array | float) -> Flags:
    """Tell where values are clearly higher than others; where either is NaN they are not."""
    return np.asarray(values > others + CLOSE_ENOUGH * np.abs(others))


def below(values: Array, others: Array | float) -> Flags:
    """Tell where values are clearly lower than others."""
    return np.asarray(values < others - CLOSE_ENOUGH * np.abs(others))


def begins(flags: Flags) -> Flags:
    """Tell where a condition holds that did not hold at the bar before."""
    first = flags.copy()
    first[1:] &= ~flags[:-1]
    first[:1] = False
    return first


def before(values: Array, bars: int = 1) -> Array:
    """Return what values were some bars ago, NaN at the start."""
    shifted = np.full_like(values, np.nan)
    shifted[..., bars:] = values[..., : max(values.shape[-1] - bars, 0)]
    return shifted


def _bytes(made: Any) -> int:
    return sum(part.nbytes for part in (made if isinstance(made, tuple) else (made,)) if isinstance(part, np.ndarray))


class Indicators:
    """Indicators of some bars, each worked out once whatever asks for it; arrays are shared and must not be written.

    With ``most_bytes`` the oldest are forgotten when they take more: a search asks for ever other periods.
    """

    def __init__(self, bars: Bars, most_bytes: float = math.inf) -> None:
        self.bars, self.most_bytes = bars, most_bytes
        self._kept: dict[Hashable, Any] = {}
        self._bytes = 0

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under a key, making it the first time."""
        if key in self._kept:
            found: T = self._kept[key]
            return found
        made = make()
        self._kept[key] = made
        self._bytes += _bytes(made)
        while self._bytes > self.most_bytes and len(self._kept) > 1:
            self._bytes -= _bytes(self._kept.pop(next(iter(self._kept))))
        return made

    def ema(self, window: int) -> Array:
        """Return the exponential moving average of closes, begun with the mean of the first window."""
        return self.kept(("ema", window), lambda: talib().EMA(self.bars.close, window))

    def rsi(self, window: int) -> Array:
        """Return Wilder's RSI of closes, 0 to 100; NaN where the price has hardly moved for four windows."""

        def make() -> Array:
            close, long = self.bars.close, 4 * window + 1
            spread = talib().MAX(close, long) - talib().MIN(close, long)
            return np.where(spread > QUIET * close, talib().RSI(close, window), np.nan)

        return self.kept(("rsi", window), make)

    def atr(self, window: int) -> Array:
        """Return Wilder's average true range, in the quote asset."""
        bars = self.bars
        return self.kept(("atr", window), lambda: talib().ATR(bars.high, bars.low, bars.close, window))

    def highest(self, window: int) -> Array:
        """Return the highest price of the bars before each bar, its own left out."""
        return self.kept(("highest", window), lambda: before(_extreme(talib().MAX, self.bars.high, window)))

    def lowest(self, window: int) -> Array:
        """Return the lowest price of the bars before each bar, its own left out."""
        return self.kept(("lowest", window), lambda: before(_extreme(talib().MIN, self.bars.low, window)))

    def score(self, window: int) -> Array:
        """Return how many standard deviations (population) a close is from its mean: Bollinger's bands as one number.

        Worked out window by window: TA-Lib's BBANDS keeps running sums of squares, whose rounding depends on where they
        began and exceeds the deviation of a quiet market.
        """
        return self.kept(("score", window), lambda: _score(self.bars.close, window))

    def session_start(self) -> NDArray[np.int64]:
        """Return the number of the first bar of each bar's session."""

        def make() -> NDArray[np.int64]:
            day = self.bars.ts // DAY_NS
            fresh = np.r_[True, day[1:] != day[:-1]] if day.size else np.zeros(0, bool)
            return np.maximum.accumulate(np.where(fresh, np.arange(day.size), 0))

        return self.kept("session", make)

    def into_session(self) -> NDArray[np.int64]:
        """Return how far into its session each bar begins, in ns."""
        return self.kept("into", lambda: self.bars.ts % DAY_NS)

    def session_ends(self) -> Flags:
        """Tell which bars are the last of their session, or the first of one whose forerunner broke off."""

        def make() -> Flags:
            last = self.into_session() + self.bars.interval_ns >= DAY_NS
            fresh = self.session_start() == np.arange(self.bars.size)
            return np.asarray(last | (fresh & ~np.r_[False, last[:-1]]), np.bool_)

        return self.kept("ends", make)

    def vwap(self) -> tuple[Array, Array]:
        """Return the session's volume-weighted average of typical prices, and the deviation of prices from it."""
        return self.kept("vwap", self._vwap)

    def _vwap(self) -> tuple[Array, Array]:
        bars = self.bars
        price = (bars.high + bars.low + bars.close) / 3.0
        starts = self.session_start()
        base = price[starts] if price.size else price
        away = price - base  # squares of differences, not of prices: nothing is lost to rounding
        edges = np.append(np.unique(starts), bars.size)
        sums = np.empty((3, bars.size))
        rows = np.stack([bars.volume, bars.volume * away, bars.volume * away * away])
        for start, end in pairwise(edges):
            np.cumsum(rows[:, start:end], axis=1, out=sums[:, start:end])
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = sums[1] / sums[0]
            spread = np.sqrt(np.maximum(sums[2] / sums[0] - mean * mean, 0.0))
        return base + mean, spread

    def vwap_score(self) -> Array:
        """Return how many deviations a close is from its session's VWAP; NaN where nothing deviates."""

        def make() -> Array:
            mean, spread = self.vwap()
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.where(spread > QUIET * mean, (self.bars.close - mean) / spread, np.nan)

        return self.kept("vwap score", make)

    def opening_range(self, minutes: int) -> tuple[Array, Array]:
        """Return high and low of a session's first minutes; NaN until they are over."""
        return self.kept(("opening", minutes), lambda: self._opening_range(minutes * MINUTE_NS))

    def _opening_range(self, length: int) -> tuple[Array, Array]:
        bars, starts = self.bars, self.session_start()
        early = self.into_session() < length
        high, low = np.full(bars.size, np.nan), np.full(bars.size, np.nan)
        edges = np.append(np.unique(starts), bars.size)
        for start, end in pairwise(edges):
            count = int(np.count_nonzero(early[start:end]))
            if 0 < count < end - start:
                high[start + count : end] = bars.high[start : start + count].max()
                low[start + count : end] = bars.low[start : start + count].min()
        return high, low

    def volume_score(self, days: int) -> Array:
        """Return how unusual a bar's log volume is for its time of day, against the days before it.

        ``(log v - median) / (1.4826 * MAD)``; NaN where one of the days has no such bar or no volume in it.
        """
        return self.kept(("volume", days), lambda: _volume_score(self.bars, days))

    def change(self, lookback: int) -> Array:
        """Return the relative change of closes over some bars."""
        return self.kept(("change", lookback), lambda: self.bars.close / before(self.bars.close, lookback) - 1.0)


def _extreme(function: Callable[[Array, int], Array], values: Array, window: int) -> Array:
    return values if window == 1 else function(values, window)


def _score(close: Array, window: int) -> Array:
    score = np.full(close.size, np.nan)
    if close.size < window:
        return score
    views = np.lib.stride_tricks.sliding_window_view(close, window)
    for start in range(0, views.shape[0], _ROWS):
        rows = views[start : start + _ROWS]
        mean, spread = rows.mean(axis=1), rows.std(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.where(spread > QUIET * mean, (rows[:, -1] - mean) / spread, np.nan)
        score[window - 1 + start : window - 1 + start + part.size] = part
    return score


def _volume_score(bars: Bars, days: int) -> Array:
    if not bars.size:
        return np.zeros(0)
    with np.errstate(divide="ignore"):
        logs = np.where(bars.volume > 0.0, np.log(bars.volume), np.nan)
    score = np.full(bars.size, np.nan)
    back = np.arange(1, days + 1) * DAY_NS
    for start in range(0, bars.size, _ROWS):
        wanted = bars.ts[start : start + _ROWS, None] - back
        place = np.searchsorted(bars.ts, wanted)
        earlier = np.where(bars.ts[np.minimum(place, bars.size - 1)] == wanted, logs[place], np.nan)
        whole = ~np.isnan(earlier).any(axis=1)
        median = np.median(earlier[whole], axis=1)
        spread = MAD_TO_SIGMA * np.median(np.abs(earlier[whole] - median[:, None]), axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            part = (logs[start : start + _ROWS][whole] - median) / spread
        score[start : start + _ROWS][whole] = np.where(spread > CLOSE_ENOUGH, part, np.nan)
    return score
