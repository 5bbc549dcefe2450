"""The returns that risk is computed from: aligned, of the longest bars that reach back far enough."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import Asset
from core.domain.market import Bar, Interval
from core.domain.message import Nanoseconds
from core.risk.book import INTERVALS, LEAST, RiskBook

DAY_NS: Nanoseconds = 86_400_000_000_000
Matrix = NDArray[np.float64]


class Sample(msgspec.Struct, frozen=True):
    """Simple returns (T, n) of ``bases``, the oldest first; ``ends`` (T,) says when each step ended (ns, UTC).

    ``missing`` has too short a history to be in it.
    """

    bases: tuple[Asset, ...]
    returns: Matrix
    ends: NDArray[np.int64]
    interval: Interval
    missing: tuple[Asset, ...]

    @property
    def steps_a_day(self) -> float:
        """Return how many steps make a day."""
        return DAY_NS / self.interval.ns

    @property
    def basis(self) -> str:
        """Return in words where figures of a day come from."""
        return f"{len(self.returns)} returns of {self.interval.value}, a day by the square root of {self.steps_a_day:g}"


def sample_of(book: RiskBook) -> Sample:
    """Return the returns of everything the book is exposed to.

    The longest interval at which most underlyings have enough closed bars in common; the others are ``missing``.
    """
    bases = tuple(sorted(book.history, key=lambda base: -abs(sum(x.value for x in book.exposures if x.base == base))))
    best: Sample | None = None
    for interval in INTERVALS:
        found = _common(book, bases, interval)
        if best is None or len(found.bases) > len(best.bases):
            best = found
    assert best is not None
    return best


def _common(book: RiskBook, bases: Sequence[Asset], interval: Interval) -> Sample:
    """Join the largest exposures' returns first; one that would leave too few in common is missing."""
    series = {base: _returns(book.history[base].get(interval, ()), interval) for base in bases}
    taken: list[Asset] = []
    stamps: set[Nanoseconds] = set()
    for base in bases:
        both = stamps & series[base].keys() if taken else set(series[base])
        if len(both) >= LEAST:
            taken.append(base)
            stamps = both
    ends = sorted(stamps)
    returns = np.array([[series[base][end] for base in taken] for end in ends]).reshape(len(ends), len(taken))
    missing = tuple(base for base in bases if base not in taken)
    return Sample(tuple(taken), returns, np.array(ends, np.int64), interval, missing)


def _returns(bars: Sequence[Bar], interval: Interval) -> dict[Nanoseconds, float]:
    """Return the return of each step by its end; a hole in the bars makes none."""
    closes = {bar.start: bar.close for bar in bars if bar.closed and bar.close > 0.0}
    return {
        start + interval.ns: close / before - 1.0
        for start, close in closes.items()
        if (before := closes.get(start - interval.ns)) is not None
    }
