"""Shared by the tests of the tick stores."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from core.config.settings import TicksSettings
from core.domain.message import Message
from store.recorder import Recorder
from store.segments.writer import SegmentWriter
from store.ticks.paths import TickPaths
from store.ticks.tape import read_day

ROOT = Path(__file__).parents[2]
DAY = date(2024, 8, 9)
NEXT = date(2024, 8, 10)
KEEP_ALL = TicksSettings(keep_days=0)


def writer(home: Path) -> SegmentWriter:
    """Return a writer into a home."""
    return SegmentWriter(TickPaths(home).segments)


def write(home: Path, messages: Sequence[Message]) -> None:
    """Write messages as one finished segment."""
    store = writer(home)
    for message in messages:
        store.append(message)
    store.close()
    assert store.dropped == 0


def read(home: Path, *days: date) -> list[Message]:
    """Return everything recorded of the days."""
    return [message for day in days or (DAY,) for message in read_day(home, day)]


def move_all(home: Path) -> int:
    """Let a recorder move what waits; return the rows."""
    recorder = Recorder(home, KEEP_ALL)
    rows = 0
    while moved := recorder.turn():
        rows += moved
    recorder.close()
    return rows


def python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start Python code in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_after(process: "subprocess.Popen[str]", seconds: float) -> None:
    """Kill -9 a process after some time, or leave it when it has ended."""
    time.sleep(seconds)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
