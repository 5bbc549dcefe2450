"""Keymaps and layouts of the config: chosen while the terminal runs, read again by a key, a flaw said with its line."""

from pathlib import Path

import pytest

from core.config.file import load, parse
from core.config.settings import Settings, TerminalSettings
from core.config.writing import render
from core.errors import ConfigError
from tests.tui.driving import asked, until
from tests.tui.harness import picture, screen_lines
from tests.tui.pictures import NOW, moment
from tui import keymaps
from tui.app import TerminalApp
from tui.confirm import Choose, Confirm, Notice
from tui.memory import recall
from tui.screens.help import HelpScreen

WHOLE = render(Settings())
LEFT = '\n[terminal.keymaps.left]\nhalt = "0"\nticket.buy = ["7", "l"]\n"screen.configs" = "B"\n'
LINE = WHOLE.count("\n") + 2


def _refused(text: str) -> str:
    with pytest.raises(ConfigError) as found:
        keymaps.check(parse(text)[0].terminal, None)
    return str(found.value)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_keymap_is_read_lies_over_the_base_and_is_written_again() -> None:
    settings, _ = parse(WHOLE.replace('keymap = "base"', 'keymap = "left"') + LEFT)
    assert settings.terminal.keymap == "left"
    assert settings.terminal.keymaps["left"] == {"halt": "0", "ticket.buy": ("7", "l"), "screen.configs": "B"}
    assert parse(render(settings))[0] == settings
    terminal = TerminalSettings(keys={"halt": "!", "flatten": "T"}, keymaps={"left": {"halt": "0"}})
    assert keymaps.keys_of(terminal, "left")["halt"] == ("0",)
    assert keymaps.keys_of(terminal, "left")["flatten"] == ("T",)
    assert keymaps.keys_of(terminal, "base")["halt"] == ("!",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LEFT.replace("left", "base"), f"config.toml:{LINE} [terminal.keymaps.base]: base is built in"),
        (LEFT.replace("left", "Left"), f"config.toml:{LINE} [terminal.keymaps.Left]: a name has 1 to 16"),
        (LEFT.replace('"0"', "0"), f"config.toml:{LINE + 1} [terminal.keymaps.left] halt: must be a key in quotes"),
        (LEFT.replace('"l"', "7"), f"config.toml:{LINE + 2} [terminal.keymaps.left] ticket.buy: must be a key in"),
    ],
)
def test_a_complaint_about_its_form_names_file_line_and_key(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse(WHOLE + text)
    assert words in str(found.value)


def test_a_keymap_that_is_not_there_cannot_be_chosen_and_one_is_a_table() -> None:
    with pytest.raises(ConfigError, match=r'\[terminal\] keymap: must be one of base \(got "left"\)'):
        parse(WHOLE.replace('keymap = "base"', 'keymap = "left"'))
    with pytest.raises(ConfigError, match=r"\[terminal.keymaps.left\]: must be a table of its own"):
        parse(WHOLE.replace("[terminal.keymaps]", '[terminal.keymaps]\nleft = "x"'))


@pytest.mark.parametrize(
    ("keymap", "words"),
    [
        ('halt = "f"', "config.toml:{line} [terminal.keymaps.left] halt: 'f' already means 'flatten'; choose another"),
        ('"flatten" = "y"', "config.toml:{line} [terminal.keymaps.left] flatten: 'y' already means 'copy'"),
        ('ladder.centre = "w"', "config.toml:{line} [terminal.keymaps.left] ladder.centre: 'w' already means 'watch."),
        ('hallt = "0"', "config.toml:{line} [terminal.keymaps.left] hallt: no such action"),
        ('halt = ""', "config.toml:{line} [terminal.keymaps.left] halt: a key is expected"),
        ('copy = "!"\nflatten = "y"', "config.toml:{next} [terminal.keymaps.left] flatten: 'y' confirms this action"),
    ],
)
def test_a_clash_is_named_with_its_line_also_in_a_keymap_that_is_not_chosen(
    tmp_path: Path, keymap: str, words: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"{WHOLE}\n[terminal.keymaps.left]\n{keymap}\n")
    with pytest.raises(ConfigError) as found:
        keymaps.check(load(config)[0].terminal, config)
    assert words.format(line=LINE + 1, next=LINE + 2) in str(found.value)


def test_a_key_of_the_base_that_clashes_in_a_keymap_alone_is_named_with_both() -> None:
    text = (
        WHOLE.replace("\n[terminal.keys]", '\n[terminal.keys]\nhalt = "0"') + '\n[terminal.keymaps.left]\narm = "0"\n'
    )
    assert _refused(text).startswith("[terminal.keys] halt: '0' already means 'arm'")
    assert "(in keymap left)" in _refused(text)


# --- the terminal -----------------------------------------------------------------------------------------------------


class Desk:
    """A home with a config, and terminals that stand still on it."""

    def __init__(self, folder: Path) -> None:
        self.config, self.memory = folder / "config.toml", folder / "terminal.json"

    def write(self, text: str) -> None:
        self.config.write_text(WHOLE + text)

    def open(self, view_only: bool = False) -> TerminalApp:
        settings = load(self.config)[0].terminal
        options = {"feed": moment(), "wall": lambda: NOW, "memory": self.memory, "config": self.config}
        return TerminalApp(Path("/nowhere"), settings, view_only=view_only, **options)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give a home whose config has a keymap of its own."""
    made = Desk(tmp_path)
    made.write(LEFT)
    return made


def _told(app: TerminalApp) -> str:
    return " ".join(picture(app).replace("┃", " ").split())


def _bottom(app: TerminalApp) -> str:
    return screen_lines(app)[-1]


async def test_a_keymap_is_chosen_shown_everywhere_and_kept_for_the_next_terminal(desk: Desk) -> None:
    app = desk.open()
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "b buy" in _bottom(app) and "H halt" in _bottom(app))
        await pilot.press("Y")
        await until(pilot, lambda: isinstance(app.screen, Choose) and "halt 0 · ticket.buy 7" in picture(app))
        await pilot.press(*"left", "enter")
        await until(pilot, lambda: "keymap left: ? shows its keys" in _bottom(app))
        await pilot.press("H", "b", "7")
        await until(pilot, lambda: app.trade.ticket.open)
        await pilot.press("escape", "0")
        await asked(app, pilot)
        assert "HALT trading" in picture(app)
        await pilot.press("escape", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "0 then y" in picture(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.trade)
        app.trade.hints._hush()
        app.draw_header()
        await until(pilot, lambda: _bottom(app).startswith(" 7 buy") and "0 halt" in _bottom(app))
        await until(pilot, lambda: recall(desk.memory)[0].keymap == "left")
    again = desk.open()
    async with again.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: _bottom(again).startswith(" 7 buy"))


async def test_sentences_name_the_keys_that_are_in_force(desk: Desk) -> None:
    desk.write('\n[terminal.keymaps.own]\narm = "0"\n"alert.set" = "T"\nfocus.next = "l"\nticket.buy = "h"\n')
    app = desk.open()
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "b buy · s sell" in picture(app))
        app.use_keymap("own")
        await until(pilot, lambda: "h buy · s sell" in picture(app))
        await pilot.press("h")
        await until(pilot, lambda: "not armed: 0 then Enter sends" in picture(app))
        await pilot.pause(0.35)
        await pilot.press("enter")
        await until(pilot, lambda: "not armed: 0 arms, then" in picture(app))
        await pilot.press("escape")
        app.feed.state.blotter.open.clear()
        await pilot.press("c")
        await until(pilot, lambda: "no open order is chosen: l goes to the orders" in _bottom(app))
        app.feed.state.alerts.rules.clear()
        await pilot.press("9")
        await until(pilot, lambda: "no rules: T on an instrument sets one" in picture(app))


async def test_a_changed_config_is_taken_by_a_key_while_the_terminal_runs(desk: Desk) -> None:
    app = desk.open()
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "i find" in screen_lines(app)[2])
        scalp = '\n[terminal.layouts.scalp]\nleft = ["ladder"]\nright = ["watch"]\n'
        keys = '\n[terminal.keymaps.right]\nfind = "0"\nhalt = "8"\n"screen.journal" = "B"\n'
        changed = (WHOLE + scalp + keys).replace('keymap = "base"', 'keymap = "right"')
        desk.config.write_text(
            changed.replace('layout = "auto"', 'layout = "scalp"').replace("mouse = false", "mouse = true")
        )
        await pilot.press("E")
        await until(
            pilot, lambda: "config.toml is taken: keymap base, layout auto; mouse at the next start" in _bottom(app)
        )
        await pilot.press("L", *"scal", "enter")
        await until(pilot, lambda: screen_lines(app)[2].startswith("┌─ ladder"))
        app.use_keymap("right")
        await until(pilot, lambda: "0 find" in screen_lines(app)[2], 5)  # the corner of the watchlist
        await pilot.press("8")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("escape")
        desk.write("")
        await pilot.press("E")
        await until(pilot, lambda: "taken: keymap base, layout scalp" in _bottom(app) or "layout auto" in _bottom(app))
        assert (app.keymap_name, app.layout_name) == ("base", "auto")
        await until(pilot, lambda: screen_lines(app)[2].startswith("┌─ watch") and "i find" in screen_lines(app)[2])


async def test_a_config_that_cannot_be_used_is_said_and_everything_stays(desk: Desk) -> None:
    app = desk.open()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "H halt" in _bottom(app))
        before = (app.settings, app.chosen_keys)
        for text, words in (
            (LEFT.replace('"0"', '"f"'), "[terminal.keymaps.left] halt: 'f' already means"),
            ("[terminal", "expected TOML"),
            ("\n[guardian]\n", "guardian"),
        ):
            desk.write(text)
            await pilot.press("E")
            await until(pilot, lambda words=words: isinstance(app.screen, Notice) and words in _told(app))  # type: ignore[misc]
            assert "everything stays as it was" in picture(app)
            assert "config.toml:" in picture(app) or "line" in picture(app)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.trade)
        desk.config.unlink()
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, Notice) and "cannot be read" in picture(app))
        await pilot.press("enter")
        assert (app.settings, app.chosen_keys) == before
        await pilot.press("H")
        await until(pilot, lambda: isinstance(app.screen, Confirm))


async def test_a_start_with_a_clash_is_refused_with_its_line(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(LEFT.replace('"0"', '"f"'))
    with pytest.raises(ConfigError, match=rf"config.toml:{LINE + 1} \[terminal.keymaps.left\] halt"):
        desk.open()
