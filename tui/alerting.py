"""Ask for the bound of an alert: a price at which the engine is to speak, or another bound for a rule there is."""

from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from core.domain.alerts import AlertKind, AlertRule
from core.domain.identifiers import InstrumentId, symbol_of
from core.state.markets import Market
from tui.confirm import Dialog, Modal
from tui.format import number, percent
from tui.views import price_of
from tui.widgets.candle_chart import round_step

STEPS = 2000
"""A step of the arrow keys is about this part of the price."""


class Again(Static, can_focus=True):
    """A tick that the space bar changes: Enter sets the alert wherever the focus is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "change", "again", show=False)]

    def __init__(self, value: bool, **options: Any) -> None:
        super().__init__(**options)
        self.value = value
        self._say()

    def _say(self) -> None:
        words = "every time it gets there" if self.value else "once, then the rule is spent"
        self.update(Content(f"[{'x' if self.value else ' '}] {words}   (Space changes)"))

    def action_change(self) -> None:
        """Change between once and every time."""
        self.value = not self.value
        self._say()


def bound_text(bound: Decimal, market: Market | None) -> str:
    """Write a bound with the decimals of its instrument's prices, and with more where it has more."""
    places = -int(bound.normalize().as_tuple().exponent)
    least = 0 if market is None else market.instrument.price_precision
    return f"{bound:.{max(places, least, 0)}f}"


class AskAlert(Modal[AlertRule | None]):
    """Ask for bound, words and repetition of a rule; the side follows from where the price is now.

    `market` is what the rule looks at, None for the account. The arrows move the bound in steps of the price.
    """

    AUTO_FOCUS = "#bound"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel", show=False),
        Binding("up", "step(1)", "up", show=False),
        Binding("down", "step(-1)", "down", show=False),
        Binding("pageup", "step(10)", "up", show=False),
        Binding("pagedown", "step(-10)", "down", show=False),
        Binding("enter", "set", "set", show=False),
    ]

    def __init__(self, rule: AlertRule, market: Market | None) -> None:
        super().__init__()
        self._rule, self._market = rule, market
        self.words = Static(id="alert-words", classes="dialog-text")

    def compose(self) -> ComposeResult:
        """Lay out the fields, what they mean now, and the keys."""
        rule = self._rule
        about = symbol_of(rule.instrument) if rule.instrument else "account"
        with Dialog(classes="-alert") as dialog:
            dialog.border_title = Content(f"{rule.kind} alert  {about}" + (f"  {rule.id}" if rule.id else ""))
            with Horizontal(classes="dialog-field"):
                yield Static("at")
                yield Input(self._shown(rule.bound) if rule.bound else "", id="bound", max_length=24)
            with Horizontal(classes="dialog-field"):
                yield Static("words")
                yield Input(rule.note, id="note", max_length=60, placeholder="told with it; may stay empty")
            with Horizontal(classes="dialog-field"):
                yield Static("speaks")
                yield Again(rule.again, id="again")
            yield self.words
            yield Static(Content("Enter sets it · Tab next field · ↑ ↓ PgUp PgDn move it · Esc cancels"),
                         classes="dialog-hint")  # fmt: skip

    def on_mount(self) -> None:
        """Say what the bound means now, and go on saying it."""
        self._say()
        self.set_interval(0.5, self._say)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what it means now."""
        event.stop()
        self._say()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Set the alert."""
        event.stop()
        self.action_set()

    @property
    def _last(self) -> float | None:
        return None if self._market is None or self._rule.kind is not AlertKind.PRICE else price_of(self._market)

    def _shown(self, bound: Decimal) -> str:
        return bound_text(bound, self._market if self._rule.kind is AlertKind.PRICE else None)

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _asked(self) -> AlertRule | str:
        """Give the rule as it is filled in, or say what is wrong."""
        text = self._text("bound").replace(" ", "").replace(",", "")
        try:
            bound = Decimal(text)
        except InvalidOperation:
            return "a number is expected" if text else "a price is expected"
        if not bound.is_finite() or (bound <= 0 and self._rule.kind is not AlertKind.PROFIT):
            return "a number greater than 0 is expected"
        last, above = self._last, self._rule.above
        if last is not None:
            if float(bound) == last:
                return "that is the last price: choose one above or below it"
            above = float(bound) > last
        again = self.query_one("#again", Again).value
        return replace(self._rule, bound=bound, above=above, note=self._text("note"), again=again)

    def _say(self) -> None:
        asked = self._asked()
        self.words.update(Content(asked if isinstance(asked, str) else self._meaning(asked)))

    def _meaning(self, rule: AlertRule) -> str:
        side = "above ▲" if rule.above else "below ▼"
        last = self._last
        if last is None or self._market is None:
            return f"speaks when it is {side} {bound_text(rule.bound, None)}"
        decimals = self._market.instrument.price_precision
        away = percent(float(rule.bound) / last - 1, sign=True)
        return f"speaks {side} {number(rule.bound, decimals)}   now {number(last, decimals)}, {away} away"

    def action_step(self, steps: int) -> None:
        """Move the bound by steps of the price."""
        asked, last = self._asked(), self._last
        if last is None or self._market is None:
            return
        instrument = self._market.instrument
        bound = asked.bound if isinstance(asked, AlertRule) else Decimal(repr(last))
        step = max(Decimal(repr(round_step(last / STEPS, 1))), instrument.tick_size)
        moved = instrument.quantise_price((bound // step + steps) * step)
        if moved > 0:
            self.query_one("#bound", Input).value = self._shown(moved)

    def action_set(self) -> None:
        """Close with the rule."""
        asked = self._asked()
        if isinstance(asked, AlertRule):
            _ = self.dismiss(asked)
        else:
            self.words.update(Content(f"not set: {asked}"))


def new_rule(market: Market, price: float | None) -> AlertRule:
    """Give the rule that the dialog begins with: at a price, or at the last one where there is none."""
    at = price or price_of(market)
    bound = market.instrument.quantise_price(Decimal(repr(at))) if at else Decimal(0)
    return AlertRule(AlertKind.PRICE, InstrumentId(market.instrument.id), True, bound)
