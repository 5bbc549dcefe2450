"""The way between us and a venue: seeded, in order, and the same on every run."""

import math
from collections import deque
from typing import Generic, TypeVar

from core.domain.message import Nanoseconds
from venues.matching.settings import LatencySettings

T = TypeVar("T")
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mixed(value: int) -> int:
    """Return 64 well mixed bits of a counter (splitmix64): a random stream whose whole state is one integer."""
    value = (value * _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Leg(Generic[T]):
    """Carry items one way; what was sent later never arrives earlier."""

    __slots__ = ("_base", "_jitter", "_last", "_seed", "_sigma", "drawn", "instant", "items")

    def __init__(self, settings: LatencySettings, base: Nanoseconds, salt: int) -> None:
        self._base = base
        self._jitter = settings.jitter_ns
        self._sigma = settings.sigma
        self._seed = _mixed(settings.seed * 2 + salt)
        self._last: Nanoseconds = 0
        self.drawn = 0
        self.instant = not base and not settings.jitter_ns
        """This leg takes no time."""
        self.items: deque[tuple[Nanoseconds, T]] = deque()

    def arrival(self, now: Nanoseconds) -> Nanoseconds:
        """Return when something sent now arrives."""
        due = now + self._base
        if self._jitter:
            self.drawn += 1
            due += self._draw()
        self._last = max(due, self._last)
        return self._last

    def _draw(self) -> Nanoseconds:
        bits = _mixed(self._seed + self.drawn)
        radius = math.sqrt(-2.0 * math.log(((bits >> 32) + 1) / 4294967297.0))
        normal = radius * math.cos(2.0 * math.pi * (bits & 0xFFFFFFFF) / 4294967296.0)
        return int(self._jitter * math.exp(self._sigma * normal))

    def put(self, due: Nanoseconds, item: T) -> None:
        """Send an item that arrives at ``due``, a time ``arrival`` gave."""
        self.items.append((due, item))

    def state(self) -> tuple[Nanoseconds, int]:
        """Return what a restored leg needs besides its items."""
        return self._last, self.drawn

    def resume(self, state: tuple[Nanoseconds, int], items: list[tuple[Nanoseconds, T]]) -> None:
        """Go on from a former state."""
        self._last, self.drawn = state
        self.items = deque(items)
