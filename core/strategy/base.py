"""The seam between the engine and a strategy."""

from collections.abc import Iterable
from typing import Protocol

from core.domain.identifiers import StrategyId
from core.domain.message import Command, Message
from core.state.state import State


class Strategy(Protocol):
    """Decide what to trade; reads the state, never changes it.

    One that has a ``horizon`` (such as ``scalp``) has its positions closed at that horizon's age (``max_age_s``).
    """

    id: StrategyId

    def on_message(self, message: Message, state: State) -> Iterable[Command]:
        """Take a data message or an event and return what is wanted (mostly nothing)."""
        ...
