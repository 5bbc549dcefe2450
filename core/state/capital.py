"""Capital without a price yet: it joins the day's start and the peak with its first price, never the profit."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from core.domain.events import CapitalCounted, CapitalWaits
from core.domain.identifiers import Asset
from core.domain.instrument import ZERO


class Capital:
    """Keep what came or went in assets that nothing prices yet; changed by ``State.apply`` alone."""

    def __init__(self) -> None:
        self.waiting: dict[Asset, Decimal] = {}

    def unpriced(self, unvalued: set[str]) -> set[str]:
        """Return what counts in equity and has no price: while there is any, no loss of the account can be judged."""
        return unvalued - self.waiting.keys()

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns waiting capital."""
        return {CapitalWaits: self._waits, CapitalCounted: self._counted}

    def _waits(self, event: CapitalWaits) -> None:
        amount = self.waiting.get(event.asset, ZERO) + event.amount
        self.waiting[event.asset] = amount
        if not amount:
            del self.waiting[event.asset]

    def _counted(self, event: CapitalCounted) -> None:
        self.waiting.pop(event.asset, None)
