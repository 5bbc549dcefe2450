"""What the engine decides in one ``process`` call: events, applied as they are recorded, and what is to be sent."""

from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from core.domain import events as e
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.market import Interval
from core.domain.message import Event, Message, Nanoseconds
from core.errors import IllegalTransition
from core.state.state import State

log = structlog.get_logger()


class Resync(msgspec.Struct, frozen=True):
    """Ask the venue for the book again: its sequence broke."""

    instrument: InstrumentId


class Confirm(msgspec.Struct, frozen=True):
    """Ask a venue what it holds: what our record says is to be confirmed."""

    venue: VenueId


class PastWanted(msgspec.Struct, frozen=True):
    """Ask the shell for closed bars with ``start <= bar.start < end``; ``core.strategy.past.PastBars`` answers."""

    instrument: InstrumentId
    interval: Interval
    start: Nanoseconds
    end: Nanoseconds


Effect = Message | Approved[Any] | Resync | Confirm | PastWanted
"""An event to record, data of our own to publish, an approved command to send, or a question to a venue."""


class Outbox:
    """Hold the state and collect effects; in ``strict`` mode an event that cannot be applied raises."""

    def __init__(self, state: State, strict: bool) -> None:
        self.state = state
        self.effects: list[Effect] = []
        self.strict = strict

    def put(self, effect: Effect) -> None:
        """Add an effect that changes nothing in the state."""
        self.effects.append(effect)

    def publish(self, data: Message) -> None:
        """Apply data of our own and have them published."""
        self.state.apply(data)
        self.effects.append(data)

    def reject(self, event: Event, why: str) -> None:
        """Keep that something was told which no record can take."""
        self.state.illegal += 1
        id_ = getattr(event, "client_order_id", ClientOrderId(""))
        self.effects.append(e.IllegalEventSeen(id_, f"{type(event).__name__}: {why}", self.state.now))

    def guarded(self, duty: Callable[..., None], *about: Any) -> None:
        """Do one of several duties: what it raises is logged, and keeps nothing behind it from being done.

        Raises:
            Exception: whatever it raises, in strict mode.
        """
        try:
            duty(*about)
        except Exception:  # task boundary: an exit must not be skipped for what fails beside it
            if self.strict:
                raise
            log.exception("duty failed, the others go on", duty=getattr(duty, "__qualname__", repr(duty)), about=about)

    def record(self, event: Event) -> None:
        """Apply an event and have it journalled; one that cannot be applied is kept as seen."""
        try:
            apply = self.state.handlers.get(type(event))  # as State.apply does, without a call in between
            if apply is not None:
                apply(event)
        except (IllegalTransition, KeyError) as error:
            if self.strict:
                raise
            if isinstance(event, e.OrderFilled):
                self.effects.append(event)  # the ledger took it: recovery must too
            self.reject(event, str(error.args[0] if error.args else error))
            return
        self.effects.append(event)
