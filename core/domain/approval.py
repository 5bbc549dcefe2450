"""Approval as a type: a venue takes only ``Approved`` commands, and only the guardian makes them."""

from enum import StrEnum
from typing import Generic, TypeVar

from core.domain.message import Command

C = TypeVar("C", bound=Command, covariant=True)
LONGEST = 200
"""Characters of a reason."""


class TradingState(StrEnum):
    """What the guardian lets through."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    """Only what shrinks a position."""
    HALTED = "HALTED"
    """Nothing but cancels and exits."""


def reason_of(text: str, otherwise: str = "asked for") -> str:
    """Return why somebody asks for a trading state as it is journalled and shown: one printable line, not a page."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * LONGEST]).split())
    return (line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…") or otherwise


class Approved(Generic[C]):
    """Hold a command that passed every limit; constructed in ``core.guardian`` alone (a static test shows it)."""

    __slots__ = ("_command", "urgent")

    def __init__(self, command: C, urgent: bool = False) -> None:
        self._command = command
        self.urgent = urgent
        """A guardian exit: handed to the wire before its record is durable."""

    @property
    def command(self) -> C:
        """Return the approved command."""
        return self._command

    def __repr__(self) -> str:
        return f"Approved({self._command!r})"
