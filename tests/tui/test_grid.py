"""The live grid: cursor, order, alignment, and what it repaints."""

from collections.abc import Sequence
from typing import Any

from tests.tui.harness import Harness, screen_lines
from tui.grid import Cell, Column, Grid, Row
from tui.lines import Line

COLUMNS = (
    Column("name", "instrument", 10, best=12),
    Column("last", "last", 9, best=13, align="decimal"),
    Column("day", "day %", 7, align="right", drop=1),
)
PRICES = {"BTC-USDT": "61 800.30", "ETH-USDT": "2 684.11", "XRP-USDT": "0.601 20", "LTC-USDT": "60.84"}


def _row(name: str, day: float = 1.0, **options: Any) -> Row:
    return Row(name, (name, PRICES.get(name, "1.00"), Cell(f"{day:.2f}", "gain", day)), **options)


def _rows() -> list[Row]:
    return [_row(name, day) for day, name in enumerate(PRICES)]


async def test_decimal_points_stand_under_each_other_where_there_is_room() -> None:
    grid = Grid(COLUMNS, "watch", "i find")
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.set_rows(_rows())
        await pilot.pause()
        lines = screen_lines(app)
        assert {line.index(".") for line in lines[2:6]} == {lines[2].index("800.30") + 3}
        assert "instrument" in lines[1]


async def test_numbers_align_at_the_right_where_there_is_no_room() -> None:
    grid = Grid(COLUMNS)
    app = Harness(grid)
    async with app.run_test(size=(34, 10)) as pilot:
        grid.set_rows(_rows())
        await pilot.pause()
        lines = screen_lines(app)
        assert grid.shown_columns == ["name", "last", "day"]
        ends = [lines[2 + i].index(price) + len(price) for i, price in enumerate(PRICES.values())]
        assert len(set(ends)) == 1


async def test_a_narrow_pane_drops_the_least_needed_column() -> None:
    grid = Grid(COLUMNS)
    app = Harness(grid)
    async with app.run_test(size=(28, 10)) as pilot:
        grid.set_rows(_rows())
        await pilot.pause()
        assert grid.shown_columns == ["name", "last"]
        assert "day" not in screen_lines(app)[1]


class CountingGrid(Grid):
    """A grid that remembers how many cells each frame painted."""

    def __init__(self) -> None:
        super().__init__(COLUMNS)
        self.painted: list[int] = []

    def show(self, lines: Sequence[Line]) -> int:
        """Count and show."""
        self.painted.append(super().show(lines))
        return self.painted[-1]


async def test_only_the_changed_cells_are_painted() -> None:
    grid = CountingGrid()
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.set_rows(_rows())
        await pilot.pause()
        grid.painted.clear()
        grid.set_rows(_rows())
        grid.update_rows([_row("XRP-USDT", 7.5)])
        assert grid.painted == [0, 7]
        await pilot.pause()
        assert "7.50" in screen_lines(app)[4]


async def test_the_cursor_stays_on_its_row_when_the_order_changes() -> None:
    grid = Grid(COLUMNS)
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.set_rows(_rows())
        grid.focus()
        await pilot.press("j", "down")
        assert grid.cursor == "XRP-USDT"
        grid.sort_by("day", reverse=True)
        assert grid.cursor == "XRP-USDT"
        assert [row.key for row in grid.rows] == ["LTC-USDT", "XRP-USDT", "ETH-USDT", "BTC-USDT"]
        await pilot.pause()
        assert screen_lines(app)[3].startswith("│› XRP-USDT")
        assert "day %↓" in screen_lines(app)[1]


async def test_a_removed_row_hands_the_cursor_to_its_place() -> None:
    grid = Grid(COLUMNS)
    app = Harness(grid)
    async with app.run_test(size=(60, 10)):
        grid.set_rows(_rows())
        grid.move_to("LTC-USDT")
        grid.set_rows(_rows()[:3])
        assert grid.cursor == "XRP-USDT"
        grid.set_rows([])
        assert grid.cursor is None


async def test_many_rows_scroll_under_the_cursor() -> None:
    grid = Grid(COLUMNS)
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.set_rows([_row(f"row {n:03d}") for n in range(100)])
        grid.focus()
        await pilot.press("G")
        assert grid.cursor == "row 099"
        assert "row 099" in screen_lines(app)[8]
        await pilot.press("k")
        assert "row 099" in screen_lines(app)[8]
        await pilot.press("g")
        assert "row 000" in screen_lines(app)[2]
        await pilot.press("pagedown")
        assert grid.cursor == "row 006"


async def test_the_mark_of_the_sorted_column_is_never_cut_off() -> None:
    grid = Grid((Column("name", "instrument", 10), COLUMNS[1]))
    app = Harness(grid)
    async with app.run_test(size=(27, 10)) as pilot:
        grid.set_rows(_rows())
        grid.focus()
        await pilot.press("S")
        await pilot.pause()
        assert "instrume…↑" in screen_lines(app)[1]
        await pilot.press("S")
        await pilot.pause()
        assert "instrume…↓" in screen_lines(app)[1]


