"""Nothing is confirmed by accident."""

from typing import Any

from textual import events
from textual.widgets import Input

from tests.tui.harness import Harness, picture
from tui.actions import Kind
from tui.confirm import Choose, Confirm, TypeWord, palette_choices
from tui.lines import LineView


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


async def test_a_long_list_says_how_much_more() -> None:
    app = Asker(LineView())
    async with app.run_test(size=(80, 30)) as pilot:
        app.ask(Confirm("Cancel everything", [f"order {n} [x]" for n in range(40)], Kind.REDUCES))
        await pilot.pause()
        assert "order 11 [x]" in picture(app)
        assert "… and 28 more" in picture(app)


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
