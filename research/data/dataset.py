"""Market data for studies: import files into the store, put series side by side, make the simulator's market of them.

Gaps stay gaps: nothing here makes a row that no file had. Series of several symbols stand in one wide table whose
missing values are NaN.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import VenueId
from core.domain.instrument import Instrument
from core.domain.message import Nanoseconds
from core.errors import ResearchError
from core.strategy.signals import Bars
from research.data.checks import LONGEST_FUNDING_NS, moment, problems, settled
from research.data.reading import DataFault, Problem, Raw, read
from store.candles import CandleKind, CandleStore, Series, SeriesName, interval_ns
from venues.contracts_table import contracts

if TYPE_CHECKING:
    from research.simulator.simulator import Market, Tariff

Array = NDArray[np.float64]
DAY_NS = 86_400_000_000_000


class Contradicted(ResearchError):
    """Rows differ from those that are kept."""


class Imported(msgspec.Struct, frozen=True):
    """What an import did: the series as it is kept now, how many rows were new or replaced, what should be known."""

    series: Series
    new: int
    replaced: int
    notes: list[Problem]


def load(path: Path, name: SeriesName) -> tuple[Series, list[Problem]]:
    """Return a file as a series and what should be known of it.

    Raises:
        DataFault: naming every line that must not be.
    """
    raw = read(path, name.kind)
    found = problems(raw, name)
    fatal = [problem for problem in found if problem.fatal]
    if fatal:
        raise DataFault(fatal)
    ts = settled(raw.ts) if name.kind is CandleKind.FUNDING else raw.ts
    return Series(name, ts, raw.columns), found


def bring_in(store: CandleStore, path: Path, name: SeriesName, *, replace: bool = False) -> Imported:
    """Add a file's rows to the store; rows that are kept already must be the same unless ``replace``.

    Raises:
        DataFault: the file has lines that must not be.
        Contradicted: it differs from what is kept.
    """
    series, notes = load(path, name)
    kept = store.read(name) if name in store.names() else None
    return msgspec.structs.replace(add(store, series, kept, str(path), replace=replace), notes=notes)


def add(store: CandleStore, series: Series, kept: Series | None, source: str, *, replace: bool) -> Imported:
    """Add sound rows to those kept; ``source`` says in errors where they come from.

    Raises:
        Contradicted: they differ from rows that are kept, and not ``replace``.
    """
    if kept is None:
        store.write(series)
        return Imported(series, series.size, 0, [])
    name = kept.name
    place = np.minimum(np.searchsorted(kept.ts, series.ts), kept.size - 1)
    known = kept.ts[place] == series.ts
    differs = np.zeros(series.size, bool)
    for column, values in series.columns.items():
        differs |= known & (kept.columns[column][place] != values)
    if np.any(differs) and not replace:
        raise Contradicted(
            f"{source}: {np.count_nonzero(differs)} rows differ from those kept in {name}, the first at "
            f"{moment(series.ts[np.argmax(differs)])}; give --replace to take the new ones"
        )
    both = merged(kept, series)
    if both.size > kept.size or np.any(differs):
        store.write(both)
    return Imported(both, int(np.count_nonzero(~known)), int(np.count_nonzero(differs)), [])


def merged(kept: Series, series: Series) -> Series:
    """Return both, the second's rows where both have one."""
    ts = np.concatenate([series.ts, kept.ts])
    stamps, first = np.unique(ts, return_index=True)  # the first of equals is the second series'
    columns = {name: np.concatenate([series.columns[name], kept.columns[name]])[first] for name in series.columns}
    return Series(kept.name, stamps, columns)


def judged(series: Series) -> list[Problem]:
    """Return what should be known of a series that is kept; rows count from 1."""
    lines = np.arange(1, series.size + 1, dtype=np.int64)
    return problems(Raw(str(series.name), lines, series.ts, dict(series.columns)), series.name)


