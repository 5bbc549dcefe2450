"""Keep keys from doing more than a hand meant: bursts, key repeat, double sends.

All times are seconds of a monotonic clock, given by the caller.
"""

from collections import deque

BURST_KEYS = 10
BURST_SECONDS = 0.050
LATCH_SECONDS = 0.300


class BurstGuard:
    """Refuse keys that arrive faster than a hand can press them, as a paste into the terminal does."""

    def __init__(self, keys: int = BURST_KEYS, seconds: float = BURST_SECONDS) -> None:
        self._seconds = seconds
        self._recent: deque[float] = deque(maxlen=keys)
        self._quiet_from = float("-inf")
        self.began = float("-inf")
        """When the first key of the last burst came: that one and some after it were let through."""

    def refuses(self, now: float) -> bool:
        """Note a key and tell whether it belongs to a burst; a burst ends with a pause as long as the window."""
        recent = self._recent
        oldest = recent[0] if recent else now
        full = len(recent) == recent.maxlen and now - oldest <= self._seconds
        recent.append(now)
        if full and now >= self._quiet_from:
            self.began = oldest
        if full or now < self._quiet_from:
            self._quiet_from = now + self._seconds
            return True
        return False


class Latch:
    """Let one action at a time work on a target, and none within 300 ms of the last."""

    def __init__(self, seconds: float = LATCH_SECONDS) -> None:
        self._seconds = seconds
        self._started: dict[str, float] = {}
        self._busy: set[str] = set()

    def take(self, target: str, now: float) -> bool:
        """Start an action on a target, unless one is in flight or began within the latch."""
        if target in self._busy or now - self._started.get(target, float("-inf")) < self._seconds:
            return False
        self._started = {key: at for key, at in self._started.items() if now - at < self._seconds}
        self._started[target] = now
        self._busy.add(target)
        return True

    def free(self, target: str) -> None:
        """Say that the action on this target has been answered."""
        self._busy.discard(target)

    def busy(self, target: str) -> bool:
        """Tell whether an action on this target is in flight."""
        return target in self._busy
