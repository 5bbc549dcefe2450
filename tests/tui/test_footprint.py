"""What is closed goes, what is hidden is not kept painted, and no line holds styles of its own."""

import gc
import weakref
from pathlib import Path

import pytest
from textual.widget import Widget

from tests.tui.driving import until
from tests.tui.harness import picture, screen_lines
from tests.tui.pictures import NOW, moment
from tui.app import TerminalApp
from tui.footprint import FORGET_S, TIDY_S, Footprint
from tui.lines import LineView
from tui.screens.base import DeckScreen
from tui.screens.help import HelpScreen


def _app(clock: list[float]) -> TerminalApp:
    return TerminalApp(Path("/nowhere"), feed=moment(), wall=lambda: NOW, clock=lambda: clock[0])


def _painted(screen: DeckScreen) -> int:
    return sum(len(view._strips) + len(view._styles_cache._cache) for view in screen.query(LineView))


def test_it_is_looked_for_what_can_go_after_something_was_closed_and_not_too_often() -> None:
    now = [100.0]
    footprint = Footprint(lambda: now[0])
    footprint.litter()
    assert not footprint.tidy(), "the process belongs to others too"
    footprint = Footprint(lambda: now[0])
    footprint.active = True
    assert not footprint.tidy(), "nothing was closed"
    footprint.litter()
    assert footprint.tidy()
    footprint.litter()
    now[0] += TIDY_S / 2
    assert not footprint.tidy(), "too soon"
    now[0] += TIDY_S
    assert footprint.tidy()
    assert not footprint.tidy()


async def test_a_closed_dialog_goes_within_seconds() -> None:
    clock = [100.0]
    app = _app(clock)
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "ladder" in picture(app))
        gc.disable()  # only what the terminal itself looks for counts
        app.footprint.active = True
        try:
            await until(pilot, lambda: gc.get_freeze_count() > 0)  # what was built is kept for good
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "Keep the spread" in picture(app))
            seen = [weakref.ref(widget) for widget in app.screen.walk_children(Widget)]
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.here)

            def gone() -> bool:
                clock[0] += TIDY_S + 1
                app.footprint.litter()  # on a busy machine two looks may come before the last word about it
                return not [None for widget in seen if widget() is not None]

            await until(pilot, gone)
        finally:
            gc.unfreeze()
            gc.enable()


async def test_a_dialog_that_is_opened_while_the_program_is_built_goes_too() -> None:
    now = [100.0]
    footprint = Footprint(lambda: now[0])
    footprint.active = True
    before = gc.get_freeze_count()
    footprint.built()
    footprint.litter()
    try:
        for _ in range(2):
            assert footprint.tidy()
            assert gc.get_freeze_count() == before, "first what was closed goes"
            now[0] += TIDY_S
        assert footprint.tidy()
        assert gc.get_freeze_count() > before
        now[0] += TIDY_S
        assert not footprint.tidy()
    finally:
        gc.unfreeze()


async def test_a_hidden_screen_is_not_kept_painted_and_comes_back_whole() -> None:
    app = _app([100.0])
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "ladder" in picture(app) and _painted(app.trade) > 100)
        await until(pilot, lambda: "PAPER ACTIVE" in picture(app) and "b buy" in screen_lines(app)[-1])
        before = picture(app)
        await pilot.press("4")
        await until(pilot, lambda: app.here.NAME == "risk" and "drawdown" in picture(app))
        assert _painted(app.trade) == 0
        await pilot.press("1")
        await until(pilot, lambda: app.here is app.trade and picture(app) == before)


async def test_what_is_painted_is_forgotten_once_a_minute_and_still_stands_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    app = _app(clock)
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "ladder" in picture(app) and _painted(app.trade) > 100)
        before = picture(app)
        app.trade.forget()
        assert _painted(app.trade) == 0
        assert picture(app) == before
        forgot: list[float] = []
        monkeypatch.setattr(app.trade, "forget", lambda: forgot.append(clock[0]))
        await pilot.pause(0.3)
        assert not forgot, "a minute is not over"
        for _ in range(2):
            clock[0] += FORGET_S
            await until(pilot, lambda: bool(forgot) and forgot[-1] == clock[0])
        assert forgot == [100.0 + FORGET_S, 100.0 + 2 * FORGET_S]


async def test_styles_of_lines_are_held_once_for_all() -> None:
    app = _app([100.0])
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "ladder" in picture(app))
        held = {type(view).__name__: len(view._component_styles) for view in app.trade.query(LineView)}
        assert len(held) > 5
        assert set(held.values()) == {0}
        assert app.line_style("strong").bold
        assert app.line_style("gain").color != app.line_style("loss").color
