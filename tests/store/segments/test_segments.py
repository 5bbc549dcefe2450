"""The engine's side: bytes that survive kill -9, and never an exception."""

import errno
import os
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.identifiers import InstrumentId
from core.domain.market import BookDelta, BookSnapshot, Quote, Timer, Trade
from core.domain.message import Message
from core.errors import StoreError
from core.ports import TickStore
from store.segments.format import HEADER, Kind
from store.segments.reader import SegmentReader, flat, open_segments
from store.segments.writer import SegmentWriter
from tests.contracts.tick_store import BTC, ETH, START, ReadBack, TickStoreContract, by_kind, ticks
from tests.store.tick_home import python, read, write, writer

STAMPS = st.integers(START, START + 10**9)
IDS = st.integers(-1, 2**63 - 1)
PRICES = st.floats(allow_nan=False)
LEVELS = st.lists(st.tuples(PRICES, PRICES), max_size=4).map(tuple)
WHO = st.sampled_from([BTC, ETH, InstrumentId("FOOTBALL:BETFAIR:MATCH_WINNER:ENG-PREMIER_LEAGUE:20250315T1500:A-B")])
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Trade, WHO, PRICES, PRICES, st.booleans(), IDS, STAMPS, STAMPS),
    st.builds(Quote, WHO, PRICES, PRICES, PRICES, PRICES, IDS, STAMPS, STAMPS),
    st.builds(BookDelta, WHO, LEVELS, LEVELS, IDS, IDS, IDS, STAMPS, STAMPS),
    st.builds(BookSnapshot, WHO, LEVELS, LEVELS, IDS, st.booleans(), STAMPS, STAMPS),
)


class TestSegments(TickStoreContract):
    @pytest.fixture
    def tick_store(self, tmp_path: Path) -> TickStore:
        return writer(tmp_path)

    @pytest.fixture
    def read_back(self, tmp_path: Path) -> ReadBack:
        return lambda: read(tmp_path)


def rows_of(home: Path) -> int:
    """Return the messages in whole blocks."""
    return sum(block.rows for reader in open_segments(home / "ticks/segments") for block in reader.blocks())


def stamp(message: Message) -> int:
    """Return when a message entered the engine."""
    return int(message.ts)  # type: ignore[attr-defined]


def only_segment(home: Path) -> Path:
    (path,) = (home / "ticks/segments").glob("*.seg")
    return path


@settings(max_examples=25, deadline=None)
@given(st.lists(MESSAGES, max_size=30))
def test_every_message_reads_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, messages: Sequence[Message]
) -> None:
    home = tmp_path_factory.mktemp("home")
    write(home, messages)
    wanted = by_kind(sorted(messages, key=stamp))
    assert by_kind(read(home)) == wanted


def test_columns_and_messages_write_the_same(tmp_path: Path) -> None:
    n = 2_500
    table = [ETH, BTC]
    codes = np.arange(n) % 2
    columns = {
        "ts": START + np.arange(n) * 1000,
        "ts_exchange": START + np.arange(n) * 999,
        "trade_id": np.arange(n),
        "price": np.arange(n) * 0.1,
        "size": np.full(n, 2.0),
        "buyer": codes == 1,
        "instrument": codes.astype(np.uint16),
    }
    store = writer(tmp_path)
    store.append_columns(Kind.TRADES, BTC, {"ts": columns["ts"][:1], "price": 7.0, "size": 1.0, "buyer": True})
    store.append_columns(Kind.TRADES, table, columns)
    store.close()
    wanted = [
        Trade(table[c], float(p), 2.0, c == 1, i, START + i * 999, START + i * 1000)
        for i, (c, p) in enumerate(zip(codes.tolist(), columns["price"], strict=True))
    ]
    assert read(tmp_path) == [Trade(BTC, 7.0, 1.0, True, -1, START, START), *wanted]
    assert (store.written, store.dropped) == (n + 1, 0)


def test_columns_of_unequal_length_are_counted_not_raised(tmp_path: Path) -> None:
    store = writer(tmp_path)
    store.append_columns(Kind.TRADES, BTC, {"ts": np.arange(3), "price": np.zeros(2), "size": 1.0, "buyer": True})
    store.append_columns(Kind.TRADES, BTC, {"ts": START + np.arange(2), "price": 1.0, "size": 1.0, "buyer": True})
    store.close()
    assert store.dropped == 3
    assert rows_of(tmp_path) == 2


