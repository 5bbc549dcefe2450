"""The pictures of the trade screen hold what the drawings hold, and the project's copies are up to date."""

from pathlib import Path

import pytest

from tests.tui.pictures import MOMENTS, OPENED, SIZES, draw
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
    for words in ("volume", "+0.150", "buy 0.080", "61 640.1 ┤┄", "stop", "d7-0114", "TAKE_PROFIT", "b buy · s sell"):
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
    for words in ("ladder  BTC-USDT.P", "BUY  BTC-USDT.P", "0.250_  = 15 450.05 ", "✗ refused: notional", "liq"):
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
