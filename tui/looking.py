"""The keys that change only what is shown: panes, help, palette, finder, zone, copy; and the lines that say things."""

import time
from collections.abc import Callable
from typing import Any, ClassVar

from core.config.settings import TerminalSettings
from core.domain.identifiers import InstrumentId
from tui.actions import Kind, find_action
from tui.confirm import Choose, palette_choices
from tui.feed import Feed
from tui.finder import Finder
from tui.listing import toggled
from tui.screens.base import DeckScreen
from tui.screens.help import HelpScreen
from tui.screens.trade import TradeScreen
from tui.standing import standing_of
from tui.terminal import GuardedApp


class Looking(GuardedApp):
    """An app of some screens, one of which is shown."""

    KINDS: ClassVar[tuple[Kind, ...]] = (Kind.VIEW,)
    """The kinds of action that help, palette and hints offer."""
    feed: Feed
    deck: dict[str, DeckScreen]
    here: DeckScreen
    """The screen that is shown, or that lies under a dialog."""
    wall: Callable[[], int]
    armed = False
    layout_name: str
    settings: TerminalSettings
    _header_at = 0.0

    @property
    def trade(self) -> TradeScreen:
        """The trade screen, shown or not."""
        found = self.deck["trade"]
        assert isinstance(found, TradeScreen)
        return found

    # -- words -----------------------------------------------------------------------------------------------

    def tell(self, words: str, style: str = "strong") -> None:
        """Show a passing message in the bottom line; `{id}` in it stands for the key of that action."""
        if self.here.is_mounted:
            self.here.hints.say(words, style)

    def on_deck_screen_said(self, event: DeckScreen.Said) -> None:
        """Tell what a screen says."""
        self.tell(event.words, "warn")

    def draw_header(self) -> None:
        """Draw the two lines at the top."""
        self._header_at = time.monotonic()
        standing = standing_of(self.feed, self.armed, self.wall(), self.here.local_time)
        self.here.show_standing(standing, self.KINDS)

    # -- keys ------------------------------------------------------------------------------------------------

    def action_help(self) -> None:
        """Show every key."""
        _ = self.push_screen(HelpScreen(self.here.scopes, self.chosen_keys, self.KINDS))

    def action_palette(self) -> None:
        """Find an action by its name."""
        choices = palette_choices(self.here.scopes, self.KINDS, self.chosen_keys)
        _ = self.push_screen(Choose("actions", choices), self._run_chosen)

    async def _run_chosen(self, action_id: str | None) -> None:
        if action_id is None:
            return
        call = find_action(action_id).call
        method = f"action_{call.partition('(')[0]}"
        places: tuple[Any, ...] = (self.here.focused, self.here, self)
        if find_action(action_id).scope == "app":
            places = (self,)
        target = next((place for place in places if callable(getattr(place, method, None))), self)
        await self.run_action(call, default_namespace=target)

    def action_find(self) -> None:
        """Find an instrument."""
        lists, name = self.trade.watch_list.lists, self.trade.watch_list.list_name

        def chosen(instrument: InstrumentId | None) -> None:
            if instrument is not None:
                self.post_message(DeckScreen.InDepth(instrument))

        finder = Finder(
            self.feed.state.markets,
            name,
            holds=lambda id_: id_ in (lists.instruments(name) or ()),
            toggle=lambda id_: toggled(lists, name, id_),
            wall=self.wall,
        )
        _ = self.push_screen(finder, chosen)

    def action_zone(self) -> None:
        """Show times in UTC or in the local zone."""
        local = not self.here.local_time
        for screen in self.deck.values():
            screen.set_zone(local)
        self.draw_header()

    def action_zoom(self) -> None:
        """Show the focused pane alone, or all of them again."""
        self.here.toggle_zoom()

    def action_focus_next(self) -> None:
        """Go to the next pane."""
        if self.screen is self.here:
            self.here.next_pane(1)
        else:  # a dialog: its own fields, and never the panes below it
            _ = self.screen.focus_next()

    def action_focus_previous(self) -> None:
        """Go to the previous pane."""
        if self.screen is self.here:
            self.here.next_pane(-1)
        else:
            _ = self.screen.focus_previous()

    def action_copy(self) -> None:
        """Copy the chosen row to the clipboard, and show it."""
        text = self.here.copied()
        if text:
            self.copy_to_clipboard(text)
            self.tell(f"copied: {text}")

    def action_step_back(self) -> None:
        """Close what is open: a carried order, a zoom."""
        _ = self.here.step_back()
