"""Clocks: the machine's, and one that tests and replays move by hand."""

import time

from core.domain.message import Nanoseconds


class LiveClock:
    """Tell UTC from the monotonic clock, so that a step of the system clock changes nothing until restart."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> Nanoseconds:
        """Return the time in ns, UTC."""
        return time.monotonic_ns() + self._offset


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
