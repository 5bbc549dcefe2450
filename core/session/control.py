"""Who commands: of several terminals one holds control, the others look on and may only reduce risk.

Scripts and the command line are no terminals: what they send is asked for by name, and always allowed.
"""

import itertools
from typing import Any, Protocol

import structlog

from core.domain import alerts as a
from core.domain import commands as c
from core.domain import studies as s
from core.domain.approval import TradingState
from core.domain.message import Command
from core.execution.orders import BRACKET
from core.session import protocol as p
from core.state.exiting import GUARDIAN

log = structlog.get_logger()
NAME_MAX = 48
_HARMLESS = (
    c.CancelOrder,
    c.CancelAll,
    c.Flatten,
    a.SetAlert,
    a.RemoveAlert,
    a.AcknowledgeAlert,
    a.MuteAlerts,
    s.StartStudy,
    s.StopStudy,
    s.ScheduleJob,
)
_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class Terminal(Protocol):
    """A session of somebody who looks at a screen."""

    name: str
    view_only: bool

    def say(self, frame: object) -> None:
        """Send a frame."""


class Control:
    """Keep which terminal commands. The first that may gets it; it is free again when that one has gone."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._labels: dict[Terminal, str] = {}
        self._holder: Terminal | None = None

    def join(self, terminal: Terminal) -> None:
        """Count a terminal in; where control is free, it has it."""
        name = "".join(letter for letter in terminal.name if letter.isprintable())[:NAME_MAX]
        number = next(self._numbers)
        self._labels[terminal] = f"terminal {number} ({name})" if name else f"terminal {number}"
        if self._holder is None and not terminal.view_only:
            self._holder = terminal
        self._tell()

    def leave(self, terminal: Terminal) -> None:
        """Count a terminal out; what it held is free."""
        if self._labels.pop(terminal, None) is None:
            return
        if self._holder is terminal:
            self._holder = None
        self._tell()

    def take(self, terminal: Terminal) -> p.Outcome:
        """Give control to a terminal, whoever has it, and tell everybody."""
        if terminal not in self._labels:
            return p.Outcome(False, reason="only a terminal holds control; scripts and commands need none")
        if terminal.view_only:
            return p.Outcome(False, reason="this session is view-only: it cannot take control")
        if self._holder is not terminal:
            log.info("control taken", by=self._labels[terminal], holder=self._label(self._holder))
            self._holder = terminal
            self._tell()
        return p.Outcome(True)

    def refusal(self, terminal: Terminal, command: Command, state: TradingState) -> str:
        """Say why a session may not give this command now; empty when it may. Free control goes to who commands."""
        if terminal not in self._labels or self._holder is terminal or harmless(command, state):
            return ""
        if self._holder is None:
            self.take(terminal)
            return ""
        return f"control is held by {self._label(self._holder)}; K takes it"

    def _label(self, terminal: Terminal | None) -> str:
        return "" if terminal is None else self._labels[terminal]

    def _tell(self) -> None:
        holder, count = self._label(self._holder), len(self._labels)
        for terminal, label in tuple(self._labels.items()):
            terminal.say(p.ControlChanged(holder, terminal is self._holder, count, label))


def pretends(command: Any) -> str:
    """Say why a session may not speak with this origin: orders of the engine's own are paced by other rules."""
    origin = getattr(command, "origin", "")
    if origin == BRACKET or origin.startswith((GUARDIAN, "strategy ")):
        return f"the origin {origin!r} is the engine's own: a command names who gives it, or nobody"
    return ""


def harmless(command: Any, state: TradingState) -> bool:
    """Tell whether a command adds no risk, so that every terminal that is not view-only may give it."""
    if isinstance(command, c.SubmitOrder):
        return command.order.reduce_only
    if isinstance(command, c.SetTradingState):
        return _STRICTNESS[command.state] >= _STRICTNESS[state]
    return isinstance(command, _HARMLESS)
