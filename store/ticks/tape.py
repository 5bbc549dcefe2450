# ruff: noqa: S608  # table names, instruments and paths are ours, and quoted; a user's SQL is checked in tick_sql
"""Plays recorded days back as the messages they were."""

from collections.abc import Collection, Iterator
from datetime import date
from heapq import merge
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

from core.domain.identifiers import InstrumentId
from core.domain.market import BookDelta, BookSnapshot, Level, Quote, Trade
from core.domain.message import Message
from store.segments.format import Form, Kind
from store.segments.reader import NO_SIDE
from store.ticks.paths import DAY_NS, day_number
from store.ticks.reader import TickReader
from store.ticks.sql import SOURCES
from store.ticks.tables import quoted

_ORDER = {
    Kind.BOOKS: "ts, event, arrival",
    Kind.QUOTES: "ts, arrival, instrument",
    Kind.TRADES: "ts, arrival, instrument",
}
_COLUMNS = {
    Kind.BOOKS: "instrument, form, first_id, last_id, prev_id, ts_exchange, ts, event, side, price, size",
    Kind.QUOTES: "instrument, bid, bid_size, ask, ask_size, update_id, ts_exchange, ts",
    Kind.TRADES: "instrument, price, size, buyer, trade_id, ts_exchange, ts",
}


def read_day(
    home: Path, day: date, instruments: Collection[InstrumentId] = (), *, target: str = ""
) -> Iterator[Message]:
    """Yield the messages of a recorded day by receive stamp; of equal stamps books first, then quotes, then trades.

    Args:
        home: the engine's data directory.
        day: the UTC day of the receive stamps.
        instruments: these only; none means all.
        target: where closed days went (``ticks.target``).

    Raises:
        StoreError: a file cannot be read, or the recorder held it for 2 s.
    """
    with TickReader(home, target=target, days=[day]) as reader:
        streams = [
            _books(_rows(reader, Kind.BOOKS, day, instruments)),
            (Quote(*row) for row in _rows(reader, Kind.QUOTES, day, instruments)),
            (Trade(*row) for row in _rows(reader, Kind.TRADES, day, instruments)),
        ]
        yield from merge(*streams, key=attrgetter("ts"))


def _rows(
    reader: TickReader, kind: Kind, day: date, instruments: Collection[InstrumentId]
) -> Iterator[tuple[Any, ...]]:
    start = day_number(day) * DAY_NS
    only = ", ".join(f"'{quoted(name)}'" for name in sorted(instruments))
    return reader.stream(
        f"SELECT {_COLUMNS[kind]} FROM {SOURCES[kind]} WHERE ts >= {start} AND ts < {start + DAY_NS}"
        + (f" AND instrument IN ({only})" if only else "")
        + f" ORDER BY {_ORDER[kind]}"
    )


def _books(rows: Iterator[tuple[Any, ...]]) -> Iterator[Message]:
    for head, levels in groupby(rows, key=itemgetter(0, 1, 2, 3, 4, 5, 6, 7)):
        instrument, form, first_id, last_id, prev_id, ts_exchange, ts, _ = head
        sides: tuple[list[Level], list[Level], list[Level]] = ([], [], [])
        for row in levels:
            sides[row[8]].append((row[9], row[10]))
        assert not sides[NO_SIDE] or not (sides[0] or sides[1])
        bids, asks = tuple(sides[0]), tuple(sides[1])
        if form == Form.DELTA:
            yield BookDelta(instrument, bids, asks, first_id, last_id, prev_id, ts_exchange, ts)
        else:
            yield BookSnapshot(instrument, bids, asks, last_id, form == Form.SNAPSHOT, ts_exchange, ts)
