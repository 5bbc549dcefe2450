"""The same picture with fewer bytes."""

import random
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from tests.tui.harness import Harness, screen_lines
from tui.driver import PLAIN, ExactUpdate, Look, StyleSaver, difference, parse_sgr
from tui.lines import LineView

COLOURS = st.sampled_from(["", "31", "97", "38;5;208", "38;2;1;2;3", "39"])
BACKS = st.sampled_from(["", "41", "104", "48;5;17", "48;2;9;9;9", "49"])
MARKS = st.lists(st.sampled_from(["1", "2", "3", "4", "7"]), max_size=2, unique=True)
STYLES = st.builds(lambda a, f, b: ";".join(filter(None, [*a, f, b])), MARKS, COLOURS, BACKS)
TEXTS = st.sampled_from(["a", "price 61 800.30", " ", "█▋", "\x1b[5;10H", "\x1b[?2026h", "ü", "\x1b[6;1Hx"])


def cells(output: str) -> list[tuple[str, Look]]:
    """Give every character with the look it has on the screen, and every other sequence in its place."""
    look, found = PLAIN, []
    for piece in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|.", output, re.DOTALL):
        if piece.startswith("\x1b") and piece.endswith("m"):
            look = parse_sgr(piece[2:-1], look)
        else:
            found.append((piece, look if piece[0] != "\x1b" else PLAIN))
    return found


@given(st.lists(st.lists(st.tuples(STYLES, TEXTS), max_size=8), max_size=4))
def test_every_cell_looks_the_same(frames: list[list[tuple[str, str]]]) -> None:
    saver = StyleSaver()
    plain = ["".join(f"\x1b[{s}m{t}\x1b[0m" if s else t for s, t in frame) for frame in frames]
    assert cells("".join(saver.rewrite(frame) for frame in plain)) == cells("".join(plain))


def test_a_style_that_stands_is_not_written_again() -> None:
    saver = StyleSaver()
    first = saver.rewrite("\x1b[38;2;1;2;3;48;2;9;9;9ma\x1b[0m")
    assert first == "\x1b[0m\x1b[38;2;1;2;3;48;2;9;9;9ma"
    assert saver.rewrite("\x1b[3;4H\x1b[38;2;1;2;3;48;2;9;9;9mb\x1b[0m") == "\x1b[3;4Hb"
    assert saver.rewrite("\x1b[38;2;7;7;7;48;2;9;9;9mc\x1b[0m") == "\x1b[38;2;7;7;7mc"
    assert saver.rewrite("\x1b[1;38;2;7;7;7;48;2;9;9;9md\x1b[0m") == "\x1b[1md"
    assert saver.rewrite("\x1b[38;2;7;7;7;48;2;9;9;9me\x1b[0m") == "\x1b[0;38;2;7;7;7;48;2;9;9;9me"


def test_without_colours_none_is_written() -> None:
    saver = StyleSaver()
    assert saver.rewrite("\x1b[1ma\x1b[0mb\x1b[2mc\x1b[0m") == "\x1b[0m\x1b[1ma\x1b[0mb\x1b[2mc"
    assert difference(PLAIN, PLAIN) == ""


def test_after_a_suspension_nothing_is_assumed() -> None:
    saver = StyleSaver()
    saver.rewrite("\x1b[31ma\x1b[0m")
    saver.forget()
    assert saver.rewrite("b") == "\x1b[0mb"


def test_a_partial_update_writes_the_changed_span_alone() -> None:
    console = Console(color_system="truecolor", force_terminal=True)
    chops = [{0: Strip([Segment("left pane"), Segment("|")]), 10: Strip([Segment("BTC  61 800.30  +1.92")])}]
    update = ChopsUpdate(chops, [(0, 15, 21), (0, 26, 31)], [[10, 31]])
    assert ExactUpdate(update).render_segments(console) == "\x1b[1;16H61 800\x1b[1;27H+1.92"
    whole = ChopsUpdate(chops, [(0, 0, 31)], [[10, 31]])
    assert ExactUpdate(whole).render_segments(console) == "\x1b[1;1Hleft pane|\x1b[1;11HBTC  61 800.30  +1.92"


async def test_what_is_written_makes_the_picture_of_the_screen() -> None:
    """Play what frames wrote onto a small screen of our own and compare it with Textual's own picture."""
    view = LineView()
    written: list[str] = []

    class Writing(Harness):
        def _display(self, screen: Any, renderable: Any) -> None:
            if hasattr(renderable, "render_segments"):
                update = ExactUpdate(renderable) if isinstance(renderable, ChopsUpdate) else renderable
                written.append(update.render_segments(self.console))
            super()._display(screen, renderable)

    app = Writing(view)
    saver, rng = StyleSaver(), random.Random(4)
    async with app.run_test(size=(40, 6)) as pilot:
        for _ in range(40):
            view.show([tuple((f"{rng.randrange(10 ** rng.randrange(1, 6)):>6}", rng.choice(["", "gain"]))
                             for _ in range(rng.randrange(1, 7))) for _ in range(6)])  # fmt: skip
            await pilot.pause(0.02)
        await pilot.pause(0.05)
        expected = screen_lines(app)
    grid = [[" "] * 40 for _ in range(6)]
    x = y = 0
    for piece, _ in cells(saver.rewrite("".join(written))):
        move = re.fullmatch(r"\x1b\[(\d+);(\d+)H", piece)
        if move:
            y, x = int(move[1]) - 1, int(move[2]) - 1
        elif piece == "\n":
            y, x = y + 1, 0
        elif not piece.startswith("\x1b") and y < 6 and x < 40:
            grid[y][x] = piece
            x += 1
    assert ["".join(row) for row in grid] == expected
