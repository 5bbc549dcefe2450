"""Name every key once: this table feeds the bindings, the footer, the help, the palette and the documentation.

An action has an id that a config may bind to other keys. Its kind says what it may do to a position, and so what it
takes: what reduces risk works disarmed with a confirming key, what adds risk needs arming and a ticket.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache

import msgspec
from textual.binding import Binding, BindingType

from core.errors import ConfigError


class Kind(StrEnum):
    """What an action may do to a position."""

    VIEW = "view"
    SAFE = "safe"
    REDUCES = "reduces risk"
    ADDS = "adds risk"


class Action(msgspec.Struct, frozen=True):
    """One entry of the table.

    `scope` names where the keys work; `call` is the Textual action; `confirm` is the second key; `ready` is false
    while nothing answers it yet; `footer` orders the hints at the bottom line, 0 leaves it out.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    help: str
    scope: str
    call: str
    kind: Kind = Kind.VIEW
    confirm: str = ""
    ready: bool = True
    footer: int = 0


class KeyClash(ConfigError):
    """Two actions of one place want the same key, or a config names an unknown action."""

    def __init__(self, action_id: str, words: str) -> None:
        super().__init__(f"keys.{action_id}: {words}")
        self.action_id, self.words = action_id, words


_NAMES = {
    "plus": "+", "minus": "-", "comma": ",", "full_stop": ".", "left_square_bracket": "[", "equals_sign": "=",
    "right_square_bracket": "]", "colon": ":", "question_mark": "?", "slash": "/", "escape": "Esc", "enter": "Enter",
    "tab": "Tab", "shift+tab": "Shift+Tab", "up": "↑", "down": "↓", "left": "←", "right": "→", "space": "Space",
    "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End", "shift+up": "Shift+↑", "shift+down": "Shift+↓",
    "delete": "Del",
}  # fmt: skip
_ID = re.compile(r"\{([a-z_.]+)\}")
_KEYS = {shown: key for key, shown in _NAMES.items()}
V, S, R, D = Kind.VIEW, Kind.SAFE, Kind.REDUCES, Kind.ADDS


AROUND: Mapping[str, tuple[str, ...]] = {
    "ladder": ("trade", "app"), "candles": ("trade", "app"), "ticket": ("trade", "app"),
    "alerts": ("grid", "trade", "app"), "lists": ("grid", "rules", "trade", "app"), "rules": ("grid", "app"),
    "journal": ("grid", "app"), "grid": ("trade", "app"), "editor": ("grid",), "finder": (),
}  # fmt: skip
"""The scopes whose keys work too where those of a scope do; of one not named here, the app's."""
BUILT = ("Trade", "Positions", "Orders", "Risk", "Venues", "Studies", "Configs", "Journal", "Alerts")
"""The screens that exist so far."""


def _screens() -> list[Action]:
    names = ("Trade", "Positions", "Orders", "Risk", "Venues", "Studies", "Configs", "Journal", "Alerts")
    return [
        Action(f"screen.{name.lower()}", (str(n),), name, f"Show the {name} screen", "app",
               f"screen('{name.lower()}')", ready=name in BUILT)
        for n, name in enumerate(names, 1)
    ]  # fmt: skip


