"""The watchlist: the instruments of one named list, live, sorted as the reader wants."""

from collections.abc import Iterable, KeysView
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.message import Message

from core.domain.identifiers import InstrumentId
from core.state.markets import Market, Markets
from tui.actions import bindings
from tui.finder import parts_of
from tui.grid import Cell, Grid, Row
from tui.views import WATCH_COLUMNS, in_order, watch_row
from tui.watchlists import ALL, WatchLists


class WatchGrid(Grid):
    """A grid whose rows are the instruments of the shown list, in the list's own order unless a sort is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("lists")

    class Edit(Message):
        """The shown list is to be edited."""

    def __init__(self, lists: WatchLists, **options: Any) -> None:
        super().__init__(WATCH_COLUMNS, "watch", "{find} find", empty="no instruments yet", **options)
        self.lists = lists
        self._list = ALL

    @property
    def list_name(self) -> str:
        """The list that is shown; one that is not there any more is the list of all."""
        return self._list if self._list in self.lists.names else ALL

    @property
    def keys(self) -> KeysView[str]:
        """The instruments of all rows, shown or filtered out."""
        return self._set.keys

    @property
    def in_view(self) -> list[str]:
        """The instruments of the rows that can be seen now."""
        return self._set.view[self._top : self._top + max(1, self.content_size.height - 1)]

    @property
    def sorted_by(self) -> str:
        """The key of the column that the rows are sorted by, with a minus before it where downwards; empty for none."""
        if self._set.sort is None:
            return ""
        return f"{'-' if self._set.sort[1] else ''}{self._set.columns[self._set.sort[0]].key}"

    def show_list(self, name: str) -> None:
        """Show a list; one that is not there any more is the list of all."""
        self._list = name if name in self.lists.names else ALL
        self.empty = (
            "no instruments yet" if self._list == ALL else "an empty list: {list.edit}, then {editor.add}, adds"
        )
        self.set_title("watch" if self._list == ALL else f"watch  {self._list}")

    def shown(self, markets: Markets) -> list[InstrumentId]:
        """List the instruments of the shown list, in its own order."""
        held = self.lists.instruments(self.list_name)
        return [m.instrument.id for m in in_order(markets)] if held is None else list(held)

    def draw_all(self, markets: Markets, now: int) -> None:
        """Show every row of the list."""
        if self.list_name != self._list:
            self.show_list(ALL)
        self.set_rows(_row(id_, markets.get(id_), now) for id_ in self.shown(markets))

    def draw_changed(self, markets: Markets, changed: Iterable[InstrumentId], now: int) -> None:
        """Show what changed in the rows there are."""
        there = self.keys
        self.update_rows(watch_row(markets[id_], now) for id_ in changed if id_ in there and id_ in markets)

    def action_edit(self) -> None:
        """Ask for the editor of lists."""
        self.post_message(self.Edit())


def _row(instrument: InstrumentId, market: Market | None, now: int) -> Row:
    if market is not None:
        return watch_row(market, now)
    return Row(instrument, (parts_of(instrument)[0], "–", Cell("absent", "dim")), stale=True)
