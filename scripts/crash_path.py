"""Crash days out of candles: which days are the worst, and the path of prices that a bar is turned into.

A bar becomes open → low → high → close, the worse extreme for a long first, in steps of at most 0.1 % (one tick where
a tick is more). Nothing between two steps is left out, so a gap is only what lies between one close and the next open.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import duckdb
import msgspec

from core.domain.identifiers import InstrumentId, venue_of
from core.domain.instrument import Instrument
from core.domain.market import NO_ID, Interval, Quote
from core.domain.message import Nanoseconds
from venues.contracts_table import contracts
from venues.market.parse import Market, instrument_of

STEP_FRAC = 0.001
"""The longest step between two prices of a path, as a fraction of the price."""
DAY_NS: Nanoseconds = 86_400_000_000_000
REPEAT_NS: Nanoseconds = 1_000_000_000
COINS = ("BTC", "ETH", "XRP", "LTC")
INTERVALS = (Interval.M1, Interval.M15, Interval.H1)
"""The finest first: a day is played from the finest bars that are there."""


class Bar(msgspec.Struct, frozen=True):
    """One candle of a perpetual; ``volume`` in the coin."""

    start: Nanoseconds
    open: float
    high: float
    low: float
    close: float
    volume: float


class Day(msgspec.Struct, frozen=True):
    """The bars of one UTC day of one coin's perpetual."""

    coin: str
    start: Nanoseconds
    interval: Interval
    bars: tuple[Bar, ...]

    @property
    def fall(self) -> float:
        """Return how far the day's low lies below its open, as a fraction."""
        first = self.bars[0].open
        return 1.0 - min(bar.low for bar in self.bars) / first

    @property
    def crash(self) -> "Day":
        """Return the part of the day from its worst bar on: that which fell furthest from open to low."""
        at = max(range(len(self.bars)), key=lambda number: 1.0 - self.bars[number].low / self.bars[number].open)
        return msgspec.structs.replace(self, bars=self.bars[at:])

    @property
    def contract(self) -> Instrument:
        """Return the contract that is traded."""
        return contract(self.coin)


def contract(coin: str) -> Instrument:
    """Return the coin's perpetual as the practice exchange lists it."""
    id_: InstrumentId = instrument_of(f"{coin}USDT", Market.USD_M)
    return next(item for item in contracts(venue_of(id_)) if item.id == id_)


# --- which days -------------------------------------------------------------------------------------------------------


def read_days(folder: Path, coin: str) -> dict[Nanoseconds, Day]:
    """Return the days of a coin by their start, each from the finest bars that ``folder`` holds of it."""
    found: dict[Nanoseconds, Day] = {}
    for interval in reversed(INTERVALS):
        path = folder / f"{coin}USDT-perp-{interval}.parquet"
        if path.exists():
            found |= {day.start: day for day in days_of(coin, interval, _read(path))}
    return found


def _read(path: Path) -> list[Bar]:
    with duckdb.connect() as base:
        columns = "epoch_ns(date), open::double, high::double, low::double, close::double, volume::double"
        rows = base.execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY date", [str(path)]).fetchall()
    return [Bar(*row) for row in rows]


def days_of(coin: str, interval: Interval, bars: Sequence[Bar]) -> Iterator[Day]:
    """Yield the days of bars; one that does not begin at 00:00 is no day, as that of a listing."""
    for start, found in groupby(bars, key=lambda bar: bar.start - bar.start % DAY_NS):
        of_day = tuple(found)
        if of_day[0].start == start:
            yield Day(coin, start, interval, of_day)


def worst(days: Iterable[Day], count: int) -> list[Day]:
    """Return the days that fell furthest from open to low, the worst first."""
    return sorted(days, key=lambda day: (-day.fall, day.start, day.coin))[:count]


# --- the path ---------------------------------------------------------------------------------------------------------


class Gap(msgspec.Struct, frozen=True):
    """A jump that no order could have traded in: a close and the next open."""

    ts: Nanoseconds
    close: float
    open: float


def gaps(day: Day) -> list[Gap]:
    """Return the jumps down between the bars of a day, in the order of time."""
    return [
        Gap(after.start, before.close, after.open)
        for before, after in pairwise(day.bars)
        if round_ticks(after.open, day) < round_ticks(before.close, day)
    ]


def round_ticks(price: float, day: Day) -> int:
    """Return a price in ticks of the contract."""
    return round(price / float(day.contract.tick_size))


def points(first: int, low: int, high: int, close: int) -> Iterator[int]:
    """Yield a bar's path in ticks: open, low, high, close and every step between them."""
    yield first
    at = first
    for end in (low, high, close):
        while at != end:
            longest = max(1, int(at * STEP_FRAC))
            at += max(-longest, min(longest, end - at))
            yield at


def quotes(day: Day) -> Iterator[Quote]:
    """Yield a day's path as quotes a tick wide, the path's price being the bid: what a long gets.

    A bar's points are spread evenly over its time, and its volume evenly over its points, on both sides. A price that
    stands is quoted again every second, as a feed that is alive does.
    """
    listed = day.contract
    tick, digits = float(listed.tick_size), max(0, -int(listed.tick_size.normalize().as_tuple().exponent))
    least = float(listed.min_size)
    for bar in day.bars:
        ticks = list(points(*(round_ticks(price, day) for price in (bar.open, bar.low, bar.high, bar.close))))
        size = max(round(bar.volume / len(ticks), 3), least)
        stamps = [bar.start + day.interval.ns * number // len(ticks) for number in range(len(ticks) + 1)]
        for at, (begin, end) in zip(ticks, pairwise(stamps), strict=True):
            bid, ask = round(at * tick, digits), round((at + 1) * tick, digits)
            for ts in range(begin, end, REPEAT_NS):
                yield Quote(listed.id, bid, size, ask, size, NO_ID, ts, ts)
