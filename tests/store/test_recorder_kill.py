"""The recorder killed, and read from, at any moment: every row once."""

import random
import signal
import threading
import time
from pathlib import Path

import pytest

from store import recorder as recorder_module
from store.recorder import Recorder
from store.ticks.paths import DAY_NS, TickPaths, day_number
from store.ticks.reader import TickReader, days
from tests.contracts.tick_store import by_kind, ticks
from tests.store.tick_home import DAY, KEEP_ALL, NEXT, kill_after, move_all, python, read, write, writer

MIDNIGHT = day_number(NEXT) * DAY_NS


def late(home: Path) -> Recorder:
    """Return a recorder some days later."""
    return Recorder(home, KEEP_ALL, now=lambda: MIDNIGHT + 5 * DAY_NS)


def segments(home: Path) -> list[Path]:
    return sorted(TickPaths(home).segments.iterdir())


MOVE = """
import sys, time
from pathlib import Path
import store.recorder as r
from core.config.settings import TicksSettings
r.MAX_ROWS = 100
recorder = r.Recorder(Path(sys.argv[1]), TicksSettings(keep_days=0))
print("ready", flush=True)
while recorder.turn():
    pass
recorder.close_days()
"""


def test_a_recorder_killed_at_any_point_neither_loses_nor_repeats(tmp_path: Path) -> None:
    sent = ticks(6_000, start=MIDNIGHT - 3_000_000_000)
    store = writer(tmp_path)
    for index, message in enumerate(sent):
        store.append(message)
        if index % 100 == 99:
            store.flush()
        if index % 2_000 == 1_999:
            store.close()
            store = writer(tmp_path)
    store.close()
    chance, cut = random.Random(5), 0
    for _ in range(40):
        process = python(MOVE, tmp_path)
        assert process.stdout is not None
        process.stdout.readline()
        kill_after(process, chance.uniform(0.0, 0.04))
        cut += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    assert cut >= 10
    if segments(tmp_path) or TickPaths(tmp_path).day_files():
        recorder = late(tmp_path)
        while recorder.turn():
            pass
        recorder.close_days()
    assert segments(tmp_path) == []
    assert {part.where for part in days(tmp_path)} == {"parquet"}
    assert by_kind(read(tmp_path, DAY, NEXT)) == by_kind(sent)


def test_killed_between_parquet_and_removal_reads_each_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = ticks(30)
    write(tmp_path, sent)
    recorder = late(tmp_path)
    recorder.turn()
    monkeypatch.setattr(recorder_module, "_unlink_day", lambda path: None)  # as if it had died just before
    recorder.close_days()
    assert list(TickPaths(tmp_path).lake.rglob("*.parquet"))
    assert TickPaths(tmp_path).day_files()
    assert by_kind(read(tmp_path)) == by_kind(sent)
    monkeypatch.undo()
    assert late(tmp_path).close_days() == [DAY]
    assert by_kind(read(tmp_path)) == by_kind(sent)


def test_killed_between_commit_and_deletion_moves_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = ticks(30)
    write(tmp_path, sent)
    recorder = Recorder(tmp_path, KEEP_ALL)
    monkeypatch.setattr(recorder, "_retire", lambda reader: None)
    assert recorder.turn() > 0
    assert len(segments(tmp_path)) == 1
    assert by_kind(read(tmp_path)) == by_kind(sent)
    recorder.close()
    move_all(tmp_path)
    assert segments(tmp_path) == []
    assert by_kind(read(tmp_path)) == by_kind(sent)


def test_a_reader_always_sees_every_row_once_while_the_recorder_works(tmp_path: Path) -> None:
    store, sent, stop = writer(tmp_path), ticks(12_000, step=1_000), threading.Event()
    process = python(
        "import sys; from pathlib import Path; from core.config.settings import TicksSettings;"
        "import store.recorder as r;"
        "r.INTERVAL_S = r.BUSY_S = 0.01; r.run(Path(sys.argv[1]), TicksSettings(keep_days=0))",
        tmp_path,
    )
    flushed = 0
    looks, moved = 0, False
    try:
        until = time.monotonic() + 180
        while flushed < len(sent) or not moved:  # the recorder only gets what others leave
            assert time.monotonic() < until, "nothing was ever moved"
            for message in sent[flushed : flushed + 400]:
                store.append(message)
            store.flush()
            flushed = min(flushed + 400, len(sent))
            with TickReader(tmp_path, wait_s=120) as reader:
                seen = reader.sql(
                    "SELECT (SELECT count(*) FROM trades) + (SELECT count(*) FROM quotes) + "
                    "(SELECT count(DISTINCT event) FROM all_levels)"
                ).rows
                moved = moved or bool(reader.open_days)
            assert seen == [(flushed,)]
            looks += 1
            stop.wait(0.02)
    finally:
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=180)
    store.close()
    assert process.returncode == 0, complaints
    assert looks >= 30
    assert by_kind(read(tmp_path)) == by_kind(sent)
