"""Cut the panes out of a picture as they are painted."""

import msgspec

from tests.tui.harness import screen_lines
from tui.app import TerminalApp
from tui.grid import Grid
from tui.lines import Pane
from tui.rows import GAP, GUTTER


class Shown(msgspec.Struct, frozen=True):
    """A pane of a picture as it is painted: its lines, and for a list its columns (align, first cell, cells)."""

    id: str
    lines: tuple[str, ...]
    columns: tuple[tuple[str, int, int], ...] = ()


def panes_of(app: TerminalApp) -> list[Shown]:
    """Cut every pane that is shown out of the picture."""
    lines, found = screen_lines(app), []
    for pane in app.screen.query(Pane):
        region = pane.content_region
        if region.area and pane.region.area:
            cut = tuple(line[region.x : region.right] for line in lines[region.y : region.bottom])
            found.append(Shown(pane.id or "", cut, _columns_of(pane) if isinstance(pane, Grid) else ()))
    return found


def _columns_of(grid: Grid) -> tuple[tuple[str, int, int], ...]:
    columns, start = [], GUTTER
    for index, width in grid._layout.columns:
        columns.append((grid._set.columns[index].align, start, width))
        start += width + GAP
    return tuple(columns)
