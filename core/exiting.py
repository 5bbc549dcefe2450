"""What is being closed: part of the state, so that a restarted engine goes on where a killed one stopped."""

from collections.abc import Callable
from typing import Any

import msgspec

from core.domain.events import ExitUnjournalled, FlattenEnded, FlattenStarted
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.message import Nanoseconds


class Closing(msgspec.Struct, frozen=True, array_like=True):
    """One instrument that is being closed: who asked, and since when."""

    origin: str
    since: Nanoseconds


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
        return {FlattenStarted: self.started, FlattenEnded: self.ended, ExitUnjournalled: self.unrecorded}

    def started(self, event: FlattenStarted) -> None:
        """An instrument is being closed."""
        self.flattening[event.instrument] = Closing(event.origin, event.ts)

    def ended(self, event: FlattenEnded) -> None:
        """An instrument is being closed no more."""
        self.flattening.pop(event.instrument, None)
        if event.flat:
            self.flattened[event.instrument] = event.ts

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
