"""The report of one trial, and the difference between two configs: shown over the screen, closed by Esc."""

from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from core.domain import studies as s
from tui import plots
from tui.confirm import Modal
from tui.format import fit, gain_class, number, percent, signed
from tui.lines import Line, Pane, line_width, plain
from tui.studying import end_of, parameter_words, symbol
from tui.widgets.plot import PlotPane

_TALL = 38
"""From so many lines on there is room for the price and the months."""
_YEAR_WIDE = 104
_PLATEAU_LEAST = 30
"""The cells that a plateau keeps beside gates that are written whole."""
_LEAST_CURVE = 5
"""The lines that an equity curve keeps where the gates would take them all."""
RIGHT = 38
"""The cells of what stands at the right of a curve."""


def beside(left: Sequence[Line], right: Sequence[Line], width: int, height: int) -> list[Line]:
    """Set two blocks side by side; the left one is ``width`` cells wide."""
    lines: list[Line] = []
    for y in range(height):
        one = left[y] if y < len(left) else ()
        pad = max(0, width - line_width(one))
        lines.append((*one, (" " * pad, ""), *(right[y] if y < len(right) else ())))
    return lines


def curves(report: s.TrialReport) -> list[plots.Series]:
    """Give the two stretches of a trial's equity, one behind the other."""
    first, second = report.equity_in, report.equity_out
    at = len(first)
    return [
        plots.Series(range(at), first, ""),
        plots.Series(range(at, at + len(second)), second, "mine"),
    ]


