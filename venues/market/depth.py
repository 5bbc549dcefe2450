"""A made-up order book: both sides keep a profile of levels around the best prices, and tell what changed."""

import math
import random
from bisect import bisect_left, insort

from core.domain.instrument import Instrument
from core.domain.market import Levels

LEVELS = 60
"""Levels kept a side."""
SPAN_BPS = 25.0
"""How far the farthest level stands from the best, or ``LEVELS`` ticks where a tick is large."""
NEAR_GAP_BPS = 0.03
"""The mean empty space between levels next to the best price."""
_SIZE_LOG_SD = 1.0


class DepthProfile:
    """Describe where levels stand and how large they are, for one instrument at one price."""

    def __init__(self, instrument: Instrument, price: float, per_bps: float, top: float, top_sd: float) -> None:
        self.tick, self.lot = float(instrument.tick_size), float(instrument.size_step)
        self.price_digits, self.size_digits = instrument.price_precision, instrument.size_precision
        self.tick_bps = self.tick / price * 1e4
        self._gap = 1.0 + NEAR_GAP_BPS / self.tick_bps
        self._curve = _curve(self._gap, max(SPAN_BPS / self.tick_bps, float(LEVELS)))
        self._per_tick = per_bps * self.tick_bps / price
        self._top, self._top_sd = math.log(top / price), top_sd
        self.dense = self._gap < 1.5

    def offset(self, rng: random.Random) -> int:
        """Draw the distance of a level from the best, in ticks (1 or more)."""
        j = rng.random() * LEVELS
        if self._curve < 1e-9:
            return 1 + int(self._gap * j)
        return 1 + int(self._gap * math.expm1(self._curve * j) / self._curve)

    def size(self, rng: random.Random, offset: int) -> float:
        """Draw the size of a level at a distance, in base units."""
        mean = self._per_tick * (self._gap + self._curve * offset)
        return self.lots(mean * math.exp(rng.gauss(-_SIZE_LOG_SD * _SIZE_LOG_SD / 2, _SIZE_LOG_SD)))

    def top_size(self, rng: random.Random) -> float:
        """Draw the size at a best price, in base units."""
        return self.lots(math.exp(rng.gauss(self._top, self._top_sd)))

    def lots(self, size: float) -> float:
        """Return a size on the lot grid, one lot or more."""
        return round(max(1, round(size / self.lot)) * self.lot, self.size_digits)


def _curve(gap: float, span: float) -> float:
    """Return c so that LEVELS levels with gaps growing as gap + c * offset reach ``span`` ticks."""
    low, high = 0.0, 1.0
    for _ in range(60):
        c = (low + high) / 2
        reach = gap * math.expm1(c * LEVELS) / c
        low, high = (c, high) if reach < span else (low, c)
    return low


class Ladder:
    """Keep one side by keys that ascend away from the best: ticks for asks, negated ticks for bids."""

    __slots__ = ("_changed", "_profile", "_rng", "keys", "sign", "sizes")

    def __init__(self, profile: DepthProfile, rng: random.Random, best: int, sign: int) -> None:
        self._profile, self._rng, self.sign = profile, rng, sign
        self.keys = [best * sign]
        self.sizes = {best * sign: profile.top_size(rng)}
        self._changed: dict[int, float] = {}
        self._fill()

    @property
    def best(self) -> int:
        """Return the best price in ticks."""
        return self.keys[0] * self.sign

    @property
    def best_size(self) -> float:
        """Return the size at the best price."""
        return self.sizes[self.keys[0]]

    def move(self, best: int) -> None:
        """Make a price the best: what is better goes, what was best before falls back to its profile."""
        key, first = best * self.sign, self.keys[0]
        if key == first:
            return
        if key < first:
            self._set(first, self._profile.size(self._rng, first - key))
        else:
            for gone in self.keys[: bisect_left(self.keys, key)]:
                self._set(gone, 0.0)
        self._set(key, self._profile.top_size(self._rng))
        self._fill()

    def take(self, size: float) -> None:
        """Let a trade eat from the best level; what is eaten whole comes back."""
        left = self.best_size - size
        self._set(self.keys[0], self._profile.lots(left) if left > 0 else self._profile.top_size(self._rng))

    def churn(self, times: int) -> None:
        """Change some levels, the near ones more often, and sometimes the size of the best."""
        rng, keys = self._rng, self.keys
        for _ in range(times):
            k = min(int(rng.expovariate(0.15)), len(keys) - 1)
            if k == 0:
                self._set(keys[0], self._profile.top_size(rng))
            elif not self._profile.dense and rng.random() < 0.3:
                self._set(keys[k], 0.0)
            else:
                self._set(keys[k], self._profile.size(rng, keys[k] - keys[0]))
        self._fill()

    def changes(self) -> Levels:
        """Return what changed since the last call, prices as floats; size 0 is a level that went."""
        changed, self._changed = self._changed, {}
        return tuple((self.price(key), size) for key, size in sorted(changed.items()))

    def levels(self) -> Levels:
        """Return all levels, best first."""
        return tuple((self.price(key), self.sizes[key]) for key in self.keys)

    def price(self, key: int) -> float:
        """Return the price of a key, the same double as its decimal text."""
        return round(key * self.sign * self._profile.tick, self._profile.price_digits)

    def _set(self, key: int, size: float) -> None:
        if size > 0:
            if key not in self.sizes:
                insort(self.keys, key)
            self.sizes[key] = size
        else:
            del self.sizes[key]
            del self.keys[bisect_left(self.keys, key)]
        self._changed[key] = size

    def _fill(self) -> None:
        profile, rng, keys = self._profile, self._rng, self.keys
        for gone in keys[LEVELS:]:
            self._set(gone, 0.0)
        for _ in range(4 * LEVELS):
            if len(keys) >= LEVELS:
                return
            offset = self._first_hole() if profile.dense else profile.offset(rng)
            if keys[0] + offset not in self.sizes:
                self._set(keys[0] + offset, profile.size(rng, offset))

    def _first_hole(self) -> int:
        for n, key in enumerate(self.keys):
            if key != self.keys[0] + n:
                return n
        return len(self.keys)
