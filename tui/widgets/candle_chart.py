"""Draw candles, volume, axes and price marks as lines of text: a pure function of its input.

Each cell holds two half blocks, so a body begins and ends on half a line. Rising candles are solid and falling ones
shaded, so that they differ without colour. Bars without trades are a dot at the last price; bars that are missing
altogether are a gap with a mark on the volume line.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from tui.format import fit, number, width_of
from tui.lines import Line
from tui.widgets.sparkline import BLOCKS

MarkKind = Literal["entry", "stop", "target", "order", "alert", "last"]
ZOOM = (-8, -4, -2, 1, 2, 3, 4, 6, 8)
"""Cells for each candle; negative: candles for each cell."""


class Candle(msgspec.Struct, frozen=True, gc=False):
    """One bar: start in nanoseconds UTC, prices, volume; `empty` when nothing traded in it."""

    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    empty: bool = False


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A price line with its label."""

    price: float
    label: str
    kind: MarkKind


class FillMark(msgspec.Struct, frozen=True, gc=False):
    """One of our fills: where it stands on the chart."""

    ts_ns: int
    price: float
    buy: bool


class Chart(msgspec.Struct, frozen=True):
    """What to draw: bars in time order and everything laid over them.

    `zoom` indexes `ZOOM`; `back` counts bars hidden at the right; `decimals` is the price precision.
    """

    bars: Sequence[Candle]
    interval_ns: int
    marks: tuple[Mark, ...] = ()
    fills: tuple[FillMark, ...] = ()
    last: float | None = None
    decimals: int = 2
    zoom: int = 4
    back: int = 0


MARK_REACH = 2.5
"""Price lines may widen the range of the candles to this much of itself; those beyond are named at the edge."""
Slots = list[Candle | None]
TimeText = Callable[[int, str], str]


class Scale(msgspec.Struct, frozen=True):
    """The price range of the plot and its height in lines."""

    low: float
    high: float
    height: int

    def half(self, price: float) -> int:
        """Give the half line of a price, counted from the top; 0 is the highest."""
        return math.floor((self.high - price) / (self.high - self.low) * (self.height * 2 - 1) + 0.5)

    def row(self, price: float) -> int:
        """Give the line of a price, counted from the top."""
        return self.half(price) // 2

    def holds(self, price: float) -> bool:
        """Tell whether a price lies in the range."""
        return self.low <= price <= self.high


def round_step(span: float, lines: int) -> float:
    """Choose a step of 1, 2, 2.5 or 5 times a power of ten that gives at most `lines` ticks over `span`."""
    raw = span / max(1, lines)
    scale = 10.0 ** math.floor(math.log10(raw))
    return next(factor * scale for factor in (1, 2, 2.5, 5, 10) if factor * scale >= raw * (1 - 1e-9))


def _merge(group: Sequence[Candle]) -> Candle:
    traded = [bar for bar in group if not bar.empty] or list(group)
    return Candle(
        group[0].start_ns, traded[0].open, max(b.high for b in traded), min(b.low for b in traded), traded[-1].close,
        sum(b.volume for b in group), all(b.empty for b in group),
    )  # fmt: skip


