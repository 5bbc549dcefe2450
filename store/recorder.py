# ruff: noqa: S608  # table names, instruments and paths are ours, and quoted; a user's SQL is checked in tick_sql
"""The recorder: moves the engine's segments into the UTC day's DuckDB file, and closed days into Parquet.

A process of its own at idle priority. Every turn opens a day file, moves a bounded batch in one transaction together
with how far each segment has been read, and closes it again, so that readers get in. Killed at any point, it neither
loses nor repeats a row.
"""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import duckdb
import structlog

from core.config.settings import TicksSettings
from core.errors import HomeLocked, StoreError, TradedeckError
from store.lake import Lake
from store.segments.format import SUFFIX, Kind
from store.segments.reader import Pieces, SegmentReader, joined, split
from store.ticks.paths import TickPaths, day_of
from store.ticks.tables import Busy, Chunk, NotADatabase, TickTables, open_day, quoted, translate

MAX_ROWS = 250_000
"""Rows of one turn; with its memory limit this bounds the recorder."""
INTERVAL_S = 5.0
BUSY_S = 0.25
CHORES_S = 60.0

log = structlog.get_logger("recorder")


@dataclass
class _Batch:
    """What one turn takes from one segment."""

    reader: SegmentReader
    finished: bool
    drained: bool = False
    pieces: Pieces = field(default_factory=dict)


class Recorder:
    """Do the recorder's work, one call at a time."""

    def __init__(self, home: Path, settings: TicksSettings, now: Callable[[], int] = time.time_ns) -> None:
        self.paths = TickPaths(home)
        self.paths.make()
        self.moved = 0
        self._settings = settings
        self._now = now
        self._lake = Lake(settings.target, self.paths.lake)
        self._readers: dict[Path, SegmentReader] = {}
        self._retained: date | None = None

    def turn(self) -> int:
        """Move one batch and return its rows; 0 when nothing waits.

        Raises:
            Busy: a reader holds a day file; nothing is lost, try again.
            StoreError: something else stands in the way, named.
        """
        try:
            batches = self._gather()
            rows = 0
            for day in sorted({day for batch in batches for day, _ in batch.pieces}):
                rows += self._move_day(day, batches)
        except (duckdb.Error, OSError, StoreError) as error:
            self._forget_positions()
            if isinstance(error, duckdb.Error):
                raise translate(error, self.paths.days) from error
            raise
        for batch in batches:
            if batch.finished and batch.drained:
                self._retire(batch.reader)
        self.moved += rows
        return rows

    def close_days(self) -> list[date]:
        """Write the days that are over to Parquet and remove their day files; return them.

        A day stays open while a segment that it has rows of still exists, because the day file remembers how far.
        """
        closed = []
        for day, path in self.paths.day_files().items():
            if day >= day_of(self._now()):
                continue
            try:
                rows = self._close_day(day, path)
            except Busy:
                continue
            if rows is not None:
                log.info("day closed", day=day.isoformat(), rows=rows)
                closed.append(day)
        return closed

    def retain(self) -> list[str]:
        """Delete what is older than ``ticks.keep_days`` and return the files."""
        if not self._settings.keep_days:
            return []
        first = day_of(self._now()) - timedelta(days=self._settings.keep_days)
        gone = self._lake.delete_before(first)
        for day, path in self.paths.day_files().items():
            if day < first:
                _unlink_day(path)
                gone.append(str(path))
        return gone

    def chores(self) -> None:
        """Close the days that are over; once a day, for it lists the whole lake, delete what is too old."""
        closed, today = self.close_days(), day_of(self._now())
        if closed or today != self._retained:
            self.retain()
            self._retained = today

    def close(self) -> None:
        """Close what is open."""
        self._forget_positions()

    def _gather(self) -> list[_Batch]:
        batches, room = [], MAX_ROWS
        for path in sorted(self.paths.segments.glob(f"*{SUFFIX}")):
            if path not in self._readers:
                self._readers[path] = SegmentReader(path)
            reader = self._readers[path]
            batch = _Batch(reader, reader.finished())
            batches.append(batch)
            try:
                for block in reader.blocks():
                    room -= split(block, batch.pieces)
                    if room <= 0:
                        return batches
            except StoreError as error:  # unreadable from here on: what came before is moved, the rest set aside
                reader.damage = [*reader.damage, str(error)]
            batch.drained = True
        return batches

    def _move_day(self, day: date, batches: list[_Batch]) -> int:
        path = self.paths.day_file(day)
        try:
            connection, tables = open_day(path, self.paths.scratch, self._settings.recorder_mb)
        except NotADatabase as error:
            aside = self._set_aside(path)
            log.warning("day file set aside", reason=str(error), path=str(aside))
            connection, tables = open_day(path, self.paths.scratch, self._settings.recorder_mb)
        try:
            connection.execute("BEGIN")
            marks = tables.marks()
            rows = sum(_insert(tables, day, batch, marks) for batch in batches)
            connection.execute("COMMIT")
            return rows
        finally:
            connection.close()

    def _close_day(self, day: date, path: Path) -> int | None:
        connection, tables = open_day(path, self.paths.scratch, self._settings.recorder_mb)
        try:
            if any((self.paths.segments / segment).exists() for segment in tables.marks()):
                return None
            part = tables.closing_part()
            if part is None:
                part = self._lake.next_part(day)
                connection.execute(f"INSERT INTO {tables.catalog}.closing VALUES ({part})")
        finally:
            connection.close()
        with _shared(path, self.paths.scratch, self._settings.recorder_mb) as (connection, tables):
            try:
                rows = self._lake.write(connection, tables, day, part, self.paths.scratch)
            except duckdb.Error as error:
                raise translate(error, path) from error
        _unlink_day(path)
        return rows

    def _retire(self, reader: SegmentReader) -> None:
        """Remove a segment that is wholly in its day files; one with damage is kept aside."""
        if reader.torn:
            log.warning("torn block dropped", segment=reader.path.name, bytes=reader.torn)
        del self._readers[reader.path]
        if reader.damage:
            aside = self._set_aside(reader.path)
            log.error("damaged segment set aside", path=str(aside), reasons=reader.damage)
        else:
            reader.path.unlink(missing_ok=True)
        reader.close()

    def _set_aside(self, path: Path) -> Path:
        aside = self.paths.damaged / f"{path.name}.{self._now()}"
        path.replace(aside)
        wal = path.with_name(path.name + ".wal")
        if wal.exists():
            wal.replace(aside.with_name(aside.name + ".wal"))
        return aside

    def _forget_positions(self) -> None:
        """Read every segment from its start again; what was moved is known to the day files."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


def _insert(tables: TickTables, day: date, batch: _Batch, marks: dict[str, int]) -> int:
    name, rows = batch.reader.path.name, 0
    mark = marks.get(name, 0)
    touched = False
    for kind in Kind:
        taken = [columns for start, columns in batch.pieces.get((day, kind), ()) if start >= mark]
        if taken:
            rows += tables.insert(Chunk(kind, batch.reader.names, joined(taken)))
            touched = True
    if touched:
        tables.mark(name, batch.reader.position)
    return rows


@contextmanager
def _shared(path: Path, scratch: Path, memory_mb: int) -> Iterator[tuple[duckdb.DuckDBPyConnection, TickTables]]:
    """Open a day file read-only, so that queries may read it meanwhile."""
    config: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "memory_limit": f"{memory_mb}MB"}
    connection = duckdb.connect(config={**config, "temp_directory": str(scratch)})
    try:
        try:
            connection.execute(f"ATTACH '{quoted(str(path))}' AS day (READ_ONLY)")
        except duckdb.Error as error:
            raise translate(error, path) from error
        tables = TickTables(connection, "day")
        tables.load(path)
        yield connection, tables
    finally:
        connection.close()


def _unlink_day(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)


def be_idle() -> None:
    """Give way to everything else; the kernel then also treats our disk work as idle."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):
        os.nice(19)


