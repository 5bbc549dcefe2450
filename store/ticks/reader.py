# ruff: noqa: S608  # table names, instruments and paths are ours, and quoted; a user's SQL is checked in tick_sql
"""Questions to the recorded ticks: segments not yet moved, day files and Parquet, seen as one.

Runs in the asking process, read-only. Views: ``trades``, ``quotes``, ``book_deltas`` and ``book_snapshots`` (one row a
level), ``bars`` (one minute, from trades). Stamps are ns, UTC; ``time`` is the same as a timestamp.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from core.errors import StoreError
from store.lake import Lake, Part
from store.segments.format import Kind
from store.segments.reader import Pieces, joined, open_segments, split
from store.ticks.paths import DAY_NS, TickPaths, day_number
from store.ticks.sql import SOURCES, VIEWS, check_read_only
from store.ticks.tables import TABLES, Busy, Chunk, TickTables, catalog_of, quoted, translate

WAIT_S = 2.0
_PAUSE_S = 0.05
_FETCH = 10_000
_CHUNK = 250_000


class _Changed(Exception):  # not an error: look again
    """The recorder moved on between two looks."""


@dataclass(frozen=True)
class Table:
    """The answer to a query."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class DayPart:
    """What is kept of one day in one place."""

    day: date
    where: str
    """``segments``, ``day file`` or ``parquet``."""
    rows: int
    size: int
    """Bytes; of segments, the whole files that the day has rows in."""
    path: str