def equity_lines(report: s.TrialReport, width: int, height: int, *, axes: bool) -> list[Line]:
    """Draw a trial's equity, in-sample and then out-of-sample."""
    values = (*report.equity_in, *report.equity_out)
    y = plots.bounds(values)
    if y is None or len(values) < 2:
        return [((fit(" no equity curve came with this trial", width), "dim"),)]
    split = len(report.equity_in)
    x_ticks = [(0.0, "in-sample"), (float(split), "out-of-sample")] if axes and 0 < split < len(values) else []
    y_ticks = plots.value_ticks(*y, max(2, height // 3)) if axes else ()
    series = [*curves(report), plots.Series((split, split), y, "dim")]
    return plots.plot_lines(series, width, height, x=(0, len(values)), y=y, x_ticks=x_ticks, y_ticks=y_ticks)


def drawdowns(values: Sequence[float]) -> list[float]:
    """Give at each place how far below the highest value so far it stands, as a negative fraction."""
    return [value / peak - 1 if peak > 0 else 0.0 for value, peak in zip(values, accumulate(values, max), strict=True)]


def drawdown_lines(report: s.TrialReport, width: int, height: int) -> list[Line]:
    """Draw a trial's drawdown below nought."""
    values = drawdowns((*report.equity_in, *report.equity_out))
    worst = min(values, default=0.0)
    if len(values) < 2 or worst >= 0:
        return [((fit(" no drawdown", width), "dim"),)]
    below = [plots.Series(range(len(values)), values, "loss")]
    ticks = plots.value_ticks(worst, 0.0, 2, scale=100)
    marks = [(at, f"{words}%") for at, words in ticks]
    return plots.plot_lines(below, width, height, x=(0, len(values)), y=(worst * 1.04, 0.0), y_ticks=marks)


def price_lines(report: s.TrialReport, width: int, height: int) -> list[Line]:
    """Draw the first instrument's price, and every trade on it from its entry to its exit."""
    y = plots.bounds(report.prices)
    if y is None or len(report.prices) < 2:
        return []
    series = [plots.Series(range(len(report.prices)), report.prices, "dim")]
    for one in report.held:
        style = "gain" if one.profit > 0 else "loss"
        series.append(plots.Series((one.opened, max(one.closed, one.opened)), (one.entry, one.exit), style))
    ticks = plots.value_ticks(*y, max(2, height // 3))
    title = f" {symbol(report.instruments[0])}: {len(report.held)} trades" if report.instruments else ""
    drawn = plots.plot_lines(series, width, height - 1, x=(0, len(report.prices)), y=y, y_ticks=ticks)
    return [((fit(title, width), "head"),), *drawn]


def month_lines(report: s.TrialReport, width: int) -> list[Line]:
    """Write what each month brought, a line a year; a month of both stretches is both together."""
    if width < _YEAR_WIDE:
        return []
    earned: dict[str, float] = {}
    for month, part in report.months:
        earned[month] = (1 + earned.get(month, 0.0)) * (1 + part) - 1
    lines: list[Line] = []
    for year in sorted({month[:4] for month in earned}):
        cells = [(f" {year} ", "dim")]
        for number_ in range(1, 13):
            value = earned.get(f"{year}-{number_:02}")
            cells.append((("" if value is None else signed(100 * value, 1)).rjust(8), gain_class(value)))
        lines.append(tuple(cells))
    return lines


def figure_lines(report: s.TrialReport, width: int) -> list[Line]:
    """Write a trial's figures on two lines, and where it was liquidated."""
    trial = report.trial
    first = (
        (" score ", "dim"), (number(trial.score), "strong"), ("  calmar ", "dim"), (number(trial.calmar), ""),
        ("  return ", "dim"), (percent(trial.total_return, 1), gain_class(trial.total_return)),
        ("  drawdown ", "dim"), (percent(trial.max_drawdown, 1), ""),
    )  # fmt: skip
    second = (
        (" leverage ", "dim"), (number(trial.leverage, 1), ""), ("  trades ", "dim"), (number(trial.trades, 0), ""),
        ("  this window's oos/is ", "dim"), (number(trial.efficiency), ""), ("  dsr ", "dim"), (number(trial.dsr), ""),
        ("  pbo ", "dim"), (number(trial.pbo), ""),
    )  # fmt: skip
    lines: list[Line] = [first, second]
    if trial.liquidated:
        lines.append(((fit(f" LIQUIDATED {end_of(trial)}", width), "bad"),))
    return lines


def gate_lines(gates: Sequence[s.Gate], width: int) -> list[Line]:
    """Write the gates below each other, those that failed first."""
    if not gates:
        return [((fit(" no gate was looked at", width), "dim"),)]
    name = max(len(gate.name) for gate in gates)
    return [
        ((fit(f" {'✓' if gate.passed else '✗'} {gate.name:{name}}  {gate.value} ({gate.bound})", width),
          "ok" if gate.passed else "bad"),)
        for gate in sorted(gates, key=lambda gate: gate.passed)
    ]  # fmt: skip


def report_lines(report: s.TrialReport, width: int, height: int) -> list[Line]:
    """Lay a whole report out: figures, equity, drawdown, gates beside the plateau, parameters."""
    head = figure_lines(report, width)
    below = max(len(report.gates), len(report.plateau.ys) + 1 if report.plateau else 1)
    below = min(below, max(4, height // 3, min(len(report.gates), height - len(head) - 1 - _LEAST_CURVE)))
    by_month = month_lines(report, width) if height >= _TALL else []
    room = max(0, height - len(head) - below - 1 - len(by_month))
    priced = price_lines(report, width, room // 3) if height >= _TALL else []
    room -= len(priced)
    deep = room // 3 if room >= 9 else 0
    longest = max(len(plain(line).rstrip()) for line in gate_lines(report.gates, width - _PLATEAU_LEAST))
    half = max(width // 2, longest + 1)
    right = plots.plateau_lines(report.plateau, report.parameters, width - half, below)
    return [
        *head,
        *equity_lines(report, width, room - deep, axes=True),
        *(drawdown_lines(report, width, deep) if deep else ()),
        *priced,
        *by_month,
        *beside(gate_lines(report.gates, half - 1), right, half, below),
        ((fit(f" {parameter_words(report.parameters)}", width), "dim"),),
    ]


def pictures(report: s.TrialReport, width: int, height: int) -> list[Line]:
    """Draw equity, drawdown, price and plateau below each other, and write the months."""
    part = height // 4
    return [
        *equity_lines(report, width, part + 2, axes=True),
        *drawdown_lines(report, width, part),
        *price_lines(report, width, part),
        *plots.plateau_lines(report.plateau, report.parameters, width, part + 2),
        *month_lines(report, width),
    ]


def growth(report: s.TrialReport) -> str:
    """Say what each stretch brought, in a title."""
    said = []
    for name, values in (("in", report.equity_in), ("out", report.equity_out)):
        if len(values) > 1 and values[0] > 0:
            said.append(f"{name} {signed((values[-1] / values[0] - 1) * 100, 1)}%")
    return "  ".join(said)


class Reading(Modal[None]):
    """Something to read over the screen."""

    AUTO_FOCUS = "Pane"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,d", "dismiss", "close", show=False)]

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self.pane = pane

    def compose(self) -> ComposeResult:
        """Show it."""
        with Vertical(id="reading"):
            yield self.pane


class LinesPane(Pane, can_focus=True):
    """A pane of lines that were written once."""

    def __init__(self, lines: Sequence[Line], title: str) -> None:
        super().__init__(title, "Esc closes")
        self._written = list(lines)

    def repaint(self) -> None:
        """Show what fits."""
        width, height = self.content_size
        lines = self._written[:height]
        if len(self._written) > height > 1:
            lines[-1] = ((fit(f" … and {len(self._written) - height + 1} more", width), "dim"),)
        self.show(lines)


def report_screen(report: s.TrialReport) -> Reading:
    """Give the screen that shows a report whole."""
    title = f"trial {report.trial.number} of {report.study}  {growth(report)}".rstrip()
    return Reading(
        PlotPane(title, "Esc closes", drawing=lambda width, height: report_lines(report, width, height), id="report")
    )


def difference_screen(lines: Sequence[Line], title: str) -> Reading:
    """Give the screen that shows a difference whole."""
    return Reading(LinesPane(lines, title))
