"""Ticks on a disk that is really full."""

import ctypes
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import StoreError
from store.recorder import Recorder
from store.segments.format import Kind
from store.segments.writer import RETRY_NS, SegmentWriter
from store.ticks.paths import TickPaths
from tests.contracts.tick_store import BTC, START, by_kind, ticks
from tests.store.tick_home import KEEP_ALL, move_all, read, writer

MNT_DETACH = 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=16m") != 0:
        pytest.skip("needs the right to mount a small disk (root); test_a_full_disk_drops_counts is its twin")
    yield folder
    assert libc.umount2(bytes(folder), MNT_DETACH) == 0


def fill(disk: Path) -> Path:
    """Take all free space."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        try:
            while file.write(bytes(64 << 10)):
                file.flush()
        except OSError:
            pass
    return filler


def test_a_full_disk_drops_and_counts_until_there_is_room(disk: Path) -> None:
    now = [time.monotonic_ns()]
    store = SegmentWriter(TickPaths(disk).segments, monotonic=lambda: now[0])
    n = 50_000
    columns: dict[str, Any] = {"price": np.arange(n) * 0.5, "size": 1.0, "buyer": True, "trade_id": np.arange(n)}
    for batch in range(30):
        store.append_columns(Kind.TRADES, BTC, {**columns, "ts": START + batch * n + np.arange(n)})
    assert store.dropped > 0
    assert store.written > 0
    assert store.dropped + store.written == 30 * n
    for path in TickPaths(disk).segments.iterdir():
        path.unlink()
    now[0] += 2 * RETRY_NS
    lost, sent = store.dropped, ticks(30)
    for message in sent:
        store.append(message)
    store.close()
    assert store.dropped == lost
    assert by_kind(read(disk)) == by_kind(sent)


def test_a_recorder_without_room_loses_nothing(disk: Path) -> None:
    sent, store = ticks(4_000), writer(disk)
    for message in sent:
        store.append(message)
    store.close()
    TickPaths(disk).make()
    recorder = Recorder(disk, KEEP_ALL)
    filler = fill(disk)
    with pytest.raises((StoreError, OSError)):
        recorder.turn()
    assert TickPaths(disk).day_files() == {}
    filler.unlink()
    assert by_kind(read(disk)) == by_kind(sent)
    recorder.close()
    move_all(disk)
    assert list(TickPaths(disk).segments.iterdir()) == []
    assert by_kind(read(disk)) == by_kind(sent)


def test_a_disk_that_fills_up_between_turns_harms_no_day_file(disk: Path) -> None:
    sent = ticks(8_000)
    store = writer(disk)
    for message in sent[:4_000]:
        store.append(message)
    store.flush()
    move_all(disk)
    for message in sent[4_000:]:
        store.append(message)
    store.close()
    recorder = Recorder(disk, KEEP_ALL)
    filler = fill(disk)
    with pytest.raises((StoreError, OSError)):
        recorder.turn()
    filler.unlink()
    recorder.close()
    move_all(disk)
    assert list(TickPaths(disk).damaged.iterdir()) == []
    assert by_kind(read(disk)) == by_kind(sent)