class TickReader:
    """One consistent look at the ticks; holds the day files, so close it soon."""

    def __init__(
        self,
        home: Path,
        *,
        target: str = "",
        days: Collection[date] | None = None,
        wait_s: float = WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open.

        Args:
            home: the engine's data directory.
            target: where closed days went (``ticks.target``).
            days: look at these only.
            wait_s: how long to wait while the recorder holds a day file.
            sleep: how to wait.

        Raises:
            Busy: the recorder held a day file all the while.
            StoreError: a file cannot be read.
        """
        self.paths = TickPaths(home)
        self.lake = Lake(target, self.paths.lake)
        self.parts: list[Part] = []
        self.fresh_rows: dict[date, int] = {}
        self.segment_bytes = 0
        self._days = None if days is None else frozenset(days)
        self._locked = False
        deadline = time.monotonic() + wait_s
        while True:
            self.connection = duckdb.connect(config={"memory_limit": "1GB", "python_enable_replacements": False})
            try:
                self._look()
                return
            except (_Changed, Busy) as reason:
                self.connection.close()
                if time.monotonic() >= deadline:
                    raise Busy(
                        f"the recorder has held the ticks for {wait_s:g} s ({reason}); try again in a moment"
                    ) from None
                sleep(_PAUSE_S)
            except BaseException:
                self.connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the day files go."""
        self.connection.close()

    def sql(self, text: str, parameters: Sequence[Any] = ()) -> Table:
        """Answer one SQL query.

        Raises:
            StoreError: the text would write, is not one statement, or is wrong.
        """
        try:
            check_read_only(text)
            self._lock()
            cursor = self.connection.execute(text, list(parameters))
            names = tuple(column[0] for column in cursor.description or ())
            return Table(names, cursor.fetchall())
        except duckdb.Error as error:
            first = str(error).partition(" failed to import")[0]  # the library appends a whole traceback
            advice = "; a time with a zone cannot be shown: cast it with ::TIMESTAMP" if first != str(error) else ""
            raise StoreError(f"the query failed: {first}{advice}") from error
        except RuntimeError as error:
            if str(error) != "Query interrupted":
                raise
            raise KeyboardInterrupt from error

    def stream(self, text: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of one of our own queries, through a cursor of its own."""
        cursor = self.connection.cursor()
        cursor.execute(text)
        while rows := cursor.fetchmany(_FETCH):
            yield from rows

    def _lock(self) -> None:
        """Leave a user's SQL nothing but the views."""
        if self._locked:
            return
        if not self.lake.remote:
            self.connection.execute(f"SET allowed_directories = ['{quoted(self.lake.base)}']")
            self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")
        self._locked = True

    def _wanted(self, day: date) -> bool:
        return self._days is None or day in self._days

    def _look(self) -> None:
        """Attach day files first: they then stand still, so that segments and Parquet can be compared with them."""
        self.paths.scratch.mkdir(parents=True, exist_ok=True)
        self.connection.execute("SET parquet_metadata_cache = true")
        self.connection.execute(f"SET temp_directory = '{quoted(str(self.paths.scratch))}'")
        files = {day: path for day, path in self.paths.day_files().items() if self._wanted(day)}
        self.open_days: dict[date, TickTables] = {day: self._attach(day, path) for day, path in files.items()}
        closing = {day: tables.closing_part() for day, tables in self.open_days.items()}
        fresh = self._read_segments({day: tables.marks() for day, tables in self.open_days.items()})
        parts = [part for part in self.lake.parts() if self._wanted(part.day)]
        if {day for day in self.paths.day_files() if self._wanted(day)} != set(files):
            raise _Changed("it opened or closed a day")
        self.parts = [part for part in parts if closing.get(part.day) != part.part]
        self.lake.attach(self.connection)
        for kind in TABLES:
            self._create_source(kind, [*self.open_days.values(), fresh])
        for statement in VIEWS:
            self.connection.execute(statement)

    def _attach(self, day: date, path: Path) -> TickTables:
        try:
            self.connection.execute(f"ATTACH '{quoted(str(path))}' AS {catalog_of(day)} (READ_ONLY)")
        except duckdb.Error as error:
            if "does not exist" in str(error):
                raise _Changed("it closed a day") from error
            raise translate(error, path) from error
        tables = TickTables(self.connection, catalog_of(day))
        try:
            tables.load(path)
        except duckdb.CatalogException as error:
            raise _Changed("it has just created a day file") from error
        return tables

    def _read_segments(self, marks: dict[date, dict[str, int]]) -> TickTables:
        """Copy the rows that no day file has."""
        self.connection.execute("ATTACH ':memory:' AS fresh")
        tables = TickTables(self.connection, "fresh")
        tables.create()
        self.fresh_rows, self.segment_bytes = {}, 0
        for reader in open_segments(self.paths.segments):
            moved = {day: upto.get(reader.path.name, 0) for day, upto in marks.items()}
            pieces: Pieces = {}
            room = _CHUNK
            try:
                for block in reader.blocks():
                    room -= split(block, pieces)
                    if room <= 0:
                        self._insert_fresh(tables, reader.names, pieces, moved)
                        pieces, room = {}, _CHUNK
                self._insert_fresh(tables, reader.names, pieces, moved)
            finally:
                self.segment_bytes += reader.position
                reader.close()
        return tables

    def _insert_fresh(self, tables: TickTables, names: Sequence[str], pieces: Pieces, moved: dict[date, int]) -> None:
        for (day, kind), found in pieces.items():
            rows = [part for start, part in found if start >= moved.get(day, 0)]
            if rows and self._wanted(day):
                count = tables.insert(Chunk(kind, names, joined(rows)))
                self.fresh_rows[day] = self.fresh_rows.get(day, 0) + count

    def _create_source(self, kind: Kind, databases: Sequence[TickTables]) -> None:
        columns = TABLES[kind][1]
        listed = ", ".join(columns)
        empty = ", ".join(f"NULL::{sql_type} AS {column}" for column, sql_type in columns.items())
        selects = [f"SELECT NULL::VARCHAR AS instrument, {empty}, 0::BIGINT AS arrival WHERE false"]
        for number in sorted({part.part for part in self.parts if part.kind is kind}):
            files = [f"'{quoted(part.path)}'" for part in self.parts if part.kind is kind and part.part == number]
            selects.append(
                f"SELECT instrument, {listed}, file_row_number + {number << 32} AS arrival "
                f"FROM read_parquet([{', '.join(files)}], file_row_number = true, hive_partitioning = false)"
            )
        for number, database in enumerate(databases, 1):
            base = number << 48  # what was moved earlier arrived earlier
            selects.extend(
                f"SELECT '{quoted(instrument)}' AS instrument, {listed}, rowid + {base} AS arrival FROM {table}"
                for instrument, table in database.tables(kind)
            )
        self.connection.execute(f"CREATE VIEW {SOURCES[kind]} AS {' UNION ALL '.join(selects)}")


def query(sql: str, home: Path, *, target: str = "", days: Collection[date] | None = None) -> Table:
    """Answer one read-only SQL query over all ticks of a home.

    Raises:
        StoreError: it would write, it is wrong, or the recorder held a day file for 2 s.
    """
    with TickReader(home, target=target, days=days) as reader:
        return reader.sql(sql)


def days(home: Path, *, target: str = "") -> list[DayPart]:
    """Return what is kept of every day and where."""
    with TickReader(home, target=target) as reader:
        found = [
            DayPart(day, "segments", rows, reader.segment_bytes, str(reader.paths.segments))
            for day, rows in reader.fresh_rows.items()
        ]
        for day, tables in reader.open_days.items():
            path = reader.paths.day_file(day)
            found.append(DayPart(day, "day file", tables.rows(), path.stat().st_size, str(path)))
        for day in sorted({part.day for part in reader.parts}):
            parts = [part for part in reader.parts if part.day == day]
            listed = ", ".join(f"'{quoted(part.path)}'" for part in parts)
            counted = f"SELECT sum(num_rows) FROM parquet_file_metadata([{listed}])"
            rows = reader.connection.execute(counted).fetchall()[0][0]
            found.append(DayPart(day, "parquet", int(rows), sum(part.size for part in parts), reader.lake.base))
    return sorted(found, key=lambda part: (part.day, part.where))


def export(
    home: Path, wanted: Collection[date], folder: Path, form: str = "parquet", *, target: str = ""
) -> list[Path]:
    """Write days as one file a day and kind into a folder; return the files.

    Raises:
        StoreError: an unknown form, nothing to export, or the recorder held a day file for 2 s.
    """
    options = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER"}.get(form)
    if options is None:
        raise StoreError(f'ticks cannot be exported as "{form}"; expected parquet or csv')
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with TickReader(home, target=target, days=wanted) as reader:
        for day in sorted(wanted):
            start = day_number(day) * DAY_NS
            for view in ("trades", "quotes", "book_deltas", "book_snapshots"):
                chosen = f"FROM {view} WHERE ts >= {start} AND ts < {start + DAY_NS}"
                if reader.connection.execute(f"SELECT count(*) {chosen}").fetchall() == [(0,)]:
                    continue
                path = folder / f"{view}-{day.isoformat()}.{form}"
                rows = f"SELECT * EXCLUDE (time) {chosen} ORDER BY instrument, ts"
                reader.connection.execute(f"COPY ({rows}) TO '{quoted(str(path))}' ({options})")
                written.append(path)
    if not written:
        raise StoreError(
            f"there are no ticks of {', '.join(sorted(day.isoformat() for day in wanted))}: nothing written"
        )
    return written
