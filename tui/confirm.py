"""Ask before anything is sent, so that a slip of a finger sends nothing.

The focus is on Cancel and Enter never confirms; the confirming key differs from the key that asked; for 300 ms after
the question appears no key confirms; the dialog lists exactly what will be sent.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.actions import Action, Kind, ready_actions, shown_key
from tui.format import fit
from tui.keys import LATCH_SECONDS

MAX_LINES = 15
"""What a dialog lists on the smallest screen."""
Answer = TypeVar("Answer")


class Dialog(Vertical):
    """The frame of a question."""


def _kind_class(kind: Kind) -> str:
    return {Kind.REDUCES: "-reduces", Kind.ADDS: "-adds"}.get(kind, "")


def _listing(lines: Sequence[str]) -> Content:
    shown = list(lines[:MAX_LINES])
    if len(lines) > MAX_LINES:
        shown.append(f"… and {len(lines) - MAX_LINES} more")
    return Content("\n".join(shown))


class Modal(ModalScreen[Answer]):
    """A dialog that is answered once.

    A key that is held down comes again before the first answer has closed the dialog; Textual closed it twice, and with
    it the screen below, which ended the terminal.
    """

    _over = False

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Close with this answer, unless one was given."""
        if self._over:
            return AwaitComplete()
        self._over = True
        return super().dismiss(result)


class Question(Modal[bool]):
    """A dialog that answers True or False, and True only on purpose."""

    AUTO_FOCUS = "*"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "cancel", show=False)]

    def __init__(
        self,
        title: str,
        lines: Sequence[str],
        kind: Kind = Kind.REDUCES,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._title = title
        self._listing = tuple(lines)
        self._kind = kind
        self._clock = clock
        self._shown_at = clock()

    def on_mount(self) -> None:
        """Start the latch when the question can be seen."""
        self._shown_at = self._clock()

    @property
    def latched(self) -> bool:
        """Tell whether the question is too young to have been read."""
        return self._clock() - self._shown_at < LATCH_SECONDS

    def answer(self, yes: bool) -> None:
        """Close with this answer."""
        _ = self.dismiss(yes)  # awaiting it in a handler of this screen would wait for itself

    def on_paste(self, event: events.Paste) -> None:
        """Let a paste confirm nothing."""
        event.stop()


class Cancel(Button, inherit_bindings=False):
    """A button that keys do not press: Enter in a dialog does nothing."""


class Confirm(Question):
    """Ask for one key; any other closes nothing and Enter stays on Cancel."""

    def __init__(
        self,
        title: str,
        lines: Sequence[str],
        kind: Kind = Kind.REDUCES,
        *,
        key: str = "y",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(title, lines, kind, clock=clock)
        self._key = key

    def compose(self) -> ComposeResult:
        """Lay the question out: what, how to answer, Cancel."""
        with Dialog(classes=_kind_class(self._kind)) as dialog:
            dialog.border_title = Content(self._title)
            yield Static(_listing(self._listing), classes="dialog-text")
            yield Static(Content(f"{self._key} confirms · Esc cancels · Enter does nothing"), classes="dialog-hint")
            with Horizontal(classes="dialog-buttons"):
                yield Cancel("Cancel (Esc)", id="cancel")

    def relist(self, lines: Sequence[str]) -> None:
        """Show other lines: what was true when the question was asked is so no more."""
        self.query_one(".dialog-text", Static).update(_listing(lines))

    def on_key(self, event: events.Key) -> None:
        """Confirm on the one key; keep Enter and Space from pressing anything."""
        event.stop()
        if event.key == self._key:
            if not self.latched:
                self.answer(True)
        elif event.key == "escape":
            self.answer(False)
        event.prevent_default()

    def on_button_pressed(self) -> None:
        """Close on a mouse click on Cancel, the only button."""
        self.answer(False)


class TypeWord(Question):
    """Ask for a word typed in full, in capitals."""

    def __init__(
        self,
        title: str,
        lines: Sequence[str],
        word: str,
        kind: Kind = Kind.SAFE,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(title, lines, kind, clock=clock)
        self._word = word

    def compose(self) -> ComposeResult:
        """Lay the question out: what, and a line to type in."""
        with Dialog(classes=_kind_class(self._kind)) as dialog:
            dialog.border_title = Content(self._title)
            yield Static(_listing(self._listing), classes="dialog-text")
            yield Static(Content(f"type {self._word} and press Enter · Esc cancels"), classes="dialog-hint")
            yield Input(id="word", max_length=32)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Confirm on the exact word; say what is missing otherwise."""
        event.stop()
        if event.value == self._word and not self.latched:
            self.answer(True)
        else:
            self.query_one(".dialog-hint", Static).update(Content(f"not done: {self._word} is expected, in capitals"))
            event.input.value = ""


class Notice(Modal[None]):
    """Say what is too long for the bottom line; any of Esc, Enter and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "close", show=False)]

    def __init__(self, title: str, words: str) -> None:
        super().__init__()
        self._title, self._words = title, words

    def compose(self) -> ComposeResult:
        """Lay out the words."""
        with Dialog() as dialog:
            dialog.border_title = Content(self._title)
            yield Static(Content(self._words), classes="dialog-text")
            yield Static(Content("Esc closes"), classes="dialog-hint")


class Choose(Modal[str | None]):
    """Choose one of many by typing a part of its name: the palette and the instrument finder."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel", show=False),
        Binding("up", "move(-1)", "up", show=False, priority=True),
        Binding("down,tab", "move(1)", "down", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], hint: str = "") -> None:
        super().__init__()
        self._title = title
        self._choices = tuple(choices)
        self._hint = hint or "type a part of the name · ↑ ↓ · Enter chooses · Esc cancels"
        self._shown: list[str] = []

    def compose(self) -> ComposeResult:
        """Lay out the line to type in and the matches."""
        with Dialog() as dialog:
            dialog.border_title = Content(self._title)
            yield Input(id="needle", placeholder="…")
            yield OptionList(id="matches")
            yield Static(Content(self._hint), classes="dialog-hint")

    def on_mount(self) -> None:
        """Show everything first."""
        self.query_one(OptionList).can_focus = False
        self._narrow("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the matches while typing."""
        self._narrow(event.value)

    def _narrow(self, needle: str) -> None:
        words = needle.casefold().split()
        hits = [(key, label) for key, label in self._choices if all(w in f"{key} {label}".casefold() for w in words)]
        hits.sort(key=lambda hit: not hit[1].casefold().startswith(needle.casefold()))
        self._shown = [key for key, _ in hits]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(Content(label)) for _, label in hits] or [Option("nothing matches", disabled=True)])
        options.highlighted = 0 if hits else None

    def answer(self, key: str | None) -> None:
        """Close with this choice."""
        _ = self.dismiss(key)

    def action_move(self, steps: int) -> None:
        """Move through the matches."""
        options = self.query_one(OptionList)
        if self._shown:
            options.highlighted = ((options.highlighted or 0) + steps) % len(self._shown)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose the highlighted match."""
        event.stop()
        place = self.query_one(OptionList).highlighted
        self.answer(self._shown[place] if self._shown and place is not None else None)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Choose by mouse."""
        self.answer(self._shown[event.option_index])


