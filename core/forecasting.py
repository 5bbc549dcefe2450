"""The day's risk forecast: once a day, at its start, computed in a thread on a copy and journalled."""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal

from core.config.settings import ScenarioSettings
from core.domain.message import Message, Nanoseconds
from core.domain.risk import RiskForecast, RiskView
from core.engine import Engine
from core.risk.book import take_book
from core.risk.report import FILTERED, report

LATEST_NS: Nanoseconds = 3_600 * 1_000_000_000
"""A forecast later in its day than this would be compared with losses that it has seen."""
RETRY_NS: Nanoseconds = 60 * 1_000_000_000


class RiskDesk:
    """Answer what the whole book risks, and forecast each day's risk; changes nothing but by an event."""

    def __init__(self, engine: Engine, emit: Callable[[Message], None] | None = None) -> None:
        self.scenarios: Mapping[str, ScenarioSettings] = {}
        """The user's own."""
        self._engine, self._emit = engine, emit
        self._tried: Nanoseconds = 0

    async def view(self, now: Nanoseconds, *, with_profits: bool = False) -> RiskView:
        """Return the risk of the book as it is now."""
        state, limits, scenarios = self._engine.state, self._engine.guardian.settings, self.scenarios
        book, days = take_book(state, now), tuple(state.forecasts.days)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            None, lambda: report(book, days, limits, scenarios, with_profits=with_profits)
        )

    def is_due(self, now: Nanoseconds) -> bool:
        """Tell whether the day that runs has no forecast and is young enough for one."""
        state, begun = self._engine.state, self._engine.state.day_started
        days, unvalued = state.forecasts.days, state.capital.unpriced(state.ledger.unvalued)
        if not begun or now - begun > LATEST_NS or (days and days[-1].day >= begun) or unvalued:
            return False
        return now - self._tried >= RETRY_NS

    async def forecast(self, now: Nanoseconds) -> None:
        """Journal what the day may lose; nothing while the history is too short for what is held."""
        self._tried, day = now, self._engine.state.day_started
        view = await self.view(now)
        if day != self._engine.state.day_started or view.missing:
            return
        found = next((one for one in view.figures if one.method == FILTERED), None)
        var_95, var_99 = (found.var_95, found.var_99) if found is not None else (Decimal(0), Decimal(0))
        if self._emit is not None and (found is not None or not self._engine.state.ledger.exposure()[0]):
            self._emit(RiskForecast(day, var_95, var_99, FILTERED, now))
