"""Show the candles of an instrument, with zoom and scroll."""

from typing import Any, ClassVar

import msgspec
from textual.binding import BindingType
from textual.message import Message

from tui.actions import bindings
from tui.format import clock
from tui.lines import Pane
from tui.widgets.candle_chart import ZOOM, Chart, render_candles

AXIS = 12
"""About the cells that prices and labels take."""


class Candles(Pane, can_focus=True):
    """A framed candle chart; it keeps zoom and scroll while the data change."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("candles")

    class IntervalWanted(Message):
        """The reader asked for the next interval."""

    def __init__(self, title: str = "candles", corner: str = "", **options: Any) -> None:
        super().__init__(title, corner, **options)
        self._chart: Chart | None = None
        self.zoom_level = ZOOM.index(3)
        self.back = 0
        self.local_time = False

    def set_chart(self, chart: Chart) -> None:
        """Show these data at the reader's zoom; scrolled back, the same bars stay in view as new ones arrive."""
        old = self._chart
        if old is not None and self.back and old.bars and chart.bars and old.interval_ns == chart.interval_ns:
            self.back += max(0, (chart.bars[-1].start_ns - old.bars[-1].start_ns) // chart.interval_ns)
        self._chart = chart
        self.back = min(self.back, max(0, len(chart.bars) - 1))
        self.repaint()

    def repaint(self) -> None:
        """Draw the chart at the present size."""
        width, height = self.content_size
        if self._chart is None or width <= 0 or height <= 0:
            return
        chart = msgspec.structs.replace(self._chart, zoom=self.zoom_level, back=self.back)
        self.show(render_candles(chart, width, height, self._time))

    def _time(self, ts_ns: int, pattern: str) -> str:
        return clock(ts_ns, local=self.local_time, pattern=pattern)

    def action_zoom_bars(self, steps: int) -> None:
        """Show fewer, wider candles (positive) or more, narrower ones."""
        self.zoom_level = max(0, min(len(ZOOM) - 1, self.zoom_level + steps))
        self.repaint()

    def action_scroll_bars(self, pages: int) -> None:
        """Scroll a third of the width into the past (positive) or back."""
        count = len(self._chart.bars) if self._chart else 0
        furthest = max(0, count - self.room * 2 // 3)
        self.back = max(0, min(furthest, self.back + pages * max(1, self.room // 3)))
        self.repaint()

    @property
    def room(self) -> int:
        """The bars that fit at the present zoom, axis and labels left out."""
        cells = ZOOM[self.zoom_level]
        width = max(1, self.content_size.width - AXIS)
        return max(1, width // cells) if cells > 0 else width * -cells

    @property
    def reach(self) -> int:
        """The bars that are worth having: what is in view and as much again before it."""
        return self.back + 2 * self.room

    def action_interval(self) -> None:
        """Ask for the next interval."""
        self.post_message(self.IntervalWanted())
