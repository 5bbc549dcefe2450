"""Judge the rows of a series: what must not be (fatal), and what must be known (gaps, bars without volume)."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from core.domain.message import Nanoseconds
from research.data.reading import Problem, Raw
from store.candles import CandleKind, SeriesName, interval_ns

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
LONGEST_FUNDING_NS = 8 * 3600 * SECOND_NS
_PRICES = ("open", "high", "low", "close")


def moment(ts: Nanoseconds) -> str:
    """Return a stamp as text, UTC."""
    return datetime.fromtimestamp(int(ts) // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S")


def settled(ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return funding stamps on their minute: venues note them some milliseconds late."""
    near = (ts + SECOND_NS) // MINUTE_NS * MINUTE_NS
    return np.where(np.abs(ts - near) <= SECOND_NS, near, ts)


def problems(raw: Raw, name: SeriesName) -> list[Problem]:
    """Return everything that is wrong with rows, by line; gaps and missing volume are told, not fatal."""
    found = [*_values(raw, name.kind), *_order(raw), *_ahead(raw), *_grid(raw, name), *_gaps(raw, name)]
    return sorted(found, key=lambda problem: (problem.line, not problem.fatal))


def _at(raw: Raw, places: NDArray[np.int64], text: str) -> Iterator[Problem]:
    for place in places:
        shown = {name: f"{values[place]:g}" for name, values in raw.columns.items()}
        yield Problem(raw.path, int(raw.lines[place]), text.format(**shown, time=moment(raw.ts[place])))


def _values(raw: Raw, kind: CandleKind) -> Iterator[Problem]:
    columns = raw.columns
    broken = np.zeros(raw.ts.size, bool)
    for name, values in columns.items():
        wrong = ~np.isfinite(values)
        broken |= wrong
        yield from _at(raw, np.flatnonzero(wrong), f"{name} is {{{name}}}, expected a number")
    if kind is CandleKind.FUNDING:
        yield from _at(
            raw, np.flatnonzero(np.abs(columns["rate"]) >= 1.0), "rate is {rate}, expected a fraction, not percent"
        )
        return
    for name in _PRICES:
        wrong = ~broken & (columns[name] <= 0.0)
        yield from _at(raw, np.flatnonzero(wrong), f"{name} is {{{name}}}, expected a price above 0")
        broken |= wrong
    top = np.maximum(columns["open"], columns["close"])
    bottom = np.minimum(columns["open"], columns["close"])
    wrong = ~broken & ((columns["high"] < top) | (columns["low"] > bottom))
    text = "open {open}, high {high}, low {low}, close {close} are not a bar; are the columns in another order?"
    yield from _at(raw, np.flatnonzero(wrong), text)
    if kind is CandleKind.CANDLES:
        volume = columns["volume"]
        yield from _at(raw, np.flatnonzero(volume < 0.0), "volume is {volume}, expected 0 or more")
        for start, end in _runs(volume == 0.0):
            count, lines = end - start, f" (to line {raw.lines[end - 1]})" if end - start > 1 else ""
            text = f"{count} bars without volume{lines}" if count > 1 else "no volume"
            yield Problem(raw.path, int(raw.lines[start]), f"{text}, from {moment(raw.ts[start])}", False)


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        yield int(start), int(end)


def _order(raw: Raw) -> Iterator[Problem]:
    late = np.flatnonzero(np.diff(raw.ts) < 0) + 1
    for place in late:
        text = f"{moment(raw.ts[place])} comes after {moment(raw.ts[place - 1])}: rows are out of order"
        yield Problem(raw.path, int(raw.lines[place]), text)
    order = np.argsort(raw.ts, kind="stable")
    for place in np.flatnonzero(np.diff(raw.ts[order]) == 0):
        first, second = order[place], order[place + 1]
        same = all(values[first] == values[second] for values in raw.columns.values())
        text = f"{moment(raw.ts[second])} again, as in line {raw.lines[first]}, with {'the same' if same else 'other'}"
        yield Problem(raw.path, int(raw.lines[second]), f"{text} values")


def _ahead(raw: Raw) -> Iterator[Problem]:
    """Yield the first row that has not been yet: what comes later would be asked for behind it."""
    for place in np.flatnonzero(raw.ts > time.time_ns())[:1]:
        text = f"{moment(raw.ts[place])} has not been yet: is the stamp in another unit, or this machine's clock slow?"
        yield Problem(raw.path, int(raw.lines[place]), text)


def _grid(raw: Raw, name: SeriesName) -> Iterator[Problem]:
    step = MINUTE_NS if name.kind is CandleKind.FUNDING else interval_ns(name.interval)
    ts = settled(raw.ts) if name.kind is CandleKind.FUNDING else raw.ts
    what = "a minute" if name.kind is CandleKind.FUNDING else f"the grid of {name.interval} bars in UTC"
    yield from _at(raw, np.flatnonzero(ts % step), f"{{time}} is not on {what}: local time, or another interval")


def _gaps(raw: Raw, name: SeriesName) -> Iterator[Problem]:
    funding = name.kind is CandleKind.FUNDING
    step = LONGEST_FUNDING_NS if funding else interval_ns(name.interval)
    order = np.argsort(raw.ts, kind="stable")
    ts = settled(raw.ts[order]) if funding else raw.ts[order]
    for place in np.flatnonzero(np.diff(ts) > step):
        count = int((ts[place + 1] - ts[place] - 1) // step)
        what = "no funding" if funding else f"{count} {'bar' if count == 1 else 'bars'} missing"
        text = f"{what} between {moment(ts[place])} and {moment(ts[place + 1])}"
        yield Problem(raw.path, int(raw.lines[order[place + 1]]), text, False)
