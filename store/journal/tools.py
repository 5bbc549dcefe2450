"""What the command line does with a journal: check, export, back up, restore. Nothing here prints."""

import csv
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Literal, TextIO

import msgspec

from core.domain.approval import TradingState
from core.domain.events import TradingStateChanged
from core.domain.message import Event
from core.errors import JournalDamaged, StoreError
from core.session.wire import decode_event, event_time, is_kind, recorded
from core.state.checkpoint import image_of
from store.home_lock import HomeLock
from store.journal.format import (
    chain_at,
    check_format,
    checkpoint_sequences,
    head,
    put_meta,
    read_base,
    read_checkpoint,
    read_records,
    read_run,
    reading,
    reading_error,
    writing_error,
)
from store.journal.mark import Mark, mark_path, read_mark

ExportFormat = Literal["jsonl", "csv"]
CSV_COLUMNS = (
    "sequence",
    "ts",
    "event",
    "client_order_id",
    "instrument",
    "side",
    "quantity",
    "price",
    "reason",
    "fields",
)
RUNS_SKIPPED = 1_000
"""A restored journal does not know the runs that came after its backup; their order ids must never come again."""


class CheckpointReport(msgspec.Struct, frozen=True):
    """One checkpoint and whether it can be trusted."""

    sequence: int
    readable: bool


class Damage(msgspec.Struct, frozen=True):
    """Where the journal stops being trustworthy; ``record`` 0 means that the records are sound and the rest is not."""

    record: int
    what: str


class CheckReport(msgspec.Struct, frozen=True):
    """What a full check found; times are ns, UTC, of the first and the last readable event."""

    path: str
    format: int
    run: int
    records: int
    pruned: int
    first_sequence: int
    last_sequence: int
    first_ts: int | None
    last_ts: int | None
    acknowledged: int
    checkpoints: tuple[CheckpointReport, ...]
    damage: Damage | None


def check(path: Path) -> CheckReport:
    """Read the whole journal and prove every record; also on the journal of a running engine.

    Raises:
        StoreError: if there is no journal or the disk cannot be read.
        JournalTooNew: if this program cannot read it.
    """
    # Before the records: an engine may be writing, and the mark must not be newer than what is read.
    acknowledged = read_mark(path)
    report = CheckReport(str(path), 0, 0, 0, 0, 0, 0, None, None, acknowledged.sequence, (), None)
    try:
        with reading(path) as db:
            try:
                return _checked(db, path, report, acknowledged.run)
            except sqlite3.Error as error:
                raise reading_error(error, path, 1) from error
    except JournalDamaged as error:
        return msgspec.structs.replace(report, damage=Damage(1, str(error)))


def _checked(db: sqlite3.Connection, path: Path, report: CheckReport, run: int) -> CheckReport:
    base = read_base(db)
    known, damage = 0, None
    first: bytes | None = None
    last = b""
    try:
        for record in read_records(db, path, 0):
            known, last = known + 1, record.payload
            first = last if first is None else first
    except JournalDamaged as error:
        damage = Damage(base.sequence + known + 1, str(error))
    checkpoints: tuple[CheckpointReport, ...] = ()
    try:
        checkpoints = tuple(
            CheckpointReport(at, read_checkpoint(db, base, at) is not None) for at in checkpoint_sequences(db)
        )
    except sqlite3.Error as error:
        damage = damage or Damage(0, f"the checkpoints cannot be read ({error}); every record can be trusted")
    if damage and damage.record:
        damage = _with_a_way_on(db, path, damage, [one.sequence for one in checkpoints if one.readable], report)
    report = msgspec.structs.replace(
        report,
        format=check_format(db),
        run=read_run(db),
        records=known,
        pruned=base.sequence,
        first_sequence=base.sequence + 1 if known else 0,
        last_sequence=base.sequence + known,
        first_ts=event_time(first) if first is not None else None,
        last_ts=event_time(last),
        checkpoints=checkpoints,
    )
    return msgspec.structs.replace(report, damage=damage or _other_damage(db, report, run))


