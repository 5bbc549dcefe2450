"""Watchlists on the screen: shown, switched, edited, sorted; found instruments go in and out of them."""

import re
from pathlib import Path

from textual.pilot import Pilot

from core.config.settings import TerminalSettings
from core.domain.identifiers import InstrumentId
from tests.tui.driving import asked, until
from tests.tui.engine import BTC, ETH
from tests.tui.harness import picture, screen_lines
from tests.tui.pictures import NOW, moment
from tui import watchlists as w
from tui.app import TerminalApp
from tui.confirm import AskText
from tui.finder import Finder
from tui.listing import ListEditor
from tui.memory import recall

SPOT_ETH = InstrumentId("BINANCE-SPOT:SPOT_PAIR:ETH-USDT")
GONE = InstrumentId("OKX:SPOT_PAIR:DOGE-USDT")


def _app(tmp_path: Path) -> TerminalApp:
    return TerminalApp(Path("/nowhere"), feed=moment(), wall=lambda: NOW, memory=tmp_path / "terminal.json")


def _lists(tmp_path: Path, *lists: w.WatchList) -> w.WatchLists:
    kept = w.WatchLists(tmp_path / w.FILE_NAME)
    assert kept.change(lambda _: lists) == ""
    return kept


def _marked(head: str, title: str) -> str:
    """Give the mark behind a column's title, which may be cut for it."""
    found = re.search(rf"{title[:5]}[^ ]*([↑↓])", head)
    return found[1] if found else ""


async def _ready(app: TerminalApp, pilot: Pilot[int]) -> None:
    await until(pilot, lambda: app.trade.instrument is not None and "spread" in picture(app))


async def test_a_list_is_made_and_filled_by_keys(tmp_path: Path) -> None:
    app = _app(tmp_path)
    kept = w.WatchLists(tmp_path / w.FILE_NAME)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ready(app, pilot)
        app.trade.watch_list.focus()
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ListEditor) and "[all]" in picture(app))
        assert all(words in picture(app) for words in ("a add", "J move down", "D delete", "w next", "Esc closes"))
        await pilot.press("x")
        await until(pilot, lambda: "'all' holds every instrument by itself" in picture(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, AskText))
        await pilot.press(*"majors", "enter")
        await until(pilot, lambda: "[majors]" in picture(app) and "an empty list" in picture(app))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Finder) and "add to majors" in picture(app))
        await pilot.press(*"btcp", "enter", *"ethp", "tab")  # the second name takes the place of the first
        await until(pilot, lambda: "ETH-USDT.P is in majors" in picture(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ListEditor))
        assert kept.refresh() == (True, "")
        assert kept.lists == (w.WatchList("majors", (BTC, ETH)),)


async def test_a_list_is_ordered_renamed_and_deleted_by_keys(tmp_path: Path) -> None:
    kept = _lists(tmp_path, w.WatchList("majors", (BTC, ETH)))
    app = _app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ready(app, pilot)
        app.trade.watch_list.focus()
        await pilot.press("e", "w")
        await until(pilot, lambda: isinstance(app.screen, ListEditor) and "[majors]" in picture(app))
        await pilot.press("J")
        assert kept.refresh()[0]
        assert kept.lists[0].instruments == (ETH, BTC)
        await pilot.press("j", "x", "r")
        await until(pilot, lambda: isinstance(app.screen, AskText))
        await pilot.press(*["backspace"] * 6, *"mine", "enter")
        await until(pilot, lambda: "[mine]" in picture(app))
        assert kept.refresh()[0]
        assert kept.lists == (w.WatchList("mine", (ETH,)),)
        await pilot.press("escape")
        await until(pilot, lambda: "watch  mine" in screen_lines(app)[2])
        assert app.trade.watch_list.keys == {ETH}
        assert app.trade.instrument == BTC  # what is in depth stays
        await pilot.press("e", "D")
        await asked(app, pilot)
        assert "mine with 1 instruments" in picture(app)
        await pilot.press("y")
        await until(pilot, lambda: "[all]" in picture(app) and "mine" not in screen_lines(app)[3])
        assert kept.refresh()[0]
        assert not kept.lists


async def test_keys_switch_lists_and_the_next_terminal_begins_with_list_and_sort(tmp_path: Path) -> None:
    _ = _lists(tmp_path, w.WatchList("majors", (ETH, BTC)), w.WatchList("odd", (GONE, SPOT_ETH)))
    app = _app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ready(app, pilot)
        await pilot.press("w")
        await until(pilot, lambda: "watch  majors" in screen_lines(app)[2])
        assert screen_lines(app)[4].startswith("│  ETH-USDT.P")
        assert screen_lines(app)[5].startswith("│› BTC-USDT.P")
        await pilot.press("w")
        await until(pilot, lambda: "watch  odd" in screen_lines(app)[2])
        assert "DOGE-USDT" in screen_lines(app)[4]
        assert "absent" in screen_lines(app)[4]
        await pilot.press("w", "W", "W")
        await until(pilot, lambda: "watch  majors" in screen_lines(app)[2])
        app.trade.watch_list.focus()
        await pilot.press("S", "S", "S", "S")
        await until(pilot, lambda: "last↓" in screen_lines(app)[3])
        assert app.trade.watch_list.rows[0].key == BTC
        await until(pilot, lambda: recall(tmp_path / "terminal.json")[0].sort == "-last")
        assert app.trade.instrument == BTC
    again = _app(tmp_path)
    async with again.run_test(size=(80, 24)) as pilot:
        await _ready(again, pilot)
        assert "watch  majors" in screen_lines(again)[2]
        assert "last↓" in screen_lines(again)[3]


