"""The live grid beside Textual's DataTable and rich.live: 200 × 10 cells at 1 000 and 10 000 updates a second.

The peers are bench/peers/tui/app.py: DataTable updated cell by cell ten times a second, and rich.live redrawn as often.
All get the same seeded cells; the first rows on the screen are compared before any figure. Each side runs twice, in
turns (A B C A B C), and its smaller figures count: what a neighbour adds is never less than nothing.
"""

import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial

from bench.figure import DifferentValues, Figure
from bench.peer import PEERS
from bench.screen import Screen

SIZE = (160, 50)
ROUNDS, SECONDS, KEYS = 2, 4.0, 12
JUDGED = 1_000
"""The rate, in updates a second, at which a ratio is required."""
CPU_MOST, KEY_MOST = 1 / 4, 1 / 8
"""What the grid may take of DataTable's CPU, and of its time from a key to its paint."""
COLUMNS, COMPARED_ROWS = 10, 20
PEER = str(PEERS / "tui" / "app.py")


@dataclass(slots=True)
class Used:
    """What one side used."""

    cpu_pct: float
    bytes_per_s: float
    key_p50_ms: float
    memory_mb: float


def first_rows() -> list[list[str]]:
    """Return the cells that every side begins with, from the seed of both."""
    seeded = random.Random(5)
    return [
        [f"SYM{row:03d}", *(f"{seeded.random() * 99999:10.2f}".strip() for _ in range(COLUMNS - 1))]
        for row in range(COMPARED_ROWS)
    ]


def session(name: str, argv: list[str]) -> Used:
    """Run one side: compare its first picture, count for a time, then press keys.

    Raises:
        DifferentValues: it does not show the cells both sides begin with.
    """
    screen = Screen(argv, *SIZE)
    try:
        screen.until(lambda: f"SYM{COMPARED_ROWS:03d}" in screen.text(), 15)
        screen.run(0.3)
        shown = screen.text()
        held = [sum(cell in shown for cell in cells) for cells in first_rows()]
        # Some cells have changed before they were painted; most of the first picture must be there.
        if sum(held) < 0.7 * COLUMNS * COMPARED_ROWS:
            raise DifferentValues(f"{name} shows {sum(held)} of {COLUMNS * COMPARED_ROWS} cells of the first picture")
        screen.run(1.0)
        bytes_per_s, cpu = screen.run(SECONDS)
        times = []
        moments = random.Random(7)
        for number in range(1, KEYS + 1):
            took = screen.press(b"k", rb"K0*%d\b" % number)
            times.append(3.0 if took is None else took)
            screen.run(moments.uniform(0.1, 0.3))
        return Used(cpu, bytes_per_s, statistics.median(times) * 1e3, screen.memory_mb())
    finally:
        screen.close()


def at_rate(rate: int) -> list[Figure]:
    """Run every side at one rate."""
    sides = {
        "tui/grid.py": [sys.executable, "-m", "bench.grid_app", str(rate)],
        "DataTable": [sys.executable, PEER, "coalesced", str(rate)],
        "rich.live": [sys.executable, PEER, "richlive", str(rate)],
    }
    rounds = [{name: session(name, argv) for name, argv in sides.items()} for _ in range(ROUNDS)]
    used = {name: least([one[name] for one in rounds]) for name in sides}
    found = []
    for name in ("DataTable", "rich.live"):
        found += beside(name, used["tui/grid.py"], used[name], rate)
    return found


def least(rounds: list[Used]) -> Used:
    """Return the smallest of each figure."""
    return Used(*(min(values) for values in zip(*map(astuple, rounds), strict=True)))


def beside(name: str, ours: Used, theirs: Used, rate: int) -> list[Figure]:
    """Return what the grid takes beside a peer; a ratio is required beside DataTable, at one rate."""
    judged = name == "DataTable" and rate == JUDGED
    cpu = (
        f"{ours.cpu_pct:.1f} against {theirs.cpu_pct:.1f} %, "
        f"{ours.bytes_per_s / 1e3:.0f} against {theirs.bytes_per_s / 1e3:.0f} kB/s, "
        f"{ours.memory_mb:.0f} against {theirs.memory_mb:.0f} MB"
    )
    key = f"{ours.key_p50_ms:.1f} against {theirs.key_p50_ms:.1f} ms"
    where = f"at {rate} updates/s, beside {name}"
    return [
        _ratio(f"CPU of the grid {where}", ours.cpu_pct / theirs.cpu_pct, CPU_MOST if judged else None, cpu),
        _ratio(f"key → paint p50 {where}", ours.key_p50_ms / theirs.key_p50_ms, KEY_MOST if judged else None, key),
    ]


def _ratio(what: str, ratio: float, most: float | None, note: str) -> Figure:
    if most is None:
        return Figure(what, "", f"{ratio:.3f} ×", None, note)
    return Figure(what, f"≤ {most:g} ×", f"{ratio:.3f} ×", ratio <= most, note)


GROUPS: dict[str, Callable[[], list[Figure]]] = {
    f"{rate} updates/s": partial(at_rate, rate) for rate in (JUDGED, 10_000)
}
"""What can be measured alone: ``python -m bench grid --only "1000 updates"``."""


def figures() -> list[Figure]:
    """Run every side at both rates, in about two minutes."""
    return [figure for group in GROUPS.values() for figure in group()]
