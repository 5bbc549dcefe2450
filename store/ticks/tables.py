# ruff: noqa: S608  # table names, instruments and paths are ours, and quoted; a user's SQL is checked in tick_sql
"""Ticks in DuckDB: one table an instrument and kind, so that a query for one instrument reads only its own rows.

Used by the day files and, in memory, for rows the recorder has not moved yet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from core.domain.identifiers import InstrumentId, venue_of
from core.errors import InvalidInstrumentId, StoreError
from store.segments.format import Array, Kind

FORMAT = 1
TABLES: dict[Kind, tuple[str, dict[str, str]]] = {
    Kind.TRADES: (
        "trades",
        {
            "ts": "BIGINT",
            "ts_exchange": "BIGINT",
            "trade_id": "BIGINT",
            "price": "DOUBLE",
            "size": "DOUBLE",
            "buyer": "BOOLEAN",
        },
    ),
    Kind.QUOTES: (
        "quotes",
        {
            "ts": "BIGINT",
            "ts_exchange": "BIGINT",
            "update_id": "BIGINT",
            "bid": "DOUBLE",
            "bid_size": "DOUBLE",
            "ask": "DOUBLE",
            "ask_size": "DOUBLE",
        },
    ),
    Kind.BOOKS: (
        "levels",
        {
            "ts": "BIGINT",
            "ts_exchange": "BIGINT",
            "event": "BIGINT",
            "first_id": "BIGINT",
            "last_id": "BIGINT",
            "prev_id": "BIGINT",
            "form": "UTINYINT",
            "side": "UTINYINT",
            "price": "DOUBLE",
            "size": "DOUBLE",
        },
    ),
}
"""By kind: the table's name and its columns; ``instrument`` is the table itself."""


_DAMAGE = ("not a valid DuckDB database", "Corrupt database file")


class Busy(StoreError):
    """Another process holds the file just now."""


class NotADatabase(StoreError):
    """The file is no DuckDB database."""


@dataclass(frozen=True)
class Chunk:
    """Flat rows of one kind, ``instrument`` being codes of ``names``."""

    kind: Kind
    names: Sequence[str]
    columns: dict[str, Array]


def translate(error: duckdb.Error, path: Path) -> StoreError:
    """Return what a failure to open a file means."""
    text = str(error)
    if isinstance(error, duckdb.ResourceInUseException) or "Could not set lock" in text or "handle conflict" in text:
        return Busy(f"{path.name} is in use by another process; try again in a moment")
    if any(sign in text for sign in _DAMAGE):
        return NotADatabase(f"{path} cannot be read as a DuckDB database: {text.splitlines()[0]}")
    return StoreError(f"{path}: {text.splitlines()[0]}")


