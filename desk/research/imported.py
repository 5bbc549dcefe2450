"""Imported candles for strategies that warm up: read in a process of its own, for DuckDB stays out of the engine."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.domain.market import Bar
from core.errors import StoreError
from core.outbox import PastWanted
from desk.paths import Home

TIMEOUT_S = 30.0
_KIND = "candles"
Rows = list[tuple[int, float, float, float, float, float]]
_decoder = msgspec.msgpack.Decoder(Rows)


async def imported(home: Home, venue: str, symbol: str, wanted: PastWanted) -> Sequence[Bar]:
    """Return the imported bars of a venue's symbol; where none were imported, nothing.

    Raises:
        StoreError: they cannot be read, or not in time.
    """
    path = home.data / venue / f"{symbol}-{wanted.interval}-{_KIND}.parquet"
    if not path.exists():
        return ()
    words = [str(home.data), venue, symbol, wanted.interval.value, str(wanted.start), str(wanted.end)]
    # -P: a folder named core or desk in the present directory must not be taken for ours.
    command = (sys.executable, "-P", "-m", "desk.research.imported", *words)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            told, wrong = await process.communicate()
    except TimeoutError:
        raise StoreError(f"{path} was not read within {TIMEOUT_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = wrong.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise StoreError(f"{path} was not read: {last[0]}")
    return _bars(_decoder.decode(told), wanted)


def bars_of(home: Home, venue: str, symbol: str, wanted: PastWanted) -> Sequence[Bar]:
    """Return the same in this process: for one that trades nothing live.

    Raises:
        StoreError: they cannot be read.
    """
    if not (home.data / venue / f"{symbol}-{wanted.interval}-{_KIND}.parquet").exists():
        return ()
    return _bars(rows_of(home.data, venue, symbol, wanted.interval.value, wanted.start, wanted.end), wanted)


def _bars(rows: Rows, wanted: PastWanted) -> Sequence[Bar]:
    step = wanted.interval.ns
    return [
        Bar(wanted.instrument, wanted.interval, ts, o, high, low, close, volume, 1, True, 0, ts + step)
        for ts, o, high, low, close, volume in rows
    ]


def rows_of(folder: Path, venue: str, symbol: str, interval: str, start: int, end: int) -> Rows:
    """Return the rows of a series with ``start <= ts < end``: ts, open, high, low, close, volume.

    Raises:
        StoreError: the series cannot be read.
    """
    import numpy as np

    from store.candles import CandleKind, CandleStore, SeriesName

    series = CandleStore(folder).read(SeriesName(venue, symbol, CandleKind.CANDLES, interval))
    first, last = np.searchsorted(series.ts, [start, end])
    columns = [series.columns[name][first:last].tolist() for name in CandleKind.CANDLES.columns]
    return list(zip(series.ts[first:last].tolist(), *columns, strict=True))


if __name__ == "__main__":
    where, at, name, length, since, until = sys.argv[1:]
    try:
        found = rows_of(Path(where), at, name, length, int(since), int(until))
        sys.stdout.buffer.write(msgspec.msgpack.encode(found))
    except StoreError as error:
        sys.exit(str(error))