async def test_the_filter_shows_matches_and_says_when_there_are_none() -> None:
    grid = Grid(COLUMNS, empty="no instruments")
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        await pilot.pause()
        grid.set_rows([])
        await pilot.pause()
        assert "no instruments" in screen_lines(app)[2]
        grid.set_rows(_rows())
        grid.filter_by("eth")
        grid.set_title("watch  2 stale")
        await pilot.pause()
        assert [row.key for row in grid.rows] == ["ETH-USDT"]
        assert 'watch  2 stale  only "eth" ─' in screen_lines(app)[0]
        grid.filter_by("zzz")
        await pilot.pause()
        assert "no row matches" in screen_lines(app)[2]
        grid.filter_by("")
        await pilot.pause()
        assert "only" not in screen_lines(app)[0]


async def test_old_data_are_marked_and_dimmed() -> None:
    grid = Grid(COLUMNS)
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.set_rows([_row("BTC-USDT"), _row("ETH-USDT", stale=True)])
        await pilot.pause()
        lines = screen_lines(app)
        assert lines[2].startswith("│› BTC-USDT")
        assert lines[3].startswith("│~ ETH-USDT")
        assert all("stale" in style for _, style in grid.lines[2])


async def test_wide_characters_keep_the_columns_straight() -> None:
    grid = Grid((Column("name", "name", 8), Column("x", "x", 3)))
    app = Harness(grid)
    async with app.run_test(size=(40, 10)) as pilot:
        grid.set_rows([Row("a", ("日本", "END")), Row("b", ("ascii", "END")), Row("c", ("日本語日本語", "END"))])
        await pilot.pause()
        lines = screen_lines(app)
        assert [line.index("END") + sum(1 for c in line if ord(c) > 0x2FFF) for line in lines[2:5]] == [13, 13, 13]


async def test_enter_chooses_and_moving_tells() -> None:
    heard: list[tuple[str, str | None]] = []

    class Listener(Harness):
        def on_grid_moved(self, event: Grid.Moved) -> None:
            heard.append((type(event).__name__, event.key))

        def on_grid_chosen(self, event: Grid.Chosen) -> None:
            heard.append((type(event).__name__, event.key))

    grid = Grid(COLUMNS)
    app = Listener(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.set_rows(_rows())
        grid.focus()
        await pilot.press("down", "enter")
        await pilot.pause()
    assert heard[0] == ("Moved", "BTC-USDT")
    assert heard[-2:] == [("Moved", "ETH-USDT"), ("Chosen", "ETH-USDT")]


async def test_sort_goes_through_the_columns_and_back() -> None:
    grid = Grid(COLUMNS)
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.set_rows(_rows())
        grid.focus()
        seen = []
        for _ in range(7):
            await pilot.press("S")
            seen.append([row.key[:3] for row in grid.rows])
        assert seen[0] == ["BTC", "ETH", "LTC", "XRP"]
        assert seen[1] == ["XRP", "LTC", "ETH", "BTC"]
        assert seen[6] == ["BTC", "ETH", "XRP", "LTC"]


async def test_an_id_that_is_too_long_keeps_its_end() -> None:
    grid = Grid((Column("id", "id", 9, tail=True), Column("what", "what", 5)), "ids")
    async with Harness(grid).run_test(size=(22, 6)) as pilot:
        grid.set_rows([Row("1", ("t8bc7r1n10", "abcdefgh")), Row("2", ("t8bc7r1n9", "abc"))])
        await pilot.pause()
        assert "…bc7r1n10  abcd…" in grid.text
        assert "t8bc7r1n9  abc" in grid.text


async def test_the_frame_counts_the_rows_out_of_sight() -> None:
    grid = Grid(COLUMNS, "watch")
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.set_rows(_row(f"coin-{n:02}") for n in range(7))
        await pilot.pause()
        assert screen_lines(app)[-1] == f"└{'─' * 58}┘", "seven rows have room"
        grid.set_rows(_row(f"coin-{n:02}") for n in range(20))
        await pilot.pause()
        assert screen_lines(app)[-1].endswith("─ ↓ 13 more ─┘")
        for steps, foot in ((8, "─ ↑ 2 more  ↓ 11 more ─┘"), (20, "─ ↑ 13 more ─┘"), (-20, "─ ↓ 13 more ─┘")):
            grid.action_move(steps)
            await pilot.pause()
            assert screen_lines(app)[-1].endswith(foot)
        grid.filter_by("coin-1")
        await pilot.pause()
        assert screen_lines(app)[-1].endswith("─ ↓ 3 more ─┘")
        await pilot.resize_terminal(60, 13)
        await pilot.pause()
        assert screen_lines(app)[-1] == f"└{'─' * 58}┘"