async def test_every_column_is_sorted_both_ways_and_says_so(tmp_path: Path) -> None:
    app = _app(tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        await _ready(app, pilot)
        grid = app.trade.watch_list
        grid.focus()
        for title in ("instrument", "last", "day %", "spark"):
            for mark in ("↑", "↓"):
                await pilot.press("S")
                await until(pilot, lambda t=title, m=mark: _marked(screen_lines(app)[3], t) == m)  # type: ignore[misc]
                index = grid.shown_columns.index(grid.sorted_by.lstrip("-"))
                values = [row.sort_value(index) for row in grid.rows]
                assert values == sorted(values, reverse=mark == "↓")
        await pilot.press("S")
        assert grid.sorted_by == ""


async def test_an_edit_elsewhere_is_taken_up_and_leaves_the_instrument_in_depth(tmp_path: Path) -> None:
    kept = _lists(tmp_path, w.WatchList("majors", (BTC, ETH)))
    app = _app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ready(app, pilot)
        await pilot.press("w")
        await until(pilot, lambda: app.trade.watch_list.keys == {BTC, ETH})
        app.trade.watch_list.focus()
        assert kept.change(lambda now: w.remove(now, "majors", BTC)) == ""
        await until(pilot, lambda: app.trade.watch_list.keys == {ETH})
        await pilot.pause(0.2)
        assert app.trade.instrument == BTC
        await pilot.press("enter")
        await until(pilot, lambda: app.trade.instrument == ETH)
        assert kept.change(lambda now: w.delete(now, "majors")) == ""
        await until(pilot, lambda: len(app.trade.watch_list.keys) == 8)


async def test_a_damaged_file_is_said_on_the_screen(tmp_path: Path) -> None:
    (tmp_path / w.FILE_NAME).write_text("{")
    app = _app(tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "watchlists.json is damaged" in screen_lines(app)[-1])
        assert len(app.trade.watch_list.keys) == 8


async def test_what_is_found_is_gone_to_or_put_into_the_list(tmp_path: Path) -> None:
    kept = _lists(tmp_path, w.WatchList("majors", (BTC,)))
    app = _app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ready(app, pilot)
        await pilot.press("i", *"eth bin")
        await until(pilot, lambda: "BINANCE-SPOT" in picture(app) and "XRP-USDT" not in picture(app))
        for words in ("ETH-USDT.P", "perpetual", "2 684.11", "▲  2.40", "spot"):
            assert words in picture(app), words
        await pilot.press("tab")
        await until(pilot, lambda: "'all' holds every instrument by itself" in picture(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.trade.instrument == ETH)
        await pilot.press("w", "i", *"xrp.p", "tab")
        await until(pilot, lambda: "XRP-USDT.P is in majors" in picture(app) and "●" in picture(app))
        assert kept.refresh()[0]
        assert len(kept.lists[0].instruments) == 2
        await pilot.press("tab")
        await until(pilot, lambda: "XRP-USDT.P is no more in majors" in picture(app))
        await pilot.press(*"zz")
        await until(pilot, lambda: "nothing matches" in picture(app))
        await pilot.press("tab", "enter")
        assert isinstance(app.screen, Finder)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.trade)
        assert app.trade.instrument == ETH


async def test_tab_in_a_dialog_leaves_the_panes_below_alone(tmp_path: Path) -> None:
    app = _app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ready(app, pilot)
        before = app.trade.focused
        await pilot.press("P", "tab")
        await pilot.pause()
        assert app.screen.focused is not None
        assert app.screen.focused.id == "note"
        await pilot.press("escape")
        assert app.trade.focused is before


async def test_the_palette_reaches_keys_of_the_screen_and_shows_those_of_the_config(tmp_path: Path) -> None:
    _ = _lists(tmp_path, w.WatchList("majors", (BTC,)))
    settings = TerminalSettings(keys={"watch.next": "T", "halt": "!"})
    app = TerminalApp(
        Path("/nowhere"), settings, feed=moment(), wall=lambda: NOW, memory=tmp_path / "terminal.json"
    )  # fmt: skip
    async with app.run_test(size=(200, 50)) as pilot:
        await _ready(app, pilot)
        await until(pilot, lambda: all(words in screen_lines(app)[-1] for words in ("! halt", "T watchlist")))
        await pilot.press("colon", *"next watchlist")
        await until(pilot, lambda: "Show the next watchlist" in picture(app) and " T " in picture(app))
        await pilot.press("enter")
        await until(pilot, lambda: "watch  majors" in screen_lines(app)[2])
