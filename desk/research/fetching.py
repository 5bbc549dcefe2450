"""A venue's history asked through the running engine and brought into the home's series."""

import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from core.domain.identifiers import symbol_of
from core.domain.instrument import Instrument
from core.domain.market import Interval
from core.domain.message import Nanoseconds
from core.errors import ClientError, NoEngine, ResearchError, TradedeckError
from core.session.client import Client
from core.session.frames import AskHistory
from desk.output import UsageFault, say
from desk.paths import Home
from desk.session import known_instruments, resolve, talk
from research.data.checks import moment
from research.data.dataset import Contradicted, Imported
from research.data.history import FIRST_NS, Apart, closed_by, missing, rows_of, series_of, take_in
from store.candles import CandleKind, CandleStore, Series, SeriesName

PRACTICE = "paper"
"""The mode of an engine whose prices are those of the practice exchange."""


class Span(msgspec.Struct, frozen=True):
    """What of a history is wanted: from ``since`` (None: behind what is kept) up to ``until`` (None: now), ns UTC."""

    since: Nanoseconds | None = None
    until: Nanoseconds | None = None
    replace: bool = False
    """Ask for what is kept too, and take the venue's rows where they differ."""


async def fetch(client: Client, store: CandleStore, instrument: Instrument, interval: Interval, span: Span) -> Imported:
    """Ask for what a series lacks and keep it, all of it or nothing; a bar that may still change is left out.

    Raises:
        NoEngine: the engine went away meanwhile.
        ResearchError: the venue has nothing of that time, says what must not be or what contradicts the kept rows.
        StoreError: the series cannot be read or written.
    """
    name = series_of(instrument, interval)
    kept = store.read(name) if name in store.names() else None
    now = time.time_ns()
    end = min(closed_by(interval, now), now if span.until is None else span.until)
    start = span.since if span.since is not None else int(kept.ts[-1]) if kept is not None else end - FIRST_NS
    if start >= end:
        if kept is not None:
            return Imported(kept, 0, 0, [])
        raise ResearchError(f"{name}: no bar of {interval} begins at {moment(start)} and is over by {moment(end)}")
    known = np.array([], np.int64) if kept is None or span.replace else kept.ts
    parts = list[Series]()
    size = float(instrument.contract_size)
    for asked in missing(known, interval.ns, max(start, 0), end):
        try:
            bars = await client.ask(AskHistory(instrument.id, interval, *asked))
        except NoEngine:
            raise
        except ClientError as error:
            raise ResearchError(f"{name}: no history of {symbol_of(instrument.id)}: {error}") from None
        parts.append(rows_of(name, bars, asked, size))
    if not parts and kept is not None:
        return Imported(kept, 0, 0, [])
    return take_in(store, name, parts, replace=span.replace)


class Newer(msgspec.Struct, frozen=True):
    """What came of asking for what is newer: rows, of how many series, and why not of the others."""

    rows: int
    series: int
    left: dict[str, list[str]]
    """Series by the reason why nothing was fetched."""
    failed: bool

    @property
    def words(self) -> str:
        """Return it in words; empty where no series is kept."""
        said = [f"{self.rows} rows new in {self.series} series fetched"] if self.series else []
        if self.left:
            said.append(f"not fetched: {'; '.join(f'{_several(names)} ({why})' for why, names in self.left.items())}")
        return ", ".join(said)


def fetch_newer(home: Home) -> Newer:
    """Bring every kept series up to date from the venues of the running engine, as far as there is one.

    Raises:
        StoreError: the data folder cannot be read.
    """
    store = CandleStore(home.data)
    names = store.names()
    if not names:
        return Newer(0, 0, {}, False)
    try:
        return talk(home, lambda client: _newer(client, store, names), stream=True)
    except NoEngine:
        return Newer(0, 0, {"no engine runs": [str(name) for name in names]}, False)


async def _newer(client: Client, store: CandleStore, names: Sequence[SeriesName]) -> Newer:
    rows, done, left, failed = 0, 0, dict[str, list[str]](), False
    practice = client.state.mode == PRACTICE
    for name in names:
        try:
            found = await _one_newer(client, store, name)
        except NoEngine:
            raise
        except Apart:
            why = "no bar in common with its venue's history"
        except Contradicted as error:
            why = "the practice exchange has other prices" if practice else str(error)
            failed = failed or not practice
        except TradedeckError as error:
            why, failed = str(error), True
        else:
            if not isinstance(found, str):
                rows, done = rows + found, done + 1
                continue
            why = found
        left.setdefault(why, []).append(str(name))
    return Newer(rows, done, left, failed)


async def _one_newer(client: Client, store: CandleStore, name: SeriesName) -> int | str:
    """Return how many rows are new, or why none was asked for."""
    if name.kind is not CandleKind.CANDLES:
        return "venues are asked for candles alone"
    if name.interval not in set(Interval):
        return f"the engine has bars of {', '.join(Interval)}"
    for item in known_instruments(client.state):
        if (item.venue, item.raw_symbol) == (name.venue, name.symbol):
            return (
                "inverse" if item.inverse else (await fetch(client, store, item, Interval(name.interval), Span())).new
            )
    return "the engine does not trade it"


def _several(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def length_of(text: str) -> Interval:
    """Return the interval that an option names.

    Raises:
        UsageFault: it is none that an engine has bars of.
    """
    if text not in set(Interval):
        raise UsageFault(f'--interval must be {", ".join(Interval)} (got "{text}")')
    return Interval(text)


def fetch_all(
    home: Home,
    instruments: Sequence[str],
    interval: Interval,
    span: Span,
    tell: Callable[[str, Imported | TradedeckError], None],
) -> None:
    """Fetch one instrument after the other and tell what came of each; all of them must be known before the first.

    Raises:
        NoEngine: none runs, or it went away meanwhile; what was told until then is kept.
        UsageFault: an instrument is none of the engine's.
    """
    store = CandleStore(home.data)

    async def work(client: Client) -> None:
        state = client.state
        chosen = [resolve(text, state) for text in instruments]
        for id_ in chosen:
            if id_ not in state.markets:
                raise UsageFault(f"{id_} is not traded by this engine; tradedeck instruments lists what is")
        if state.mode == PRACTICE:
            say("the engine trades on the practice exchange: these bars are its own prices, no real market's")
        for id_ in dict.fromkeys(chosen):
            try:
                found: Imported | TradedeckError = await fetch(
                    client, store, state.markets[id_].instrument, interval, span
                )
            except NoEngine:
                raise
            except TradedeckError as error:
                found = error
            tell(symbol_of(id_), found)

    talk(home, work, stream=True)
