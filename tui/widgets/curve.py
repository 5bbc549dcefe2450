"""What the account was worth over time, and below it how far it stood under its peak."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.message import Message

from core.state.curve import HOUR_NS, MINUTE_NS, EquityPoint
from tui import plots
from tui.actions import bindings
from tui.format import clock, fit, number
from tui.lines import Line
from tui.widgets.plot import PlotPane

HOLE = 2.5
"""Steps without a point that are a hole in the curve, not a straight line."""
SPANS = {False: "equity  24 h by minutes", True: "equity  a year by hours"}
NOTHING_YET = "no curve yet: the engine keeps a point a minute while every price is known"


def curve_lines(points: Sequence[EquityPoint], width: int, height: int, *, hours: bool, local: bool) -> list[Line]:
    """Draw equity and drawdown; a stretch in which nobody looked stays empty."""
    if not points:
        return [((fit(f" {NOTHING_YET}", width), "dim"),)]
    if len(points) < 2:
        words = f" one point so far: {number(points[0].equity)} at {clock(points[0].ts, local=local)}"
        return [((fit(words, width), "dim"),)]
    step = HOUR_NS if hours else MINUTE_NS
    xs, equity, down = _with_holes(points, HOLE * step)
    y = plots.bounds(equity)
    assert y is not None
    x = (points[0].ts / 1e9, points[-1].ts / 1e9)
    worst = min((value for value in down if math.isfinite(value)), default=0.0)
    fell = worst < -1e-6
    deep = 0 if height < 9 else height // 3 if fell else 1
    times = plots.time_ticks(*x, max(2, min(8, width // 14)), local=local)
    y_ticks = plots.value_ticks(*y, max(2, (height - deep) // 3))
    upper = () if deep > 1 else times  # the lower plot has them
    above = plots.plot_lines([plots.Series(xs, equity)], width, height - deep, x=x, y=y, x_ticks=upper, y_ticks=y_ticks)
    if deep <= 1:
        return [*above, *([((fit(" no drawdown", width), "dim"),)] if deep else [])]
    label = max(len(words) for _, words in y_ticks)  # both plots begin in the same column, so that times are aligned
    ticks = [(at, f"{words}%".rjust(label)) for at, words in plots.value_ticks(worst, 0.0, 2, scale=100)]
    below = plots.plot_lines(
        [plots.Series(xs, down, "loss")], width, deep, x=x, y=(worst * 1.04, 0.0), x_ticks=times, y_ticks=ticks
    )
    return [*above, *below]


def _with_holes(points: Sequence[EquityPoint], most: float) -> tuple[list[float], list[float], list[float]]:
    xs, equity, down = list[float](), list[float](), list[float]()
    before = points[0].ts
    for point in points:
        if point.ts - before > most:
            xs.append(before / 1e9)
            equity.append(math.nan)
            down.append(math.nan)
        xs.append(point.ts / 1e9)
        equity.append(point.equity)
        down.append(-point.drawdown)
        before = point.ts
    return xs, equity, down


class CurvePane(PlotPane):
    """A plot of the account, by minutes or by hours."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("curve")

    class Span(Message):
        """The other span is wanted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(SPANS[False], "{curve.span} day or year", drawing=self._curve, **options)
        self.points: tuple[EquityPoint, ...] = ()
        self.hours = False
        self.local = False

    def set_points(self, points: tuple[EquityPoint, ...], *, hours: bool, local: bool) -> None:
        """Show these points."""
        if (points, hours, local) != (self.points, self.hours, self.local):
            self.points, self.hours, self.local = points, hours, local
            self.want()

    def action_span(self) -> None:
        """Show the other span."""
        self.hours, self.points = not self.hours, ()
        self.set_title(SPANS[self.hours])
        self.post_message(self.Span())

    def _curve(self, width: int, height: int) -> list[Line]:
        return curve_lines(self.points, width, height, hours=self.hours, local=self.local)
