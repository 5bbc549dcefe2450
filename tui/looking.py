"""The keys that change only what is shown: panes, help, palette, finder, zone, copy; and the lines that say things."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from core.domain.identifiers import InstrumentId, symbol_of
from tui.actions import Kind, find_action
from tui.confirm import Choose, palette_choices
from tui.feed import Feed
from tui.screens.base import LAYOUTS, DeckScreen
from tui.screens.help import HelpScreen
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
    chosen_keys: Mapping[str, Sequence[str]]
    armed = False
    layout_name: str
    _header_at = 0.0

    # -- words -----------------------------------------------------------------------------------------------

    def tell(self, words: str, style: str = "strong") -> None:
        """Show a passing message in the bottom line."""
        if self.here.is_mounted:
            self.here.hints.say(words, style)

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
        _ = self.push_screen(Choose("actions", palette_choices(self.here.scopes, self.KINDS)), self._run_chosen)

    async def _run_chosen(self, action_id: str | None) -> None:
        if action_id is None:
            return
        action = find_action(action_id)
        focused = self.here.focused
        target: Any = focused if action.scope != "app" and focused is not None else self
        await self.run_action(action.call, default_namespace=target)

    def action_find(self) -> None:
        """Find an instrument."""
        markets = self.feed.state.markets.values()
        choices = [(m.instrument.id, f"{symbol_of(m.instrument.id):<14} {m.instrument.id}") for m in markets]

        def chosen(key: str | None) -> None:
            if key is not None:
                self.post_message(DeckScreen.InDepth(InstrumentId(key)))

        _ = self.push_screen(Choose("find an instrument", choices), chosen)

    def action_layout(self) -> None:
        """Choose another layout."""
        words = {"auto": "wide where there is room", "narrow": "a few panes, the others by Tab", "wide": "all panes"}
        choices = [(name, f"{name:<8} {words[name]}{'   now' if name == self.layout_name else ''}") for name in LAYOUTS]

        def chosen(name: str | None) -> None:
            if name is not None:
                self.layout_name = name
                for screen in self.deck.values():
                    screen.set_layout(name)

        _ = self.push_screen(Choose("layout", choices), chosen)

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
        self.here.next_pane(1)

    def action_focus_previous(self) -> None:
        """Go to the previous pane."""
        self.here.next_pane(-1)

    def action_copy(self) -> None:
        """Copy the chosen row to the clipboard, and show it."""
        text = self.here.copied()
        if text:
            self.copy_to_clipboard(text)
            self.tell(f"copied: {text}")

    def action_step_back(self) -> None:
        """Close what is open: a carried order, a zoom."""
        _ = self.here.step_back()