def test_one_impossible_value_costs_one_message(tmp_path: Path) -> None:
    store = writer(tmp_path)
    good = ticks(5)
    store.append(good[0])
    store.append(Trade(InstrumentId("NEW:SPOT_ASSET:X"), 1.0, 1.0, True, 2**70, START, START))
    for message in good[1:]:
        store.append(message)
    store.close()
    assert store.dropped == 1
    assert by_kind(read(tmp_path)) == by_kind(good)


def test_a_timer_ripens_what_waits(tmp_path: Path) -> None:
    store = writer(tmp_path)
    store.append(ticks(1)[0])
    store.append(Timer(START + 100_000_000))
    assert rows_of(tmp_path) == 0
    store.append(Timer(START + 250_000_000))
    assert rows_of(tmp_path) == 1
    store.close()


def test_a_clock_that_jumps_back_does_not_keep_rows_waiting(tmp_path: Path) -> None:
    store = writer(tmp_path)
    early, late = ticks(1, start=START)[0], ticks(1, start=START + 10**12)[0]
    store.append(late)
    store.append(early)
    assert rows_of(tmp_path) == 2
    store.close()


def test_a_thousand_messages_are_a_finished_batch(tmp_path: Path) -> None:
    store = writer(tmp_path)
    for i in range(1_000):
        store.append(Trade(BTC, 1.0, 1.0, True, i, START, START + i))
    assert rows_of(tmp_path) == 1_000
    store.close()


def test_segments_end_by_size_and_age(tmp_path: Path) -> None:
    now = [1]
    store = SegmentWriter(tmp_path, max_bytes=10_000, max_seconds=60, monotonic=lambda: now[0])
    for message in ticks(4_000):
        store.append(message)
    store.flush()
    by_size = len(list(tmp_path.iterdir()))
    assert by_size > 5
    store.append(ticks(1)[0])
    store.flush()
    now[0] += 60_000_000_000
    store.flush()
    assert all(reader.finished() for reader in open_segments(tmp_path))
    store.close()
    assert store.dropped == 0


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from core.domain.market import BookDelta, Quote, Trade
from store.segments.writer import SegmentWriter
store = SegmentWriter(Path(sys.argv[1]), max_bytes=200_000)
who, ts = "BINANCE-SPOT:SPOT_PAIR:BTC-USDT", 1_723_161_600_000_000_000
i = 0
while True:
    for _ in range(37):
        store.append((Trade(who, 1.0 * i, 1.0, True, i, ts, ts + i), Quote(who, 1., 1., 2., 1. * i, i, ts, ts + i),
                      BookDelta(who, ((1.0, 1.0 * i),), (), i, i, i, ts, ts + i))[i % 3])
        i += 1
    store.flush()
    print(i, flush=True)
