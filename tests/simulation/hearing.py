"""Which markets have lately told a price: what may value a coin while its own pair is silent, and just behind that."""

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from tests.simulation.machine import MS, S

SILENT: Nanoseconds = 2 * S
"""What has told nothing new for so long values nothing, where another does."""
SETTLED: Nanoseconds = 10 * S
"""What was silent values again once it has told prices for so long."""
LOOKS: Nanoseconds = 700 * MS
"""By so much the engine may be earlier or later than this reckoning: its looks, and steps of prices."""


class Hearing:
    """Remember when each market told its last new price, by the engine's clock."""

    def __init__(self) -> None:
        self.now: Nanoseconds = 0
        self._last: dict[InstrumentId, Nanoseconds] = {}
        self._unsteady: dict[InstrumentId, Nanoseconds] = {}
        """Until when each may be taken for one that was silent."""

    def heard(self, one: InstrumentId) -> None:
        """Take that a new price was told."""
        last = self._last.get(one)
        if last is None:
            self._unsteady[one] = self.now + LOOKS  # another may have been first
        elif self.now - last > SILENT - LOOKS:
            self._unsteady[one] = self.now + SETTLED + LOOKS
        self._last[one] = self.now

    def is_steady(self, one: InstrumentId) -> bool:
        """Tell whether it tells prices, and has for long enough."""
        known = one in self._last and 0 <= self.now - self._last[one] <= SILENT - LOOKS
        return known and self.now >= self._unsteady[one]

    def is_silent(self, one: InstrumentId) -> bool:
        """Tell whether it has surely been silent for too long."""
        return one in self._last and self.now - self._last[one] > SILENT + LOOKS
