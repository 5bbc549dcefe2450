"""What takes a human's typed word: a trading state that lets more through, and looser limits."""

from collections.abc import Callable
from typing import Any

from core.domain import commands as c
from core.domain.events import CommandRefused
from core.domain.identifiers import ClientOrderId
from core.domain.watch import LooserLimitsHeldBack
from core.guardian.guardian import Guardian
from core.outbox import Outbox


class TypedWord:
    """Carry out or refuse what loosens; ``resumed`` is told who accepts the losses so far."""

    def __init__(self, outbox: Outbox, guardian: Guardian, resumed: Callable[[str], None]) -> None:
        self._outbox, self._guardian, self._resumed = outbox, guardian, resumed

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each command that may loosen."""
        return {c.SetTradingState: self._set_state, c.LoosenLimits: self._loosen}

    def _set_state(self, command: c.SetTradingState) -> None:
        state = self._outbox.state
        verdict = self._guardian.change_state(state, command, state.now)
        if isinstance(verdict, str):
            self._refuse("trading state", verdict)
            return
        if self._guardian.loosens(state, command):
            self._resumed(command.who)
        self._outbox.record(verdict)

    def _loosen(self, command: c.LoosenLimits) -> None:
        state = self._outbox.state
        verdict = self._guardian.loosen(state, command, state.now)
        if isinstance(verdict, str):
            self._refuse("limits", verdict)
            return
        before = len(state.limits.held_back)
        self._outbox.record(verdict)
        rest = tuple(state.limits.held_back.values())
        if len(rest) < before:
            self._outbox.record(LooserLimitsHeldBack(rest, state.now))

    def _refuse(self, what: str, reason: str) -> None:
        self._outbox.put(CommandRefused(what, ClientOrderId(""), reason, self._outbox.state.now))
