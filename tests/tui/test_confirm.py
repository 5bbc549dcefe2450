"""Nothing is confirmed by accident."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from tests.tui.driving import until
from tests.tui.harness import Harness, picture
from tui.actions import Kind
from tui.confirm import AskText, Choose, Confirm, TypeWord, palette_choices
from tui.lines import LineView
from tui.screens.help import HelpScreen

TICKS = itertools.count(100.0)
"""A clock by which every look is a second later."""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


LINES = ["SELL 0.150 BTC-USDT.P  MARKET  reduce-only", "notional 9 270.05 USDT, fee 4.63 USDT"]


class Asker(Harness):
    """An app that asks and notes the answer; its own keys note themselves too."""

    BINDINGS = [("f", "note('f')", "f"), ("y", "note('y')", "y")]  # noqa: RUF012

    def action_note(self, what: str) -> None:
        """Note a key that reached the app."""
        self.heard.append(what)

    def ask(self, screen: Any) -> None:
        """Show a dialog."""
        _ = self.push_screen(screen, self.heard.append)


async def test_the_dialog_lists_what_will_be_sent_and_waits_for_its_key() -> None:
    app, clock = Asker(LineView()), Clock()
    async with app.run_test(size=(80, 24)) as pilot:
        app.ask(Confirm("Flatten BTC-USDT.P", LINES, clock=clock))
        await pilot.pause()
        assert all(line in picture(app) for line in ("Flatten BTC-USDT.P", *LINES))
        assert app.focused is not None
        assert app.focused.id == "cancel"
        clock.now += 1
        await pilot.press("y")
        await pilot.pause()
        assert app.heard == [True]


async def test_enter_space_and_other_keys_do_nothing() -> None:
    app, clock = Asker(LineView()), Clock()
    async with app.run_test(size=(80, 24)) as pilot:
        app.ask(Confirm("Flatten", LINES, clock=clock))
        await pilot.pause()
        clock.now += 1
        await pilot.press("enter", "space", "f", "n", "Y")
        await pilot.pause()
        assert app.heard == []
        assert isinstance(app.screen, Confirm)
        await pilot.press("escape")
        await pilot.pause()
        assert app.heard == [False]


async def test_a_key_within_the_latch_confirms_nothing() -> None:
    app, clock = Asker(LineView()), Clock()
    async with app.run_test(size=(80, 24)) as pilot:
        app.ask(Confirm("Flatten", LINES, clock=clock))
        await pilot.pause()
        clock.now += 0.29
        await pilot.press("y")
        await pilot.pause()
        assert app.heard == []
        clock.now += 0.02
        await pilot.press("y")
        await pilot.pause()
        assert app.heard == [True]


async def test_a_paste_confirms_nothing() -> None:
    app, clock = Asker(LineView()), Clock()
    async with app.run_test(size=(80, 24)) as pilot:
        app.ask(Confirm("Flatten", LINES, clock=clock))
        await pilot.pause()
        clock.now += 1
        app.post_message(events.Paste("y"))
        await pilot.pause()
        assert app.heard == []


@pytest.mark.parametrize(
    ("dialog", "key", "answer"),
    [
        (lambda: Confirm("Flatten", LINES, clock=lambda: next(TICKS)), "y", True),
        (lambda: Confirm("Flatten", LINES), "escape", False),
        (lambda: Choose("find", [("a", "alpha")]), "enter", "a"),
        (lambda: Choose("find", [("a", "alpha")]), "escape", None),
        (lambda: AskText("filter", "btc"), "enter", "btc"),
        (lambda: HelpScreen(("app",)), "escape", None),
    ],
)
async def test_a_held_key_answers_once(dialog: Callable[[], Any], key: str, answer: object) -> None:
    """The second key comes before the first has closed the dialog: it closed the screen below as well."""
    app = Asker(LineView())
    async with app.run_test(size=(80, 24)) as pilot:
        app.ask(dialog())
        await pilot.pause()
        for _ in range(5):
            app.post_message(events.Key(key, key if len(key) == 1 else "\r"))
        await until(pilot, lambda: len(app.screen_stack) == 1 and bool(app.heard), 20)
        await asyncio.sleep(0.1)
        assert app.heard == [answer]
        assert app.is_running


async def test_a_long_list_says_how_much_more() -> None:
    app = Asker(LineView())
    async with app.run_test(size=(80, 30)) as pilot:
        app.ask(Confirm("Cancel everything", [f"order {n} [x]" for n in range(40)], Kind.REDUCES))
        await pilot.pause()
        assert "order 11 [x]" in picture(app)
        assert "… and 25 more" in picture(app)


async def test_resume_needs_the_whole_word() -> None:
    app, clock = Asker(LineView()), Clock()
    async with app.run_test(size=(80, 24)) as pilot:
        app.ask(TypeWord("Resume trading", ["state HALTED → ACTIVE"], "RESUME", clock=clock))
        await pilot.pause()
        assert isinstance(app.focused, Input)
        clock.now += 1
        await pilot.press(*"resume", "enter")
        await pilot.pause()
        assert app.heard == []
        assert "RESUME is expected" in picture(app)
        await pilot.press(*"RESUME", "enter")
        await pilot.pause()
        assert app.heard == [True]


async def test_the_palette_narrows_and_chooses() -> None:
    app = Asker(LineView())
    async with app.run_test(size=(100, 30)) as pilot:
        app.ask(Choose("palette", palette_choices(("app",))))
        await pilot.pause()
        assert "Find an instrument" in picture(app)
        await pilot.press(*"cancel ev")
        await pilot.pause()
        assert "Find an instrument" not in picture(app)
        await pilot.press("enter")
        await pilot.pause()
        assert app.heard == ["cancel.everything"]


async def test_the_palette_moves_wraps_and_leaves() -> None:
    app = Asker(LineView())
    async with app.run_test(size=(100, 30)) as pilot:
        app.ask(Choose("find", [("a", "alpha"), ("b", "beta"), ("c", "gamma")]))
        await pilot.pause()
        await pilot.press("down", "down", "down", "up", "enter")
        await pilot.pause()
        assert app.heard == ["c"]
        app.ask(Choose("find", [("a", "alpha")]))
        await pilot.pause()
        await pilot.press(*"zz")
        await pilot.pause()
        assert "nothing matches" in picture(app)
        await pilot.press("enter")
        await pilot.pause()
        assert app.heard == ["c", None]
