"""Guard the real terminal: stalls, lost links, missing colours, unfit terminals.

This module and `tui.driver` alone touch Textual's private parts (`App._display`, `App._driver`, `ChopsUpdate`,
`LinuxDriver._writer_thread`, `WriterThread._queue`, `StylesCache`); a test checks that the pinned version has them.
"""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from queue import Queue
from typing import Any, ClassVar

from rich.console import RenderableType
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual._compositor import ChopsUpdate
from textual._styles_cache import StylesCache
from textual.app import App
from textual.color import Color
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.screen import Screen
from textual.style import Style as VisualStyle
from textual.widget import Widget
from textual.widgets import Input

from tui.driver import ExactUpdate, LeanDriver
from tui.keys import BurstGuard

MAX_QUEUED = 2
EXIT_GRACE_SECONDS = 1.0
RECOVERY_SECONDS = 0.2


_both_styles = lru_cache(maxsize=1024)(partial(StylesCache.get_inner_outer.__wrapped__, StylesCache))


def _inner_outer(_: StylesCache, base: Color, background: Color) -> tuple[VisualStyle, VisualStyle]:
    return _both_styles(base, background)


# Textual remembers the two styles by the widget's own cache of painted lines too, and so kept the lines of the last
# thousand widgets that had been closed long ago: a day of dialogs doubled the terminal's memory.
StylesCache.get_inner_outer = _inner_outer  # type: ignore[assignment]


@lru_cache(maxsize=1024)
def _without_colour(style: Style) -> Style:
    return style.without_color


class NoColourFilter(LineFilter):
    """Remove every colour and keep bold, dim and reverse: not one colour code reaches the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Give the segments without their colours."""
        return [Segment(text, style and _without_colour(style), control) for text, style, control in segments]


def forget_painted(screen: Screen[Any]) -> None:
    """Let the painted lines of a screen that is hidden go; it is painted anew when it is shown again."""
    for widget in screen.walk_children(Widget):
        widget._styles_cache.clear()


LINE_STYLES = (
    "gain", "loss", "bid", "ask", "mine", "stale", "dim", "head", "cursor", "strong", "warn", "ok", "bad",
    "armed", "halted", "reducing", "live", "entry", "stop", "target", "order", "alert", "last", "axis", "key",
)  # fmt: skip
"""The styles of runs of text; their colours stand in the style sheet."""


def app_of(node: DOMNode) -> "GuardedApp":
    """Give the app that a widget or a screen belongs to."""
    app = node.app
    assert isinstance(app, GuardedApp)
    return app


class GuardedApp(App[int]):
    """An app that survives an unread terminal and leaves when its terminal is gone.

    * While the writer holds more than two unwritten items, frames are left out; then the screen is painted whole.
    * SIGTERM and SIGHUP leave at once, even when nobody reads what leaving has to write.
    * `Ctrl+Q` and `Ctrl+C` do not leave; a burst of keys outside inputs does nothing.
    """

    ENABLE_COMMAND_PALETTE = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{name}" for name in LINE_STYLES}
    """Held here for all lines: each widget that holds them itself builds a node of five kilobytes for each of them."""

    chosen_keys: Mapping[str, Sequence[str]] = {}
    """The keys of each action as they are in force; empty where they are the table's own."""

    def __init__(
        self,
        *,
        colourless: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        self.clock = clock
        """Tells the seconds that latches, arming and questions go by."""
        asked = "NO_COLOR" in os.environ  # Textual takes it out of the environment
        super().__init__(**({"driver_class": LeanDriver} | options))
        self.colourless = asked if colourless is None else colourless
        self._skipped = False
        self._burst = BurstGuard()
        self.frames_skipped = 0

    # -- painting --------------------------------------------------------------------------------------------

    @property
    def writer_backlog(self) -> int:
        """The number of writes that the terminal has not taken yet; 0 without a real terminal."""
        queue: Queue[str | None] | None = getattr(getattr(self._driver, "_writer_thread", None), "_queue", None)
        return 0 if queue is None else queue.qsize()

    @property
    def may_paint(self) -> bool:
        """Tell whether the terminal keeps up; a caller may skip its own work while it does not."""
        return self.writer_backlog <= MAX_QUEUED

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if self.may_paint:
            exact = ExactUpdate(renderable) if isinstance(renderable, ChopsUpdate) else renderable
            super()._display(screen, exact)
            return
        self.frames_skipped += 1
        if not self._skipped:
            self._skipped = True
            self.set_timer(RECOVERY_SECONDS, self._recover)

    def _recover(self) -> None:
        if not self.may_paint:
            self.set_timer(RECOVERY_SECONDS, self._recover)
            return
        self._skipped = False
        self.screen.refresh(layout=True)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Give the filters of painted lines; without colours, one that removes them all."""
        filters = super().get_line_filters()
        return [*filters, NoColourFilter()] if self.colourless else filters

    def line_style(self, name: str) -> Style:
        """Give what a style class of a line adds to the widget's own style."""
        return self.get_component_styles(f"line--{name}").partial_rich_style

    # -- keys ------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Drop bursts of keys outside inputs, as a paste into a terminal without bracketed paste makes them."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            refused = self._burst.refuses(event.time)
            if refused and not isinstance(self.focused, Input):
                self.burst_refused(self._burst.began)
                return
        await super().on_event(event)

    def burst_refused(self, began: float) -> None:
        """Take note of a burst whose first key came at ``began`` and was let through, as the few after it."""

    def action_help_quit(self) -> None:
        """Say how to leave, where Ctrl+C would otherwise do nothing visible."""
        self.notify("q then y leaves the view; the engine keeps running")

    async def action_quit(self) -> None:
        """Keep Ctrl+Q from leaving at once."""
        self.action_help_quit()

    # -- leaving ---------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Leave on SIGTERM and SIGHUP; Textual itself installs no handler for them."""
        self.set_class(self.colourless, "-colourless")
        if threading.current_thread() is threading.main_thread() and not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self.leave_now, 128 + number)

    def leave_now(self, code: int = 0) -> None:
        """Leave in order; when the terminal takes nothing any more, leave without it after a second."""
        watchdog = threading.Timer(EXIT_GRACE_SECONDS, self._abandon, (code,))
        watchdog.daemon = True
        watchdog.start()
        self.exit(code, return_code=code)

    def _abandon(self, code: int) -> None:
        saved = getattr(self._driver, "attrs_before", None)
        if saved is not None:
            with contextlib.suppress(termios.error, OSError, ValueError):
                termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, saved)  # type: ignore[union-attr]
        os._exit(code)
