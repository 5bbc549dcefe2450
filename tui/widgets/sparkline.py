"""Draw a series of numbers as one line of blocks."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw the last values in `width` cells, scaled between their extremes.

    More values than cells are averaged by cell; a missing value (NaN) leaves its cell blank; fewer stand at the right.
    """
    if width <= 0:
        return ""
    cells = _averages(values, width) if len(values) > width else list(values)
    known = [value for value in cells if math.isfinite(value)]
    if not known:
        return " " * width
    low, span = min(known), max(known) - min(known)
    text = "".join(_block(value, low, span) for value in cells)
    return text.rjust(width)


def _averages(values: Sequence[float], width: int) -> list[float]:
    count = len(values)
    cells = []
    for index in range(width):
        part = [v for v in values[index * count // width : (index + 1) * count // width] if math.isfinite(v)]
        cells.append(sum(part) / len(part) if part else math.nan)
    return cells


def _block(value: float, low: float, span: float) -> str:
    if not math.isfinite(value):
        return " "
    if span <= 0:
        return BLOCKS[3]
    return BLOCKS[min(7, int((value - low) / span * 8))]


def bar(fraction: float, width: int, full: str = "█") -> str:
    """Draw a share between 0 and 1 as a bar of at most `width` cells, to an eighth of a cell."""
    if not math.isfinite(fraction) or width <= 0:
        return ""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    return full * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