class AskText(Modal[str | None]):
    """Ask for a short text; Enter takes it, Esc leaves things as they were."""

    AUTO_FOCUS = "*"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "cancel", show=False)]

    def __init__(
        self, title: str, text: str = "", hint: str = "Enter takes it · Esc cancels", *, room: int = 64
    ) -> None:
        super().__init__()
        self._title, self._text, self._hint, self._room = title, text, hint, room

    def compose(self) -> ComposeResult:
        """Lay out the line to type in."""
        with Dialog() as dialog:
            dialog.border_title = Content(self._title)
            yield Input(self._text, id="text", max_length=self._room)
            yield Static(Content(self._hint), classes="dialog-hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with the text."""
        event.stop()
        _ = self.dismiss(event.value)


def palette_choices(
    scopes: Sequence[str], kinds: Sequence[Kind] = tuple(Kind), chosen: Mapping[str, Sequence[str]] | None = None
) -> list[tuple[str, str]]:
    """List the actions of these places for the palette: id and a line with the key, as a config chose it."""

    def line(action: Action) -> str:
        key = shown_key((chosen or {}).get(action.id, action.keys)[0]) + (
            f" {action.confirm}" if action.confirm else ""
        )
        return f"{action.label:<18} {key:<8} {fit(action.help, 36)}"

    return [(a.id, line(a)) for a in ready_actions() if a.scope in scopes and a.kind in kinds]
