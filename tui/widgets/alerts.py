"""Lists of alerts: newest first, those that wait for somebody before those that are done with."""

from collections import deque
from collections.abc import Iterable
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.message import Message

from core.domain.alerts import Alert, AlertKind, AlertRaised, Severity
from core.state.state import State
from tui.actions import bindings
from tui.format import clock
from tui.grid import Cell, Column, Grid, Row

SHORT_COLUMNS = (
    Column("time", "time", 5),
    Column("what", "what", 20, flex=1),
)
FULL_COLUMNS = (
    Column("time", "time", 8),
    Column("weight", "weight", 8, drop=2),
    Column("kind", "kind", 8, drop=1),
    Column("what", "what", 46, flex=1),
    Column("count", "times", 5, align="right"),
    Column("state", "state", 9),
)
_STYLES = {Severity.INFO: "", Severity.WARNING: "warn", Severity.CRITICAL: "bad"}
_MARKS = {Severity.INFO: "", Severity.WARNING: "! ", Severity.CRITICAL: "!! "}


class AlertGrid(Grid):
    """A grid whose rows are alerts: one key acknowledges, one mutes the kind."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("alerts")

    class Acknowledge(Message):
        """The alert under the cursor was seen."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Mute(Message):
        """The kind of the alert under the cursor is to be silent, or to speak again."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, short: bool = False, **options: Any) -> None:
        super().__init__(
            SHORT_COLUMNS if short else FULL_COLUMNS,
            "alerts",
            "{alerts.acknowledge} ack · {alerts.mute} mute",
            empty="no alert yet",
            **options,
        )
        self._short = short
        self._waiting: frozenset[str] = frozenset()
        """The keys of the alerts that nobody has seen."""

    @property
    def number(self) -> int | None:
        """The number of the alert under the cursor."""
        return None if self.cursor is None else int(self.cursor)

    def action_acknowledge(self) -> None:
        """Say that the alert under the cursor was seen, and go on to the next that was not, below or from the top."""
        if self.number is None or self.cursor is None:
            return
        self.post_message(self.Acknowledge(self.number))
        self._waiting -= {self.cursor}
        keys = [row.key for row in self.rows]
        here = keys.index(self.cursor)
        following = next((key for key in (*keys[here + 1 :], *keys[:here]) if key in self._waiting), None)
        if following is not None:
            self.move_to(following)

    def action_mute(self) -> None:
        """Ask for its kind to be silent, or to speak again."""
        if self.number is not None:
            self.post_message(self.Mute(self.number))

    def set_alerts(self, state: State, *, local: bool) -> None:
        """Show what waits, then what is done with; in the short list only the newest of that."""
        book = state.alerts
        waiting = book.waiting()
        self._waiting = frozenset(str(alert.number) for alert in waiting)
        done = [alert for alert in reversed(book.alerts.values()) if not alert.waits]
        row = short_row if self._short else full_row
        self.set_rows(row(alert, local=local) for alert in (*waiting, *done))
        self.set_title(f"alerts  {len(waiting)} new" if waiting else "alerts")


def short_row(alert: Alert, *, local: bool) -> Row:
    """Build the row of one alert where there is little room."""
    style = _STYLES[alert.severity] if alert.waits else "dim"
    words = f"{_MARKS[alert.severity]}{alert.text}" + (f" ×{alert.count}" if alert.count > 1 else "")
    return Row(
        str(alert.number),
        (Cell(clock(alert.last, local=local, pattern="%H:%M"), "dim", alert.last), Cell(words, style)),
    )


def full_row(alert: Alert, *, local: bool) -> Row:
    """Build the row of one alert."""
    style = _STYLES[alert.severity] if alert.waits else "dim"
    return Row(
        str(alert.number),
        (
            Cell(clock(alert.last, local=local), "dim", alert.last),
            Cell(alert.severity.name.lower(), style, int(alert.severity)),
            Cell(alert.kind.value, style),
            Cell(_MARKS[alert.severity] + alert.text, style),
            Cell(str(alert.count) if alert.count > 1 else "", style, alert.count),
            Cell(standing_of(alert), style if alert.waits else "dim"),
        ),
    )


def standing_of(alert: Alert) -> str:
    """Say in a word or two how an alert stands."""
    if alert.muted:
        return "muted"
    if alert.acknowledged:
        return "over" if alert.cleared else "seen"
    return "new, over" if alert.cleared else "new"


def muted_kinds(state: State, now: int) -> Iterable[tuple[AlertKind, int]]:
    """List the kinds that are silent, with the time until which."""
    return [(kind, until) for kind, until in state.alerts.muted.items() if until > now]


def gravest(alarms: deque[AlertRaised]) -> AlertRaised | None:
    """Take what was raised since the last look, and give the gravest of it."""
    found = max(alarms, key=lambda event: event.severity, default=None)
    alarms.clear()
    return found
