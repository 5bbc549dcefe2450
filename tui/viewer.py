"""Look at an engine: screens and the keys that change only the view. What sends is added in `tui.app`."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.events import Resize

from core.config.settings import TerminalSettings
from core.domain.alerts import Severity
from core.session import protocol as p
from tui import keymaps
from tui.actions import Kind, bindings, keymap
from tui.choosing import Choosing
from tui.confirm import Confirm
from tui.feed import LINK, ORDERS, Feed
from tui.fit import too_small, whereabouts
from tui.footprint import Footprint
from tui.memory import Memory, keep, recall
from tui.screens.base import DeckScreen
from tui.screens.deck import DECK
from tui.screens.depth import DepthScreen
from tui.screens.help import SmallScreen
from tui.screens.trade import wanted_of
from tui.standing import leaving_lines
from tui.theme import load_theme, load_themes
from tui.watchlists import ALL, FILE_NAME, WatchLists
from tui.widgets.alerts import gravest

FRAME_S = 0.1
SLOW_FRAME_S = 0.5
HEADER_S = 1.0
"""The clock's step; what has happened is shown at once."""


class Viewer(Choosing):
    """One view of one engine; it may freeze, be killed or lose its link, and the engine does not notice."""

    CSS_PATH = "app.tcss"
    TITLE = "tradedeck"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app", Kind.VIEW)

    def __init__(self, socket: Path, settings: TerminalSettings | None = None, **options: Any) -> None:
        self.settings = settings or TerminalSettings()
        view_only = bool(options.pop("view_only", False))
        colourless = options.pop("colourless", None)
        memory: Path | None = options.pop("memory", None)
        self.config_file = options.pop("config", None)
        keymaps.check(self.settings, self.config_file)
        feed: Feed | None = options.pop("feed", None)
        self.wall: Callable[[], int] = options.pop("wall", time.time_ns)
        super().__init__(colourless=True if self.settings.colours == "none" else colourless, **options)
        self.feed = feed or Feed(socket, whereabouts(), view_only=view_only)
        self.armed = False
        self._memory_file: Path | None = memory
        self._memory, self._forgotten = recall(memory)
        zone = self._memory.local_time
        known = self._memory.layout in self.layouts_known()
        self.layout_name = self._memory.layout if known else self.settings.layout
        known = self._memory.keymap in keymaps.names_of(self.settings)
        self.keymap_name = self._memory.keymap if known else self.settings.keymap
        self.chosen_keys = keymaps.keys_of(self.settings, self.keymap_name)
        options_ = {
            "layout": self.layout_name,
            "local_time": self.settings.local_time if zone is None else zone,
            "wall": self.wall,
        }
        self.deck: dict[str, DeckScreen] = {kind.NAME: kind(self.feed, **options_) for kind in DECK}
        lists = WatchLists(None if memory is None else memory.with_name(FILE_NAME))
        self.trade.watch_list.lists = lists
        self.trade.layouts = self.settings.layouts
        self.trade.wanted, self.trade.interval = wanted_of(self._memory)
        self.here = self.deck.get(self._memory.screen, self.trade)
        """The screen that is shown, or that lies under a dialog."""
        self.footprint = Footprint(self.clock)
        self._header_at = 0.0
        self._lost_words = ""
        self._leaving: Confirm | None = None
        self.left_unknown = False
        """Whether the reader has left while nobody could tell if the engine runs."""
        self._feed_task: asyncio.Task[None] | None = None

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give the variables of our style sheets before a theme of ours is chosen."""
        return dict(load_theme("dark").variables)

    # -- life ------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Choose theme and keys, show the trade screen, follow the engine."""
        super().on_mount()
        for theme in load_themes():
            self.register_theme(theme)
        self.use_theme()
        self.set_keymap(keymap(self.chosen_keys))
        self.feed.on_up, self.feed.on_down, self.feed.on_control = self.link_up, self.link_down, self.on_control
        self._feed_task = asyncio.get_running_loop().create_task(self.feed.run())
        for name, screen in self.deck.items():
            self.install_screen(screen, name)
        _ = self.push_screen(self.here.NAME)
        self.trade.show_list(self._memory.watchlist, self._memory.sort)
        words = "; ".join(filter(None, (self._forgotten, self.trade.watch_list.lists.trouble)))
        if words:
            self.call_after_refresh(self.tell, words, "warn")
        self.footprint.active = not self.is_headless
        self.call_after_refresh(self.footprint.built)
        self.set_interval(SLOW_FRAME_S if self.settings.slow_link else FRAME_S, self.frame)

    async def on_unmount(self) -> None:
        """End the session with the engine."""
        self.remember()
        if self._feed_task is not None:
            self._feed_task.cancel()
            await asyncio.gather(self._feed_task, return_exceptions=True)
        await self.feed.stop()

    def on_resize(self, event: Resize) -> None:
        """Say so where the terminal is too small, and come back when it grows."""
        words = too_small(*event.size)
        if isinstance(self.screen, SmallScreen):
            if words is None:
                _ = self.pop_screen()
            else:
                self.screen.say(words)
        elif words is not None:
            _ = self.push_screen(SmallScreen(words))

    def link_up(self) -> None:
        """Take note of a new session, also where the word of the loss still stands."""
        for screen in self.deck.values():
            if screen.is_mounted:
                screen.hints.correct(self._lost_words, "the link to the engine is back", "ok")
        self.draw_header()
        self._leaving_anew()

    def link_down(self, reason: str) -> None:
        """Say that the engine is not heard any more."""
        self._lost_words = f"link lost: {reason}"
        self.tell(self._lost_words, "bad")
        self._leaving_anew()

    def on_control(self, before: p.ControlChanged | None, now: p.ControlChanged) -> None:
        """Show who commands."""
        self.draw_header()

    def action_help_quit(self) -> None:
        """Say how to leave."""
        known = "the engine keeps running" if self.feed.connected else "the link to the engine is lost"
        self.tell(f"{{leave}} then y leaves the view; {known}")

    # -- frames ----------------------------------------------------------------------------------------------

    def frame(self) -> None:
        """Draw what changed since the last frame, unless the terminal does not keep up."""
        if not self.may_paint:
            return
        alarm = gravest(self.feed.alarms)
        if alarm is not None and self.settings.bell:
            self.bell()
        if alarm is not None and alarm.severity is Severity.CRITICAL:
            self.tell(f"!! {alarm.text}", "bad")
        if self.footprint.forgets():
            self.here.forget()
        if self.screen_stack[-1:] == [self.here]:
            _ = self.footprint.tidy()
        else:  # a dialog, which will have been closed when it is looked at again
            self.footprint.litter()
        dirty = self.feed.take_dirty()
        self.here.refresh_from(dirty)
        news = dirty.everything or dirty.topics & {ORDERS, LINK}
        if news or time.monotonic() - self._header_at >= HEADER_S:
            self.draw_header()
            self.remember()

    def remember(self) -> None:
        """Write down how this terminal stands, where that has changed."""
        trade = self.trade
        now = Memory(
            self.here.NAME,
            "" if self.layout_name == self.settings.layout else self.layout_name,
            trade.instrument or trade.wanted or "",
            trade.interval.value,
            self.here.local_time,
            "" if trade.watch_list.list_name == ALL else trade.watch_list.list_name,
            trade.watch_list.sorted_by,
            "" if self.keymap_name == self.settings.keymap else self.keymap_name,
        )
        if now != self._memory:
            self._memory = now
            words = keep(self._memory_file, now)
            if words:
                self.tell(words, "warn")

    # -- views -----------------------------------------------------------------------------------------------

    def action_screen(self, name: str) -> None:
        """Show a screen; the one that is shown already shows all its panes again."""
        wanted = self.deck[name]
        if wanted is self.here:
            wanted.zoom(None)
            return
        left, self.here, new = self.here, wanted, not wanted.is_mounted
        _ = self.switch_screen(name)
        self.call_after_refresh(self.draw_header)
        if new:
            self.call_after_refresh(self.footprint.built)
        left.forget()

    def action_depth(self) -> None:
        """Show the depth of the book of the instrument under the cursor."""
        if self.here is not self.trade and self.here.instrument is not None:
            self.trade.choose(self.here.instrument)
        if self.trade.instrument is None:
            self.tell("no instrument is chosen: {find} finds one", "warn")
        else:
            _ = self.push_screen(DepthScreen(lambda: self.trade.market, self.wall))

    def action_leave(self) -> None:
        """Ask, then leave; an engine that runs keeps running."""

        def answered(yes: bool | None) -> None:
            self._leaving = None
            if yes:
                self.left_unknown = not self.feed.connected
                self.exit(0)

        lines = leaving_lines(self.feed, self.wall(), self.here.local_time)
        self._leaving = Confirm("Leave the view", lines, Kind.VIEW, clock=self.clock)
        _ = self.push_screen(self._leaving, answered)

    def _leaving_anew(self) -> None:
        """Have an open question whether to leave say what is known now."""
        if self._leaving is not None and self._leaving.is_mounted and self._leaving in self.screen_stack:
            self._leaving.relist(leaving_lines(self.feed, self.wall(), self.here.local_time))

    def on_deck_screen_in_depth(self, event: DeckScreen.InDepth) -> None:
        """Show a chosen instrument in depth, on the trade screen."""
        self.trade.choose(event.instrument)
        if self.here is not self.trade:
            self.action_screen("trade")
