"""Plot series as lines of text, through plotext: equity, drawdown, depth, studies.

plotext is loaded with the first plot. It draws with pens, which are numbers here and become style classes; the rest of
a picture is axes. A frame takes milliseconds, so nothing here belongs on the frame that live prices are drawn with.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from core.domain.studies import Parameter, Plateau
from tui.format import number
from tui.lines import Line, Run

_SGR = re.compile(r"\x1b\[([0-9;]*)m")
MIN_WIDTH, MIN_HEIGHT = 16, 3
"""Smaller than this nothing can be read."""
SHADES = "·░▒▓█"

Ticks = Sequence[tuple[float, str]]
"""Places on an axis, and what stands there."""


class Series(msgspec.Struct, frozen=True):
    """One line of a plot; a NaN in ``ys`` is a hole."""

    xs: Sequence[float]
    ys: Sequence[float]
    style: str = ""


def plot_lines(
    series: Sequence[Series],
    width: int,
    height: int,
    *,
    x: tuple[float, float],
    y: tuple[float, float],
    x_ticks: Ticks = (),
    y_ticks: Ticks = (),
) -> list[Line]:
    """Draw series between two bounds of each axis in ``width`` × ``height`` cells; nothing where there is no room."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return []
    import plotext

    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.theme("clear")
    plotext.plot_size(width, height)
    plotext.xaxes(bool(x_ticks), False)
    plotext.yaxes(bool(y_ticks), False)
    plotext.xlim(*x)
    plotext.ylim(*y)
    plotext.xticks([at for at, _ in x_ticks], [words for _, words in x_ticks])
    plotext.yticks([at for at, _ in y_ticks], [words for _, words in y_ticks])
    pens: list[str] = []
    for one in series:
        pens.append(one.style)
        for xs, ys in pieces(one, 2 * width):
            plotext.plot(xs, ys, marker="braille", color=len(pens))
    return lines_of(plotext.build(), pens)


def lines_of(text: str, pens: Sequence[str]) -> list[Line]:
    """Turn what plotext built into lines: pen n is the n-th style, whatever has no pen is an axis."""
    lines: list[Line] = []
    for row in text.rstrip("\n").split("\n"):
        runs: list[Run] = []
        style, place = "axis", 0
        for found in _SGR.finditer(row):
            if found.start() > place:
                runs.append((row[place : found.start()], style))
            code = found.group(1).split(";")
            style = pens[int(code[2]) - 1] if code[:2] == ["38", "5"] else "axis"
            place = found.end()
        if place < len(row):
            runs.append((row[place:], style))
        lines.append(tuple(runs))
    return lines


def pieces(series: Series, most: int) -> list[tuple[list[float], list[float]]]:
    """Cut a series at its holes, and thin what has more than ``most`` points: of each stretch both extremes stay."""
    found: list[tuple[list[float], list[float]]] = [([], [])]
    for x, y in zip(series.xs, series.ys, strict=True):
        if math.isfinite(y):
            found[-1][0].append(x)
            found[-1][1].append(y)
        elif found[-1][0]:
            found.append(([], []))
    return [_thinned(xs, ys, most) for xs, ys in found if xs]


def _thinned(xs: list[float], ys: list[float], most: int) -> tuple[list[float], list[float]]:
    count = len(xs)
    if count <= most:
        return xs, ys
    kept: set[int] = {0, count - 1}
    stretches = max(1, most // 2)
    for index in range(stretches):
        part = range(index * count // stretches, (index + 1) * count // stretches)
        kept |= {min(part, key=ys.__getitem__), max(part, key=ys.__getitem__)}
    places = sorted(kept)
    return [xs[i] for i in places], [ys[i] for i in places]


def bounds(values: Sequence[float]) -> tuple[float, float] | None:
    """Give the bounds of an axis around values, with a little air; None where there is no value."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return None
    low, high = min(known), max(known)
    air = (high - low) * 0.04 or abs(high) * 0.001 or 1.0
    return low - air, high + air


def value_ticks(low: float, high: float, count: int, decimals: int | None = None, *, scale: float = 1.0) -> Ticks:
    """Give evenly spaced ticks with round values; ``scale`` multiplies what is written, as 100 for per cent."""
    span = high - low
    if span <= 0 or count < 1:
        return ()
    rough = span / count
    step = 10.0 ** math.floor(math.log10(rough))
    step = next(step * factor for factor in (1, 2, 5, 10) if step * factor >= rough * 0.999)
    places = max(0, -math.floor(math.log10(step * scale) + 1e-9)) if decimals is None else decimals
    first = math.ceil(low / step - 1e-9)
    marks = [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(mark, number(mark * scale, places)) for mark in marks]


def time_ticks(start: float, end: float, count: int, *, local: bool = False) -> Ticks:
    """Give ticks for seconds since the epoch: times of day within two days, dates beyond."""
    if end <= start or count < 2:
        return ()
    pattern = "%H:%M" if end - start <= 2 * 86_400 else "%d %b"
    marks: list[tuple[float, str]] = []
    for index in range(count):
        at = start + (end - start) * index / (count - 1)
        moment = datetime.fromtimestamp(at, UTC)
        marks.append((at, (moment.astimezone() if local else moment).strftime(pattern)))
    return marks


def plateau_lines(plateau: Plateau | None, parameters: Mapping[str, Parameter], width: int, height: int) -> list[Line]:
    """Draw the scores over two parameters as shades, a row for each ``y``; ◆ is the trial itself."""
    if plateau is None or not plateau.xs or not plateau.ys:
        return [((" no neighbours were tried", "dim"),)]
    known = [score for row in plateau.scores for score in row if score is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    head = f" {plateau.y} ↓  {plateau.x} → {plateau.xs[0]:g} … {plateau.xs[-1]:g}"
    lines: list[Line] = [((head[:width], "head"),)]
    label = max(len(f"{y:g}") for y in plateau.ys)
    cell = max(1, min(3, (width - label - 2) // len(plateau.xs)))
    for y, row in list(zip(plateau.ys, plateau.scores, strict=False))[: max(0, height - 1)]:
        runs: list[Run] = [(f" {y:g}".rjust(label + 1) + " ", "dim")]
        for x, score in list(zip(plateau.xs, row, strict=False))[: max(0, width - label - 2) // cell]:
            here = parameters.get(plateau.x) == x and parameters.get(plateau.y) == y
            runs.append(("◆".ljust(cell), "strong") if here else (_shade(score, low, high) * cell, ""))
        lines.append(tuple(runs))
    return lines


def _shade(score: float | None, low: float, high: float) -> str:
    if score is None:
        return " "
    return SHADES[min(4, int((score - low) / (high - low) * 5))] if high > low else SHADES[2]
