"""A strategy of the library, bar by bar: the same signals as over whole arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.domain.market import Bar
from core.strategy.library.model import Model, Parameters, checked, signals
from core.strategy.signals import Bars, Indicators

_COLUMNS = 5
_NAN = float("nan")


class Follower:
    """Keep as many bars as decide a signal and look at them again with each new one.

    What is older than the warm-up moves no decision (``core.strategy.signals``), so this equals a study bar by bar; a
    restart needs the bars of the warm-up and nothing else.
    """

    def __init__(self, model: Model, chosen: Parameters, interval_ns: int, symbols: int = 1) -> None:
        """Begin without bars.

        Raises:
            ConfigError: parameters that the model does not take.
        """
        self.model, self.chosen = model, checked(model, chosen)
        self.interval_ns = interval_ns
        self.warm_up = model.warm_up(self.chosen, interval_ns)
        self._ts = np.zeros(2 * self.warm_up, np.int64)
        self._kept = np.full((_COLUMNS, symbols, 2 * self.warm_up), np.nan)
        self._end = 0

    @property
    def known(self) -> int:
        """Return how many bars it knows."""
        return self._end

    @property
    def missing(self) -> int:
        """Return how many bars are wanted before there can be a signal."""
        return max(self.warm_up - self._end, 0)

    def on_bar(self, bar: Bar) -> int:
        """Take one closed bar, or a later word on one, and return the signal of the newest."""
        return int(self.take(bar.start, np.array([[bar.open], [bar.high], [bar.low], [bar.close], [bar.volume]]))[0])

    def take(self, start: int, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Take open, high, low, close and volume (5, symbols) of one bar and return each symbol's signal.

        A start that is known replaces its bar; one older than all that is kept is left out.
        """
        place = int(np.searchsorted(self._ts[: self._end], start))
        known = place < self._end and self._ts[place] == start
        if place == self._end or known:
            place = self._room() if not known else place
            self._ts[place], self._kept[:, :, place] = start, values
        return self._signal()

    def load(self, starts: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Begin anew with bars, rising in time, and return each one's signal; (5, symbols, n) gives (symbols, n).

        What they do not warm up is 0.
        """
        kept = min(starts.size, self.warm_up)
        self._end = kept
        if kept:
            self._ts[:kept], self._kept[:, :, :kept] = starts[-kept:], values[:, :, -kept:]
        bars = Bars.of(starts, values if self.model.across else values[:, 0], self.interval_ns)
        found = signals(self.model, Indicators(bars), self.chosen) if starts.size else np.zeros(0, np.uint8)
        return found.reshape(values.shape[1], starts.size)

    def _room(self) -> int:
        """Return the place of a new bar, the oldest ones gone where there was none."""
        if self._end == self._ts.size:
            keep = self.warm_up - 1
            self._ts[:keep] = self._ts[self._end - keep :]
            self._kept[:, :, :keep] = self._kept[:, :, self._end - keep :]
            self._end = keep
        self._end += 1
        return self._end - 1

    def _signal(self) -> NDArray[np.uint8]:
        if self.missing:
            return np.zeros(self._kept.shape[1], np.uint8)
        part = slice(self._end - self.warm_up, self._end)
        rows = self._kept[:, :, part] if self.model.across else self._kept[:, 0, part]
        bars = Bars.of(self._ts[part], rows, self.interval_ns)
        return np.atleast_1d(signals(self.model, Indicators(bars), self.chosen)[..., -1])


class Followers:
    """Follow several instruments' bars: each by itself, or all together where the strategy looks across them."""

    def __init__(self, model: Model, chosen: Parameters, interval_ns: int, symbols: int) -> None:
        """Begin without bars.

        Raises:
            ConfigError: parameters that the model does not take.
        """
        self.across, self._symbols, self.interval_ns = model.across, symbols, interval_ns
        count = 1 if model.across else symbols
        self._each = [Follower(model, chosen, interval_ns, symbols // count) for _ in range(count)]
        self.warm_up = self._each[0].warm_up

    @property
    def known(self) -> int:
        """Return how many bars each knows at least."""
        return min(one.known for one in self._each)

    @property
    def missing(self) -> int:
        """Return how many bars are wanted before there can be a signal of all."""
        return max(one.missing for one in self._each)

    def correct(self, place: int, bar: Bar) -> None:
        """Take a later word on one instrument's bar; nothing is decided again."""
        if not self.across:
            self._each[place].on_bar(bar)

    def take(self, start: int, bars: Sequence[Bar | None]) -> list[int]:
        """Take the bars of one time and return each instrument's signal, 0 for one without a bar."""
        if self.across:
            found = self._each[0].take(start, np.array([_values(bar) for bar in bars]).T)
            return [int(signal) for signal in found]
        return [0 if bar is None else one.on_bar(bar) for one, bar in zip(self._each, bars, strict=True)]

    def load(self, starts: Sequence[int], rows: Sequence[Sequence[Bar | None]]) -> list[list[int]]:
        """Begin anew with bars, ``rows[t][s]`` at rising ``starts``, and return the signals likewise."""
        if self.across:
            return self._loaded(self._each[0], starts, rows)
        found = [[0] * self._symbols for _ in starts]
        for place, one in enumerate(self._each):
            own = [t for t, row in enumerate(rows) if row[place] is not None]
            signals = self._loaded(one, [starts[t] for t in own], [[rows[t][place]] for t in own])
            for t, (signal,) in zip(own, signals, strict=True):
                found[t][place] = signal
        return found

    @staticmethod
    def _loaded(one: Follower, starts: Sequence[int], rows: Sequence[Sequence[Bar | None]]) -> list[list[int]]:
        values = np.empty((_COLUMNS, len(rows[0]) if rows else 1, len(rows)))
        for place, row in enumerate(rows):
            values[:, :, place] = np.array([_values(bar) for bar in row]).T
        found: list[list[int]] = one.load(np.array(starts, np.int64), values).T.tolist()
        return found


def _values(bar: Bar | None) -> tuple[float, float, float, float, float]:
    """Return a bar's prices and volume; one that is lacking is no number."""
    return (bar.open, bar.high, bar.low, bar.close, bar.volume) if bar is not None else (_NAN,) * 5