class Wide(msgspec.Struct, frozen=True):
    """Several symbols on one strict, rising UTC index: ``fields[name]`` is (n, symbols), NaN where there is no row."""

    ts: NDArray[np.int64]
    symbols: tuple[str, ...]
    fields: Mapping[str, Array]
    interval_ns: int

    def frame(self) -> Any:
        """Return a pandas DataFrame: UTC index, MultiIndex columns (field, symbol)."""
        import pandas as pd

        index = pd.DatetimeIndex(self.ts.view("datetime64[ns]"), tz="UTC", name="ts")
        columns = pd.MultiIndex.from_product([list(self.fields), list(self.symbols)], names=["field", "symbol"])
        return pd.DataFrame(np.concatenate(list(self.fields.values()), axis=1), index=index, columns=columns)

    def bars(self, symbol: str | None = None) -> Bars:
        """Return one symbol's own bars, or those of all as (symbols, n) with NaN where one has none."""
        names = ("open", "high", "low", "close", "volume")
        if symbol is None:
            return Bars.of(self.ts, [self.fields[name].T for name in names], self.interval_ns)
        place = self.symbols.index(symbol)
        there = np.isfinite(self.fields["close"][:, place])
        return Bars.of(self.ts[there], [self.fields[name][there, place] for name in names], self.interval_ns)


def wide(series: Sequence[Series]) -> Wide:
    """Return candles of one interval side by side.

    Raises:
        ResearchError: none, or of different kinds or intervals, or a symbol twice.
    """
    if not series:
        raise ResearchError("no series to put side by side")
    shapes = {(one.name.kind, one.name.interval) for one in series}
    if len(shapes) > 1:
        raise ResearchError(
            f"series of different kinds cannot stand side by side: {', '.join(str(s.name) for s in series)}"
        )
    symbols = tuple(one.name.symbol for one in series)
    if len(set(symbols)) < len(symbols):
        raise ResearchError(f"a symbol stands twice among {', '.join(symbols)}")
    ts = np.unique(np.concatenate([one.ts for one in series]))
    fields = {name: np.full((ts.size, len(series)), np.nan) for name in series[0].columns}
    for column, one in enumerate(series):
        rows = np.searchsorted(ts, one.ts)
        for name, values in one.columns.items():
            fields[name][rows, column] = values
    return Wide(ts, symbols, fields, interval_ns(series[0].name.interval))


class Joined(msgspec.Struct, frozen=True):
    """One contract's candles with marks and funding on the same bars, over the span that all of them have."""

    name: SeriesName
    bars: Bars
    marks: tuple[Array, Array, Array] | None
    funding_rate: Array | None
    cuts: tuple[str, ...] = ()
    """Which other series cut the candles' time short, in words; empty where none did."""

    def market(self, tariff: "Tariff | None" = None) -> "Market":
        """Return the simulator's market; the tariff is that of the shipped contract table unless given.

        Raises:
            ResearchError: the table has no such contract and no tariff is given.
        """
        from research.simulator.simulator import Market

        bars = self.bars
        return Market(
            bars.ts,
            (bars.open, bars.high, bars.low, bars.close),
            marks=self.marks,
            funding_rate=self.funding_rate,
            tariff=tariff or tariff_of(self.name),
        )


def joined(
    store: CandleStore,
    name: SeriesName,
    *,
    marks: bool = True,
    funding: bool = True,
    start: Nanoseconds = 0,
    end: Nanoseconds = 1 << 62,
) -> Joined:
    """Return candles with their marks and funding, from ``start`` up to, not with, ``end``.

    The span is cut to where every part has begun and none has ended; inside it a bar without a mark is an error. A
    funding stamp counts at the first bar that opens at or after it.

    Raises:
        StoreError: a part was never imported.
        ResearchError: nothing is left of the span, marks or funding are of another time, a mark is missing, funding is
            missing for longer than 8 hours.
    """
    candles = store.read(name)
    mark = store.read(SeriesName(name.venue, name.symbol, CandleKind.MARK, name.interval)) if marks else None
    rates = store.read(SeriesName(name.venue, name.symbol, CandleKind.FUNDING)) if funding else None
    step = interval_ns(name.interval)
    wanted = candles.ts[slice(*np.searchsorted(candles.ts, [start, end]))]
    cuts = []
    for part, last in ((mark, step), (rates, LONGEST_FUNDING_NS)):
        if part is not None and wanted.size:
            first, behind = int(part.ts[0]), int(part.ts[-1]) + last
            cuts += _cut(part, first, behind, wanted)
            start, end = max(start, first), min(end, behind)
    inside = slice(*np.searchsorted(candles.ts, [start, end]))
    ts = candles.ts[inside]
    if not ts.size:
        last_bar = int(candles.ts[-1]) + step
        cut = f" ({', '.join(cuts)})" if cuts else ""
        raise ResearchError(f"{name}: no bar between {moment(start)} and {moment(min(end, last_bar))}{cut}")
    bars = Bars.of(ts, [candles.columns[key][inside] for key in name.kind.columns], step)
    return Joined(
        name,
        bars,
        None if mark is None else _marks(mark, ts),
        None if rates is None else _rates(rates, ts, step),
        tuple(cuts),
    )


