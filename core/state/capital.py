"""What has no price yet: capital joins the day's start and the peak with its first price, never the profit.

An asset that nothing has priced since there is any of it counts as nothing: it was never part of the peak or the day's
start, so the account is judged without it. One that may have been a part of them makes the equity unknown.
"""

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
        """Capital by asset; 0 is a debt (a fee) or an adopted balance: profit or loss, once it has a price."""
        self.held: set[Asset] = set()
        """What waits and was held before, so that a part of it may have had a price."""

    def unpriced(self, unvalued: set[str]) -> set[str]:
        """Return what counts in equity and has no price: while there is any, no loss of the account can be judged."""
        return unvalued - (self.waiting.keys() - self.held)

    def missing(self, unvalued: set[str]) -> set[str]:
        """Return what has no price and is not capital alone: while there is any, nothing is entered."""
        return unvalued - {asset for asset, amount in self.waiting.items() if amount and asset not in self.held}

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns waiting capital."""
        return {CapitalWaits: self._waits, CapitalCounted: self._counted}

    def _waits(self, event: CapitalWaits) -> None:
        if event.held and event.asset not in self.waiting:
            self.held.add(event.asset)
        self.waiting[event.asset] = self.waiting.get(event.asset, ZERO) + event.amount

    def _counted(self, event: CapitalCounted) -> None:
        self.waiting.pop(event.asset, None)
        self.held.discard(event.asset)
