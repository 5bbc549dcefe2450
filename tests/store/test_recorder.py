"""The recorder: nothing lost, nothing twice, wherever it is killed; readers and the engine never notice it."""

import fcntl
import os
import signal
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.config.settings import TicksSettings
from core.domain.market import BookDelta, BookSnapshot, Quote
from core.domain.message import Message
from core.errors import HomeLocked, StoreError
from core.ports import TickStore
from store import lake
from store import recorder as recorder_module
from store.recorder import Recorder, run
from store.segments.format import HEADER
from store.segments.reader import SegmentReader
from store.ticks.paths import DAY_NS, TickPaths, day_number
from store.ticks.reader import TickReader, days
from store.ticks.tables import Busy, open_day
from tests.contracts.tick_store import BTC, ReadBack, TickStoreContract, by_kind, ticks
from tests.store.tick_home import DAY, KEEP_ALL, NEXT, move_all, python, read, write, writer

MIDNIGHT = day_number(NEXT) * DAY_NS
LONG_AFTER = MIDNIGHT + 5 * DAY_NS


class TestMovedTicks(TickStoreContract):
    """The contract again, read from the day file."""

    @pytest.fixture
    def tick_store(self, tmp_path: Path) -> TickStore:
        return writer(tmp_path)

    @pytest.fixture
    def read_back(self, tmp_path: Path) -> ReadBack:
        def moved() -> Sequence[Message]:
            move_all(tmp_path)
            return read(tmp_path)

        return moved


class TestClosedTicks(TickStoreContract):
    """The contract again, read from Parquet."""

    @pytest.fixture
    def tick_store(self, tmp_path: Path) -> TickStore:
        return writer(tmp_path)

    @pytest.fixture
    def read_back(self, tmp_path: Path, tick_store: TickStore) -> ReadBack:
        def closed() -> Sequence[Message]:
            tick_store.close()
            move_all(tmp_path)
            Recorder(tmp_path, KEEP_ALL).close_days()
            assert not TickPaths(tmp_path).day_files()
            return read(tmp_path)

        return closed


def late(home: Path, settings: TicksSettings = KEEP_ALL) -> Recorder:
    """Return a recorder some days later."""
    return Recorder(home, settings, now=lambda: LONG_AFTER)


def segments(home: Path) -> list[Path]:
    return sorted(TickPaths(home).segments.iterdir())


def test_a_live_segment_is_moved_by_and_by_and_removed_when_finished(tmp_path: Path) -> None:
    sent, store, recorder = ticks(90), writer(tmp_path), Recorder(tmp_path, KEEP_ALL)
    for low in range(0, 90, 30):
        for message in sent[low : low + 30]:
            store.append(message)
        store.flush()
        assert recorder.turn() > 0
        assert recorder.turn() == 0
        assert by_kind(read(tmp_path)) == by_kind(sent[: low + 30])
    assert len(segments(tmp_path)) == 1
    store.close()
    recorder.turn()
    assert segments(tmp_path) == []
    assert by_kind(read(tmp_path)) == by_kind(sent)


def test_a_recorder_that_starts_again_repeats_nothing(tmp_path: Path) -> None:
    sent, store = ticks(60), writer(tmp_path)
    for low in range(0, 60, 20):
        for message in sent[low : low + 20]:
            store.append(message)
        store.flush()
        move_all(tmp_path)
    assert by_kind(read(tmp_path)) == by_kind(sent)
    store.close()


def test_a_turn_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = writer(tmp_path)
    sent = ticks(100)
    for message in sent:
        store.append(message)
        store.flush()
    store.close()
    monkeypatch.setattr(recorder_module, "MAX_ROWS", 10)
    recorder = Recorder(tmp_path, KEEP_ALL)
    moved = []
    while rows := recorder.turn():
        moved.append(rows)
    assert max(moved) < 20
    assert len(moved) > 8
    assert by_kind(read(tmp_path)) == by_kind(sent)


def test_rows_go_to_the_utc_day_they_were_received(tmp_path: Path) -> None:
    sent = ticks(40, start=MIDNIGHT - 20_000_000)
    write(tmp_path, sent)
    move_all(tmp_path)
    assert set(TickPaths(tmp_path).day_files()) == {DAY, NEXT}
    assert by_kind(read(tmp_path, DAY)) == by_kind(sent[:20])
    assert by_kind(read(tmp_path, NEXT)) == by_kind(sent[20:])


