# ruff: noqa: S608  # table names, instruments and paths are ours, and quoted; a user's SQL is checked in tick_sql
"""Closed days as Parquet, partitioned by venue and day: ``venue=V/day=YYYY-MM-DD/KIND.parquet``.

The target is a local folder or any place fsspec reaches (S3, GCS). Rows that arrive after a day was closed become a
further part, ``KIND-1.parquet``.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import fsspec

from core.domain.identifiers import InstrumentId
from core.errors import StoreError
from store.segments.format import Kind
from store.ticks.tables import TABLES, TickTables, quoted, venue_name

_PATH = re.compile(
    r"venue=(?P<venue>[^/]+)/day=(?P<day>\d{4}-\d\d-\d\d)/(?P<kind>trades|quotes|levels)(-(?P<part>\d+))?\.parquet$"
)
_KINDS = {table: kind for kind, (table, _) in TABLES.items()}
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2"


@dataclass(frozen=True)
class Part:
    """One Parquet file of the lake."""

    venue: str
    day: date
    kind: Kind
    part: int
    path: str
    """As DuckDB reads it: a local path or an address with its protocol."""
    size: int


class Lake:
    """Read and write the Parquet files of closed days."""

    def __init__(self, target: str, local: Path) -> None:
        """Name the place.

        Args:
            target: "" for the local folder, else an address such as ``s3://bucket/ticks``.
            local: the folder used when there is no target.

        Raises:
            StoreError: nothing installed speaks the address's protocol.
        """
        self.remote = "://" in target and not target.startswith("file://")
        place = target.removeprefix("file://") or str(local)
        try:
            self._fs, base = fsspec.core.url_to_fs(place)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f'ticks.target "{target}" cannot be reached: {error}; install the package named, or set target = ""'
            ) from error
        self.base: str = str(base).rstrip("/")

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a connection read this lake."""
        if self.remote:
            connection.register_filesystem(self._fs)

    def parts(self) -> list[Part]:
        """Return every file, by day, venue, kind and part."""
        self._fs.invalidate_cache()
        try:
            listed: dict[str, Any] = self._fs.find(self.base, detail=True)
        except FileNotFoundError:
            return []
        found = []
        for path, info in listed.items():
            match = _PATH.search(path)
            if match:
                found.append(
                    Part(
                        match["venue"],
                        date.fromisoformat(match["day"]),
                        _KINDS[match["kind"]],
                        int(match["part"] or 0),
                        self._fs.unstrip_protocol(path) if self.remote else path,
                        int(info["size"]),
                    )
                )
        return sorted(found, key=lambda part: (part.day, part.venue, part.kind, part.part))

    def next_part(self, day: date) -> int:
        """Return the number of the next part of a day."""
        return max((part.part + 1 for part in self.parts() if part.day == day), default=0)

    def write(
        self, connection: duckdb.DuckDBPyConnection, tables: TickTables, day: date, part: int, scratch: Path
    ) -> int:
        """Write a whole day file as one part of every venue and kind and count it again; return the rows.

        Repeating it replaces the same files, so it may be killed at any point.

        Raises:
            StoreError: a file does not hold the rows it should.
        """
        self.attach(connection)
        total = 0
        for venue, kind, sources in _grouped(tables):
            name = f"{TABLES[kind][0]}-{part}.parquet" if part else f"{TABLES[kind][0]}.parquet"
            path = f"{self.base}/venue={venue}/day={day.isoformat()}/{name}"
            draft = scratch / f"{venue}-{day.isoformat()}-{name}"
            wanted = _copy(connection, kind, sources, draft)
            self._publish(draft, path)
            shown = self._fs.unstrip_protocol(path) if self.remote else path
            found = connection.execute(f"SELECT count(*) FROM read_parquet('{quoted(shown)}')").fetchall()[0][0]
            if found != wanted:
                raise StoreError(
                    f"{shown} holds {found} rows, not the {wanted} of its day file: the day file is kept; "
                    "the recorder will write it again"
                )
            total += wanted
        return total

    def delete_before(self, first: date) -> list[str]:
        """Delete the days before ``first`` and return their files."""
        gone = []
        for part in self.parts():
            if part.day < first:
                self._fs.rm_file(part.path)
                gone.append(part.path)
        return gone

    def _publish(self, draft: Path, path: str) -> None:
        if self.remote:
            self._fs.put_file(str(draft), path)
            draft.unlink()
            return
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        for target, flags in ((draft, os.O_RDONLY), (place.parent, os.O_RDONLY | os.O_DIRECTORY)):
            if target == place.parent:
                _move(draft, place)
            fd = os.open(target, flags)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _move(draft: Path, place: Path) -> None:
    """Rename, or copy beside and rename where the lake is on another disk."""
    try:
        draft.replace(place)
    except OSError:
        beside = place.with_suffix(".part")
        beside.write_bytes(b"")
        with draft.open("rb") as source, beside.open("wb") as sink:
            while data := source.read(1 << 20):
                sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        beside.replace(place)
        draft.unlink()


def _grouped(tables: TickTables) -> Iterator[tuple[str, Kind, list[tuple[InstrumentId, str]]]]:
    for kind in TABLES:
        venues: dict[str, list[tuple[InstrumentId, str]]] = {}
        for instrument, table in tables.tables(kind):
            venues.setdefault(venue_name(instrument), []).append((instrument, table))
        for venue, sources in sorted(venues.items()):
            yield venue, kind, sources


def _copy(
    connection: duckdb.DuckDBPyConnection, kind: Kind, sources: list[tuple[InstrumentId, str]], draft: Path
) -> int:
    """Write one file, sorted by instrument, then ts, then arrival; return the rows of its sources."""
    columns = ", ".join(TABLES[kind][1])
    body = " UNION ALL ".join(
        f"(SELECT '{quoted(instrument)}' AS instrument, {columns} FROM {table} ORDER BY ts, rowid)"
        for instrument, table in sources
    )
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(f"COPY ({body}) TO '{quoted(str(draft))}' ({_OPTIONS})")
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for _, table in sources)
    return int(connection.execute(f"SELECT {counts}").fetchall()[0][0])
