"""Keep the rows of a grid: columns, cells, order, filter, and the widths that its numbers need."""

from collections.abc import Iterable, KeysView, Sequence
from typing import Literal

import msgspec

from tui.format import point

Align = Literal["left", "right", "centre", "decimal"]
GUTTER = 2
GAP = 2


class Column(msgspec.Struct, frozen=True, gc=False):
    """One column: `width` cells at least, `best` where there is room, a share `flex` of what is left.

    Columns with a higher `drop` fall away first where the pane is narrow; 0 never does.
    """

    key: str
    title: str
    width: int
    best: int = 0
    flex: int = 0
    align: Align = "left"
    drop: int = 0
    tail: bool = False
    """What is too long keeps its end, as ids do that begin alike."""


class Cell(msgspec.Struct, frozen=True, gc=False):
    """A text, its style classes, and the value it sorts by (its text when None)."""

    text: str
    style: str = ""
    value: float | str | None = None


class Row(msgspec.Struct, frozen=True):
    """One row: a key that stays, one cell for each column, style classes, and whether its data are old."""

    key: str
    cells: tuple[Cell | str, ...]
    style: str = ""
    stale: bool = False

    def text(self, index: int) -> str:
        """Give the text of a cell, empty where the row has none."""
        if index >= len(self.cells):
            return ""
        cell = self.cells[index]
        return cell if isinstance(cell, str) else cell.text

    def style_of(self, index: int) -> str:
        """Give the style classes of a cell."""
        cell = self.cells[index] if index < len(self.cells) else ""
        return "" if isinstance(cell, str) else cell.style

    def sort_value(self, index: int) -> tuple[int, float, str]:
        """Give what the row sorts by in a column: numbers before texts."""
        cell = self.cells[index] if index < len(self.cells) else ""
        value = cell if isinstance(cell, str) else (cell.text if cell.value is None else cell.value)
        return (1, 0.0, value.casefold()) if isinstance(value, str) else (0, float(value), "")


class Layout(msgspec.Struct, frozen=True):
    """The columns that fit a width: their positions in the row and their widths."""

    columns: tuple[tuple[int, int], ...] = ()

    @property
    def width(self) -> int:
        """The cells that a row takes."""
        return GUTTER + sum(width for _, width in self.columns) + GAP * max(0, len(self.columns) - 1)


def lay_out(columns: Sequence[Column], width: int) -> Layout:
    """Choose the columns that fit `width` cells and share the room between them."""
    kept = list(range(len(columns)))

    def needed() -> int:
        return GUTTER + sum(columns[i].width for i in kept) + GAP * max(0, len(kept) - 1)

    while len(kept) > 1 and needed() > width:
        victim = max(kept, key=lambda i: (columns[i].drop, i))
        if columns[victim].drop == 0:
            break
        kept.remove(victim)
    widths = {i: columns[i].width for i in kept}
    spare = max(0, width - needed())
    for i in sorted(kept, key=lambda i: columns[i].drop):
        extra = min(spare, max(0, columns[i].best - columns[i].width))
        widths[i] += extra
        spare -= extra
    shares = sum(columns[i].flex for i in kept)
    for i in kept:
        if columns[i].flex:
            extra = spare * columns[i].flex // shares
            widths[i] += extra
            spare, shares = spare - extra, shares - columns[i].flex
    return Layout(tuple((i, widths[i]) for i in kept))


class RowSet:
    """Rows by key, in the order shown."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.view: list[str] = []
        self.points = [(0, 0)] * len(self.columns)
        self.sort: tuple[int, bool] | None = None
        self.needle = ""
        self._rows: dict[str, Row] = {}

    def __getitem__(self, key: str) -> Row:
        return self._rows[key]

    @property
    def keys(self) -> KeysView[str]:
        """The keys of all rows, shown or filtered out."""
        return self._rows.keys()

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def replace(self, rows: Iterable[Row]) -> bool:
        """Keep exactly these rows; tell whether a column now needs more room for its numbers."""
        fresh = {row.key: row for row in rows}
        wider = self._measure(row for row in fresh.values() if self._rows.get(row.key) is not row)
        same = list(fresh) == list(self._rows)
        self._rows = fresh
        if not same or self.sort or self.needle:
            self.arrange()
        return wider

    def merge(self, rows: Iterable[Row]) -> bool:
        """Replace or add the given rows; tell whether a column now needs more room for its numbers."""
        changed = list(rows)
        added = any(row.key not in self._rows for row in changed)
        self._rows.update((row.key, row) for row in changed)
        if added or self.sort or self.needle:
            self.arrange()
        return self._measure(changed)

    def arrange(self) -> None:
        """Apply the filter and the sort."""
        keys = [key for key, row in self._rows.items() if self._matches(row)]
        if self.sort:
            index, reverse = self.sort
            keys.sort(key=lambda key: self._rows[key].sort_value(index), reverse=reverse)
        self.view = keys

    def _matches(self, row: Row) -> bool:
        return not self.needle or any(self.needle in row.text(i).casefold() for i in range(len(row.cells)))

    def _measure(self, rows: Iterable[Row]) -> bool:
        decimal = [i for i, column in enumerate(self.columns) if column.align == "decimal"]
        if not decimal:
            return False
        wider = False
        for row in rows:
            for i in decimal:
                whole, fraction = point(row.text(i))
                left, right = self.points[i]
                if whole > left or fraction > right:
                    self.points[i] = (max(whole, left), max(fraction, right))
                    wider = True
        return wider
