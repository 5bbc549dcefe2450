"""Differences between our record and the venues' that wait for the trader's word: part of the state."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from core.domain.differences import Difference, DifferenceFound, DifferenceKind, DifferenceResolved, Resolution
from core.domain.identifiers import InstrumentType, VenueId
from core.domain.instrument import ZERO
from core.state.markets import Market

_BALANCE, _POSITION = DifferenceKind.BALANCE, DifferenceKind.POSITION


class Differences:
    """Keep what differs, by number; changed by ``State.apply`` alone. Empty while every venue agrees."""

    def __init__(self) -> None:
        self.standing: dict[int, Difference] = {}
        self.numbered = 0
        """The last number given: none is used twice."""

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns differences."""
        return {DifferenceFound: self._found, DifferenceResolved: self._resolved}

    # --- questions --------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> list[Difference]:
        """Return those that nobody has said a word about, oldest first."""
        return [one for one in self.standing.values() if not one.kept]

    def halves(self, one: Difference) -> list[Difference]:
        """Return the other half of a transfer that waits: as much of the asset came at another venue, or went there."""
        waiting = (other for other in self.waiting if one.kind is other.kind is _BALANCE and other.venue != one.venue)
        return [other for other in waiting if other.asset == one.asset and other.gap == -one.gap][:1]

    def of(self, venue: VenueId) -> list[Difference]:
        """Return a venue's differences, kept ones too."""
        return [one for one in self.standing.values() if one.venue == venue]

    def known(self, key: tuple[str, ...]) -> Difference | None:
        """Return the difference that stands about the same thing."""
        return next((one for one in self.standing.values() if one.key == key), None)

    def blocking(self, market: Market) -> Difference | None:
        """Return what forbids entries into a market: a difference of its own, or of a wallet of its venue."""
        for one in self.standing.values():
            if one.kept:
                continue
            if one.instrument in (market.instrument.id, market.holding):
                return one
            if one.kind is _BALANCE and one.venue == market.venue:
                return one
        return None

    def gap(self, market: Market) -> Decimal:
        """Return what the venue holds more of a market's position than our record, kept or not."""
        total = ZERO
        for one in self.standing.values():
            if one.kind is _POSITION and one.instrument == market.holding:
                total += one.gap
            elif one.kind is _BALANCE and market.kind is InstrumentType.SPOT_PAIR and one.venue == market.venue:
                total += one.gap if one.asset == market.instrument.base else ZERO
        return total

    def both(self, market: Market, ours: Decimal) -> Decimal:
        """Return the part of our signed position that the venue holds too: the smaller, 0 where the sides differ."""
        if not self.standing:
            return ours
        theirs = ours + self.gap(market)
        if theirs * ours <= ZERO:
            return ZERO
        return min(ours, theirs, key=abs)

    # --- events -----------------------------------------------------------------------------------------------------

    def _found(self, event: DifferenceFound) -> None:
        known = self.standing.get(event.number)
        self.numbered = max(self.numbered, event.number)
        self.standing[event.number] = Difference(
            event.number,
            event.kind,
            event.venue,
            event.instrument,
            event.asset,
            event.client_order_id,
            event.ours,
            event.theirs,
            event.entry_price,
            event.what,
            event.ts if known is None else known.since,
        )

    def _resolved(self, event: DifferenceResolved) -> None:
        known = self.standing.get(event.number)
        if known is not None and event.resolution is Resolution.KEPT and known.kind is not DifferenceKind.FILL:
            self.standing[event.number] = replace(known, kept=event.who or event.origin or "somebody")
        else:
            self.standing.pop(event.number, None)

    # --- images -----------------------------------------------------------------------------------------------------

    def restore(self, found: Iterable[Difference], numbered: int) -> None:
        """Take the differences of an image."""
        self.standing = {one.number: one for one in found}
        self.numbered = numbered
