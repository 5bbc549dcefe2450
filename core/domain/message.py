"""The three families of messages: data (from markets), commands (someone wants), events (something happened)."""

from typing import Self

import msgspec

Nanoseconds = int
"""Integer nanoseconds since the epoch, UTC."""


class Message(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Carry one fact; never edited, only replaced.

    Every message has a ``ts``: when it entered the engine (ns, UTC). It drives the engine's clock. What an event grows
    stands behind it (docs/decisions/030-layouts.md).
    """

    def replace(self, **changes: object) -> Self:
        """Return a copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class Data(Message, frozen=True):
    """From a market or from the clock."""


class Command(Message, frozen=True):
    """Someone wants something."""


class Event(Message, frozen=True):
    """Something was decided or has happened; what the journal keeps."""
