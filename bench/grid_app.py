"""Our side of bench/grid.py: tui/grid.py with 200 × 10 cells fed with RATE cell updates a second, drawn at 10 Hz.

``k`` raises the counter in the top line, as in bench/peers/tui/app.py, whose seeded updates this repeats.
"""

import asyncio
import random
import sys
import time

from textual.app import ComposeResult
from textual.events import Key
from textual.widgets import Static

from tui.grid import Column, Grid, Row
from tui.terminal import GuardedApp
from tui.theme import load_theme, load_themes, theme_id

RATE = int(sys.argv[1])
ROWS, COLUMNS = 200, 10
FRAME_S = 0.1
SEEDED = random.Random(5)


def number() -> str:
    """Return the text of one cell."""
    return f"{SEEDED.random() * 99999:10.2f}"


class GridApp(GuardedApp):
    """One grid under a counter."""

    CSS_PATH = "../tui/app.tcss"
    CSS = "Grid { height: 1fr; } Static { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        columns = [Column(f"c{n}", f"c{n}", 10, align="left" if n == 0 else "decimal") for n in range(COLUMNS)]
        self.grid = Grid(columns)
        self.counter = Static("K000000")
        self.cells = [[f"SYM{r:03d}" if c == 0 else number() for c in range(COLUMNS)] for r in range(ROWS)]
        self.dirty: set[int] = set()
        self.keys = 0
        self.due = 0.0
        self._task: asyncio.Task[None] | None = None

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give the variables of our style sheet before a theme is chosen."""
        return dict(load_theme("dark").variables)

    def compose(self) -> ComposeResult:
        """Show the counter and the grid."""
        yield self.counter
        yield self.grid

    def on_mount(self) -> None:
        """Fill the grid and begin the feed."""
        super().on_mount()
        for theme in load_themes():
            self.register_theme(theme)
        self.theme = theme_id("dark")
        self.grid.set_rows(self.row(number) for number in range(ROWS))
        self.grid.focus()
        self._task = asyncio.get_running_loop().create_task(self.feed())
        self.set_interval(FRAME_S, self.flush)

    def row(self, place: int) -> Row:
        """Return one row as the grid takes it."""
        return Row(str(place), tuple(self.cells[place]))

    async def feed(self) -> None:
        """Change cells at the rate."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            self.due += (now - last) * RATE
            last = now
            count, self.due = int(self.due), self.due % 1
            for _ in range(count):
                place = SEEDED.randrange(ROWS)
                self.cells[place][SEEDED.randrange(1, COLUMNS)] = number()
                self.dirty.add(place)

    def flush(self) -> None:
        """Hand the changed rows to the grid."""
        if self.dirty:
            self.grid.update_rows(self.row(place) for place in sorted(self.dirty))
            self.dirty.clear()

    async def on_event(self, event: object) -> None:
        """Count the key before the guard against bursts sees it."""
        if isinstance(event, Key) and event.key == "k" and not event.is_forwarded:
            self.keys += 1
            self.counter.update(f"K{self.keys:06d}")
            return
        await super().on_event(event)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(GridApp().run(mouse=False))
