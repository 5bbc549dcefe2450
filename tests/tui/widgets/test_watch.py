"""The watchlist's rows: those of the shown list, in view or not."""

from core.domain.identifiers import InstrumentId
from core.state.markets import Markets
from tests.tui.harness import Harness, screen_lines
from tui.watchlists import WatchLists, add, create, delete
from tui.widgets.watch import WatchGrid


async def test_rows_in_view_are_those_that_can_be_seen() -> None:
    lists = WatchLists(None)
    ids = [InstrumentId(f"X:SPOT_PAIR:A{n:02}-B") for n in range(40)]
    assert lists.change(lambda now: create(now, "many")) == ""
    for id_ in ids:
        assert lists.change(lambda now, i=id_: add(now, "many", i)) == ""  # type: ignore[misc]
    grid = WatchGrid(lists)
    app = Harness(grid)
    async with app.run_test(size=(60, 10)) as pilot:
        grid.show_list("many")
        grid.draw_all(Markets(), 0)
        await pilot.pause()
        assert "watch  many" in screen_lines(app)[0]
        assert grid.in_view == ids[:7]
        grid.move_to(ids[20])
        assert grid.in_view == ids[14:21]
        assert list(grid.keys) == ids
        grid.show_list("gone")
        assert grid.list_name == "all"
        grid.show_list("many")
        assert lists.change(lambda now: delete(now, "many")) == ""  # as another terminal does
        assert grid.list_name == "all"
        grid.draw_all(Markets(), 0)
        await pilot.pause()
        assert "many" not in screen_lines(app)[0]