def _with_a_way_on(
    db: sqlite3.Connection, path: Path, damage: Damage, checkpoints: Sequence[int], report: CheckReport
) -> Damage:
    """Say of damage that lies below all that an engine reads to start what it costs: history, not the state."""
    newest = max(checkpoints, default=0)
    if newest < damage.record:
        return damage
    last = newest
    try:
        for record in read_records(db, path, newest):
            last = record.sequence
    except JournalDamaged:
        return damage
    if last < report.acknowledged:
        return damage
    what = f"history is lost; an engine goes on from checkpoint {newest}, behind which every record can be trusted"
    return Damage(damage.record, f"journal damaged at record {damage.record}: {what}")


def _other_damage(db: sqlite3.Connection, report: CheckReport, run: int) -> Damage | None:
    if report.last_sequence < report.acknowledged:
        missing = report.last_sequence + 1
        return Damage(missing, f"records {missing} to {report.acknowledged} were acknowledged and are missing")
    if report.run < run:
        return Damage(report.last_sequence + 1, f"run {run} was given out, the journal knows {report.run}")
    broken = [str(found.sequence) for found in report.checkpoints if not found.readable]
    if broken:
        return Damage(0, f"checkpoint {' and '.join(broken)} cannot be trusted; every record can")
    found: str = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return None if found == "ok" else Damage(0, f"every record can be trusted, the file cannot: {found}")


