"""The alerts screen: what waits for somebody, what was, the rules, and where alerts go outside."""

import textwrap
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message

from core.domain.alerts import Alert, AlertRule
from core.domain.identifiers import InstrumentId, symbol_of
from core.state.state import State
from tui.actions import bindings
from tui.feed import NOTICES, Dirty
from tui.format import clock, fit
from tui.grid import Cell, Column, Grid, Row
from tui.lines import Line, Pane, TabPane
from tui.screens.base import DeckScreen
from tui.widgets.alerts import AlertGrid, muted_kinds

RULE_COLUMNS = (
    Column("rule", "rule", 4),
    Column("what", "of", 10, best=12),
    Column("kind", "what", 8),
    Column("bound", "tells at", 14, best=16),
    Column("how", "how", 5, drop=2),
    Column("note", "note", 6, flex=1, drop=1),
)
NO_RULES = "no rules: {alert.set} on an instrument sets one"


def rule_row(rule: AlertRule) -> Row:
    """Build the row of one rule."""
    side = "above" if rule.above else "below"
    return Row(
        rule.id,
        (
            Cell(rule.id, "", int(rule.id.lstrip("a") or 0)),
            symbol_of(rule.instrument) if rule.instrument else "account",
            rule.kind.value,
            f"{side} {rule.bound:f}",
            "again" if rule.again else "once",
            Cell(rule.note, "dim"),
        ),
    )


def detail_lines(alert: Alert | None, width: int, height: int, *, local: bool) -> list[Line]:
    """Say everything of one alert, its words whole."""
    if alert is None or width < 10:
        return [((fit(" no alert is chosen", max(width, 0)), "dim"),)]

    def at(ts: int) -> str:
        return clock(ts, local=local, pattern="%d %b %H:%M:%S")

    facts = f"raised {at(alert.raised)}"
    if alert.count > 1:
        facts += f"  ×{alert.count}, last {at(alert.last)}"
    if alert.acknowledged:
        facts += f"  seen {at(alert.acknowledged)} by {alert.by}"
    if alert.cleared:
        facts += f"  over {at(alert.cleared)}"
    elif alert.lasts:
        facts += "  it lasts"
    words = [(f" {line}", "strong") for line in textwrap.wrap(alert.text, width - 2)]
    rest = [(f" {line}", "dim") for line in textwrap.wrap(facts, width - 2)]
    found = [*words, *rest] if len(words) + len(rest) <= height else [*words[: max(1, height - 1)], *rest]
    return [((text, style),) for text, style in found[:height]]


def channel_lines(state: State, now: int, width: int, *, local: bool) -> list[Line]:
    """Say what is muted, and how every target outside does."""
    lines: list[Line] = []
    for kind, until in muted_kinds(state, now):
        lines.append(((fit(f" {kind} muted until {clock(until, local=local, pattern='%d %b %H:%M')}", width), "warn"),))
    for status in state.alerts.targets.values():
        words = f" {status.name}  {status.trouble or 'works'}"
        counts = f"  sent {status.sent}" + (f", waiting {status.waiting}" if status.waiting else "")
        counts += f", lost {status.lost}" if status.lost else ""
        lines.append(((fit(words + counts, width), "bad" if status.trouble else "ok"),))
    if not state.alerts.targets:
        lines.append(((fit(" nothing has gone outside yet", width), "dim"),))
    return lines


class RuleGrid(Grid):
    """A grid whose rows are the rules: one key changes one, one takes it away."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("rules"), *bindings("lists")]

    class Edit(Message):
        """The rule under the cursor is to be changed."""

        def __init__(self, rule: str) -> None:
            super().__init__()
            self.rule = rule

    class Remove(Edit):
        """The rule under the cursor is to go."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            RULE_COLUMNS,
            "rules",
            "{alert.set} sets · {list.edit} edit · {rules.remove} remove",
            empty=NO_RULES,
            **options,
        )

    def action_edit(self) -> None:
        """Ask for another bound."""
        if self.cursor is not None:
            self.post_message(self.Edit(self.cursor))

    def action_remove(self) -> None:
        """Ask for it to be taken away."""
        if self.cursor is not None:
            self.post_message(self.Remove(self.cursor))


class AlertsScreen(DeckScreen):
    """Acknowledge, mute, and look back."""

    CSS_PATH = "alerts.tcss"
    AUTO_FOCUS = "#alerts"
    NAME = "alerts"
    TAB_ORDER = ("alerts", "rules", "channels")
    SCOPES: ClassVar[Mapping[str, str]] = {"alerts": "alerts", "rules": "rules lists"}

    def body(self) -> ComposeResult:
        """Place the list above what belongs to one alert and to all."""
        self.alerts = AlertGrid(id="alerts")
        self.detail = Pane("alert", "", id="detail")
        self.rules = RuleGrid(id="rules")
        self.channels = TabPane("muted and outside", "", id="channels", classes="-wide-only")
        yield self.alerts
        yield self.detail
        with Horizontal(id="below"):
            yield self.rules
            yield self.channels

    @property
    def chosen(self) -> Alert | None:
        """The alert under the cursor."""
        number = self.alerts.number
        return None if number is None else self.feed.state.alerts.alerts.get(number)

    @property
    def instrument(self) -> InstrumentId | None:
        """The instrument of the alert under the cursor, or of the rule."""
        if self.focused is self.rules:
            rule = self.feed.state.alerts.rules.get(self.rules.cursor or "")
            return (rule.instrument or None) if rule is not None else None
        return (self.chosen.instrument or None) if self.chosen is not None else None

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed."""
        if not (slow or NOTICES in dirty.topics):
            return
        state = self.feed.state
        self.alerts.set_alerts(state, local=self.local_time)
        self.rules.set_rows(rule_row(rule) for rule in state.alerts.rules.values())
        width = self.channels.content_size.width
        self.channels.show(channel_lines(state, now, width, local=self.local_time))
        self._draw_detail()

    def _draw_detail(self) -> None:
        width, height = self.detail.content_size
        self.detail.show(detail_lines(self.chosen, width, height, local=self.local_time))
        self.detail.set_title("alert" if self.chosen is None else f"alert {self.chosen.number}  {self.chosen.kind}")

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Say everything of the alert under the cursor."""
        if event.grid is self.alerts:
            self._draw_detail()

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        """Show the instrument that an alert is about in depth."""
        if self.instrument is not None:
            self.post_message(self.InDepth(self.instrument))
