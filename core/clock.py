"""Clocks: the machine's, and one that tests and replays move by hand."""

import time

from core.domain.message import Nanoseconds

SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux stops CLOCK_MONOTONIC while the machine sleeps: a closed lid would leave the engine hours in the past."""


class LiveClock:
    """Tell UTC from the time since boot, sleep included: a step of the system clock changes nothing until restart."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.clock_gettime_ns(SINCE_BOOT)

    def now(self) -> Nanoseconds:
        """Return the time in ns, UTC."""
        return time.clock_gettime_ns(SINCE_BOOT) + self._offset

    def advance(self, to: Nanoseconds) -> None:
        """Tell no time before this from now on: the system clock was put back since it was told; never backwards."""
        self._offset += max(to - self.now(), 0)


class ManualClock:
    """Tell the time it was told."""

    def __init__(self, now: Nanoseconds = 0) -> None:
        self._now = now

    def now(self) -> Nanoseconds:
        """Return the time in ns, UTC."""
        return self._now

    def advance(self, to: Nanoseconds) -> None:
        """Move to a time; never backwards."""
        self._now = max(self._now, to)
