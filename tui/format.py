"""Turn numbers, ages and times into the text that stands on a screen."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

NOTHING = "–"
UP, DOWN, FLAT = "▲", "▼", " "

Number = float | int | Decimal

_FRACTION_GROUPS_FROM = 5  # decimals; below, a fraction is read at a glance


def is_nothing(value: Number | None) -> bool:
    """Tell whether a value is absent: None, NaN or infinite."""
    if value is None:
        return True
    return not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value))


@lru_cache(maxsize=2048)
def number(value: Number | None, decimals: int = 2, *, sign: bool = False) -> str:
    """Write a number with its thousands grouped by a space, and a long fraction grouped alike.

    `61800.3` at 2 decimals is `61 800.30`; `0.6012` at 5 is `0.601 20`. A value that rounds to zero has no sign.
    """
    if value is None or is_nothing(value):
        return NOTHING
    text = f"{value:+,.{decimals}f}" if sign else f"{value:,.{decimals}f}"
    if text[0] in "+-" and not text.strip("+-0.,"):
        text = text[1:]
    text = text.replace(",", " ")
    if decimals < _FRACTION_GROUPS_FROM:
        return text
    whole, _, fraction = text.partition(".")
    return f"{whole}.{' '.join(fraction[i : i + 3] for i in range(0, decimals, 3))}"


def signed(value: Number | None, decimals: int = 2) -> str:
    """Write a number that always shows its sign, except zero."""
    return number(value, decimals, sign=True)


def arrow(value: Number | None) -> str:
    """Give the arrow of a change: ▲, ▼ or a blank."""
    if value is None or is_nothing(value) or value == 0:
        return FLAT
    return UP if value > 0 else DOWN


def gain_class(value: Number | None) -> str:
    """Give the style class of a gain or a loss, or none."""
    if value is None or is_nothing(value) or value == 0:
        return ""
    return "gain" if value > 0 else "loss"


def percent(fraction: Number | None, decimals: int = 2, *, sign: bool = False) -> str:
    """Write a fraction (0.0041) as a percentage (`0.41%`)."""
    return NOTHING if fraction is None or is_nothing(fraction) else f"{number(fraction * 100, decimals, sign=sign)}%"


def basis_points(fraction: Number | None, decimals: int = 2) -> str:
    """Write a fraction (0.000003) in basis points (`0.03 bp`)."""
    return NOTHING if fraction is None or is_nothing(fraction) else f"{number(fraction * 10_000, decimals)} bp"


def compact(value: Number | None) -> str:
    """Write a size in at most five characters: `950`, `12.4k`, `3.1M`."""
    if value is None or is_nothing(value):
        return NOTHING
    size = float(value)
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(size) >= scale:
            return f"{size / scale:.1f}{unit}"
    return f"{size:.0f}" if abs(size) >= 100 else f"{size:.2f}"


def decimals_of(step: Number) -> int:
    """Count the decimals of a tick or lot: 0.10 needs 1, 0.001 needs 3, 5 needs 0."""
    exponent = Decimal(str(step)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def age(seconds: float | None) -> str:
    """Write an age with one unit: `0.2s`, `9s`, `12m`, `3h`, `2d`."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    for limit, scale, unit in ((60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // scale)}{unit}"
    return f"{int(seconds // 86400)}d"


def milliseconds(seconds: float | None) -> str:
    """Write a short duration: `4ms`, `1.4s`."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    return f"{seconds * 1e3:.0f}ms" if seconds < 0.9995 else age(seconds)


def clock(ts_ns: int, *, local: bool = False, pattern: str = "%H:%M:%S") -> str:
    """Write a UTC nanosecond stamp as a time of day, in UTC or in the local zone."""
    moment = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return (moment.astimezone() if local else moment).strftime(pattern)


def width_of(text: str) -> int:
    """Count the cells of a text; wide characters take two."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int, align: str = "left") -> str:
    """Pad or cut a text to `width` cells; wide characters count twice, a cut ends in `…`."""
    length = width_of(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else "…"[:width]
    pad = width - length
    if align == "right":
        return " " * pad + text
    if align == "centre":
        return " " * (pad // 2) + text + " " * (pad - pad // 2)
    return text + " " * pad


def point(text: str) -> tuple[int, int]:
    """Split a number's width at its decimal point: cells before it, cells from it on."""
    whole, dot, fraction = text.partition(".")
    return cell_len(whole), len(dot) + cell_len(fraction)


def align_points(texts: Sequence[str]) -> list[str]:
    """Pad numbers to one width so that their decimal points stand under each other."""
    widths = [point(text) for text in texts]
    left = max((whole for whole, _ in widths), default=0)
    right = max((fraction for _, fraction in widths), default=0)
    return [
        " " * (left - whole) + text + " " * (right - fraction)
        for text, (whole, fraction) in zip(texts, widths, strict=True)
    ]
