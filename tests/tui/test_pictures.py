"""The pictures of the trade screen hold what the drawings hold, and the project's copies are up to date."""

import re
from pathlib import Path

import pytest

from tests.tui.panes import Shown
from tests.tui.pictures import MOMENTS, OPENED, PANES, SIZES, draw
from tui.format import width_of
from tui.screens.deck import DECK

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


async def test_the_narrow_picture_is_the_drawing() -> None:
    _, text = await draw(80, 24)
    lines = text.splitlines()
    assert lines[0].rstrip() == " PAPER ACTIVE  equity 100 412.18  day ▲+412.18 +0.41%  dd 0.12%  open risk 0.1%"
    assert lines[1].rstrip() == " disarmed  !2  guardian ♥0.2s  feeds 8/8 oldest ~1.4s  link 4ms  14:32:07 UTC"
    for words in ("│› BTC-USDT.P   61 800.3  ▲  1.92│", "│~ BTC-USDT    61 797.83  ▲  1.92│",
                  "  XRP-USDT.P     0.6012  ▼ -0.31", "spread 0.2 · 0.03 bp", "+0.080",
                  "│  entry       61 640.1", "│  P&L    ▲      +24.03  +0.26%",
                  "│  stop        61 200.0  -90.05", "│  size            9.2% of equity"):  # fmt: skip
        assert words in text, words
    assert all(len(line) == 80 for line in lines)


async def test_the_wide_picture_shows_chart_positions_and_orders() -> None:
    _, text = await draw(200, 50)
    for words in ("volume", "+0.150", "buy 0.080", "61 640.1 ┤┄", "stop", "d7-0114", "TAKE P", "b buy · s sell"):
        assert words in text, words
    prices = [line.split("│")[1][13:27] for line in text.splitlines()[4:12]]
    assert len({price.index(".") for price in prices}) == 1


async def test_the_ticket_shows_what_the_drawing_shows() -> None:
    _, text = await draw(200, 50, "ticket")
    lines = [line.split("││")[-1] for line in text.splitlines()]
    for words in ("quantity  0.250_  = 15 450.05 = 15.4% of equity", "stop      61 200.0  risk 150.05 = 0.15%",
                  "targets   62 400.0 × ½  63 000.0 × ½", "fee      3.09 maker", "margin   772.50",
                  "position +0.400  24.6%", "risk     150.05  0.15%",
                  "✗ order", "over 10 0", "✗ position", "over 15.0%", "not armed: A then Enter sends"):  # fmt: skip
        assert any(words in line for line in lines), words
    assert all(len(line) == 200 for line in text.splitlines())


async def test_the_narrow_ticket_stands_beside_the_ladder() -> None:
    _, text = await draw(80, 24, "ticket")
    for words in ("ladder  BTC-USDT.P", "BUY  BTC-USDT.P", "0.250_  = 15 450.05 ", "✗ 1 of 2 refused: notional", "liq"):
        assert words in text, words
    assert all(len(line) == 80 for line in text.splitlines())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", [*(kind.NAME for kind in DECK), *OPENED])
async def test_the_projects_pictures_are_up_to_date(screen: str, size: tuple[int, int]) -> None:
    file = PICTURES / f"{screen}-{size[0]}x{size[1]}.txt"
    if not file.exists():
        pytest.skip("no pictures yet: python -m tests.tui.pictures docs/pictures")
    assert (await draw(*size, screen))[1] + "\n" == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", MOMENTS)
@pytest.mark.parametrize("screen", [kind.NAME for kind in DECK])
async def test_every_screen_stands_whole_in_every_state(screen: str, state: str, size: tuple[int, int]) -> None:
    lines = (await draw(*size, screen, state))[1].splitlines()
    assert len(lines) == size[1]
    assert all(width_of(line) == size[0] for line in lines)
    assert ("HALTED" in lines[0]) == (state == "halted")
    boxes = [line for line in lines[2:-1] if line.strip()]
    assert all(line[0] in "┌│└" and line.rstrip()[-1] in "┐│┘" for line in boxes)
    for y, line in enumerate(lines[2:-1], 2):
        for x in (x for x, character in enumerate(line) if character == "┌"):
            assert box_is_whole(lines, y, x), (y, x, line)


def box_is_whole(lines: list[str], top: int, left: int) -> bool:
    """Tell whether the frame whose upper left corner stands here is closed, with no gap and no other frame in it."""
    right = lines[top].index("┐", left)
    bottom = next(y for y in range(top, len(lines)) if lines[y][left] == "└")
    inner = range(top + 1, bottom)
    return (
        bottom > top + 1
        and "┌" not in lines[top][left + 1 : right]
        and lines[top][left + 1] == "─" == lines[top][right - 1]
        and re.fullmatch(r"└─+( (↑ \d+ more)? *(↓ \d+ more)? ─)?┘", lines[bottom][left : right + 1]) is not None
        and all(lines[y][left] == "│" == lines[y][right] for y in inner)
    )


PROSE = ("life", "record", "detail", "notices", "channels")
"""Panes of sentences, which may be cut; everywhere else three dots would stand for digits."""


