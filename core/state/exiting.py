"""What is being closed or reduced: part of the state, so that a restarted engine goes on where a killed one stopped."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from core.domain.events import ExitUnjournalled, FlattenEnded, FlattenStarted
from core.domain.identifiers import ClientOrderId, InstrumentId, holding_of
from core.domain.instrument import ZERO
from core.domain.market import SentinelStatus
from core.domain.message import Nanoseconds
from core.domain.watch import ExitEscalated

GUARDIAN = "guardian"
"""How the origin of what the guardian does by itself begins."""
SENTINEL_NS: Nanoseconds = 2_000_000_000
"""A sentinel that has not been heard of for so long is missed."""


class Closing(msgspec.Struct, frozen=True, array_like=True):
    """One instrument that is being closed: who asked, since when, and how much may be left (unsigned; 0 is flat)."""

    origin: str
    since: Nanoseconds
    target: Decimal = ZERO
    entry: ClientOrderId = ClientOrderId("")
    """The bracket that the exits belong to, or the stop by hand whose part is closed, where it is one alone."""
    escalated: Nanoseconds = 0
    """When a human was called, for it had not done within its time."""

    @property
    def guarded(self) -> bool:
        """Tell whether the guardian began it: then it goes on until the venue has confirmed the end."""
        return self.origin.startswith(GUARDIAN)


class Exiting(msgspec.Struct):
    """Keep the flattens that go on, the ends of those before, and the exits without a record.

    Changed by ``State.apply`` alone.
    """

    flattening: dict[InstrumentId, Closing] = {}
    """Instruments that are being closed, until they are flat."""
    flattened: dict[InstrumentId, Nanoseconds] = {}
    """When each instrument was last found flat after a flatten."""
    unjournalled: dict[ClientOrderId, str] = {}
    """Exits that left while the journal could not be written, and why; empty again once it could."""

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns exits."""
        return {
            FlattenStarted: self.started,
            FlattenEnded: self.ended,
            ExitEscalated: self.escalated,
            ExitUnjournalled: self.unrecorded,
        }

    def closing(self, holding: InstrumentId) -> Closing | None:
        """Return what closes a holding, through whichever of its instruments."""
        if not self.flattening:
            return None
        return next((one for id_, one in self.flattening.items() if holding_of(id_) == holding), None)

    def flattened_at(self, holding: InstrumentId) -> Nanoseconds:
        """Return when a holding was last found flat after a flatten of any of its instruments; 0 is never."""
        return max((when for id_, when in self.flattened.items() if holding_of(id_) == holding), default=0)

    def started(self, event: FlattenStarted) -> None:
        """An instrument is being closed; what closes it already gets a nearer target, never a further one."""
        before = self.flattening.get(event.instrument)
        if before is None:
            self.flattening[event.instrument] = Closing(event.origin, event.ts, event.target, event.entry)
            return
        if not before.guarded and event.origin.startswith(GUARDIAN):  # what it does counts from here
            before = replace(before, since=event.ts, escalated=0)
        origin = before.origin if before.guarded else event.origin
        target, entry = min(before.target, event.target), event.entry if event.target else ClientOrderId("")
        self.flattening[event.instrument] = replace(before, origin=origin, target=target, entry=entry)

    def ended(self, event: FlattenEnded) -> None:
        """An instrument is being closed no more."""
        closing = self.flattening.pop(event.instrument, None)
        if event.flat and not (closing is not None and closing.target):
            self.flattened[event.instrument] = event.ts

    def escalated(self, event: ExitEscalated) -> None:
        """An exit takes too long."""
        closing = self.flattening.get(event.instrument)
        if closing is not None:
            self.flattening[event.instrument] = replace(closing, escalated=event.ts)

    def unrecorded(self, event: ExitUnjournalled) -> None:
        """An exit left without its record."""
        self.unjournalled[event.client_order_id] = event.reason

    def copy(self) -> "Exiting":
        """Return the same in dicts of its own."""
        return Exiting(dict(self.flattening), dict(self.flattened), dict(self.unjournalled))

    def restore(self, image: "Exiting") -> None:
        """Take what an image holds."""
        theirs = image.copy()
        self.flattening, self.flattened, self.unjournalled = theirs.flattening, theirs.flattened, theirs.unjournalled


class Guard:
    """Keep what was told of the sentinel last; None where the engine runs without one, or has not looked yet."""

    def __init__(self) -> None:
        self.status: SentinelStatus | None = None

    def take(self, status: SentinelStatus) -> None:
        """The sentinel stands like this now."""
        self.status = status

    @property
    def holds(self) -> str:
        """Return why it holds the lease; empty while orders may be sent."""
        return self.status.holds if self.status is not None else ""

    def missing(self, now: Nanoseconds) -> str:
        """Say that it fell silent, and why none could be started; empty while it beats, or where none has to."""
        return missing_sentinel(self.status, now)


def missing_sentinel(status: SentinelStatus | None, now: Nanoseconds) -> str:
    """Say that the sentinel fell silent, and why none could be started; empty while it beats, or where none has to."""
    if status is None or not status.seen or now - status.seen <= SENTINEL_NS:
        return ""
    why = f"; none starts: {status.trouble}" if status.trouble else ""
    seconds = (now - status.seen) / 1e9
    return f"the sentinel has been silent for {seconds:.0f} s: nobody closes for a dead engine{why}"
