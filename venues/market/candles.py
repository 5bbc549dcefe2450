"""Candle Parquet as a tape: each bar becomes quotes and trades along a path that touches all four prices.

The path of a rising bar is open, low, high, close; of a falling one open, high, low, close: the move against the bar's
direction comes first, so that a stop is met before a target. The spread is two ticks around the printed price. A price
stands until the next point, at most for a bar's length: where bars are missing, the feed is stale. To a point that is
far away the price goes in steps of at most 0.5 %, 50 ms each, right before it: a fall within a bar is no gap, and a
stop on the way can be filled there.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from core.domain.identifiers import InstrumentId
from core.domain.market import NO_ID, Interval, Quote, Trade
from core.domain.message import Nanoseconds
from core.errors import TapeError, VenueError
from venues.contracts_table import contracts, venues
from venues.market.parse import Market, MarketData, instrument_of
from venues.market.tape import TapeStats

_NAME = re.compile(r"(?P<symbol>[A-Z0-9]+)-(?P<market>perp|spot)-(?P<interval>1m|15m|1h)\b")
TIME_COLUMNS = ("open_time", "calc_time", "fundingtime", "funding_time", "date", "timestamp", "time", "ts")
"""What the column of time may be called in files of market data, in small letters; the first that a file has is it."""
_COLUMNS = ("open", "high", "low", "close", "volume")
_SCALED = (
    "(case when {0} < 100000000000 then {0} * 1000000000 when {0} < 100000000000000 then {0} * 1000000 "
    "when {0} < 100000000000000000 then {0} * 1000 else {0} end)"
)
"""A whole number of s, ms, µs or ns since 1970 as ns."""
_BATCH = 4096
STEP_FRAC = 0.005
STEP_NS: Nanoseconds = 50_000_000
_POINTS = (0.0, 0.33, 0.67, 0.999)
"""Where in a bar its four prices print, as fractions of its length."""


class CandleTape:
    """Play one candle file; the instrument and interval are read from its name unless given."""

    clock_offset_ns = 0

    def __init__(self, path: Path, instrument: InstrumentId | None = None) -> None:
        self.path = str(path)
        self.stats = TapeStats()
        match = _NAME.search(path.name)
        if match is None and instrument is None:
            raise TapeError(
                self.path, 0, "the name does not tell its instrument; expected e.g. BTCUSDT-perp-15m.parquet"
            )
        if instrument is None and match is not None:
            try:
                market = Market.USD_M if match["market"] == "perp" else Market.SPOT
                instrument = instrument_of(match["symbol"], market)
            except VenueError as error:
                raise TapeError(self.path, 0, str(error)) from None
        assert instrument is not None
        self.instrument = instrument
        self.instruments = (instrument,)
        self.length: Nanoseconds = Interval(match["interval"]).ns if match else Interval.M1.ns
        self.hold_ns = self.length
        self._tick = _tick_of(instrument)
        next(self._rows(), None)

    def __iter__(self) -> Iterator[MarketData]:
        """Yield a quote and a trade at each of a bar's four prices.

        Raises:
            TapeError: naming the row whose prices cannot be.
        """
        self.stats = stats = TapeStats()
        trade_id = 0
        for row, (start, first, high, low, close, volume) in enumerate(self._rows(), start=1):
            if not (0 < low <= min(first, close) and max(first, close) <= high < float("inf") and volume >= 0):
                raise TapeError(self.path, row, f"open {first}, high {high}, low {low}, close {close} are not a bar")
            path = (first, low, high, close) if close >= first else (first, high, low, close)
            before = first
            for price, fraction in zip(path, _POINTS, strict=True):
                ts = start + int(self.length * fraction)
                yield from self._way(before, price, ts, volume / 4)
                before = price
                yield self._quote(price, volume / 4, ts)
                trade_id += 1
                if volume > 0:
                    trade = Trade(self.instrument, price, volume / 4, price >= first, trade_id, ts, ts)
                    stats.count(trade)
                    yield trade

    def _way(self, here: float, there: float, until: Nanoseconds, size: float) -> Iterator[Quote]:
        """Quote the prices on the way to a point, which is reached at ``until`` and not among these."""
        steps = math.ceil(abs(there / here - 1.0) / STEP_FRAC)
        for step in range(1, steps):
            price = here + (there - here) * step / steps
            on_tick = round(price / self._tick) * self._tick if self._tick else price
            yield self._quote(on_tick, size, until - (steps - step) * STEP_NS)

    def _quote(self, price: float, size: float, ts: Nanoseconds) -> Quote:
        tick = self._tick or price * 1e-4
        bid, ask = max(round(price - tick, 10), tick), round(price + tick, 10)
        return Quote(self.instrument, bid, size, ask, size, NO_ID, ts, ts)

    def _rows(self) -> Iterator[tuple[Nanoseconds, float, float, float, float, float]]:
        import duckdb  # only who plays candles pays for it

        with duckdb.connect() as base:
            try:
                described = base.execute("describe from read_parquet(?)", [self.path]).fetchall()
                columns = self._columns([(row[0], row[1]) for row in described])
                query = base.execute(f"select {columns} from read_parquet(?)", [self.path])  # noqa: S608  # quoted
                while rows := query.fetchmany(_BATCH):
                    yield from rows
            except duckdb.Error as error:
                raise TapeError(self.path, 0, f"cannot be read as Parquet: {error}") from None

    def _columns(self, described: list[tuple[str, str]]) -> str:
        """Return what is selected of a file's columns, (name, type): the time in ns, prices and volume.

        Raises:
            TapeError: naming what is missing.
        """
        found = {name.strip().lower(): (name.replace('"', '""'), kind) for name, kind in described}
        time = next((name for name in TIME_COLUMNS if name in found), None)
        missing = [
            *([] if time else [f"of time ({' or '.join(TIME_COLUMNS)})"]),
            *(n for n in _COLUMNS if n not in found),
        ]
        if time is None or missing:
            raise TapeError(self.path, 0, f"not candles: no column {', '.join(missing)}")
        name, kind = found[time]
        stamp = f'epoch_ns("{name}")' if kind.startswith(("TIMESTAMP", "DATE")) else _SCALED.format(f'"{name}"::bigint')
        return ", ".join([stamp, *(f'"{found[one][0]}"::double' for one in _COLUMNS)])


def _tick_of(instrument: InstrumentId) -> float:
    for venue in venues():
        for contract in contracts(venue):
            if contract.id == instrument:
                return float(contract.tick_size)
    return 0.0
