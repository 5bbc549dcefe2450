"""Eight market hours in one terminal: its memory stays flat, within 5 %, while its screens are walked and it trades.

The built-in market gives twenty times its usual messages for 24 minutes, so the terminal follows as much as in eight
hours. Meanwhile it is walked through every screen by its keys, and buys and flattens by ticket. The memory is looked
at every 10 s; what is judged begins after the warm-up, when every screen has been shown.
"""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.figure import Figure, plain
from bench.house import house
from bench.screen import Screen
from core.config.settings import MarketSettings
from core.domain.market import Interval
from desk.paths import Home

PROGRAM = str(Path(sys.executable).with_name("tradedeck"))
SPEED = 20
MINUTES = 24.0
WARM_S, EVERY_S, WALK_S = 300.0, 10.0, 12.0
PAUSE_S = 0.12
"""Between two keys: faster, and the guard against bursts drops them."""
ALLOWED = 1.05
UP, DOWN, ESCAPE, ENTER = b"\x1b[A", b"\x1b[B", b"\x1b", b"\r"

EVERYWHERE = (b"\t", DOWN, b"G", b"g", b"\t", b"S", b"z", b"z", b"t", b"?", DOWN, ESCAPE, b":", b"z", ESCAPE)
TO_LADDER = (b"b", ESCAPE)
"""A ticket that is closed leaves the focus on the ladder; one Tab further are the candles."""
ON_CANDLES = (b"\t", b"+", b"+", b"-", b",", b".", *(b"v" for _ in Interval))
ON_TRADE = (*TO_LADDER, *ON_CANDLES, *TO_LADDER, b"]", b"o", b"=", b"[", b"o")
"""Every bar length is shown in the first round, and its bars are kept from then on."""
BUY = (b"i", *(bytes([letter]) for letter in b"btc-usdt.p"), ENTER, b"A", b"b", b"0", b".", b"0", b"5", UP, b" ", DOWN,
       ENTER)  # fmt: skip
SETTLE = (ESCAPE, ESCAPE, b"f", b"y", ESCAPE)


def walks() -> Iterator[tuple[bytes, ...]]:
    """Give the keys of one walk after the other, for ever: each screen in turn, and on the first one a round trip."""
    for screen in itertools.cycle(b"123456789"):
        digit = (bytes([screen]),)
        yield (*digit, *EVERYWHERE)
        if screen == ord("1"):
            yield (*digit, *ON_TRADE)
            yield (*digit, *BUY, *SETTLE, b"A")


@dataclass(slots=True)
class Soaked:
    """What was seen: seconds since the start and MB, and what the terminal did meanwhile."""

    samples: list[tuple[float, float]] = field(default_factory=list)
    keys: int = 0
    bytes: int = 0
    fills: int = 0

    def judged(self, warm_s: float) -> list[float]:
        """Return the memory after the warm-up."""
        return [memory for at, memory in self.samples if at >= warm_s]


def soak(seconds: float, columns: int = 200, lines: int = 50, *, tell: bool = True) -> Soaked:
    """Walk one terminal for a time and look at its memory.

    Raises:
        RuntimeError: the terminal ended before its time.
    """
    seen = Soaked()
    usual = MarketSettings().rate
    with house(market__rate=f"{usual * SPEED}") as home:
        screen = Screen([PROGRAM, "--home", str(home.root)], columns, lines)
        try:
            screen.until(lambda: "spread" in screen.text(), 60)
            began, due, walk = time.monotonic(), 0.0, walks()
            while (now := time.monotonic() - began) < seconds:
                walk_ends = now + WALK_S
                _press(screen, next(walk), seen)
                while (now := time.monotonic() - began) < min(walk_ends, seconds):
                    screen.run(min(1.0, max(0.0, walk_ends - now)))
                    if now >= due:
                        due = now + EVERY_S
                        seen.samples.append((now, screen.memory_mb()))
                        if tell:
                            print(f"  {now / 60:5.1f} min {seen.samples[-1][1]:7.2f} MB", flush=True)
            if not screen.alive:
                raise RuntimeError(f"the terminal ended by itself: {screen.text()[-2000:]}")
            seen.bytes = screen.bytes
        finally:
            screen.close()
        seen.fills = fills_of(home)
    return seen


def _press(screen: Screen, keys: Sequence[bytes], seen: Soaked) -> None:
    for key in keys:
        screen.type(key)
        screen.run(0.6 if key in (b"A", b"b", b"f", b"i", ENTER, b"y") else PAUSE_S)
        seen.keys += 1


def fills_of(home: Home) -> int:
    """Count what was traded, so that a walk that trades nothing is seen."""
    done = subprocess.run([PROGRAM, "fills", "--json", "--home", home.root], capture_output=True, check=True)
    found: list[object] = msgspec.json.decode(done.stdout)
    return len(found)


def verdict(seen: Soaked, warm_s: float = WARM_S) -> Figure:
    """Judge the most memory seen after the warm-up by the median of the first quarter of what follows it.

    Raises:
        ValueError: it was too short for a judgement.
    """
    memory = seen.judged(warm_s)
    if len(memory) < 4:
        raise ValueError(f"{len(memory)} samples after the warm-up; at least 4 are needed")
    quarter = len(memory) // 4
    first, last = statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])
    ratio = max(memory) / first
    note = f"first quarter {first:.1f} MB, last {last:.1f} MB, most {max(memory):.1f} MB, {len(memory)} samples"
    minutes = seen.samples[-1][0] / 60
    what = f"terminal's memory, {minutes:.0f} minutes at {SPEED} ×: most beside first quarter"
    return Figure(what, f"≤ {ALLOWED:.2f} ×", f"{ratio:.3f} ×", ratio <= ALLOWED, note)


def figures() -> list[Figure]:
    """Run the eight market hours."""
    seen = soak(MINUTES * 60)
    took = seen.samples[-1][0]
    return [
        verdict(seen),
        plain("terminal's memory, at the end", seen.samples[-1][1], "MB", f"{seen.keys} keys, {seen.fills} fills"),
        plain("bytes, walked through its screens", seen.bytes / took / 1e3, "kB/s", "200×50"),
    ]
