"""Four themes, one vocabulary, colours only in style sheets."""

import re
from pathlib import Path

import pytest

import tui
from tui.terminal import LINE_STYLES
from tui.theme import NAMES, load_theme, load_themes, theme_id

SHEET = (Path(tui.__file__).parent / "app.tcss").read_text(encoding="utf-8")


def test_every_theme_defines_every_variable_of_ours() -> None:
    wanted = set(re.findall(r"\$(td-[\w-]+)", SHEET))
    for theme in load_themes():
        assert wanted <= set(theme.variables), theme.name


def test_every_style_class_has_a_rule() -> None:
    for name in LINE_STYLES:
        assert f".line--{name} " in SHEET, name


@pytest.mark.parametrize("name", NAMES)
def test_gains_and_losses_have_different_colours(name: str) -> None:
    values = load_theme(name).variables
    assert values["td-gain"] != values["td-loss"]


def test_names_are_our_own() -> None:
    assert [theme.name for theme in load_themes()] == [theme_id(name) for name in NAMES]
    with pytest.raises(FileNotFoundError):
        load_theme("pink")