def visible_slots(chart: Chart, width: int) -> tuple[Slots, int, int]:
    """Give the bars that fit `width` cells (None where one is missing), their step in ns and cells for each."""
    zoom = ZOOM[chart.zoom]
    per_slot, cells = max(1, -zoom), max(1, zoom)
    step = chart.interval_ns * per_slot
    room = max(1, width // cells)
    bars = chart.bars[: len(chart.bars) - chart.back] if chart.back else chart.bars
    if not bars:
        return [], step, cells
    newest = bars[-1].start_ns // step
    groups: dict[int, list[Candle]] = {}
    for bar in reversed(bars):
        slot = bar.start_ns // step
        if slot <= newest - room:
            break
        groups.setdefault(slot, []).insert(0, bar)
    first = min(groups)
    return [_merge(groups[slot]) if slot in groups else None for slot in range(first, newest + 1)], step, cells


def _scale(chart: Chart, slots: Slots, height: int) -> Scale:
    lows = [bar.low for bar in slots if bar]
    highs = [bar.high for bar in slots if bar]
    low, high = min(lows), max(highs)
    reach = max(high - low, abs(high) * 1e-5, 1e-12)
    prices = [mark.price for mark in chart.marks if mark.kind != "alert"]  # an alert is drawn where it is in view
    prices += [chart.last] if chart.last is not None else []
    for price in sorted(prices, key=lambda price: max(low - price, price - high)):
        wider = max(high, price) - min(low, price)
        if wider <= MARK_REACH * reach:  # a mark far away must not flatten the candles
            low, high = min(low, price), max(high, price)
    pad = max((high - low) * 0.04, abs(high) * 1e-6, 1e-12)
    return Scale(low - pad, high + pad, height)


class Canvas:
    """A rectangle of characters, each with its style classes."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._text = [[" "] * width for _ in range(height)]
        self._style = [[""] * width for _ in range(height)]
        self.edges: dict[int, int] = {}
        """Where the labels of a line begin: the next one ends there."""

    def put(self, x: int, y: int, text: str, style: str = "") -> None:
        """Write a text of single-cell characters; what lies outside is left out."""
        if not 0 <= y < self.height:
            return
        row, styles = self._text[y], self._style[y]
        for offset, character in enumerate(text):
            if 0 <= x + offset < self.width:
                row[x + offset] = character
                styles[x + offset] = style

    def free(self, x: int, y: int) -> bool:
        """Tell whether nothing was written to a cell."""
        return self._text[y][x] == " " and not self._style[y][x]

    def lines(self) -> list[Line]:
        """Join neighbours of one style into runs."""
        result: list[Line] = []
        for characters, styles in zip(self._text, self._style, strict=True):
            runs: list[tuple[str, str]] = []
            begin = 0
            for x in range(1, self.width + 1):
                if x == self.width or styles[x] != styles[begin]:
                    runs.append(("".join(characters[begin:x]), styles[begin]))
                    begin = x
            result.append(tuple(runs))
        return result


def _axis_width(chart: Chart, scale: Scale) -> int:
    return max(width_of(number(price, chart.decimals)) for price in (scale.low, scale.high)) + 2


def _draw_candle(canvas: Canvas, x: int, cells: int, bar: Candle, scale: Scale) -> None:
    body = max(1, cells - 1) if cells > 1 else 1
    if cells == 2:
        body = 1
    middle = x + (body - 1) // 2
    if bar.empty:
        canvas.put(middle, scale.row(bar.close), "·", "dim")
        return
    rising = bar.close >= bar.open
    style = "gain" if rising else "loss"
    top, bottom = scale.half(max(bar.open, bar.close)), scale.half(min(bar.open, bar.close))
    high, low = scale.half(bar.high), scale.half(bar.low)
    for y in range(high // 2, low // 2 + 1):
        upper, lower = 2 * y, 2 * y + 1
        in_upper, in_lower = top <= upper <= bottom, top <= lower <= bottom
        if in_upper and in_lower:
            canvas.put(x, y, ("█" if rising else "▒") * body, style)
        elif in_upper or in_lower:
            canvas.put(x, y, ("▀" if in_upper else "▄") * body, style)
        else:
            wick_upper, wick_lower = high <= upper <= low, high <= lower <= low
            canvas.put(middle, y, "│" if wick_upper and wick_lower else "╵" if wick_upper else "╷", style)


def _draw_axis(canvas: Canvas, chart: Chart, scale: Scale, axis: int) -> None:
    step = round_step(scale.high - scale.low, max(2, scale.height // 3))
    for y in range(scale.height):
        canvas.put(axis - 1, y, "│", "axis")
    tick = math.ceil(scale.low / step) * step
    decimals = min(chart.decimals, max(0, math.ceil(-math.log10(step) + 0.3))) if step < 1 else 0
    while tick <= scale.high:
        text = number(tick, decimals)
        y = scale.row(tick)
        canvas.put(axis - 2 - width_of(text), y, text, "axis")
        canvas.put(axis - 1, y, "┤", "axis")
        tick += step


def _draw_mark(canvas: Canvas, mark: Mark, scale: Scale, left: int, right: int, decimals: int) -> None:
    if not scale.holds(mark.price):
        return
    y = scale.row(mark.price)
    price = number(mark.price, decimals)
    canvas.put(left - 2 - width_of(price), y, price, mark.kind)
    canvas.put(left - 1, y, "┤", mark.kind)
    label = f" {mark.label}" if mark.label else ""
    right = canvas.edges.get(y, right)
    stroke = "─" if mark.kind == "last" else "┄"
    for x in range(left, right - width_of(label)):
        if canvas.free(x, y):
            canvas.put(x, y, stroke, mark.kind)
    canvas.put(right - width_of(label), y, label, mark.kind)
    if label:
        canvas.edges[y] = right - width_of(label)


def _draw_outside(canvas: Canvas, marks: Sequence[Mark], scale: Scale, right: int, decimals: int) -> None:
    """Name the marks that lie above and below the chart at its edges."""
    above = sorted((mark for mark in marks if mark.price > scale.high), key=lambda mark: -mark.price)
    below = sorted((mark for mark in marks if mark.price < scale.low), key=lambda mark: mark.price)
    for rows, arrow in ((enumerate(above), "↑"), (((scale.height - 1 - i, m) for i, m in enumerate(below)), "↓")):
        for y, mark in rows:
            words = f"{arrow} {mark.label} {number(mark.price, decimals)}"
            canvas.put(right - width_of(words), y, words, mark.kind)


def _draw_volume(canvas: Canvas, slots: Slots, left: int, cells: int, top: int, rows: int) -> None:
    peak = max((bar.volume for bar in slots if bar), default=0.0)
    canvas.put(left - 2 - 6, top + rows - 1, "volume", "axis")
    body = cells - 1 if cells > 2 else 1
    for index, bar in enumerate(slots):
        x = left + index * cells
        if bar is None:
            canvas.put(x, top + rows - 1, "×", "dim")
            continue
        if bar.volume <= 0 or peak <= 0:
            continue
        eighths = max(1, round(bar.volume / peak * rows * 8))
        style = "gain dim" if bar.close >= bar.open else "loss dim"
        for level in range(rows):
            part = min(8, eighths - level * 8)
            if part > 0:
                canvas.put(x, top + rows - 1 - level, BLOCKS[part - 1] * body, style)


_TIME_STEPS = tuple(m * 60_000_000_000 for m in (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 2880, 10080, 43200))


def _draw_times(canvas: Canvas, slots: Slots, step: int, left: int, cells: int, time_text: TimeText) -> None:
    known = [(i, bar.start_ns) for i, bar in enumerate(slots) if bar]
    first = known[0][1] - known[0][0] * step
    wanted = step * max(1, math.ceil(9 / cells))
    spacing = next((s for s in _TIME_STEPS if s >= wanted and s % step == 0), wanted)
    pattern = "%H:%M" if spacing < _TIME_STEPS[11] else "%d %b"
    for index in range(len(slots)):
        start = first + index * step
        if start % spacing == 0:
            label = time_text(start, pattern)
            if left + index * cells + len(label) <= canvas.width:
                canvas.put(left + index * cells, canvas.height - 1, label, "axis")


def _draw_fills(canvas: Canvas, chart: Chart, slots: Slots, scale: Scale, geometry: tuple[int, int, int]) -> None:
    step, left, cells = geometry
    known = next((i, bar.start_ns) for i, bar in enumerate(slots) if bar)
    first = known[1] // step - known[0]
    for fill in chart.fills:
        index = fill.ts_ns // step - first
        if 0 <= index < len(slots) and scale.holds(fill.price):
            canvas.put(left + index * cells, scale.row(fill.price), "▲" if fill.buy else "▼", "mine")


def render_candles(chart: Chart, width: int, height: int, time_text: TimeText) -> list[Line]:
    """Draw a chart in `width` by `height` cells.

    `time_text(ts_ns, pattern)` writes a time of day in the zone that the reader chose.
    """
    if width < 16 or height < 5:
        return [((fit("enlarge to see candles", width), "dim"),)] if width > 0 and height > 0 else []
    slots: Slots = visible_slots(chart, width - 12)[0]
    if not slots:
        return [()] * (height // 2) + [((fit("no bars yet", width, "centre"), "dim"),)]
    volume_rows = 1 if height < 16 else 2 if height < 30 else 3
    plot = height - volume_rows - 1
    rough = _scale(chart, slots, plot)
    axis = _axis_width(chart, rough)
    labels = [mark.label for mark in chart.marks if mark.label and (mark.kind != "alert" or rough.holds(mark.price))]
    label_room = max((width_of(label) + 2 for label in labels), default=0)
    slots, step, cells = visible_slots(chart, width - axis - label_room)
    scale = _scale(chart, slots, plot)
    canvas = Canvas(width, height)
    _draw_axis(canvas, chart, scale, axis)
    for index, bar in enumerate(slots):
        if bar is not None:
            _draw_candle(canvas, axis + index * cells, cells, bar, scale)
    marks = list(chart.marks)
    if chart.last is not None:
        marks.append(Mark(chart.last, "", "last"))
    for mark in marks:
        _draw_mark(canvas, mark, scale, axis, width, chart.decimals)
    _draw_outside(canvas, [mark for mark in chart.marks if mark.kind != "alert"], scale, width, chart.decimals)
    _draw_fills(canvas, chart, slots, scale, (step, axis, cells))
    _draw_volume(canvas, slots, axis, cells, plot, volume_rows)
    _draw_times(canvas, slots, step, axis, cells, time_text)
    return canvas.lines()