def test_a_day_stays_open_while_its_segment_lives(tmp_path: Path) -> None:
    store, sent = writer(tmp_path), ticks(20, start=MIDNIGHT - 10_000_000)
    for message in sent:
        store.append(message)
    store.flush()
    recorder = late(tmp_path)
    recorder.turn()
    assert recorder.close_days() == []
    store.close()
    recorder.turn()
    assert recorder.close_days() == [DAY, NEXT]
    assert by_kind(read(tmp_path, DAY, NEXT)) == by_kind(sent)


def test_today_is_not_closed(tmp_path: Path) -> None:
    write(tmp_path, ticks(5))
    move_all(tmp_path)
    assert Recorder(tmp_path, KEEP_ALL, now=lambda: MIDNIGHT - 1).close_days() == []
    assert Recorder(tmp_path, KEEP_ALL, now=lambda: MIDNIGHT).close_days() == [DAY]


def test_rows_that_come_after_closing_become_a_further_part(tmp_path: Path) -> None:
    sent = ticks(40, step=0)
    for half in (sent[:20], sent[20:]):
        write(tmp_path, half)
        recorder = late(tmp_path)
        recorder.turn()
        assert recorder.close_days() == [DAY]
    assert by_kind(read(tmp_path)) == by_kind(sent)
    assert len(list(TickPaths(tmp_path).lake.rglob("trades-1.parquet"))) == 2


def test_retention_deletes_old_days_only(tmp_path: Path) -> None:
    write(tmp_path, ticks(20, start=MIDNIGHT - 10_000_000))
    recorder = Recorder(tmp_path, TicksSettings(keep_days=5), now=lambda: LONG_AFTER)
    recorder.turn()
    recorder.close_days()
    assert recorder.retain()
    assert {part.day for part in days(tmp_path)} == {NEXT}
    assert recorder.retain() == []