TABLE: tuple[Action, ...] = (
    Action("ticket.buy", ("b",), "buy", "Open a buy ticket; in the ladder, at the cursor's price", "app",
           "ticket('buy')", D, footer=1),
    Action("ticket.sell", ("s",), "sell", "Open a sell ticket; in the ladder, at the cursor's price", "app",
           "ticket('sell')", D, footer=2),
    Action("arm", ("A",), "arm", "Arm or disarm sending; it disarms itself after 5 idle minutes and on reconnect",
           "app", "arm", S, footer=3),
    Action("flatten", ("f",), "flatten", "Close this instrument's position at the market", "app",
           "flatten('instrument')", R, "y",
           footer=4),
    Action("cancel", ("c",), "cancel", "Cancel the chosen order", "app", "cancel", R, "y", footer=5),
    Action("halt", ("H",), "halt", "Halt: only cancels and exits pass until RESUME", "app", "halt", R, "y", footer=6),
    Action("find", ("i",), "find", "Find an instrument", "app", "find", footer=7),
    Action("palette", ("colon",), "palette", "Find any action by its name", "app", "palette", footer=8),
    Action("help", ("question_mark",), "help", "Show every key", "app", "help", footer=9),
    Action("cancel.instrument", ("C",), "cancel all", "Cancel every order of this instrument", "app",
           "cancel_all('instrument')", R, "y"),
    Action("cancel.everything", ("X",), "cancel everything", "Cancel every order at every venue", "app",
           "cancel_all('everything')", R, "y"),
    Action("flatten.everything", ("F",), "flatten everything", "Close every position at the market", "app",
           "flatten('everything')", R, "y"),
    Action("resume", ("U",), "resume", "Resume trading after a halt: type RESUME", "app", "resume", S, "RESUME"),
    Action("zone", ("t",), "UTC/local", "Show times in UTC or in the local zone", "app", "zone"),
    Action("zoom", ("z",), "zoom", "Show the focused pane alone, or all of them again", "app", "zoom"),
    Action("copy", ("y",), "copy", "Copy the chosen row, and show what was copied", "app", "copy"),
    Action("focus.next", ("tab",), "next pane", "Go to the next pane", "app", "focus_next"),
    Action("focus.previous", ("shift+tab",), "previous pane", "Go to the previous pane", "app", "focus_previous"),
    Action("leave", ("q",), "leave", "Leave the view; the engine keeps running", "app", "leave", V, "y"),
    Action("back", ("escape",), "back", "Close what is open", "app", "step_back"),
    Action("layout", ("L",), "layout", "Choose another layout", "app", "layout"),
    Action("keymap", ("Y",), "keymap", "Choose another keymap of the config", "app", "keymap"),
    Action("reload", ("E",), "reload", "Read config.toml again: keymaps, layouts, theme, bell", "app", "reload"),
    Action("alert.set", ("P",), "price alert", "Set an alert on the price; in the ladder, at the cursor's price", "app",
           "price_alert", S),
    Action("differences", ("r",), "differences", "Show where our record and the venues' differ, and say which is right",
           "app", "differences", S),
    Action("control", ("K",), "control", "Take control from another terminal", "app", "control", S, "y"),
    Action("depth", ("D",), "depth", "Show the depth of the instrument's book", "app", "depth"),
    *_screens(),
    Action("ladder.up", ("up", "k"), "up", "Move to a higher price", "ladder", "move(1)"),
    Action("ladder.down", ("down", "j"), "down", "Move to a lower price", "ladder", "move(-1)"),
    Action("ladder.page_up", ("pageup",), "page up", "Move up by a page", "ladder", "page(1)"),
    Action("ladder.page_down", ("pagedown",), "page down", "Move down by a page", "ladder", "page(-1)"),
    Action("ladder.centre", ("equals_sign",), "centre", "Centre the ladder on the spread", "ladder", "centre"),
    Action("ladder.follow", ("o",), "follow", "Keep the spread in the middle, or stay at the price", "ladder",
           "follow"),
    Action("ladder.finer", ("left_square_bracket",), "finer", "Show finer price steps", "ladder", "aggregate(-1)"),
    Action("ladder.coarser", ("right_square_bracket",), "coarser", "Show coarser price steps", "ladder",
           "aggregate(1)"),
    Action("ladder.own", ("n",), "own order", "Put the cursor on the next own order, and stay at its price", "ladder",
           "own"),
    Action("ladder.move", ("m",), "move order", "Pick up the own order at the cursor; again puts it down there",
           "ladder", "move_order", D, "y"),
    Action("candles.in", ("plus",), "zoom in", "Show fewer, wider candles", "candles", "zoom_bars(1)"),
    Action("candles.out", ("minus",), "zoom out", "Show more, narrower candles", "candles", "zoom_bars(-1)"),
    Action("candles.back", ("comma",), "earlier", "Scroll to earlier candles", "candles", "scroll_bars(1)"),
    Action("candles.forward", ("full_stop",), "later", "Scroll to later candles", "candles", "scroll_bars(-1)"),
    Action("candles.interval", ("v",), "interval", "Choose the next interval", "candles", "interval"),
    Action("grid.up", ("up", "k"), "up", "Move to the row above", "grid", "move(-1)"),
    Action("grid.down", ("down", "j"), "down", "Move to the row below", "grid", "move(1)"),
    Action("grid.page_up", ("pageup",), "page up", "Move up by a page", "grid", "page(-1)"),
    Action("grid.page_down", ("pagedown",), "page down", "Move down by a page", "grid", "page(1)"),
    Action("grid.first", ("g", "home"), "first", "Go to the first row", "grid", "end(-1)"),
    Action("grid.last", ("G", "end"), "last", "Go to the last row", "grid", "end(1)"),
    Action("grid.choose", ("enter",), "choose", "Choose the row", "grid", "choose"),
    Action("grid.sort", ("S",), "sort", "Sort by the next column", "grid", "sort_next"),
    Action("grid.filter", ("slash",), "filter", "Show only rows that contain a text", "grid", "filter"),
    Action("curve.span", ("v",), "day/year", "Show the account over a day, or over a year", "curve", "span"),
    Action("journal.search", ("w",), "search", "Show only records that hold some words", "journal", "search"),
    Action("journal.older", ("o",), "older", "Show older records too", "journal", "older"),
    Action("list.edit", ("e",), "edit", "Edit this list: watchlists, alert rules", "lists", "edit"),
    Action("rules.remove", ("x",), "remove", "Take the alert rule away", "rules", "remove", S, "y"),
    Action("watch.next", ("w",), "watchlist", "Show the next watchlist", "trade", "watchlist(1)"),
    Action("watch.previous", ("W",), "watchlist before", "Show the watchlist before", "trade", "watchlist(-1)"),
    Action("finder.up", ("up",), "up", "Move to the match above", "finder", "move(-1)"),
    Action("finder.down", ("down",), "down", "Move to the match below", "finder", "move(1)"),
    Action("finder.page_up", ("pageup",), "page up", "Move up by a page", "finder", "page(-1)"),
    Action("finder.page_down", ("pagedown",), "page down", "Move down by a page", "finder", "page(1)"),
    Action("finder.list", ("tab",), "in or out of the list", "Put the match into the watchlist, or take it out",
           "finder", "mark"),
    Action("editor.add", ("a", "i"), "add", "Find instruments and add them to the watchlist", "editor", "add"),
    Action("editor.remove", ("x", "delete"), "remove", "Take the instrument out of the watchlist", "editor", "remove"),
    Action("editor.up", ("K", "shift+up"), "move up", "Move the instrument up", "editor", "shift(-1)"),
    Action("editor.down", ("J", "shift+down"), "move down", "Move the instrument down", "editor", "shift(1)"),
    Action("editor.rename", ("r",), "rename", "Give the watchlist another name", "editor", "rename"),
    Action("editor.new", ("n",), "new", "Make a watchlist", "editor", "new"),
    Action("editor.delete", ("D",), "delete", "Delete the watchlist", "editor", "delete", V, "y"),
    Action("editor.next", ("w", "tab"), "next", "Show the next watchlist", "editor", "next_list(1)"),
    Action("editor.previous", ("W", "shift+tab"), "before", "Show the watchlist before", "editor", "next_list(-1)"),
    Action("ticket.send", ("enter",), "send", "Send the order, when armed", "ticket", "send", D),
    Action("ticket.unit", ("u",), "unit", "Count the quantity by amount, notional, % of equity or risk to the stop",
           "ticket", "unit"),
    Action("alerts.acknowledge", ("a",), "acknowledge", "Acknowledge the alert", "alerts", "acknowledge", S),
    Action("alerts.mute", ("M",), "mute", "Mute this kind of alert for a while, or let it speak again", "alerts",
           "mute", S),
    Action("studies.promote", ("p",), "promote", "Promote the trial to the active config", "studies", "promote", D,
           "y"),
    Action("studies.diff", ("d",), "diff", "Compare with the active config", "studies", "diff"),
    Action("studies.report", ("enter",), "report", "Show the report of the trial", "studies", "report"),
    Action("studies.new", ("n",), "new study", "Start the study that a file describes", "studies", "new_study", S),
    Action("studies.stop", ("x",), "stop study", "Stop the study; what its trials found stays", "studies",
           "stop_study", S, "y"),
    Action("studies.schedule", ("e",), "schedule", "Set when the study is searched anew by itself, or the chore done",
           "studies", "schedule", S),
    Action("configs.rollback", ("R",), "roll back", "Return to this config", "configs", "roll_back", D, "y"),
    Action("configs.diff", ("d",), "diff", "Compare with the active config", "configs", "diff"),
)  # fmt: skip


