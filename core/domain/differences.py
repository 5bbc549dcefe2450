"""Differences: what a venue reports and our record cannot explain, and the trader's word on each."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueId
from core.domain.message import Command, Event, Nanoseconds


class DifferenceKind(StrEnum):
    """What differs."""

    POSITION = "position"
    BALANCE = "balance"
    ORDER = "order"
    """An order rests at the venue that is not ours, or that our record takes for closed."""
    FILL = "fill"
    """A fill of an order that is not ours: it is booked, for the position is what it is, and waits for a word."""


class Resolution(StrEnum):
    """How a difference ended."""

    ADOPTED = "adopted"
    """Our record has become what the venue reports."""
    KEPT = "kept"
    """The trader knows, and our record stays; told again only when it changes."""
    AGREES = "agrees"
    """It went away by itself."""


class Difference(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One difference as it stands; ``instrument``, ``asset`` and ``client_order_id`` name what it is about.

    ``ours`` and ``theirs`` are signed positions, wallet totals, or what an order may still fill.
    """

    number: int
    kind: DifferenceKind
    venue: VenueId
    instrument: InstrumentId
    asset: Asset
    client_order_id: ClientOrderId
    ours: Decimal
    theirs: Decimal
    entry_price: Decimal
    what: str
    since: Nanoseconds
    kept: str = ""
    """Who keeps our record as it is; empty while nobody has said a word."""

    @property
    def gap(self) -> Decimal:
        """Return what the venue has more than our record; it stays right while both move with our own fills."""
        return self.theirs - self.ours

    @property
    def key(self) -> tuple[str, ...]:
        """Return what it is about: one difference of a key stands at a time."""
        return (self.kind, self.venue, self.instrument, self.asset, self.client_order_id)


# --- commands ---------------------------------------------------------------------------------------------------------


class ResolveDifference(Command, frozen=True):
    """Adopt what the venue reports, or keep our record; number 0 is all that wait for a word.

    With ``capital`` an adopted balance counts as money that came or went, without it as profit or loss.
    """

    number: int
    resolution: Resolution
    capital: bool = False
    who: str = ""
    origin: str = ""
    ts: Nanoseconds = 0


class AdoptOrder(Command, frozen=True):
    """Take an order that others placed for ours: from then on it is cancelled and amended like our own."""

    client_order_id: ClientOrderId
    who: str = ""
    origin: str = ""
    ts: Nanoseconds = 0


class DeclareFlat(Command, frozen=True):
    """Say that a venue holds nothing of an instrument, which it does not say by itself; ``word`` must be FLAT.

    Our record's position there ends, and so does what is being closed. Coins that are gone are a loss, or with
    ``capital`` money that went.
    """

    instrument: InstrumentId
    word: str = ""
    who: str = ""
    origin: str = ""
    ts: Nanoseconds = 0
    capital: bool = False


# --- events -----------------------------------------------------------------------------------------------------------


class DifferenceFound(Event, frozen=True):
    """The venue reports what our record cannot explain. Number 0 asks the engine for the next; a known one changes."""

    number: int
    kind: DifferenceKind
    venue: VenueId
    instrument: InstrumentId
    asset: Asset
    client_order_id: ClientOrderId
    ours: Decimal
    theirs: Decimal
    entry_price: Decimal
    what: str
    ts: Nanoseconds


class DifferenceResolved(Event, frozen=True):
    """A difference ended, or is kept: how, by whom, from where and why."""

    number: int
    resolution: Resolution
    who: str
    origin: str
    reason: str
    ts: Nanoseconds


BY_SENTINEL = "sent by the sentinel"
"""Who an order of the sentinel's is adopted by."""


class OrderAdopted(Event, frozen=True):
    """An order that others placed is ours from now on."""

    client_order_id: ClientOrderId
    who: str
    ts: Nanoseconds
