"""Edit the watchlists: instruments in and out, up and down; lists made, renamed, deleted. Each edit is kept at once."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from core.domain.identifiers import InstrumentId
from core.state.markets import Markets
from tui import watchlists as w
from tui.actions import Kind, bindings, key_hints
from tui.confirm import AskText, Confirm, Dialog, Modal
from tui.finder import COLUMNS, Finder, found_row
from tui.grid import Grid
from tui.terminal import app_of
from tui.views import in_order
from tui.watchlists import ALL, WatchLists

_MOVING = frozenset({"grid.up", "grid.down", "grid.page_up", "grid.page_down", "grid.first", "grid.last"})
_KEYS = ("add", "remove", "up", "down", "rename", "new", "delete", "next")


class PlainGrid(Grid, inherit_bindings=False):
    """A grid whose rows stand in their own order: it neither sorts nor filters."""

    BINDINGS: ClassVar[list[BindingType]] = [b for b in bindings("grid") if getattr(b, "id", "") in _MOVING]


class ListEditor(Modal[str]):
    """Show one list after the other and change them; closing gives the name of the list that was shown last."""

    AUTO_FOCUS = "Grid"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False), *bindings("editor")]

    def __init__(self, lists: WatchLists, name: str, markets: Markets, wall: Callable[[], int]) -> None:
        super().__init__()
        self._lists, self._shown, self._markets, self._wall = lists, name, markets, wall
        self.grid = PlainGrid(COLUMNS[1:], "", empty="an empty list", id="listed")
        self.names, self.words = Static(id="list-names", classes="dialog-text"), Static(classes="dialog-hint")

    def compose(self) -> ComposeResult:
        """Lay out the names of the lists, the list, and the keys."""
        with Dialog(classes="-finder") as dialog:
            dialog.border_title = Content("watchlists")
            yield self.names
            yield self.grid
            yield self.words

    def on_mount(self) -> None:
        """Show the list."""
        self._draw()
        self._say()

    @property
    def name_shown(self) -> str:
        """The list that is shown."""
        return self._shown

    def _draw(self) -> None:
        if self._shown not in self._lists.names:  # another terminal deleted or renamed it
            self._shown = ALL
        self.names.update(Content("  ".join(f"[{n}]" if n == self._shown else n for n in self._lists.names)))
        held = self._lists.instruments(self._shown)
        if held is None:
            held = tuple(market.instrument.id for market in in_order(self._markets))
        now = self._wall()
        rows = (found_row(id_, self._markets.get(id_), now, False) for id_ in held)
        self.grid.set_rows(type(row)(row.key, row.cells[1:], row.style, row.stale) for row in rows)

    def _say(self, words: str = "") -> None:
        keys = key_hints(app_of(self).chosen_keys, *(f"editor.{key}" for key in _KEYS))
        self.words.update(Content(f"{words}\n{keys} · Esc closes"))

    def _change(self, edit: w.Edit) -> bool:
        words = self._lists.change(edit)
        self._draw()
        self._say(words)
        return not words

    @property
    def _chosen(self) -> InstrumentId | None:
        return InstrumentId(self.grid.cursor) if self.grid.cursor is not None else None

    # -- keys ------------------------------------------------------------------------------------------------

    def action_close(self) -> None:
        """Go back to the screen, with this list."""
        _ = self.dismiss(self._shown)

    def action_next_list(self, steps: int) -> None:
        """Show another list."""
        names = self._lists.names
        self._shown = names[(names.index(self._shown) + steps) % len(names)] if self._shown in names else ALL
        self._draw()
        self._say()

    def action_add(self) -> None:
        """Find instruments to add."""
        if not self._editable():
            return

        def closed(_: InstrumentId | None) -> None:
            self._draw()

        finder = Finder(
            self._markets,
            self._shown,
            holds=lambda id_: id_ in (self._lists.instruments(self._shown) or ()),
            toggle=lambda id_: toggled(self._lists, self._shown, id_),
            wall=self._wall,
            adding=True,
        )
        _ = self.app.push_screen(finder, closed)

    def action_remove(self) -> None:
        """Take the row under the cursor out of the list."""
        name, chosen = self._shown, self._chosen
        if chosen is not None:
            _ = self._change(lambda lists: w.remove(lists, name, chosen))

    def action_shift(self, steps: int) -> None:
        """Move the row under the cursor up (negative) or down."""
        name, chosen = self._shown, self._chosen
        if chosen is not None:
            _ = self._change(lambda lists: w.shift(lists, name, chosen, steps))

    def action_new(self) -> None:
        """Make a list."""

        def answered(text: str | None) -> None:
            if text is not None and self._change(lambda lists: w.create(lists, text)):
                self._shown = text.strip()
                self._draw()

        _ = self.app.push_screen(AskText("name of the new watchlist", "", "Enter makes it · Esc cancels"), answered)

    def action_rename(self) -> None:
        """Give the list another name."""
        name = self._shown
        if not self._editable():
            return

        def answered(text: str | None) -> None:
            if text is not None and self._change(lambda lists: w.rename(lists, name, text)):
                self._shown = text.strip()
                self._draw()

        _ = self.app.push_screen(AskText(f"new name of {name}", name), answered)

    def action_delete(self) -> None:
        """Ask, then delete the list."""
        name = self._shown
        held = self._lists.instruments(name)
        if not self._editable() or held is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                _ = self._change(lambda lists: w.delete(lists, name))

        lines = (f"{name} with {len(held)} instruments", "orders and positions stay as they are")
        app = app_of(self)
        _ = app.push_screen(Confirm("Delete this watchlist", lines, Kind.VIEW, clock=app.clock), answered)

    def _editable(self) -> bool:
        """Tell whether the shown list can be changed, and say why where it cannot."""
        try:
            _ = w.find(self._lists.lists, self._shown)
        except w.ListError as error:
            self._say(str(error))
            return False
        return True

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Keep the screen below from following the cursor of this list."""
        event.stop()


def toggled(lists: WatchLists, name: str, instrument: InstrumentId) -> str:
    """Put an instrument into a list, or take it out; return a sentence where it could not be."""
    if instrument in (lists.instruments(name) or ()):
        return lists.change(lambda now: w.remove(now, name, instrument))
    return lists.change(lambda now: w.add(now, name, instrument))
