"""How soon an answer is there: ``tradedeck status``, and the first frame of an attach, on a running engine.

The engine is a process of its own on the built-in market. The first frame is the one in which the header, every
instrument of the watchlist and the ladder's book are painted, timed from the start of the program.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.figure import Figure, at_most
from bench.house import house
from bench.screen import Screen
from desk.paths import Home

PROGRAM = Path(sys.executable).with_name("tradedeck")
ANSWERS, FRAMES = 15, 9
SHOWN = ("PAPER", "BTC-USDT.P", "ETH-USDT.P", "XRP-USDT.P", "LTC-USDT.P", "spread")


def seconds_of_status(home: Home) -> float:
    """Return how long one ``tradedeck status`` takes, from start to end."""
    began = time.perf_counter()
    done = subprocess.run([PROGRAM, "status", "--json", "--home", home.root], capture_output=True, check=True)
    took = time.perf_counter() - began
    assert b'"equity"' in done.stdout, done.stdout
    return took


def seconds_to_first_frame(home: Home, columns: int, lines: int) -> float:
    """Return how long an attach takes until its first full frame is painted.

    Raises:
        RuntimeError: it never was, with what was painted instead.
    """
    screen = Screen([str(PROGRAM), "--home", str(home.root)], columns, lines)
    try:
        screen.until(lambda: all(word in screen.text() for word in SHOWN), 15)
        took = time.perf_counter() - screen.started
        text = screen.text()
        if not all(word in text for word in SHOWN):
            raise RuntimeError(f"no full frame at {columns}×{lines}: {text[-1500:]}")
        return took
    finally:
        screen.close()


def figures() -> list[Figure]:
    """Measure both on one engine."""
    with house() as home:
        found = [_spread("tradedeck status", [seconds_of_status(home) for _ in range(ANSWERS)], 0.5)]
        for columns, lines in ((80, 24), (200, 50)):
            taken = [seconds_to_first_frame(home, columns, lines) for _ in range(FRAMES)]
            found.append(_spread(f"attach → first full frame, {columns}×{lines}", taken, 1.0))
    return found


def _spread(what: str, taken: list[float], bound: float) -> Figure:
    note = f"median of {len(taken)}; {min(taken):.2f}–{max(taken):.2f} s"
    return at_most(what, statistics.median(taken), bound, "s", note)