def test_the_lake_is_looked_through_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of a remote lake costs time and money, and the recorder comes by every minute."""
    now, listings = [MIDNIGHT], list[int]()
    recorder = Recorder(tmp_path, TicksSettings(keep_days=5), now=lambda: now[0])
    monkeypatch.setattr(recorder, "retain", lambda: listings.append(now[0]))
    for minute in range(0, 3 * 1440, 60):
        now[0] = MIDNIGHT + minute * 60 * 10**9
        recorder.chores()
    assert listings == [MIDNIGHT, MIDNIGHT + DAY_NS, MIDNIGHT + 2 * DAY_NS]


def test_a_reader_that_stays_keeps_the_recorder_waiting_not_losing(tmp_path: Path) -> None:
    store, sent = writer(tmp_path), ticks(40)
    for message in sent[:20]:
        store.append(message)
    store.flush()
    move_all(tmp_path)
    recorder = Recorder(tmp_path, KEEP_ALL)
    for message in sent[20:]:
        store.append(message)
    store.close()
    with TickReader(tmp_path) as reader:
        with pytest.raises(Busy, match="in use"):
            recorder.turn()
        assert reader.sql("SELECT count(*) FROM trades").rows == [(8,)]
    assert recorder.turn() > 0
    assert by_kind(read(tmp_path)) == by_kind(sent)


def test_a_damaged_segment_is_set_aside_and_the_rest_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = writer(tmp_path)
    sent = [message for message in ticks(60) if isinstance(message, Quote) and message.instrument == BTC]
    for message in sent:
        store.append(message)
        store.flush()
    store.close()
    (path,) = segments(tmp_path)
    blocks = list(SegmentReader(path).blocks())
    data = bytearray(path.read_bytes())
    data[blocks[2].end - 9] ^= 1
    path.write_bytes(data)
    move_all(tmp_path)
    assert read(tmp_path) == sent[:2] + sent[3:]
    assert segments(tmp_path) == []
    (aside,) = TickPaths(tmp_path).damaged.iterdir()
    assert aside.name.startswith(path.name)
    assert aside.read_bytes() == data
    assert f"the block at byte {blocks[2].start} is damaged: the checksum of 1 rows is wrong" in capsys.readouterr().out


def test_a_torn_end_is_dropped_and_the_rest_moved(tmp_path: Path) -> None:
    sent = ticks(20)
    write(tmp_path, sent)
    (path,) = segments(tmp_path)
    last = list(SegmentReader(path).blocks())[-1]
    with path.open("r+b") as file:
        file.truncate(last.end - 5)
    move_all(tmp_path)
    kept = [message for message in sent if not isinstance(message, BookDelta | BookSnapshot)]
    assert by_kind(read(tmp_path)) == by_kind(kept)
    assert segments(tmp_path) == []
    assert list(TickPaths(tmp_path).damaged.iterdir()) == []


def test_a_segment_that_cannot_be_understood_does_not_stop_the_others(tmp_path: Path) -> None:
    write(tmp_path, ticks(5))
    (path,) = segments(tmp_path)
    head = bytearray(path.read_bytes())
    head[4] = 9
    head[HEADER.size - 4 : HEADER.size] = zlib.crc32(head[: HEADER.size - 4]).to_bytes(4, "little")
    path.write_bytes(head)
    sent = ticks(10)
    write(tmp_path, sent)
    move_all(tmp_path)
    assert by_kind(read(tmp_path)) == by_kind(sent)
    assert len(list(TickPaths(tmp_path).damaged.iterdir())) == 1


@pytest.mark.parametrize("flipped", [False, True])
def test_a_damaged_day_file_is_set_aside(tmp_path: Path, flipped: bool) -> None:
    paths = TickPaths(tmp_path)
    paths.make()
    data = bytearray(b"not a database" * 1000)
    if flipped:
        write(tmp_path, ticks(5))
        move_all(tmp_path)
        data = bytearray(paths.day_file(DAY).read_bytes())
        data[4_200::512] = bytes(len(data[4_200::512]))
    paths.day_file(DAY).write_bytes(data)
    sent = ticks(10)
    write(tmp_path, sent)
    move_all(tmp_path)
    assert len(list(paths.damaged.iterdir())) == 1
    assert by_kind(read(tmp_path)) == by_kind(sent)


def test_a_parquet_file_that_lost_rows_keeps_the_day_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, ticks(10))
    recorder = late(tmp_path)
    recorder.turn()
    real = lake._copy
    monkeypatch.setattr(lake, "_copy", lambda *arguments: real(*arguments) + 1)
    with pytest.raises(StoreError, match="the day file is kept"):
        recorder.close_days()
    assert set(TickPaths(tmp_path).day_files()) == {DAY}
    monkeypatch.undo()
    assert late(tmp_path).close_days() == [DAY]


def test_run_ends_when_asked_and_moves_what_waits(tmp_path: Path) -> None:
    sent = ticks(20)
    write(tmp_path, sent)
    process = python(
        "import sys; from pathlib import Path; from core.config.settings import TicksSettings;"
        "from store.recorder import run;"
        "print('up', flush=True); run(Path(sys.argv[1]), TicksSettings(keep_days=0))",
        tmp_path,
    )
    deadline = time.monotonic() + 180
    while segments(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=180)
    assert process.returncode == 0, complaints
    assert segments(tmp_path) == []


def test_two_recorders_do_not_share_a_home(tmp_path: Path) -> None:
    TickPaths(tmp_path).make()
    with (TickPaths(tmp_path).root / "recorder.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stop = threading.Event()
        stop.set()
        with pytest.raises(HomeLocked, match="another recorder"):
            python_run(tmp_path, stop)


def python_run(home: Path, stop: threading.Event) -> None:
    """Run in this process, without lowering its priority for the tests that follow."""
    real, recorder_module.be_idle = recorder_module.be_idle, lambda: None
    try:
        run(home, KEEP_ALL, stop)
    finally:
        recorder_module.be_idle = real


def test_the_marks_are_in_the_day_file_itself(tmp_path: Path) -> None:
    write(tmp_path, ticks(10))
    name = segments(tmp_path)[0].name
    size = segments(tmp_path)[0].stat().st_size
    move_all(tmp_path)
    connection, tables = open_day(TickPaths(tmp_path).day_file(DAY), tmp_path)
    assert tables.marks() == {name: size}
    connection.close()


def test_the_recorder_gives_duckdb_the_memory_of_the_settings_and_no_more(tmp_path: Path) -> None:
    TickPaths(tmp_path).make()
    connection, _ = open_day(TickPaths(tmp_path).day_file(DAY), tmp_path, 64)
    set_to = connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
    connection.close()
    assert set_to == "61.0 MiB"
