"""The live grid beside Textual's DataTable and rich.live: 200 × 10 cells at 1 000 and 10 000 updates a second.

The peers are bench/peers/tui/app.py: DataTable updated cell by cell ten times a second, and rich.live redrawn as often.
All get the same seeded cells; the first rows on the screen are compared before any figure.
"""

import random
import statistics
import sys
from dataclasses import dataclass

from bench.figure import DifferentValues, Figure
from bench.peer import PEERS
from bench.screen import Screen

SIZE = (160, 50)
SECONDS, KEYS = 12.0, 30
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
        screen.run(2.0)
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


def figures() -> list[Figure]:
    """Run every side at both rates."""
    found = []
    for rate in (1_000, 10_000):
        sides = {
            "tui/grid.py": [sys.executable, "-m", "bench.grid_app", str(rate)],
            "DataTable": [sys.executable, PEER, "coalesced", str(rate)],
            "rich.live": [sys.executable, PEER, "richlive", str(rate)],
        }
        used = {name: session(name, argv) for name, argv in sides.items()}
        ours = used["tui/grid.py"]
        for name in ("DataTable", "rich.live"):
            theirs = used[name]
            note = (
                f"CPU {ours.cpu_pct:.0f} against {theirs.cpu_pct:.0f} %, "
                f"{ours.bytes_per_s / 1e3:.0f} against {theirs.bytes_per_s / 1e3:.0f} kB/s, "
                f"key p50 {ours.key_p50_ms:.0f} against {theirs.key_p50_ms:.0f} ms, "
                f"{ours.memory_mb:.0f} against {theirs.memory_mb:.0f} MB"
            )
            ratio = ours.cpu_pct / theirs.cpu_pct
            found.append(
                Figure(f"CPU of the grid at {rate} updates/s, beside {name}", "", f"{ratio:.2f} ×", None, note)
            )
    return found
