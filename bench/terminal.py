"""The whole terminal on a real engine: bytes, CPU, memory, and key to paint, at several rates and sizes.

The engine trades the built-in market at the rate named, in messages a second over its eight instruments. Bytes and CPU
are counted without keys, then keys are pressed at random moments and timed until what they paint arrives: ``t`` changes
every time on the screen from UTC to local or back, so header, tape and chart are drawn anew.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.figure import Figure, at_most, plain
from bench.house import house, pid_of, set_key
from bench.process import cpu_seconds
from bench.screen import Screen
from desk.paths import Home, Role

PROGRAM = str(Path(sys.executable).with_name("tradedeck"))
WARM_S, QUIET_S, KEYS, FEW_KEYS = 3.0, 6.0, 100, 20
STALLED_S = 12.0
KB = 1000
SIZES = ((80, 24), (200, 50))
JUDGED = 500
"""The rate, in updates a second, at which the goals are set."""
RATES = (50, JUDGED, 1_000, 2_000, 10_000)


@dataclass(slots=True)
class Seen:
    """What one session used and how its keys were answered (ms)."""

    bytes_per_s: float
    cpu_pct: float
    memory_mb: float
    engine_cpu_pct: float
    keys_ms: list[float]
    missed: int = 0

    def quantile(self, share: float) -> float:
        """Return a quantile of the key times, in ms; a key without an answer counts as endless."""
        times = sorted(self.keys_ms + [float("inf")] * self.missed)
        return times[min(len(times) - 1, int(share * len(times)))]


def session(home: Home, columns: int, lines: int, keys: int, seconds: float = QUIET_S) -> Seen:
    """Attach a terminal, count for a time, then press keys."""
    screen = Screen([PROGRAM, "--home", str(home.root)], columns, lines, {"TZ": "Asia/Tokyo"})
    engine = pid_of(home, Role.ENGINE)
    try:
        screen.run(WARM_S)
        before = cpu_seconds(engine)
        bytes_per_s, cpu = screen.run(seconds)
        seen = Seen(bytes_per_s, cpu, 0.0, 100 * (cpu_seconds(engine) - before) / seconds, [])
        moments = random.Random(5)
        for number in range(keys):
            took = screen.press(b"t", b"UTC" if number % 2 else b"local")
            if took is None:
                seen.missed += 1
            else:
                seen.keys_ms.append(took * 1e3)
            screen.run(moments.uniform(0.1, 0.3))
        seen.memory_mb = screen.memory_mb()
        return seen
    finally:
        screen.close()


def at_rate(rate: int) -> list[Figure]:
    """Measure both sizes at one rate; only the rate of the goals is judged. There, the mode for slow lines as well."""
    found: list[Figure] = []
    judged = rate == JUDGED
    with house(market__rate=f"{rate}.0") as home:
        for columns, lines in SIZES:
            seen = session(home, columns, lines, KEYS if judged else FEW_KEYS)
            found += _of(seen, f"{rate} updates/s, {columns}×{lines}", judged, 50 if columns == 80 else 60)
        if judged:
            set_key(home, "terminal", "slow_link", "true")
            found += slow_link(home, rate)
    return found


def _of(seen: Seen, where: str, judged: bool, kb_per_s: float) -> list[Figure]:
    answers = f"{len(seen.keys_ms)} keys, {seen.missed} unanswered"
    found = [
        plain(f"key → paint p50, {where}", seen.quantile(0.5), "ms", answers),
        at_most(f"key → paint p99, {where}", seen.quantile(0.99), 100, "ms"),
        at_most(f"bytes, {where}", seen.bytes_per_s / KB, kb_per_s, "kB/s"),
        at_most(f"CPU, {where}", seen.cpu_pct, 20, "% of one core", f"the engine {seen.engine_cpu_pct:.1f} %"),
        at_most(f"memory, {where}", seen.memory_mb, 60, "MB", "resident, at the end"),
    ]
    return found if judged else [Figure(each.what, "", each.measured, None, each.note) for each in found]


def slow_link(home: Home, rate: int) -> list[Figure]:
    """Measure the mode for slow lines in a house whose terminals begin in it."""
    found = []
    for columns, lines in SIZES:
        seen = session(home, columns, lines, keys=0)
        where = f"slow-link mode, {rate} updates/s, {columns}×{lines}"
        found.append(at_most(f"bytes, {where}", seen.bytes_per_s / KB, 8, "kB/s", f"CPU {seen.cpu_pct:.1f} %"))
    return found


def idle() -> list[Figure]:
    """Measure a terminal whose market says nothing: its process is stopped, only clocks and ages go on."""
    found = []
    with house() as home:
        market = pid_of(home, Role.MARKET)
        for columns, lines in SIZES:
            screen = Screen([PROGRAM, "--home", str(home.root)], columns, lines)
            try:
                screen.run(WARM_S)
                os.kill(market, signal.SIGSTOP)
                screen.run(WARM_S)
                bytes_per_s, cpu = screen.run(QUIET_S)
            finally:
                os.kill(market, signal.SIGCONT)
                screen.close()
            note = f"no market data; CPU {cpu:.1f} %"
            found.append(at_most(f"bytes, idle, {columns}×{lines}", bytes_per_s / KB, 0.5, "kB/s", note))
    return found


def stalled() -> list[Figure]:
    """Read nothing of a terminal for a time, then press a key: what was stuck comes first, then the answer."""
    found = []
    with house(market__rate=f"{JUDGED}.0") as home:
        for (columns, lines), mark in zip(SIZES, (b"local", b"UTC"), strict=True):  # a zone is remembered
            screen = Screen([PROGRAM, "--home", str(home.root)], columns, lines, {"TZ": "Asia/Tokyo"})
            try:
                screen.run(WARM_S)
                time.sleep(STALLED_S)
                took = screen.press(b"t", mark, 30.0)
            finally:
                screen.close()
            what = f"key → paint after {STALLED_S:g} s unread, {columns}×{lines}"
            found.append(at_most(what, float("inf") if took is None else took * 1e3, 1_000, "ms"))
    return found


GROUPS: dict[str, Callable[[], list[Figure]]] = {
    **{f"{rate} updates/s": partial(at_rate, rate) for rate in (JUDGED, *(rate for rate in RATES if rate != JUDGED))},
    "stalled": stalled,
    "idle": idle,
}
"""What can be measured alone: ``python -m bench terminal --only "500 updates"``."""


def figures() -> list[Figure]:
    """Measure the table of the terminal's goals, in about five minutes."""
    return [figure for group in GROUPS.values() for figure in group()]
