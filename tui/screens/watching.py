"""A screen with a watchlist: shown, switched, edited, drawn."""

from typing import Any

from core.domain.identifiers import InstrumentId
from core.domain.market import Interval
from tui.feed import Dirty, Feed
from tui.listing import ListEditor
from tui.screens.base import DeckScreen
from tui.watchlists import WatchLists
from tui.widgets.watch import WatchGrid


class Watching(DeckScreen):
    """A screen that shows one of the watchlists."""

    def __init__(self, feed: Feed, **options: Any) -> None:
        super().__init__(feed, **options)
        self.watch_list = WatchGrid(WatchLists(None), id="watch")

    def show_list(self, name: str, sort: str | None = None) -> None:
        """Show a watchlist; the instrument in depth stays."""
        self.watch_list.show_list(name)
        if sort is not None:
            self.watch_list.sort_by(sort.lstrip("-") or None, reverse=sort.startswith("-"))
        self.refresh_from(Dirty())
        if self.instrument is not None:
            self.watch_list.move_to(self.instrument)

    def action_watchlist(self, steps: int) -> None:
        """Show the next watchlist."""
        names = self.watch_list.lists.names
        if len(names) == 1:
            self.hints.say("there is one watchlist; {list.edit} in it makes others", "warn")
            return
        self.show_list(names[(names.index(self.watch_list.list_name) + steps) % len(names)])

    def on_watch_grid_edit(self) -> None:
        """Edit the watchlists."""
        watch = self.watch_list
        editor = ListEditor(watch.lists, watch.list_name, self.feed.state.markets, self.wall)
        _ = self.app.push_screen(editor, lambda name: self.show_list(name or watch.list_name))

    def _take_up_lists(self) -> None:
        """Show what another terminal has changed in the lists."""
        changed, words = self.watch_list.lists.refresh()
        if words:
            self.hints.say(words, "warn")
        if changed or words:
            self.watch_list.show_list(self.watch_list.list_name)

    def draw_watch(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed of the watchlist; `slow` draws all of it."""
        markets = self.feed.state.markets
        if dirty.everything or slow:
            self._take_up_lists()
            self.watch_list.draw_all(markets, now)
            for key in self.watch_list.in_view:  # a line of the day for those alone: a venue may have thousands
                if key in markets:
                    self.feed.want_bars(InstrumentId(key), Interval.M15, 120)
        elif dirty.quotes:
            self.watch_list.draw_changed(markets, dirty.quotes, now)
