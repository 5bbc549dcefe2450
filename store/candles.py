# ruff: noqa: S608  # columns and paths are ours, and quoted
"""Imported candles, marks and funding: ``VENUE/SYMBOL-INTERVAL-KIND.parquet``, a file a series, whole or not there."""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from core.domain.message import Nanoseconds
from core.errors import StoreError
from store.ticks.tables import quoted

_NAME = re.compile(
    r"(?P<symbol>[A-Z0-9_]+)-(?P<interval>\d+[mhd])-(?P<kind>candles|mark)|(?P<funded>[A-Z0-9_]+)-funding"
)
_INTERVAL = re.compile(r"(\d+)([mhd])", re.ASCII)
_UNIT_NS = {"m": 60_000_000_000, "h": 3_600_000_000_000, "d": 86_400_000_000_000}
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2"


class CandleKind(StrEnum):
    """What a series holds."""

    CANDLES = "candles"
    MARK = "mark"
    FUNDING = "funding"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns beside ``ts``: prices and rates as float64, volume in the base asset."""
        prices = ("open", "high", "low", "close")
        return {"candles": (*prices, "volume"), "mark": prices, "funding": ("rate",)}[self.value]


def interval_ns(text: str) -> Nanoseconds:
    """Return the length of an interval such as ``15m``, ``1h`` or ``1d``.

    Raises:
        StoreError: it is none, or does not divide a day.
    """
    match = _INTERVAL.fullmatch(text)
    length = int(match[1]) * _UNIT_NS[match[2]] if match else 0
    if not length or _UNIT_NS["d"] % length:
        raise StoreError(f'interval "{text}" must be minutes, hours or a day that divide a day, such as 15m, 1h, 1d')
    return length


class SeriesName(msgspec.Struct, frozen=True, order=True):
    """Which series: ``interval`` is empty for funding, which has stamps of its own."""

    venue: str
    symbol: str
    kind: CandleKind
    interval: str = ""

    @property
    def path(self) -> str:
        """Return where it lies under the store's folder."""
        middle = f"-{self.interval}" if self.interval else ""
        return f"{self.venue}/{self.symbol}{middle}-{self.kind}.parquet"

    def __str__(self) -> str:
        return self.path.removesuffix(".parquet")


def series_named(text: str) -> SeriesName | None:
    """Return the series of ``VENUE/SYMBOL-INTERVAL-KIND``, None where it is no such name."""
    venue, _, name = text.removesuffix(".parquet").rpartition("/")
    match = _NAME.fullmatch(name)
    if not venue or match is None:
        return None
    if match["funded"]:
        return SeriesName(venue, match["funded"], CandleKind.FUNDING)
    return SeriesName(venue, match["symbol"], CandleKind(match["kind"]), match["interval"])


class Series(msgspec.Struct, frozen=True):
    """Rows by rising, unique ``ts`` (ns, UTC: a bar's open or a stamp of funding); columns as the kind names them."""

    name: SeriesName
    ts: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return int(self.ts.size)


def write_csv(series: Series, path: Path) -> None:
    """Write a series to a CSV file of its own, not atomically; times in ns, numbers as exact as they are kept."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(("ts", *series.columns)) + "\n")
        columns = [values.tolist() for values in series.columns.values()]
        for row in zip(series.ts.tolist(), *columns, strict=True):
            file.write(",".join(map(repr, row)) + "\n")


class CandleStore:
    """Keep series as Parquet below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[SeriesName]:
        """Return every series that is kept, in order."""
        found = [series_named(str(path.relative_to(self.folder))) for path in self.folder.glob("*/*.parquet")]
        return sorted(name for name in found if name is not None)

    def read(self, name: SeriesName) -> Series:
        """Return a series.

        Raises:
            StoreError: it is not there, or its file cannot be read.
        """
        path = self.folder / name.path
        if not path.exists():
            kept = ", ".join(str(one) for one in self.names()) or "nothing"
            raise StoreError(f"no {name} among the imported data; kept are {kept}")
        columns = ", ".join(name.kind.columns)
        try:
            with duckdb.connect() as base:
                query = base.execute(f"SELECT ts, {columns} FROM read_parquet('{quoted(str(path))}') ORDER BY ts")
                found: dict[str, Any] = query.fetchnumpy()
        except duckdb.Error as error:
            why = str(error).splitlines()[0]
            raise StoreError(f"{path} cannot be read: {why}; delete it and import the series again") from error
        ts = np.asarray(found.pop("ts"), np.int64)
        return Series(name, ts, {key: np.asarray(values, np.float64) for key, values in found.items()})

    def write(self, series: Series) -> Path:
        """Replace a series as a whole; a kill at any point leaves the old file or the new one.

        Raises:
            StoreError: the folder cannot be written.
        """
        path = self.folder / series.name.path
        draft = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_parquet(series, draft)
            _sync(draft)
            draft.replace(path)
            _sync(path.parent)
        except (OSError, duckdb.Error) as error:
            raise StoreError(f"{path} cannot be written: {error}; what was there before is untouched") from error
        finally:
            draft.unlink(missing_ok=True)
        return path


def write_parquet(series: Series, path: Path) -> None:
    """Write a series to a Parquet file of its own, not atomically."""
    rows = {"ts": series.ts, **series.columns}
    with duckdb.connect() as base:
        base.execute("SET preserve_insertion_order = true")
        base.register("rows", rows)
        base.execute(f"COPY (SELECT * FROM rows) TO '{quoted(str(path))}' ({_OPTIONS})")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