def run(home: Path, settings: TicksSettings, stop: threading.Event | None = None) -> None:
    """Work until ``stop`` is set or SIGTERM arrives; what waits is moved first.

    Raises:
        HomeLocked: another recorder works on this home.
    """
    stop = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    be_idle()
    recorder = Recorder(home, settings)
    with _alone(recorder.paths.root):
        _work(recorder, stop)


def tidy(home: Path, settings: TicksSettings, now: Callable[[], int] = time.time_ns) -> list[date] | None:
    """Do once what a recorder does all the time; return the days that still wait to become Parquet.

    None where a recorder works on this home, which does it by itself.

    Raises:
        StoreError: something stands in the way, named.
    """
    recorder = Recorder(home, settings, now)
    try:
        with _alone(recorder.paths.root):
            while recorder.turn() >= MAX_ROWS:
                pass
            recorder.chores()
    except HomeLocked:
        return None
    finally:
        recorder.close()
    return sorted(day for day in recorder.paths.day_files() if day < day_of(now()))


def _work(recorder: Recorder, stop: threading.Event) -> None:
    chores = 0.0
    while not stop.is_set():
        rest = INTERVAL_S
        try:
            if recorder.turn() >= MAX_ROWS:
                continue
            if time.monotonic() >= chores:
                recorder.chores()
                chores = time.monotonic() + CHORES_S
        except Busy:
            rest = BUSY_S
        except Exception as error:  # task boundary: the segments are safe, so try again
            known = isinstance(error, TradedeckError | OSError)
            log.warning("ticks not moved", reason=str(error), exc_info=not known)
        stop.wait(rest)
    with suppress(StoreError, OSError):
        while recorder.turn() >= MAX_ROWS:
            pass
    recorder.close()


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    fd = os.open(root / "recorder.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeLocked(f"another recorder works on {root}; stop it first or use another --home") from None
        yield
    finally:
        os.close(fd)