"""


@pytest.mark.parametrize("life", [0.25, 0.4, 0.6])
def test_no_finished_batch_is_lost_by_kill_9(tmp_path: Path, life: float) -> None:
    process = python(WRITE_UNTIL_KILLED, tmp_path / "ticks/segments")
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    reading = threading.Thread(target=lambda: lines.extend(process.stdout or ()))  # a full pipe would stop the writer
    reading.start()
    time.sleep(life)
    process.kill()
    reading.join()
    process.communicate()
    flushed = int([line for line in lines if line.endswith("\n")][-1])
    kept = [stamp(message) - START for message in read(tmp_path)]
    assert flushed > 0
    assert kept[:flushed] == list(range(flushed))
    assert len(kept) == len(set(kept))
    for reader in open_segments(tmp_path / "ticks/segments"):
        assert reader.finished()
        list(reader.blocks())
        assert reader.damage == []


def test_every_torn_end_is_dropped_and_nothing_before_it(tmp_path: Path) -> None:
    store = writer(tmp_path)
    ends = []
    for message in ticks(6):
        store.append(message)
        store.flush()
        ends.append(only_segment(tmp_path).stat().st_size)
    store.close()
    path = only_segment(tmp_path)
    whole = path.read_bytes()
    for cut in range(len(whole), 0, -13):
        path.write_bytes(whole[:cut])
        reader = SegmentReader(path)
        rows = sum(block.rows for block in reader.blocks())
        assert rows == sum(end <= cut for end in ends)
        assert reader.damage == []
        assert reader.torn == cut - reader.position
        reader.close()


def test_a_flipped_bit_anywhere_costs_one_block_and_is_named(tmp_path: Path) -> None:
    store = writer(tmp_path)
    for message in ticks(5):
        store.append(message)
        store.flush()
    store.append(ticks(1)[0])
    store.close()
    path = only_segment(tmp_path)
    whole = path.read_bytes()
    with_rows = list(SegmentReader(path).blocks())
    first, last = with_rows[0], with_rows[-1]
    for at in range(first.start, last.start, 29):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        reader = SegmentReader(path)
        found = list(reader.blocks())
        assert len(reader.damage) >= 1, at
        assert "damaged" in reader.damage[0]
        assert found[-1].start == last.start
        kept = {block.start: {name: c.tobytes() for name, c in block.columns.items()} for block in with_rows}
        for block in found:
            assert {name: c.tobytes() for name, c in block.columns.items()} == kept[block.start]
        reader.close()


def test_a_segment_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ticks(1))
    path = only_segment(tmp_path)
    head = bytearray(path.read_bytes())
    head[4] = 9
    head[HEADER.size - 4 : HEADER.size] = zlib.crc32(head[: HEADER.size - 4]).to_bytes(4, "little")
    path.write_bytes(head)
    with pytest.raises(StoreError, match="newer program"):
        list(SegmentReader(path).blocks())


def test_over_budget_drops_counts_and_recovers(tmp_path: Path) -> None:
    now = [1]
    store = SegmentWriter(tmp_path, budget_bytes=5_000, max_bytes=1_000, monotonic=lambda: now[0])
    for message in ticks(200):
        store.append(message)
        store.flush()
    assert store.dropped + store.written == 200
    assert store.written > 10
    assert store.dropped > 50
    for _ in range(20):  # a second look at the folder finds it as full
        now[0] += 2_000_000_000
        store.append(ticks(1)[0])
        store.flush()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5_000
    for path in tmp_path.iterdir():
        path.unlink()
    now[0] += 2_000_000_000
    lost = store.dropped
    store.append(ticks(1)[0])
    store.close()
    assert store.dropped == lost
    assert sum(block.rows for reader in open_segments(tmp_path) for block in reader.blocks()) == 1


def test_a_full_disk_drops_counts_and_leaves_whole_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the disk only: it takes a part of a block, then nothing, then works again."""
    now, full = [1], [False]
    real = os.writev

    def disk(fd: int, parts: Sequence[bytes]) -> int:
        if not full[0]:
            return real(fd, parts)
        if os.fstat(fd).st_size == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, bytes(memoryview(parts[0]).cast("B"))[:20])

    monkeypatch.setattr(os, "writev", disk)
    store = SegmentWriter(tmp_path / "ticks/segments", monotonic=lambda: now[0])
    sent = ticks(30)
    for i, message in enumerate(sent):
        full[0] = 10 <= i < 20
        if i in {12, 20}:
            now[0] += 2_000_000_000
        store.append(message)
        store.flush()
    store.close()
    assert store.dropped == 10
    assert by_kind(read(tmp_path)) == by_kind(sent[:10] + sent[20:])
    for reader in open_segments(tmp_path / "ticks/segments"):
        list(reader.blocks())
        assert (reader.damage, reader.torn) == ([], 0)


def test_a_folder_that_cannot_be_written_never_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = SegmentWriter(tmp_path / "file")
    for message in ticks(1_500):
        store.append(message)
    store.close()
    assert store.dropped == 1_500


def test_a_book_row_stands_for_a_message_without_levels(tmp_path: Path) -> None:
    write(
        tmp_path, [BookDelta(BTC, (), (), 1, 2, 0, START, START), BookDelta(BTC, (), ((1.0, 2.0),), 3, 4, 2, 5, START)]
    )
    (block,) = SegmentReader(only_segment(tmp_path)).blocks()
    rows = flat(block)
    assert rows["side"].tolist() == [2, 1]
    assert np.isnan(rows["price"][0])
    assert rows["price"][1] == 1.0


def test_the_engine_side_loads_no_database() -> None:
    process = python("import sys, store.segments.writer; print(*sorted(sys.modules))")
    loaded, _ = process.communicate(timeout=30)
    assert "store.segments.writer" in loaded.split()
    assert not {"duckdb", "_duckdb", "pyarrow", "fsspec"} & set(loaded.split())
