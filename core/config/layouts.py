"""Layouts of the trade screen: which panes stand in which column, and how large they are."""

import difflib
import re
from collections.abc import Collection, Iterable

import msgspec

PANES = ("watch", "position", "alerts", "notices", "candles", "positions", "orders", "ladder", "ticket", "tape")
"""The panes of the trade screen."""
BUILT_IN = ("auto", "narrow", "wide")
"""The layouts that need no setting."""
MIN_ROWS, MIN_COLUMN = 3, 20
"""The least that a pane, and a column, needs to show anything (cells)."""
_ENTRY = re.compile(r"([a-z]+)(?::([0-9]+))?")
_NAME = re.compile(r"[a-z0-9_-]{1,16}")


class Place(msgspec.Struct, frozen=True):
    """One pane in a column: its height in lines, or 0 for an equal part of what the others leave."""

    pane: str
    rows: int = 0


def place_of(entry: str) -> Place:
    """Read an entry such as ``candles`` or ``orders:11``.

    Raises:
        ValueError: It names no pane, or a height under ``MIN_ROWS``.
    """
    found = _ENTRY.fullmatch(entry)
    if found is None or found[1] not in PANES:
        near = difflib.get_close_matches(entry.partition(":")[0], PANES, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"the panes: {', '.join(PANES)}"
        raise ValueError(f'no pane "{entry}"; {hint}; a height is written "orders:11"')
    rows = int(found[2] or 0)
    if found[2] is not None and rows < MIN_ROWS:
        raise ValueError(f'"{entry}": a pane has {MIN_ROWS} lines or more')
    return Place(found[1], rows)


def name_flaw(name: str, built_in: Collection[str] = BUILT_IN) -> str:
    """Say what is wrong with the name of a layout, or of what else has a name; empty where nothing is."""
    if name in built_in:
        return f"{name} is built in; choose another name"
    return "" if _NAME.fullmatch(name) else "a name has 1 to 16 of a-z, 0-9, - and _"


def column_flaws(columns: Iterable[tuple[str, Iterable[str]]]) -> tuple[str, str]:
    """Give the column that is wrong and say why, two empty texts where none is; ``columns`` are names with entries."""
    seen: dict[str, str] = {}
    for name, entries in columns:
        for entry in entries:
            try:
                pane = place_of(entry).pane
            except ValueError as error:
                return name, str(error)
            if pane in seen:
                return name, f'"{pane}" stands in {seen[pane]} already; a pane has one place'
            seen[pane] = name
    if "ladder" not in seen:
        return "left", 'the ladder has no place; put "ladder" into a column, for keys send from there'
    return "", ""
