"""How long exits took: from the tick, fill or word that woke them to the hand-over to the socket."""

from core.domain.identifiers import ClientOrderId
from core.domain.message import Nanoseconds

KEPT = 256
"""Exits decided and not handed over yet that are remembered at most."""


class ExitTimes:
    """Keep count, last and worst of this run; both stamps are of the engine's own monotonic clock."""

    def __init__(self) -> None:
        self.count = 0
        self.last_ns: Nanoseconds = 0
        self.worst_ns: Nanoseconds = 0
        self._woken: dict[ClientOrderId, Nanoseconds] = {}

    def decided(self, order: ClientOrderId, woken: Nanoseconds) -> None:
        """Take an exit that is decided now; ``woken`` is when the message that it follows from came in."""
        if len(self._woken) >= KEPT:  # they never left: their link is gone
            self._woken.clear()
        self._woken[order] = woken

    def left(self, order: ClientOrderId, now: Nanoseconds) -> None:
        """Take that an exit was handed to its socket."""
        woken = self._woken.pop(order, None)
        if woken is not None:
            self.count += 1
            self.last_ns = now - woken
            self.worst_ns = max(self.worst_ns, self.last_ns)

    def vitals(self) -> tuple[int, Nanoseconds, Nanoseconds]:
        """Return (count, last, worst)."""
        return self.count, self.last_ns, self.worst_ns
