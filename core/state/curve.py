"""What the account was worth over time: a point a minute for a day, and one an hour for a year.

Hours are events and outlive everything. Minutes are what marks left behind: a checkpoint keeps them, so that an orderly
restart does; after a kill those since the last checkpoint are a hole that the hours bridge.
"""

from collections import deque

import msgspec

from core.domain.events import EquityNoted
from core.domain.market import AccountMarked
from core.domain.message import Nanoseconds

MINUTE_NS: Nanoseconds = 60_000_000_000
HOUR_NS: Nanoseconds = 60 * MINUTE_NS
MINUTES, HOURS = 24 * 60, 365 * 24


class EquityPoint(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The last equity of a stretch (reporting currency), and the deepest drawdown in it, a fraction of the peak."""

    ts: Nanoseconds
    equity: float
    drawdown: float


class CurveImage(msgspec.Struct, frozen=True, array_like=True):
    """Both series as one value, for checkpoints."""

    minutes: tuple[EquityPoint, ...] = ()
    hours: tuple[EquityPoint, ...] = ()
    worst: float = 0.0


class Curve:
    """Hold both series, the oldest points first."""

    def __init__(self) -> None:
        self.minutes: deque[EquityPoint] = deque(maxlen=MINUTES)
        self.hours: deque[EquityPoint] = deque(maxlen=HOURS)
        self.worst = 0.0
        """The deepest drawdown since the last hour was noted."""
        self._hour = 0

    def marked(self, mark: AccountMarked, peak: float) -> None:
        """Take what the account is worth now; ``peak`` is the highest it was worth before."""
        minutes, ts, equity = self.minutes, mark.ts, mark.equity
        peak = max(peak, equity)
        drawdown = 1.0 - equity / peak if peak > 0 else 0.0
        self.worst = max(self.worst, drawdown)
        self._hour = self._hour or ts // HOUR_NS
        if minutes and minutes[-1].ts // MINUTE_NS == ts // MINUTE_NS:
            minutes[-1] = EquityPoint(ts, equity, max(drawdown, minutes[-1].drawdown))
        else:
            minutes.append(EquityPoint(ts, equity, drawdown))

    def hour_is_over(self, now: Nanoseconds) -> bool:
        """Tell whether an hour has ended that was not noted."""
        return 0 < self._hour < now // HOUR_NS

    def noted(self, event: EquityNoted) -> None:
        """Take the note of an hour."""
        self.hours.append(EquityPoint(event.ts, float(event.equity), event.drawdown))
        self._hour, self.worst = event.ts // HOUR_NS, 0.0

    def points(self, *, hours: bool) -> tuple[EquityPoint, ...]:
        """Return the points of the last day by minutes, or of the last year by hours up to now."""
        if not hours:
            return tuple(self.minutes)
        last = self.hours[-1].ts if self.hours else 0
        newest = [point for point in self.minutes if point.ts > last][-1:]
        return (*self.hours, *newest)

    def image(self) -> CurveImage:
        """Return both series as one value."""
        return CurveImage(tuple(self.minutes), tuple(self.hours), self.worst)

    def restore(self, image: CurveImage) -> None:
        """Take over what an image holds."""
        self.minutes = deque(image.minutes, maxlen=MINUTES)
        self.hours = deque(image.hours, maxlen=HOURS)
        self.worst = image.worst
        known = [series[-1].ts for series in (image.hours, image.minutes) if series]
        self._hour = known[0] // HOUR_NS if known else 0