_OWN_KEYS = {action.id: action.keys for action in TABLE}


def shown_key(key: str) -> str:
    """Write a key the way it stands on a keyboard: `question_mark` is `?`."""
    return _NAMES.get(key, key)


def key_hints(chosen: Mapping[str, Sequence[str]], *ids: str) -> str:
    """Write a line of keys and what they do, with the keys that a config chose."""
    found = [(find_action(action_id), chosen.get(action_id)) for action_id in ids]
    return " · ".join(f"{shown_key((keys or action.keys)[0])} {action.label}" for action, keys in found)


def with_keys(text: str, chosen: Mapping[str, Sequence[str]]) -> str:
    """Put the keys of actions in the places of their ids: `{flatten} flatten` is `f flatten`."""

    def key(found: re.Match[str]) -> str:
        keys = chosen.get(found[1]) or _OWN_KEYS.get(found[1])
        return shown_key(keys[0]) if keys else found[0]

    return _ID.sub(key, text)


def ready_actions(scope: str | None = None) -> list[Action]:
    """List the actions that something answers, of one scope or of all."""
    return [action for action in TABLE if action.ready and scope in (None, action.scope)]


@cache
def _binding(action: Action) -> Binding:
    return Binding(
        ",".join(action.keys), action.call, action.label, id=action.id, show=bool(action.footer),
        tooltip=action.help, key_display=shown_key(action.keys[0]),
    )  # fmt: skip