class TickTables:
    """The tables inside one DuckDB database, attached as ``catalog``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
        self._con = connection
        self.catalog = catalog
        self._codes: dict[str, int] = {}
        self._made: set[str] = set()

    def create(self) -> None:
        """Create what a new database needs."""
        for body in (
            "meta (format INTEGER)",
            "instruments (code USMALLINT, id VARCHAR, venue VARCHAR)",
            "moved (segment VARCHAR, upto BIGINT)",
            "closing (part INTEGER)",
        ):
            self._con.execute(f"CREATE TABLE IF NOT EXISTS {self.catalog}.{body}")
        if self._con.execute(f"SELECT count(*) FROM {self.catalog}.meta").fetchall() == [(0,)]:
            self._con.execute(f"INSERT INTO {self.catalog}.meta VALUES ({FORMAT})")

    def load(self, path: Path) -> None:
        """Read the instruments and the tables present.

        Raises:
            StoreError: written by a newer program.
        """
        formats = self._con.execute(f"SELECT format FROM {self.catalog}.meta").fetchall()
        if formats and formats[0][0] > FORMAT:
            raise StoreError(
                f"{path} has format {formats[0][0]}: written by a newer program; this one reads up to {FORMAT}"
            )
        self._codes = {
            name: code
            for code, name in self._con.execute(f"SELECT code, id FROM {self.catalog}.instruments").fetchall()
        }
        self._made = {
            row[0]
            for row in self._con.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = ?", [self.catalog]
            ).fetchall()
        }

    def insert(self, chunk: Chunk) -> int:
        """Insert rows, keeping their order within an instrument; return how many."""
        table, columns = TABLES[chunk.kind]
        codes = np.array([self._code(name) for name in chunk.names], np.uint16)[chunk.columns["instrument"]]
        order = np.argsort(codes, kind="stable")
        ordered = {name: chunk.columns[name][order] for name in columns}
        present, starts = np.unique(codes[order], return_index=True)
        listed = ", ".join(columns)
        for code, start, end in zip(present.tolist(), starts, [*starts[1:], len(order)], strict=True):
            name = f"{table}_{code}"
            if name not in self._made:
                body = ", ".join(f"{column} {kind}" for column, kind in columns.items())
                self._con.execute(f"CREATE TABLE IF NOT EXISTS {self.catalog}.{name} ({body})")
                self._made.add(name)
            self._con.register("chunk", {column: values[start:end] for column, values in ordered.items()})
            self._con.execute(f"INSERT INTO {self.catalog}.{name} SELECT {listed} FROM chunk")
            self._con.unregister("chunk")
        return len(order)

    def tables(self, kind: Kind) -> Iterator[tuple[InstrumentId, str]]:
        """Yield the instruments that have rows of a kind, sorted, and the name of their table."""
        for name, code in sorted(self._codes.items()):
            if f"{TABLES[kind][0]}_{code}" in self._made:
                yield InstrumentId(name), f"{self.catalog}.{TABLES[kind][0]}_{code}"

    def rows(self) -> int:
        """Return the rows of all kinds."""
        counted = self._con.execute(
            "SELECT coalesce(sum(estimated_size), 0) FROM duckdb_tables() WHERE database_name = ? "
            "AND regexp_matches(table_name, '^(trades|quotes|levels)_')",
            [self.catalog],
        ).fetchall()
        return int(counted[0][0])

    def marks(self) -> dict[str, int]:
        """Return how far each segment has been moved into this database."""
        return dict(self._con.execute(f"SELECT segment, upto FROM {self.catalog}.moved").fetchall())

    def mark(self, segment: str, upto: int) -> None:
        """Remember how far a segment has been moved."""
        self._con.execute(f"DELETE FROM {self.catalog}.moved WHERE segment = ?", [segment])
        self._con.execute(f"INSERT INTO {self.catalog}.moved VALUES (?, ?)", [segment, upto])

    def closing_part(self) -> int | None:
        """Return the Parquet part this day is being written to, if closing has begun."""
        found = self._con.execute(f"SELECT part FROM {self.catalog}.closing").fetchall()
        return int(found[0][0]) if found else None

    def _code(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self._codes)
            self._con.execute(
                f"INSERT INTO {self.catalog}.instruments VALUES (?, ?, ?)", [code, name, venue_name(InstrumentId(name))]
            )
        return code


def venue_name(instrument: InstrumentId) -> str:
    """Return the venue; the first word of an id outside the grammar, since a store keeps what it is given."""
    try:
        return venue_of(instrument)
    except InvalidInstrumentId:
        return instrument.split(":", 1)[0] or "UNKNOWN"


def open_day(path: Path, scratch: Path, memory_mb: int = 96) -> tuple[duckdb.DuckDBPyConnection, TickTables]:
    """Open a day file for writing, creating it when new.

    Raises:
        Busy: a reader or another recorder holds it.
        NotADatabase: it is damaged.
    """
    if not path.exists():
        _create_day(path, scratch, memory_mb)
    connection, tables = _attached(path, scratch, memory_mb)
    try:
        tables.load(path)
    except BaseException:
        connection.close()
        raise
    return connection, tables


def _create_day(path: Path, scratch: Path, memory_mb: int) -> None:
    """Make an empty day file aside and put it in place whole: a full disk or a kill leaves no half a database."""
    draft = scratch / f"new-{path.name}"
    for left in (draft, draft.with_name(draft.name + ".wal")):
        left.unlink(missing_ok=True)
    connection, tables = _attached(draft, scratch, memory_mb)
    try:
        tables.create()
        connection.execute("DETACH day")  # writes everything into the file itself
    except duckdb.Error as error:
        raise translate(error, path) from error
    finally:
        connection.close()
    draft.replace(path)


def _attached(path: Path, scratch: Path, memory_mb: int) -> tuple[duckdb.DuckDBPyConnection, TickTables]:
    settings: dict[str, Any] = {"threads": 1, "memory_limit": f"{memory_mb}MB", "temp_directory": str(scratch)}
    connection = duckdb.connect(config=settings)
    try:
        connection.execute(f"ATTACH '{quoted(str(path))}' AS day")
    except duckdb.Error as error:
        connection.close()
        raise translate(error, path) from error
    return connection, TickTables(connection, "day")


def quoted(text: str) -> str:
    """Return text for the inside of an SQL string."""
    return text.replace("'", "''")


def catalog_of(day: date) -> str:
    """Return the name a day file is attached under."""
    return f"d{day:%Y%m%d}"
