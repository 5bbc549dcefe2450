"""Show every key that does something, from the table of actions; and say when a terminal is too small."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import Kind, help_rows
from tui.confirm import Modal
from tui.fit import WITHOUT
from tui.grid import Cell, Column, Grid, Row

_COLUMNS = (
    Column("keys", "key", 9, best=14),
    Column("label", "action", 12, best=18),
    Column("help", "what it does", 30, flex=1),
    Column("kind", "kind", 12, drop=1),
    Column("scope", "where", 8, drop=2),
)
_PLACES = {"app": "all", "grid": "lists"}
_STYLES = {"reduces risk": "warn", "adds risk": "bad", "safe": "ok"}


class HelpScreen(Modal[None]):
    """A list of keys, the ones of the focused pane first."""

    AUTO_FOCUS = "*"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "close", show=False)]

    def __init__(
        self,
        scopes: Sequence[str],
        chosen: Mapping[str, Sequence[str]] | None = None,
        kinds: Sequence[Kind] = tuple(Kind),
    ) -> None:
        super().__init__()
        self._kinds = tuple(kinds)
        self._scopes = tuple(scopes)
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        """Show the list."""
        with Vertical():
            yield Grid(_COLUMNS, "keys", "Esc closes", id="help")
            yield Static(id="words")

    def on_mount(self) -> None:
        """Fill the list."""
        rows = sorted(
            help_rows(self._scopes, self._chosen, self._kinds),
            key=lambda row: (row[0] == "app", self._scopes.index(row[0])),
        )
        self.query_one(Grid).set_rows(
            Row(f"{scope} {label}", (keys, label, words, Cell(kind, _STYLES.get(kind, "")), _PLACES.get(scope, scope)))
            for scope, keys, label, kind, words in rows
        )

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Show the whole text of the key under the cursor."""
        event.stop()
        row = next((row for row in event.grid.rows if row.key == event.key), None)
        self.query_one("#words", Static).update(Content("" if row is None else f"{row.text(0)}  {row.text(2)}"))


class SmallScreen(ModalScreen[None]):
    """Say that a terminal is too small. It lets no key through, as nobody sees what that would do, and says so too."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        """Show what is wrong and what works."""
        yield Static(self._said(self._words))

    def say(self, words: str) -> None:
        """Say something else that is wrong."""
        self.query_one(Static).update(self._said(words))

    def _said(self, words: str) -> Content:
        return Content(f"{words}.\nNo key works here.\n{WITHOUT}")
