"""Find an instrument of any venue by a part of its name, go there, or put it into the watchlist."""

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from core.domain.identifiers import InstrumentId, InstrumentType, parse_id
from core.errors import InvalidInstrumentId
from core.state.markets import Market, Markets
from tui.actions import bindings, key_hints
from tui.confirm import Dialog, Modal
from tui.format import arrow, gain_class, number
from tui.fuzzy import Name, Names, name_of
from tui.grid import Cell, Column, Grid, Row
from tui.terminal import app_of
from tui.views import day_change, in_order, is_stale, price_of

SHOWN = 50
REDRAW_S = 0.5
COLUMNS = (
    Column("in", "", 1),
    Column("instrument", "instrument", 12, best=16),
    Column("venue", "venue", 15, drop=1),
    Column("type", "type", 9, drop=2),
    Column("last", "last", 9, best=13, align="decimal"),
    Column("day", "day %", 7, align="right"),
)
_TYPES = {InstrumentType.SPOT_PAIR: "spot", InstrumentType.TOTAL_GOALS: "total goals"}


def type_word(kind: InstrumentType) -> str:
    """Say what kind of instrument it is: `spot`, `perpetual`."""
    return _TYPES.get(kind, kind.value.replace("_", " ").lower())


def parts_of(instrument: InstrumentId) -> tuple[str, str, str]:
    """Give symbol, venue and type in words; an id that cannot be read stands for itself."""
    try:
        key = parse_id(instrument)
    except InvalidInstrumentId:
        return instrument, "", ""
    return key.symbol, key.venue, type_word(key.type)


def names_of(markets: Markets) -> list[Name]:
    """Prepare every instrument to be found by symbol, venue and type."""
    return [name_of(m.instrument.id, *parts_of(m.instrument.id)) for m in in_order(markets)]


def found_row(instrument: InstrumentId, market: Market | None, now: int, held: bool) -> Row:
    """Build the row of one instrument; one that the engine does not know has no price. `held`: in the watchlist."""
    symbol, venue, kind = parts_of(instrument)
    mark = Cell("●" if held else "", "mine")
    if market is None:
        return Row(instrument, (mark, symbol, venue, kind, "–", Cell("absent", "dim")), stale=True)
    change = day_change(market)
    text = f"{arrow(change)} {number(None if change is None else change * 100, 2):>5}"
    price = number(price_of(market), market.instrument.price_precision)
    return Row(
        instrument, (mark, symbol, venue, kind, price, Cell(text, gain_class(change), change)),
        stale=is_stale(market, now),
    )  # fmt: skip


class Finder(Modal[InstrumentId | None]):
    """Type a part of a name; Enter chooses, one key puts the row into the watchlist or takes it out.

    `holds` tells whether the watchlist has an instrument; `toggle` changes that and returns a sentence where it could
    not. With `adding`, Enter toggles too and the finder stays open, as the editor of lists wants it.
    """

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel", show=False),
        *bindings("finder"),
    ]

    def __init__(
        self,
        markets: Markets,
        list_name: str,
        *,
        holds: Callable[[InstrumentId], bool],
        toggle: Callable[[InstrumentId], str],
        wall: Callable[[], int],
        adding: bool = False,
    ) -> None:
        super().__init__()
        self._markets, self._list_name, self._adding = markets, list_name, adding
        self._holds, self._toggle, self._wall = holds, toggle, wall
        self._names = Names(names_of(markets))
        self._found: list[InstrumentId] = []
        self.grid = Grid(COLUMNS, "", empty="nothing matches", id="found")
        self.grid.can_focus = False
        self.words = Static(id="finder-words", classes="dialog-hint")

    def compose(self) -> ComposeResult:
        """Lay out the line to type in, the matches and the keys."""
        with Dialog(classes="-finder") as dialog:
            title = f"add to {self._list_name}" if self._adding else "find an instrument"
            dialog.border_title = Content(title)
            yield Input(id="needle", placeholder="btcp · eth bin · xrp.p", max_length=40)
            yield self.grid
            yield self.words

    def on_mount(self) -> None:
        """Show everything first, and keep the prices fresh."""
        self._say()
        self._search("")
        self.set_interval(REDRAW_S, self._draw)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while typing."""
        event.stop()
        self._search(event.value)

    def _search(self, query: str) -> None:
        self._found = [InstrumentId(key) for key in self._names.find(query, SHOWN)]
        self._draw()
        if self._found:
            self.grid.move_to(self._found[0])

    def _draw(self) -> None:
        now = self._wall()
        self.grid.set_rows(found_row(id_, self._markets.get(id_), now, self._holds(id_)) for id_ in self._found)

    def _say(self, words: str = "") -> None:
        enter = "Enter adds or removes" if self._adding else "Enter goes there"
        toggle = key_hints(app_of(self).chosen_keys, "finder.list")
        self.words.update(Content(words or f"{enter} · {toggle} ({self._list_name}) · ↑ ↓ · Esc closes"))

    def action_move(self, steps: int) -> None:
        """Move through the matches."""
        self.grid.action_move(steps)

    def action_page(self, pages: int) -> None:
        """Move through the matches by pages."""
        self.grid.action_page(pages)

    def action_mark(self) -> None:
        """Put the row under the cursor into the watchlist, or take it out."""
        if self.grid.cursor is None:
            return
        instrument = InstrumentId(self.grid.cursor)
        words = self._toggle(instrument)
        done = f"{parts_of(instrument)[0]} is {'in' if self._holds(instrument) else 'no more in'} {self._list_name}"
        self._say(words or done)
        self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose the row under the cursor."""
        event.stop()
        if self._adding:
            self.action_mark()
            event.input.select_all()  # the next name takes the place of this one
        elif self.grid.cursor is not None:
            _ = self.dismiss(InstrumentId(self.grid.cursor))

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Keep the screen below from following the cursor of this list."""
        event.stop()

    def on_paste(self, event: events.Paste) -> None:
        """Take a paste into the line alone."""
        event.stop()