def _cut(part: Series, first: Nanoseconds, behind: Nanoseconds, wanted: NDArray[np.int64]) -> list[str]:
    """Say where marks or funding, which cover ``first`` to ``behind``, cut wanted candles short by a day or more.

    Raises:
        ResearchError: it leaves none of them.
    """
    if first > wanted[-1] or behind <= wanted[0]:
        raise ResearchError(
            f"{part.name} has {moment(part.ts[0])} to {moment(part.ts[-1])}, and the candles to be studied "
            f"{moment(wanted[0])} to {moment(wanted[-1])}: no time in common; {_remedy(part.name.kind)}"
        )
    kind = part.name.kind.value
    begins = [f"{part.name.symbol} {kind} begins {moment(first)}"] if first - wanted[0] >= DAY_NS else []
    ends = [f"{part.name.symbol} {kind} ends {moment(part.ts[-1])}"] if wanted[-1] - behind >= DAY_NS else []
    return begins + ends


def _remedy(kind: CandleKind) -> str:
    if kind is CandleKind.FUNDING:
        return "import the funding of that time, or study without it: [data] funding = false"
    return "import the marks of that time, or study without them: [data] marks = false (by traded prices then)"


def across(parts: Sequence[Joined]) -> Bars:
    """Return the bars of several contracts on the times of all, (symbols, n), NaN where one has none.

    Raises:
        ResearchError: none, or bars of different lengths.
    """
    if len({part.bars.interval_ns for part in parts}) != 1:
        raise ResearchError(f"{len(parts)} contracts whose bars do not have one length cannot stand side by side")
    ts = np.unique(np.concatenate([part.bars.ts for part in parts]))
    rows = np.full((5, len(parts), ts.size), np.nan)
    for place, bars in enumerate(part.bars for part in parts):
        rows[:, place, np.searchsorted(ts, bars.ts)] = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars.of(ts, rows, parts[0].bars.interval_ns)


def _marks(mark: Series, ts: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    place = np.minimum(np.searchsorted(mark.ts, ts), mark.size - 1)
    missing = np.flatnonzero(mark.ts[place] != ts)
    if missing.size:
        raise ResearchError(
            f"{mark.name}: {missing.size} bars have no mark price, the first at {moment(ts[missing[0]])}; "
            f"{_remedy(mark.name.kind)}"
        )
    opened, high, low = (mark.columns[key][place] for key in ("open", "high", "low"))
    return opened, high, low


def _rates(rates: Series, ts: NDArray[np.int64], step: int) -> Array:
    inside = (rates.ts > ts[0] - step) & (rates.ts <= ts[-1])
    stamps = rates.ts[inside]
    around = np.concatenate([[ts[0]], stamps, [ts[-1]]])
    empty = np.flatnonzero(np.diff(around) > LONGEST_FUNDING_NS)
    if empty.size:
        raise ResearchError(
            f"{rates.name}: no funding between {moment(around[empty[0]])} and {moment(around[empty[0] + 1])}; "
            f"{_remedy(rates.name.kind)}"
        )
    rate = np.zeros(ts.size)
    np.add.at(rate, np.searchsorted(ts, stamps), rates.columns["rate"][inside])
    return rate


def contract_of(name: SeriesName) -> Instrument:
    """Return the shipped contract of a series.

    Raises:
        ResearchError: the table does not have it.
    """
    known = contracts(VenueId(name.venue))
    for contract in known:
        if contract.raw_symbol == name.symbol:
            return contract
    have = ", ".join(contract.raw_symbol for contract in known) or "nothing"
    raise ResearchError(f"no contract data for {name.symbol} of {name.venue}: the table has {have}; give a tariff")


def tariff_of(name: SeriesName) -> "Tariff":
    """Return taker fee and maintenance tiers of the shipped table, as if they had always held.

    Raises:
        ResearchError: the table does not have the contract.
    """
    from research.simulator.simulator import Tariff

    contract = contract_of(name)
    return Tariff(fees=((0, float(contract.taker_fee)),), tiers=((0, contract.brackets),) if contract.brackets else ())