def bindings(scope: str, *kinds: Kind) -> list[BindingType]:
    """Give the Textual bindings of one scope, of some kinds of action or of all."""
    return [_binding(action) for action in ready_actions(scope) if not kinds or action.kind in kinds]


def find_action(action_id: str) -> Action:
    """Look an action up.

    Raises:
        KeyClash: If no action has this id.
    """
    for action in TABLE:
        if action.id == action_id:
            return action
    raise KeyClash(action_id, "no such action; the ids stand in docs/guide/keys.md")


def rebind(overrides: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Check the keys of a config and give every action's keys, in Textual's names.

    Raises:
        KeyClash: If an id is unknown, a key is empty, or two actions that answer in one place share a key.
    """
    chosen = {action.id: action.keys for action in TABLE}
    for action_id, wanted in overrides.items():
        find_action(action_id)
        keys = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        if not keys or not all(keys):
            raise KeyClash(action_id, "a key is expected, got nothing")
        chosen[action_id] = tuple(_KEYS.get(key, key) for key in keys)
    for scope in {action.scope for action in TABLE}:
        _refuse_clashes(scope, chosen, overrides)
    _refuse_confirming_with_the_same_key(chosen)
    return chosen


def _refuse_clashes(scope: str, chosen: Mapping[str, Iterable[str]], overrides: Container[str]) -> None:
    """Refuse a key that two actions share, naming the one whose key was chosen: that is the line to change."""
    owner: dict[str, str] = {}
    places = (scope, *AROUND.get(scope, ("app",)))
    for action in TABLE:
        if action.scope not in places:
            continue
        for key in chosen[action.id]:
            if key in owner and owner[key] != action.id:
                one, other = action.id, owner[key]
                one, other = (one, other) if one in overrides else (other, one)
                raise KeyClash(one, f"'{shown_key(key)}' already means '{other}'; choose another key for one")
            owner[key] = action.id


def _refuse_confirming_with_the_same_key(chosen: Mapping[str, Iterable[str]]) -> None:
    for action in TABLE:
        if action.confirm == "y" and "y" in chosen[action.id]:
            raise KeyClash(action.id, "'y' confirms this action, so it cannot start it; choose another key")


def keymap(chosen: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Give Textual's keymap for the keys that `rebind` gave: those that are not the table's own."""
    return {id_: ",".join(keys) for id_, keys in chosen.items() if keys != _OWN_KEYS[id_]}


def help_rows(
    scopes: Sequence[str] = (),
    chosen: Mapping[str, Sequence[str]] | None = None,
    kinds: Sequence[Kind] = tuple(Kind),
) -> list[tuple[str, ...]]:
    """List scope, keys, label, kind and help of every ready action, for the help page and the guide."""
    rows: list[tuple[str, ...]] = []
    for action in ready_actions():
        if action.kind not in kinds or (scopes and action.scope not in scopes):
            continue
        keys = " ".join(shown_key(key) for key in (chosen or {}).get(action.id, action.keys))
        keys += f" then {action.confirm}" if action.confirm else ""
        rows.append((action.scope, keys, action.label, action.kind.value, action.help))
    return rows


def markdown() -> str:
    """Write the key table of the guide."""
    lines = ["| where | key | action | what it does | kind | id |", "|---|---|---|---|---|---|"]
    for action in ready_actions():
        keys = " ".join(f"`{shown_key(key)}`" for key in action.keys)
        keys += f" then `{action.confirm}`" if action.confirm else ""
        lines.append(
            f"| {action.scope} | {keys} | {action.label} | {action.help} | {action.kind.value} | `{action.id}` |"
        )
    return "\n".join(lines) + "\n"