def cut_numbers(pane: Shown) -> list[str]:
    """List the cells that must be whole and are cut: numbers of a list, and anything beside a digit elsewhere."""
    if not pane.columns:
        return [] if pane.id in PROSE else [line for line in pane.lines if re.search(r"[\d.]…|…[\d.]", line)]
    numeric = [(start, width) for align, start, width in pane.columns if align in ("right", "decimal")]
    return [line for line in pane.lines for start, width in numeric if "…" in line[start : start + width]]


def misaligned(pane: Shown) -> list[list[str]]:
    """List the columns of decimals whose points do not stand under each other; where they cannot, their ends must."""
    found = []
    for align, start, width in pane.columns:
        cells = [line[start : start + width] for line in pane.lines[1:]]
        numbers = [cell for cell in cells if "." in cell]
        if align != "decimal" or not numbers:
            continue
        split = [cell.strip().partition(".") for cell in numbers]
        fits = max(len(whole) for whole, _, _ in split) + 1 + max(len(part) for _, _, part in split) <= width
        places = {cell.index(".") for cell in numbers} if fits else {len(cell.rstrip()) for cell in numbers}
        if len(places) > 1:
            found.append(numbers)
    return found


def test_what_is_checked_in_every_picture_can_fail() -> None:
    columns = (("left", 2, 4), ("decimal", 8, 6))
    pane = Shown("x", ("  name   price ", "  BTC    61.30", "  ETH    1.123"), columns)
    assert misaligned(pane) == [[" 61.30", " 1.123"]]
    assert not cut_numbers(pane)
    assert not misaligned(Shown("x", ("  name   price ", "  BTC   61.30 ", "  ETH    1.123"), columns))
    assert not misaligned(Shown("x", ("  name   price ", "  BTC    618.3", "  ETH   1.1234"), columns))
    assert misaligned(Shown("x", ("  name   price ", "  BTC   618.3 ", "  ETH   1.1234"), columns))
    assert cut_numbers(Shown("x", ("  BT…      6…   ",), columns)) == ["  BT…      6…   "]
    assert cut_numbers(Shown("tape", (" 61 80…  buy",))) == [" 61 80…  buy"]
    assert not cut_numbers(Shown("life", (" bought at 61 80…",)))
    whole = ["┌─ a ─┐", "│ 1   │", "└─────┘"]
    assert box_is_whole(whole, 0, 0)
    for y, broken in ((0, "┌─ a b┐"), (1, "│ 1    "), (2, "└── ──┘")):
        assert not box_is_whole([*whole[:y], broken, *whole[y + 1 :]], 0, 0)
    assert box_is_whole(["┌─ a ────────┐", "│ 1          │", "└─ ↓ 6 more ─┘"], 0, 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", MOMENTS)
@pytest.mark.parametrize("screen", [kind.NAME for kind in DECK])
async def test_numbers_are_whole_and_aligned_in_every_picture(screen: str, state: str, size: tuple[int, int]) -> None:
    await draw(*size, screen, state)
    panes = PANES[*size, screen, state]
    assert len(panes) >= 2
    for pane in panes:
        assert cut_numbers(pane) == [], pane.id
        assert misaligned(pane) == [], pane.id


EMPTY = {
    "trade": ("no instruments yet", "no book yet", "no trades yet"),
    "positions": ("flat: nothing is held", "nothing was traded yet", "no fills in the last day"),
    "orders": ("no open orders", "no order is over yet", "no order is chosen"),
    "risk": ("the engine has not told its limits yet", "nothing is known yet", "flat: nothing to protect"),
    "venues": ("no venue is connected yet", "no feed yet", "feeds  0 of 0 live"),
    "studies": ("studies",),
    "configs": ("configs",),
    "journal": ("nothing is recorded yet", "journal  0 records"),
    "alerts": ("no alert yet", "no alert is chosen", "no rules: "),
}
"""What each screen says while nothing is known."""
STALE = {
    "trade": ("│›~BTC-USDT.P", "│~ LTC-USDT", "ladder ~BTC-USDT.P"),
    "positions": ("│›~BTC-USDT.P",),
    "venues": ("│›~BTC-USDT.P", "│~ XRP-USDT.P", "10s"),
}
"""What is marked as old where it stands."""
HALTED: dict[str, tuple[str, ...]] = {"risk": ("HALTED: halted by hand",)}


def said_of(screen: str, state: str) -> tuple[str, ...]:
    """Give what a screen must say in a state besides its numbers, which other tests read."""
    always = {"empty": ("equity –", "feeds 0/0"), "stale": ("oldest ~11s",), "halted": ("HALTED",), "busy": ("ACTIVE",)}
    told: dict[str, dict[str, tuple[str, ...]]] = {"empty": EMPTY, "stale": STALE, "halted": HALTED}
    own = told.get(state, {})
    return (*always[state], *own.get(screen, ()))


def test_every_screen_has_words_for_an_empty_moment() -> None:
    assert set(EMPTY) == {kind.NAME for kind in DECK}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", MOMENTS)
@pytest.mark.parametrize("screen", [kind.NAME for kind in DECK])
async def test_every_screen_says_how_things_stand(screen: str, state: str, size: tuple[int, int]) -> None:
    _, text = await draw(*size, screen, state)
    for words in said_of(screen, state):
        assert words in text, words
    if state != "stale" and screen in STALE:
        assert not any(words in text for words in STALE[screen])
