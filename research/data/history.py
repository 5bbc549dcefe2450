"""A venue's history brought into the kept series: only what is missing is asked, and a stranger's bars are not joined.

A series that is kept and a venue's history are taken for one market's only where they have a bar in common and agree on
it: a practice exchange bears a real venue's name, and its prices must not come behind imported ones.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.domain.instrument import Instrument
from core.domain.market import Bar, Interval
from core.domain.message import Nanoseconds
from core.errors import ResearchError
from core.session.frames import HISTORY_BARS
from research.data.checks import moment, problems
from research.data.dataset import Imported, add, judged, merged
from research.data.reading import DataFault, Raw
from store.candles import CandleKind, CandleStore, Series, SeriesName, series_named

SETTLED_NS: Nanoseconds = 60_000_000_000
"""A bar that ended within this time may still be corrected by late prints: it is left for the next time."""
FIRST_NS: Nanoseconds = 30 * 86_400_000_000_000
"""How far back a series begins of which nothing is kept, unless told."""


def series_of(instrument: Instrument, interval: Interval) -> SeriesName:
    """Return the series that an instrument's bars belong to.

    Raises:
        ResearchError: its bars cannot be kept as candles.
    """
    name = SeriesName(instrument.venue, instrument.raw_symbol, CandleKind.CANDLES, interval.value)
    if instrument.inverse:
        raise ResearchError(f"{instrument.id} is inverse: its volume is in contracts, a series keeps base units")
    if series_named(str(name)) != name:
        raise ResearchError(f'{instrument.id}: a series cannot be called "{name}"; import its bars from a file')
    return name


def closed_by(interval: Interval, now: Nanoseconds) -> Nanoseconds:
    """Return where the bars that are over and settled end."""
    return (now - SETTLED_NS) // interval.ns * interval.ns


def missing(
    kept: NDArray[np.int64], step: Nanoseconds, start: Nanoseconds, end: Nanoseconds
) -> Iterator[tuple[Nanoseconds, Nanoseconds]]:
    """Yield the spans to ask for: bars from ``start`` up to ``end`` that are not kept, and the kept ones beside them.

    ``start`` is rounded up to the grid of ``step`` and ``end`` down. No span has more than ``HISTORY_BARS`` bars.
    """
    slots = np.arange(-(-start // step) * step, end // step * step, step, dtype=np.int64)
    lacking = slots[~np.isin(slots, kept)]
    if not lacking.size:
        return
    for run in np.split(lacking, np.flatnonzero(np.diff(lacking) > step) + 1):
        first, last = int(run[0]), int(run[-1]) + step
        beside = np.isin([first - step, last], kept)
        first, last = first - step * int(beside[0]), last + step * int(beside[1])
        for at in range(first, last, HISTORY_BARS * step):
            yield at, min(at + HISTORY_BARS * step, last)


def rows_of(name: SeriesName, bars: Sequence[Bar], span: tuple[Nanoseconds, Nanoseconds], size: float = 1.0) -> Series:
    """Return a venue's answer as rows, judged as a file's are; ``size`` is the base units of one contract.

    Raises:
        DataFault: the venue said what must not be; lines count its bars from 1.
    """
    taken = [bar for bar in bars if bar.closed and span[0] <= bar.start < span[1]]
    ts = np.array([bar.start for bar in taken], np.int64)
    columns = {key: np.array([getattr(bar, key) for bar in taken], np.float64) for key in name.kind.columns}
    columns["volume"] *= size
    lines = np.arange(1, ts.size + 1, dtype=np.int64)
    fatal = [one for one in problems(Raw(f"{name} of the venue", lines, ts, columns), name) if one.fatal]
    if fatal:
        raise DataFault(fatal)
    return Series(name, ts, columns)


def take_in(store: CandleStore, name: SeriesName, parts: Sequence[Series], *, replace: bool = False) -> Imported:
    """Add what a venue said to the store, all of it or nothing; notes are of the span that it told.

    Raises:
        ResearchError: it said nothing, contradicts what is kept, or has no bar in common with it; ``replace`` takes the
            venue's rows in the last two cases.
    """
    told = [part for part in parts if part.size]
    if not told:
        raise ResearchError(f"{name}: the venue has no bars of that time")
    series = told[0]
    for part in told[1:]:
        series = merged(series, part)
    kept = store.read(name) if name in store.names() else None
    if kept is not None and not replace and not np.isin(series.ts, kept.ts).any():
        raise Apart(
            f"{name}: the venue's bars from {moment(series.ts[0])} to {moment(series.ts[-1])} have none in common with "
            f"those kept up to {moment(kept.ts[-1])}, so nothing shows that both are of one market; "
            "give --replace to join them all the same"
        )
    done = add(store, series, kept, "the venue's history", replace=replace)
    inside = slice(*np.searchsorted(done.series.ts, [series.ts[0], series.ts[-1] + 1]))
    columns = {key: values[inside] for key, values in done.series.columns.items()}
    return Imported(done.series, done.new, done.replaced, judged(Series(name, done.series.ts[inside], columns)))


class Apart(ResearchError):
    """What a venue tells and what is kept have no bar in common."""