def readable(value: object) -> object:
    """Return a message, or a part of one, as what JSON can say: names for fields, text for decimals."""
    if isinstance(value, msgspec.Struct):
        return {name: readable(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list | frozenset):
        return [readable(item) for item in value]
    return msgspec.to_builtins(value)


def described(sequence: int, payload: bytes) -> dict[str, object]:
    """Return one record with names: sequence, event, then its fields; an unknown payload as hexadecimal text."""
    try:
        event: Event = decode_event(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return {"sequence": sequence, "event": "?", "error": str(error), "payload": payload.hex()}
    fields = readable(event)
    assert isinstance(fields, dict)
    return {"sequence": sequence, "event": type(event).__name__, **fields}


def export(path: Path, out: TextIO, format: ExportFormat = "jsonl", after: int = 0) -> int:
    """Write the records above ``after`` readably and return how many; JSON lines, or CSV with the main columns.

    Raises:
        JournalDamaged: naming the first record that cannot be trusted; the ones before it have been written.
    """
    with reading(path) as db:
        rows = (described(record.sequence, record.payload) for record in read_records(db, path, after))
        return _export_csv(rows, out) if format == "csv" else _export_jsonl(rows, out)


def _export_jsonl(rows: Iterator[dict[str, object]], out: TextIO) -> int:
    written = 0
    for row in rows:
        out.write(msgspec.json.encode(row).decode() + "\n")
        written += 1
    return written


def _export_csv(rows: Iterator[dict[str, object]], out: TextIO) -> int:
    table = csv.writer(out, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    written = 0
    for row in rows:
        written += 1
        # An order's own fields stand where the event has none of that name.
        order = row.get("order")
        merged = {**order, **row} if isinstance(order, dict) else row
        cells = [merged.get(name) for name in CSV_COLUMNS[:-1]]
        table.writerow([*("" if cell is None else cell for cell in cells), msgspec.json.encode(row).decode()])
    return written


def backup(path: Path, target: Path) -> CheckReport:
    """Copy the journal as it is at one moment into one file, prove the copy and return its check; online.

    Raises:
        StoreError: if the target exists or cannot be written.
        JournalDamaged: if the copy does not prove itself: a damaged journal is not a backup.
    """
    if target.exists():
        raise StoreError(f"{target} exists; name another file, a backup is never overwritten")
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        with reading(path) as source, closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            # In one step: in smaller ones, every commit of the engine would start it again.
            source.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode = DELETE")
        report = check(partial)
        if report.damage is not None:
            raise JournalDamaged(f"{path} was not backed up: {report.damage.what}")
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise writing_error(error, target) from error
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return msgspec.structs.replace(report, path=str(target))


def restore(source: Path, path: Path, *, force: bool = False) -> Path | None:
    """Put a backup in the journal's place; return where the journal that stood there was moved, if there was one.

    Nothing is destroyed. The run number continues above both, with a wide step for runs the backup cannot know of. The
    journal says that it was put back until a run begins on it: the engine starts HALTED.

    Raises:
        HomeLocked: if an engine runs on this directory.
        JournalDamaged: if the backup cannot be trusted.
        StoreError: if the present journal holds records that the backup does not, unless ``force``.
    """
    with HomeLock(path.parent):
        report = check(source)
        if report.damage is not None:
            raise JournalDamaged(f"backup {source} cannot be restored: {report.damage.what}")
        lost, run = _compared(path, source, report)
        if lost and not force:
            raise StoreError(f"{path} {lost}; nothing restored; with --force that journal is set aside")
        try:
            return _replace(path, source, report.last_sequence, max(run, report.run) + RUNS_SKIPPED)
        except sqlite3.Error as error:
            raise writing_error(error, path) from error
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from error


def trading_state(path: Path) -> tuple[TradingState, str]:
    """Return the trading state that a journal ends with, and why it is so.

    Raises:
        JournalDamaged: if a record cannot be trusted.
        JournalTooNew: if this program cannot read it.
    """
    state, reason, after = TradingState.ACTIVE, "", 0
    with reading(path) as db:
        base = read_base(db)
        found = (read_checkpoint(db, base, at) for at in checkpoint_sequences(db))
        newest = next((one for one in found if one is not None), None)
        if newest is not None:
            image = image_of(newest)
            state, reason, after = image.trading_state, image.state_reason, newest.sequence
        for record in read_records(db, path, after):
            if is_kind(record.payload, TradingStateChanged):
                changed = recorded(record)
                assert isinstance(changed, TradingStateChanged)
                state, reason = changed.state, changed.reason
    return state, reason


def _compared(path: Path, source: Path, backed_up: CheckReport) -> tuple[str, int]:
    """Return what a restore would set aside that the backup lacks, empty if nothing, and the present run number."""
    last, run = read_mark(path)
    other = ""
    try:
        with reading(path) as db, reading(source) as copy:
            end = head(db)
            last, run = max(last, end.sequence), max(run, read_run(db))
            known = chain_at(copy, read_base(copy), end.sequence)
            if end.sequence <= backed_up.last_sequence and known not in {None, end.chain}:
                other = f"holds another history than {source}"
    except (StoreError, sqlite3.Error):
        # What cannot be read cannot be compared: the mark alone says how far it went.
        pass
    if last > backed_up.last_sequence:
        return f"goes to record {last}, {source} to {backed_up.last_sequence}", run
    return other, run


def _replace(path: Path, source: Path, last: int, run: int) -> Path | None:
    fresh = path.with_name(path.name + ".restoring")
    try:
        shutil.copyfile(source, fresh)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            put_meta(db, "run", run)
            put_meta(db, "put_back", 1)
        _sync(fresh)
        aside = next(free for number in count(1) if not (free := _named(path, number)).exists())
        if mark_path(path).exists():
            shutil.copyfile(mark_path(path), mark_path(aside))
        # The new mark comes first: whatever is cut short from here on, no engine starts on half a journal.
        mark = Mark(path)
        mark.set(last, run)
        mark.close()
        moved = [_move(path, aside, part) for part in ("-wal", "-shm", "")]
        fresh.rename(path)
        _sync(path.parent)
        return aside if any(moved) else None
    finally:
        fresh.unlink(missing_ok=True)


def _named(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.replaced-{number}")


def _move(path: Path, aside: Path, part: str) -> bool:
    found = path.with_name(path.name + part)
    if not found.exists():
        return False
    found.rename(aside.with_name(aside.name + part))
    return True


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
