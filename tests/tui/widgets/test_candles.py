"""The candle widget keeps zoom and scroll while the data change."""

from tests.tui.harness import Harness, picture
from tests.tui.widgets.test_candle_chart import MINUTE, _bars
from tui.widgets.candle_chart import ZOOM, Chart
from tui.widgets.candles import Candles


class Listener(Harness):
    """An app that notes a wish for another interval."""

    def on_candles_interval_wanted(self, event: Candles.IntervalWanted) -> None:
        """Note it."""
        self.heard.append("interval")


async def test_keys_zoom_scroll_and_ask_for_an_interval() -> None:
    candles = Candles("BTC 15m")
    app = Listener(candles)
    async with app.run_test(size=(100, 30)) as pilot:
        candles.set_chart(Chart(_bars(300), 15 * MINUTE))
        candles.focus()
        await pilot.pause()
        first = picture(app)
        await pilot.press("plus")
        assert ZOOM[candles.zoom_level] == 4
        await pilot.press("minus", "minus")
        assert ZOOM[candles.zoom_level] == 2
        await pilot.pause()
        assert picture(app) != first
        await pilot.press("comma", "comma")
        assert candles.back > 20
        await pilot.press("full_stop", "full_stop", "full_stop")
        assert candles.back == 0
        await pilot.press("v")
        await pilot.pause()
        assert app.heard == ["interval"]


async def test_scrolled_back_the_same_bars_stay_in_view() -> None:
    candles = Candles()
    app = Listener(candles)
    bars = _bars(300)
    async with app.run_test(size=(100, 30)) as pilot:
        candles.set_chart(Chart(bars[:-5], 15 * MINUTE))
        candles.focus()
        await pilot.press("comma")
        await pilot.pause()
        before = picture(app)
        candles.set_chart(Chart(bars, 15 * MINUTE))
        await pilot.pause()
        assert picture(app) == before


async def test_scrolling_back_ends_with_bars_on_the_screen_and_more_are_wished_for() -> None:
    candles = Candles()
    app = Listener(candles)
    async with app.run_test(size=(100, 30)) as pilot:
        candles.set_chart(Chart(_bars(60), 15 * MINUTE))
        candles.focus()
        await pilot.pause()
        reach = candles.reach
        await pilot.press(*["comma"] * 20)
        assert candles.back == 60 - candles.room * 2 // 3
        assert candles.reach == reach + candles.back
        await pilot.press(*["minus"] * 8)
        assert candles.reach > 1_000
