"""Panes are placed by a plan: without gap or overlap, whatever the size; layouts of the config are plans too."""

from pathlib import Path

import pytest

from core.config.layouts import PANES
from core.config.settings import LayoutSettings, TerminalSettings
from tests.tui.driving import until
from tests.tui.harness import picture, screen_lines
from tests.tui.pictures import NOW, moment
from tui.app import TerminalApp
from tui.placing import NARROW, NARROW_TICKET, WIDE, Plan, plan_of, regions_of, with_ticket
from tui.screens.trade import TradeScreen

SCALP = LayoutSettings(left=("ladder", "tape:9"), middle=("candles",), right=("watch", "position:9"), left_width=46)
PAIR = LayoutSettings(left=("ladder",), right=("candles", "tape:6"), left_width=44, right_width=90)
FIXED = LayoutSettings(left=("ladder:5", "tape:4"), right=("candles:6", "orders:3"))


@pytest.mark.parametrize(
    "plan", [plan_of(FIXED), NARROW, NARROW_TICKET, WIDE, plan_of(SCALP), plan_of(PAIR), with_ticket(WIDE, False)]
)
@pytest.mark.parametrize("size", [(80, 21), (81, 22), (140, 33), (200, 47), (317, 90), (60, 12)])
def test_a_plan_covers_the_room_once(plan: Plan, size: tuple[int, int]) -> None:
    regions = regions_of(plan, *size)
    assert set(regions) == plan.panes
    cells = [(x + i, y + j) for x, y, width, height in regions.values() for i in range(width) for j in range(height)]
    assert len(cells) == len(set(cells)) == size[0] * size[1]


def test_fixed_parts_are_exact_where_there_is_room() -> None:
    regions = regions_of(plan_of(SCALP), 200, 47)
    assert regions["ladder"] == (0, 0, 46, 38)
    assert regions["tape"] == (0, 38, 46, 9)
    assert regions["candles"] == (46, 0, 200 - 46 - 54, 47)
    assert regions["position"] == (146, 38, 54, 9)
    assert regions_of(plan_of(PAIR), 200, 47)["candles"] == (44, 0, 156, 41)  # without a middle the right one is loose


def test_a_plan_says_what_it_needs() -> None:
    assert plan_of(SCALP).size == (46 + 20 + 54, 12)
    assert plan_of(SCALP).fits(120, 12)
    assert not plan_of(SCALP).fits(119, 40)
    assert not plan_of(SCALP).fits(200, 11)


def test_the_ticket_has_its_room_while_it_is_open() -> None:
    assert regions_of(with_ticket(WIDE, True), 200, 47)["ticket"][3] == 22
    assert regions_of(with_ticket(WIDE, False), 200, 47)["ticket"][3] == 3
    assert "ticket" not in with_ticket(plan_of(SCALP), False).panes
    assert regions_of(with_ticket(plan_of(SCALP), True), 200, 47)["ticket"] == (146, 25, 54, 22)
    assert with_ticket(NARROW, True) is NARROW_TICKET
    assert with_ticket(NARROW, False) is NARROW


def test_the_names_of_panes_are_those_of_the_screen() -> None:
    assert set(TradeScreen.TAB_ORDER) | {"position"} == set(PANES)


def _app(tmp_path: Path, **settings: object) -> TerminalApp:
    made = TerminalSettings(layouts={"scalp": SCALP, "pair": PAIR}, **settings)  # type: ignore[arg-type]
    return TerminalApp(Path("/nowhere"), made, feed=moment(), wall=lambda: NOW, memory=tmp_path / "terminal.json")


def _tops(app: TerminalApp) -> str:
    return screen_lines(app)[2]


async def test_an_own_layout_is_chosen_by_its_key_and_kept_for_the_next_terminal(tmp_path: Path) -> None:
    app = _app(tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "watch" in _tops(app)[:10])
        await pilot.press("L", *"scal", "enter")
        await until(pilot, lambda: _tops(app).startswith("┌─ ladder"))
        assert "watch" in _tops(app)[140:]
        assert "orders" not in picture(app)
        await pilot.press("b")
        await until(pilot, lambda: "BUY  BTC-USDT.P" in picture(app) and _tops(app).startswith("┌─ ladder"))
        await pilot.press("escape")
        await until(pilot, lambda: "BUY  BTC-USDT.P" not in picture(app))
    again = _app(tmp_path)
    async with again.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: _tops(again).startswith("┌─ ladder"))


async def test_tab_shows_a_pane_without_a_place_alone(tmp_path: Path) -> None:
    app = _app(tmp_path, layout="scalp")
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: _tops(app).startswith("┌─ ladder"))
        await pilot.press("tab", "tab")
        await until(pilot, lambda: _tops(app).startswith("┌─ positions") and "ladder" not in picture(app))
        await pilot.press("tab", "tab", "tab")
        await until(pilot, lambda: _tops(app).startswith("┌─ events") and "ladder" not in picture(app))
        await pilot.press("tab")
        await until(pilot, lambda: _tops(app).startswith("┌─ ladder"))


async def test_a_terminal_that_is_too_small_says_so_and_comes_back(tmp_path: Path) -> None:
    app = _app(tmp_path, layout="scalp")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "layout scalp needs 120×15, the terminal has 100×30" in picture(app))
        assert _tops(app).startswith("┌─ watch")
        await pilot.resize_terminal(120, 30)
        await until(pilot, lambda: _tops(app).startswith("┌─ ladder"))
        await pilot.press("b")  # no room for a ticket beside so many panes
        await until(pilot, lambda: "ticket" in _tops(app) and "candles" not in picture(app))
        await pilot.press("escape")
        await until(pilot, lambda: "ticket" not in picture(app) and "watch" in _tops(app))


async def test_an_open_ticket_takes_its_room_from_the_ladder_and_gives_it_back(tmp_path: Path) -> None:
    app = _app(tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        ticket, ladder = app.trade.ticket, app.trade.ladder
        await until(pilot, lambda: ticket.region.height == 3)
        before = ladder.region.height
        await pilot.press("b")
        await until(pilot, lambda: ticket.region.height == 22 and ladder.region.height == before - 19)
        await pilot.press("escape")
        await until(pilot, lambda: ticket.region.height == 3 and ladder.region.height == before)
