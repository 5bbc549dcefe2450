"""What waits for one target: bounded, the lightest goes first when it overflows, tried again with growing pauses."""

from collections import deque

import msgspec

from core.domain.alerts import Severity
from core.notify.targets import MOST, Notice

KEPT = 100


class Pace(msgspec.Struct, frozen=True):
    """How long a post may take, and how long to wait between tries: doubled each time, up to the longest."""

    timeout_s: float = 10.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0


class Waiting:
    """Notices that wait for one target, oldest first, and how often the oldest was tried."""

    def __init__(self, give_up_s: float, pace: Pace) -> None:
        self._pace = pace
        self.tries = 0
        self.lost = 0
        """Notices given up or pushed out."""
        self._give_up_s = give_up_s
        self._items: deque[tuple[Notice, float]] = deque()
        self._asked_pause = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, notice: Notice, now: float) -> None:
        """Add a notice; a full queue loses its oldest one of the least weight."""
        self._items.append((notice, now))
        if len(self._items) > KEPT:
            least = min(item.severity for item, _ in self._items)
            at = next(at for at, (item, _) in enumerate(self._items) if item.severity is Severity(least))
            del self._items[at]
            self.lost += 1

    def batch(self, now: float) -> list[Notice]:
        """Return what goes into one post; what is too old is given up."""
        while self._items and now - self._items[0][1] > self._give_up_s:
            self._items.popleft()
            self.lost += 1
        return [notice for notice, _ in list(self._items)[:MOST]]

    def remove(self, notices: list[Notice]) -> None:
        """Forget what went on to the second target, or nowhere."""
        gone = {id(notice) for notice in notices}
        self._items = deque(item for item in self._items if id(item[0]) not in gone)

    def delivered(self, notices: list[Notice]) -> None:
        """Forget what was delivered; the next failure begins with a short pause."""
        self.remove(notices)
        self.tries, self._asked_pause = 0, 0.0

    def drop(self, numbers: set[int]) -> None:
        """Forget what somebody has seen already."""
        self._items = deque(item for item in self._items if item[0].number not in numbers)

    def failed(self, retry_after_s: float = 0.0) -> None:
        """Count a try that went wrong; a server may ask for a longer pause."""
        self.tries += 1
        self._asked_pause = min(retry_after_s, 10 * self._pace.longest_pause_s)

    @property
    def pause_s(self) -> float:
        """Return how long to wait before the next try."""
        grown = self._pace.first_pause_s * 2.0 ** min(self.tries - 1, 10) if self.tries else 0.0
        return max(min(grown, self._pace.longest_pause_s), self._asked_pause)
