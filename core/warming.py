"""Bars of before for strategies: from the venue, and before those from what was imported."""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from core.domain.market import Bar
from core.domain.message import Message
from core.errors import TradedeckError
from core.outbox import PastWanted
from core.ports import Clock, Venue
from core.strategy.past import PastBars

log = structlog.get_logger()
Imported = Callable[[PastWanted], Awaitable[Sequence[Bar]]]
"""Bring bars that were imported; where there are none, nothing."""


class Warming:
    """Answer the engine's questions for bars; one that fails is asked again by who wants them."""

    def __init__(self, emit: Callable[[Message], None], clock: Clock, imported: Imported | None = None) -> None:
        self._emit, self._clock, self.imported = emit, clock, imported

    async def bring(self, venue: Venue | None, wanted: PastWanted) -> None:
        """Have the venue's own bars, older ones from what was imported, and hand both over together."""
        found: dict[int, Bar] = {}
        try:
            if venue is not None:
                bars = await venue.history(wanted.instrument, wanted.interval, wanted.start, wanted.end)
                found = {bar.start: bar for bar in bars}
        except TradedeckError as error:
            log.info("no history for a strategy", instrument=wanted.instrument, error=str(error))
        oldest = min(found, default=wanted.end)
        if self.imported is not None and oldest > wanted.start:
            try:
                older = await self.imported(wanted)
            except TradedeckError as error:
                log.info("no imported bars for a strategy", instrument=wanted.instrument, error=str(error))
            else:
                newest, step = max((bar.start for bar in older), default=0), wanted.interval.ns
                if newest + step >= (oldest if found else wanted.end - step):  # a hole behind them would be no history
                    found = {bar.start: bar for bar in older} | found
        bars = tuple(bar for _, bar in sorted(found.items()))
        self._emit(PastBars(wanted.instrument, wanted.interval, bars, self._clock.now()))
