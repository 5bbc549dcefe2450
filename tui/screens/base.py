"""What the nine screens share: header, hints, panes that Tab walks through, zoom, and one way to be drawn.

A screen names itself, places its panes in `body` and draws them in `draw`; the viewer calls `refresh_from` for the
screen that is shown and for no other. What a screen must ask the engine for, it asks in `ask`, which the viewer calls
when the screen appears and once a second while it is shown.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from core.domain.identifiers import InstrumentId
from core.domain.order import OrderRecord
from tui.actions import Kind, ready_actions, shown_key
from tui.feed import Dirty, Feed
from tui.grid import Grid
from tui.lines import LineView, Pane
from tui.terminal import app_of, forget_painted
from tui.widgets.header import Header, Hints, Standing

WIDE = (140, 36)
OBVIOUS = frozenset({"up", "down", "pageup", "pagedown"})
"""Keys that need no hint."""
SLOW_S = 0.5
"""How often what needs no haste is drawn: header, charts, ages."""


class DeckScreen(Screen[None]):
    """One of the screens that a digit shows."""

    class InDepth(Message):
        """An instrument was chosen: show it in depth."""

        def __init__(self, instrument: InstrumentId) -> None:
            super().__init__()
            self.instrument = instrument

    class Said(Message):
        """Something is to be told in the bottom line."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    NAME: ClassVar[str] = ""
    """The name in the table of actions, `screen.<name>`."""
    TAB_ORDER: ClassVar[tuple[str, ...]] = ()
    """The ids of the panes, in the order of Tab."""
    SCOPES: ClassVar[Mapping[str, str]] = {}
    """Whose keys work in which pane, separated by blanks; a grid's own keys work in every grid."""
    OWN_SCOPE: ClassVar[str] = ""
    """Whose keys work in every pane."""

    def __init__(
        self,
        feed: Feed,
        *,
        layout: str = "auto",
        local_time: bool = False,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__()
        self.feed = feed
        self.wall = wall
        self.local_time = local_time
        self._wanted_layout = layout
        self._slow_at = 0.0
        self._zoomed_by_tab = False
        self.header, self.hints = Header(id="header"), Hints(id="hints")

    # -- what a screen says of itself --------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """Place the panes; the style sheet says how large each is in which layout."""
        yield from ()

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed; `slow` is true every half second, and when the screen appears."""

    def ask(self) -> None:
        """Start asking the engine for what the replica does not hold."""

    @property
    def instrument(self) -> InstrumentId | None:
        """The instrument that a key would act on."""
        return None

    def chosen_orders(self) -> Sequence[OrderRecord]:
        """List the orders that a key would act on."""
        return []

    # -- life --------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Place header, panes and hints."""
        yield self.header
        with Vertical(id="body"):
            yield from self.body()
        yield self.hints

    def on_mount(self) -> None:
        """Choose the layout before the first frame."""
        self.on_resize()
        self.set_zone(self.local_time)

    def on_resize(self) -> None:
        """Choose the layout for the new size, and draw in it."""
        wide = self.is_wide()
        self.set_class(wide, "-wide")
        self.set_class(not wide, "-narrow")
        self.call_after_refresh(self.refresh_from, Dirty())  # once the panes have their new sizes

    def is_wide(self) -> bool:
        """Tell whether all panes stand side by side."""
        width, height = self.app.size
        return self._wanted_layout == "wide" or (
            self._wanted_layout != "narrow" and width >= WIDE[0] and height >= WIDE[1]
        )

    def on_screen_resume(self) -> None:
        """Draw everything: much may have happened while another screen was shown."""
        self.ask()
        self.refresh_from(Dirty())

    def forget(self) -> None:
        """Keep nothing painted, as while another screen is shown; what is seen stays until it changes."""
        for view in self.query(LineView):
            view.forget()
        forget_painted(self)

    def set_layout(self, layout: str) -> None:
        """Take another layout, built in or of the config."""
        self._wanted_layout = layout
        if self.is_mounted:
            self.on_resize()

    def set_zone(self, local: bool) -> None:
        """Show times in UTC or in the local zone."""
        self.local_time = local
        self.refresh_from(Dirty())

    def refresh_from(self, dirty: Dirty) -> None:
        """Draw what changed."""
        if not self.is_mounted:
            return
        slow = dirty.everything or time.monotonic() - self._slow_at >= SLOW_S
        if slow:
            self._slow_at = time.monotonic()
        self.draw(dirty, self.wall(), slow)

    # -- panes -------------------------------------------------------------------------------------------------

    @property
    def scopes(self) -> tuple[str, ...]:
        """The places whose keys work now, the focused pane first."""
        focused = self.focused
        own = "" if focused is None else self.SCOPES.get(focused.id or "", "")
        found = own.split()
        if isinstance(focused, Grid):
            found.append("grid")
        if self.OWN_SCOPE:
            found.append(self.OWN_SCOPE)
        return (*dict.fromkeys(found), "app")

    def panes(self) -> list[str]:
        """List the ids of the panes that Tab may go to now."""
        return list(self.TAB_ORDER)

    def toggle_zoom(self) -> None:
        """Show the focused pane alone, or all of them again."""
        zoomed = self.has_class("-zoom")
        self.zoom(None if zoomed or self.focused is None else self.focused)
        self._zoomed_by_tab = False

    def zoom(self, pane: Widget | None) -> None:
        """Show one pane alone; None shows all of them."""
        for widget in self.query(".-zoomed, .-holds-zoom"):
            widget.remove_class("-zoomed", "-holds-zoom")
        self.set_class(pane is not None, "-zoom")
        if pane is None:
            return
        pane.add_class("-zoomed")
        for holder in pane.ancestors:
            if holder.id == "body" or not isinstance(holder, Widget):
                break
            holder.add_class("-holds-zoom")

    def step_back(self) -> bool:
        """Close what is open, which is a zoom; tell whether there was something."""
        zoomed = self.has_class("-zoom")
        self.zoom(None)
        return zoomed

    def next_pane(self, steps: int) -> None:
        """Go to the next pane; one that has no room is shown alone."""
        names = self.panes()
        if not names:
            return
        here = self.focused.id if self.focused is not None else None
        place = names.index(here) if here in names else -steps
        target = self.query_one(f"#{names[(place + steps) % len(names)]}", Pane)
        if self.has_class("-zoom"):
            self.zoom(None if self._zoomed_by_tab else target)
        if not self.has_class("-zoom") and not self.fits(target):
            self.zoom(target)
            self._zoomed_by_tab = True
        elif not self.has_class("-zoom"):
            self._zoomed_by_tab = False
        target.focus()

    def fits(self, pane: Pane) -> bool:
        """Tell whether a pane has room beside the others."""
        return not (self.has_class("-narrow") and pane.has_class("-wide-only"))

    def copied(self) -> str:
        """Give the text that a copy of the focused pane means."""
        focused = self.focused
        if isinstance(focused, Grid):
            row = next((row for row in focused.rows if row.key == focused.cursor), None)
            return "" if row is None else "  ".join(row.text(i) for i in range(len(row.cells)))
        return focused.text if isinstance(focused, Pane) else ""

    # -- header and hints --------------------------------------------------------------------------------------

    def show_standing(self, standing: Standing, kinds: Sequence[Kind] = tuple(Kind)) -> None:
        """Draw the header, and hints at keys of these kinds."""
        if not self.is_mounted:
            return
        self.header.set_standing(standing)
        offered = [action for action in ready_actions() if action.kind in kinds]
        chosen = app_of(self).chosen_keys
        here = [a for scope in self.scopes[:-1] for a in offered if a.scope == scope and a.keys[0] not in OBVIOUS]
        always = sorted((action for action in offered if action.footer), key=lambda action: action.footer)
        self.hints.set_hints(
            tuple((shown_key(chosen.get(action.id, action.keys)[0]), action.label) for action in (*always, *here))
        )
