"""A layout of the config is checked: pane, height, place, name; a complaint names file, line and key."""

import pytest

from core.config import layouts
from core.config.file import parse
from core.config.layouts import Place, column_flaws, name_flaw, place_of
from core.config.settings import Settings
from core.config.writing import render
from core.errors import ConfigError

OWN = '\n[terminal.layouts.scalp]\nleft = ["ladder", "tape:9"]\nright = ["candles"]\nleft_width = 60\n'
WHOLE = render(Settings())


def test_an_entry_is_a_pane_with_or_without_its_lines() -> None:
    assert place_of("candles") == Place("candles", 0)
    assert place_of("orders:11") == Place("orders", 11)


@pytest.mark.parametrize(
    ("entry", "words"),
    [("candels", 'did you mean "candles"'), ("", "the panes: watch"), ("tape:2", "3 lines or more"),
     ("tape:", "no pane"), ("tape:x", 'did you mean "tape"'), ("Tape", "no pane"), ("tape:-4", "no pane")],
)  # fmt: skip
def test_a_bad_entry_is_refused_in_words(entry: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        place_of(entry)


def test_a_pane_has_one_place_and_the_ladder_must_have_one() -> None:
    assert column_flaws([("left", ["ladder"]), ("right", ["tape"])]) == ("", "")
    assert column_flaws([("left", ["ladder"]), ("right", ["ladder:5"])])[0] == "right"
    assert "the ladder has no place" in column_flaws([("left", ["tape"])])[1]
    assert "has no place" in column_flaws([])[1]


@pytest.mark.parametrize("name", ["wide", "auto", "Big", "", "a b", "x" * 17])
def test_a_bad_name_is_refused(name: str) -> None:
    assert name_flaw(name)


def test_an_own_layout_is_read_and_can_be_the_first_one() -> None:
    settings, _ = parse(WHOLE.replace('layout = "auto"', 'layout = "scalp"') + OWN)
    assert settings.terminal.layout == "scalp"
    assert settings.terminal.layouts["scalp"].left == ("ladder", "tape:9")
    assert parse(render(settings))[0] == settings


SCALP = "[terminal.layouts.scalp]"
LINE = WHOLE.count("\n") + 2
CHOSEN = next(number for number, line in enumerate(WHOLE.splitlines(), 1) if line.startswith('layout = "auto"'))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN.replace("tape:9", "tapes"), f'config.toml:{LINE + 1} {SCALP} left: no pane "tapes"; did'),
        (OWN.replace("candles", "tape"), f'config.toml:{LINE + 2} {SCALP} right: "tape" stands in left'),
        (OWN.replace("60", "6"), f"config.toml:{LINE + 3} {SCALP} left_width: must be a whole number >="),
        (OWN.replace("left_width", "width"), f'config.toml:{LINE + 3} {SCALP} has no key "width"'),
        (OWN.replace("scalp", "narrow"), f"config.toml:{LINE} [terminal.layouts.narrow]: narrow is built in"),
        (OWN.replace('["candles"]', '"candles"'), f"config.toml:{LINE + 2} {SCALP} right: must be a list"),
        (OWN.replace('"candles"', "7"), f"config.toml:{LINE + 2} {SCALP} right: must be text in quotes"),
        (OWN.replace('"ladder", ', ""), "the ladder has no place"),
    ],
)  # fmt: skip
def test_a_complaint_names_file_line_and_key(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse(WHOLE + text)
    assert words in str(found.value)


def test_a_layout_that_is_not_there_cannot_be_chosen() -> None:
    with pytest.raises(ConfigError) as found:
        parse(WHOLE.replace('layout = "auto"', 'layout = "scalp"'))
    assert f'config.toml:{CHOSEN} [terminal] layout: must be one of auto, narrow, wide (got "scalp")' in str(
        found.value
    )


def test_the_names_of_panes_are_words() -> None:
    assert all(pane.isalpha() and pane.islower() for pane in layouts.PANES)
