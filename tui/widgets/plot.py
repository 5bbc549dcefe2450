"""A pane with a plot, drawn by a timer of its own: at most once a second, and only where it is seen."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from tui.lines import Line, Pane

EVERY_S = 1.0
clock = time.monotonic
Drawing = Callable[[int, int], Sequence[Line]]
"""What draws the plot in a width and a height."""


class PlotPane(Pane, can_focus=True):
    """Show what ``drawing`` draws. ``want`` asks for a new drawing; it comes at once or when a second has passed."""

    def __init__(self, title: str = "", corner: str = "", *, drawing: Drawing, **options: Any) -> None:
        super().__init__(title, corner, **options)
        self._drawing = drawing
        self._wanted = True
        self._drawn_at = -EVERY_S
        self.took_s = 0.0
        """How long the last drawing took."""

    def on_mount(self) -> None:
        """Start the timer."""
        self.set_interval(EVERY_S, self.draw)

    def want(self) -> None:
        """Have it drawn anew, as soon as that may be."""
        self._wanted = True
        if clock() - self._drawn_at >= EVERY_S:
            self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Draw, where something is wanted and somebody can see it."""
        width, height = self.content_size
        if not self._wanted or width <= 0 or height <= 0 or not self.is_on_screen:
            return
        self._wanted = False
        started = self._drawn_at = clock()
        self.show(list(self._drawing(width, height))[:height])
        self.took_s = clock() - started

    @property
    def is_on_screen(self) -> bool:
        """Tell whether its screen is the one that is shown."""
        return self.is_mounted and self.screen is self.app.screen

    def repaint(self) -> None:
        """Have it drawn for the new size or focus."""
        self._wanted = True
        if self.is_mounted:
            self.call_after_refresh(self.draw)
