"""The risk that was forecast for each day, and what the day brought: the record that value at risk is tested on."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from core.domain.events import DayStarted
from core.domain.message import Nanoseconds
from core.domain.risk import RiskForecast

KEPT_DAYS = 500
"""Two years of trading days: what the tests look at, and all that is kept."""


class RiskDay(msgspec.Struct, frozen=True, array_like=True):
    """One day: value at risk at its start (positive) and what it brought, None until it is over; reporting currency."""

    day: Nanoseconds
    var_95: float
    var_99: float
    profit: float | None = None


class Forecasts:
    """Keep the forecasts and their outcomes, the oldest first; changed by ``State.apply`` alone."""

    def __init__(self) -> None:
        self.days: deque[RiskDay] = deque(maxlen=KEPT_DAYS)

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns forecasts."""
        return {RiskForecast: self._forecast}

    def started(self, event: DayStarted, before: Nanoseconds, equity: float) -> None:
        """Close the day that ``before`` began with ``equity``, capital since counted in, when another has begun."""
        last = self.days[-1] if self.days else None
        if event.ts > before and last is not None and last.day == before and last.profit is None:
            self.days[-1] = msgspec.structs.replace(last, profit=float(event.equity) - equity)

    def _forecast(self, event: RiskForecast) -> None:
        if not self.days or self.days[-1].day < event.day:
            self.days.append(RiskDay(event.day, float(event.var_95), float(event.var_99)))

    def restore(self, days: Iterable[RiskDay]) -> None:
        """Take what a checkpoint kept."""
        self.days = deque(days, maxlen=KEPT_DAYS)
