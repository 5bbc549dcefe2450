"""One table of keys: complete, free of clashes, honest about what is there."""

import ast
import re
from pathlib import Path

import pytest

from tui import actions
from tui.actions import TABLE, KeyClash, Kind
from tui.app import TerminalApp
from tui.finder import Finder
from tui.grid import Grid
from tui.listing import ListEditor
from tui.screens.alerts import RuleGrid
from tui.screens.journal import JournalScreen
from tui.screens.trade import TradeScreen
from tui.viewer import Viewer
from tui.widgets.alerts import AlertGrid
from tui.widgets.candles import Candles
from tui.widgets.curve import CurvePane
from tui.widgets.ladder import Ladder
from tui.widgets.studies import ConfigGrid, StudyGrid
from tui.widgets.ticket import Ticket
from tui.widgets.watch import WatchGrid


def test_ids_are_unique_and_keys_do_not_clash() -> None:
    assert len({action.id for action in TABLE}) == len(TABLE)
    assert actions.rebind({})["halt"] == ("H",)


@pytest.mark.parametrize(
    "key",
    [*"123456789", "h", "g", "G", "tab", "slash", "colon", "question_mark", "escape", "z", "y", "A", "b", "s", "enter",
     "c", "C", "X", "f", "F", "H", "i", "m", "equals_sign", "o", "left_square_bracket", "right_square_bracket", "plus",
     "minus", "comma", "full_stop", "v", "S", "e", "a", "M", "L", "K", "t", "p", "R", "d", "n", "q", "j", "k", "l"],
)  # fmt: skip
def test_every_key_of_the_specification_is_in_the_table(key: str) -> None:
    owned = {k for action in TABLE for k in action.keys}
    assert key in owned | {"h", "l"}  # h and l move sideways, where there are columns to move to


def test_no_key_needs_ctrl_alt_or_a_function_key() -> None:
    for action in TABLE:
        for key in action.keys:
            assert not key.startswith(("ctrl+", "alt+", "f1"))


def test_what_is_not_there_is_not_offered() -> None:
    missing = {action.id for action in TABLE if not action.ready}
    offered = {str(getattr(b, "id", "")) for scope in {a.scope for a in TABLE} for b in actions.bindings(scope)}
    assert not missing & offered
    labels = {action.label for action in TABLE if not action.ready}
    assert not any(label in labels for _, _, label, _, _ in actions.help_rows())
    assert not any(f"`{id_}`" in actions.markdown() for id_ in missing)


def test_what_cannot_be_undone_asks_first() -> None:
    for action in TABLE:
        if action.kind is Kind.REDUCES:
            assert action.confirm == "y"
            assert action.confirm not in action.keys


def test_keys_are_rebound_by_id() -> None:
    chosen = actions.rebind({"halt": "!", "candles.in": ["plus", "u"], "ladder.centre": "%", "copy": "y"})
    assert actions.keymap(chosen) == {
        "halt": "!", "candles.in": "plus,u", "ladder.centre": "%",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"halt": "f"}, "'f' already means"),
        ({"grid.sort": "b"}, "'b' already means"),
        ({"nothing": "x"}, "no such action"),
        ({"halt": ""}, "got nothing"),
        ({"flatten": "y", "copy": "T"}, "'y' confirms this action"),
        ({"help": ":"}, "':' already means"),
        ({"ladder.centre": "w"}, "keys.ladder.centre: 'w' already means 'watch.next'"),
        ({"watch.next": "o"}, "already means"),
        ({"list.edit": "S"}, "'S' already means"),
        ({"rules.remove": "e"}, "'e' already means"),
        ({"editor.rename": "j"}, "'j' already means"),
        ({"finder.list": "down"}, "already means"),
        ({"alerts.mute": "S"}, "'S' already means"),
    ],
)
def test_a_bad_rebinding_is_refused_in_words(overrides: dict[str, str], words: str) -> None:
    with pytest.raises(KeyClash, match=words):
        actions.rebind(overrides)


def test_corners_name_the_chosen_keys_and_leave_other_words_alone() -> None:
    chosen = actions.rebind({"flatten": "equals_sign", "ladder.centre": "0"})
    assert actions.with_keys("{flatten} flatten · {cancel} cancel", chosen) == "= flatten · c cancel"
    assert actions.with_keys("ACTIVE: {who} said {no.such}", {}) == "ACTIVE: {who} said {no.such}"


def test_every_key_that_a_pane_names_is_one_of_the_table() -> None:
    ids = {action.id for action in TABLE}
    named = set()
    for path in Path(actions.__file__).parent.rglob("*.py"):
        constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        named |= {id_ for text in constants if isinstance(text, str) and "`" not in text
                  for id_ in re.findall(r"\{([a-z_.]+)\} [a-z]", text)}  # fmt: skip
    assert "candles.interval" in named
    assert named <= ids


def test_one_key_may_mean_two_things_in_two_places() -> None:
    assert actions.rebind({"ladder.centre": "v"})["ladder.centre"] == ("v",)


def test_every_ready_action_is_in_the_guide_table() -> None:
    text = actions.markdown()
    for action in actions.ready_actions():
        assert f"`{action.id}`" in text


def test_keys_are_shown_as_they_stand_on_a_keyboard() -> None:
    assert [actions.shown_key(k) for k in ("question_mark", "plus", "A", "enter")] == ["?", "+", "A", "Enter"]


def test_no_colour_stands_in_python() -> None:
    folder = Path(actions.__file__).parent
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "ansi_" not in text
        assert not re.search(r"""["']#[0-9a-fA-F]{3,8}["' ]""", text), (
            path
        )  # "#feeds" is an id, "#fee" would be a colour


def test_every_key_that_is_offered_does_something() -> None:
    places: dict[str, type] = {
        "app": TerminalApp, "ladder": Ladder, "candles": Candles, "grid": Grid, "ticket": Ticket,
        "journal": JournalScreen, "alerts": AlertGrid, "lists": WatchGrid, "rules": RuleGrid, "trade": TradeScreen,
        "finder": Finder, "editor": ListEditor,
        "studies": StudyGrid, "configs": ConfigGrid, "curve": CurvePane,
    }  # fmt: skip
    for action in actions.ready_actions():
        name = action.call.partition("(")[0]
        assert callable(getattr(places[action.scope], f"action_{name}", None)), action.id


def test_a_view_only_terminal_offers_no_key_that_sends() -> None:
    offered = {getattr(binding, "id", None) for binding in Viewer.BINDINGS}
    assert {"help", "find", "leave", "zoom"} <= offered
    assert not {"ticket.buy", "flatten", "cancel", "halt", "arm", "resume"} & offered


def test_a_worker_is_given_a_function() -> None:
    """A coroutine whose worker is cancelled before its first turn complains that it was never awaited."""
    for path in Path(actions.__file__).parent.rglob("*.py"):
        assert not re.search(r"run_worker\(\s*self\.\w+\(", path.read_text(encoding="utf-8")), path
