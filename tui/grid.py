"""Show live rows in columns: the one grid that every live list is drawn with.

A caller gives columns once and rows as often as it likes. The grid keeps them by key, sorts and filters them, formats
the visible ones and repaints the cells that changed. Columns fall away by priority where a pane is narrow; numbers
align on their decimal point where the column is wide enough, and at the right where it is not.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp
from textual.message import Message

from tui.actions import bindings
from tui.confirm import AskText
from tui.format import fit, point
from tui.lines import Line, Pane, Run
from tui.rows import GAP, GUTTER, Align, Cell, Column, Layout, Row, RowSet, lay_out

__all__ = ["Align", "Cell", "Column", "Grid", "Row"]


def unseen(above: int, below: int) -> str:
    """Say how many rows are out of sight, and where they are; empty where all are seen."""
    return "  ".join(f"{mark} {rows} more" for mark, rows in (("↑", above), ("↓", below)) if rows > 0)


class Grid(Pane, can_focus=True):
    """A framed live grid with a cursor, sorting, a filter and scrolling; its frame counts the rows out of sight."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("grid")

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, grid: "Grid", key: str | None, by_hand: bool = True) -> None:
            super().__init__()
            self.grid = grid
            self.key = key
            self.by_hand = by_hand
            """A key or the wheel moved it; otherwise its row has gone."""

        @property
        def control(self) -> "Grid":
            """The grid that moved."""
            return self.grid

    class Chosen(Moved):
        """Enter was pressed on a row."""

    def __init__(
        self,
        columns: Sequence[Column],
        title: str = "",
        corner: str = "",
        *,
        empty: str = "nothing yet",
        **options: Any,
    ) -> None:
        super().__init__(title, corner, **options)
        self.empty = empty
        self._set = RowSet(columns)
        self._cache: dict[str, tuple[Row, tuple[bool, bool], Line]] = {}
        self._layout = Layout()
        self._head: Line = ()
        self._cursor: str | None = None
        self._place = 0
        self._top = 0

    # -- rows ------------------------------------------------------------------------------------------------

    def set_rows(self, rows: Iterable[Row]) -> None:
        """Show exactly these rows, in this order unless a sort is chosen; repaint only what differs."""
        if self._set.replace(rows) or len(self._cache) > 2 * len(self._set.view) + 64:
            self._cache.clear()
        self.repaint()

    def update_rows(self, rows: Iterable[Row]) -> None:
        """Replace or add the given rows and leave the others as they are."""
        if self._set.merge(rows):
            self._cache.clear()
        self.repaint()

    @property
    def rows(self) -> list[Row]:
        """The rows in the order shown."""
        return [self._set[key] for key in self._set.view]

    @property
    def cursor(self) -> str | None:
        """The key of the row under the cursor."""
        return self._cursor

    @property
    def shown_columns(self) -> list[str]:
        """The keys of the columns that fit."""
        return [self._set.columns[index].key for index, _ in self._layout.columns]

    # -- choices ---------------------------------------------------------------------------------------------

    def sort_by(self, key: str | None, *, reverse: bool = False) -> None:
        """Sort by a column's key, or keep the caller's order when None."""
        index = next((i for i, column in enumerate(self._set.columns) if column.key == key), None)
        self._set.sort = None if index is None else (index, reverse)
        self._set.arrange()
        self._head = ()
        self.repaint()

    def filter_by(self, text: str) -> None:
        """Show only rows that contain `text` in a cell, and say so in the title; empty shows all."""
        self._set.needle = text.casefold().strip()
        self.note(f'only "{self._set.needle}"' if self._set.needle else "")
        self._set.arrange()
        self.repaint()

    def move_to(self, key: str) -> None:
        """Put the cursor on the row with this key, if it is shown."""
        if key in self._set.view:
            self._put_cursor(key)
            self.repaint()

    def action_move(self, steps: int) -> None:
        """Move the cursor by `steps` rows."""
        view = self._set.view
        if view:
            self.move_to(view[max(0, min(len(view) - 1, self._place + steps))])

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self.action_move(pages * max(1, self.content_size.height - 2))

    def action_end(self, side: int) -> None:
        """Move the cursor to the first (-1) or last (1) row."""
        self.action_move(side * len(self._set.view))

    def action_choose(self) -> None:
        """Tell the screen that the row under the cursor was chosen."""
        if self._cursor is not None:
            self.post_message(self.Chosen(self, self._cursor))

    def action_sort_next(self) -> None:
        """Sort by the next shown column; after the last, return to the caller's order."""
        steps: list[tuple[int, bool] | None] = [None]
        for index, _ in self._layout.columns:
            steps += [(index, False), (index, True)]
        place = steps.index(self._set.sort) if self._set.sort in steps else 0
        chosen = steps[(place + 1) % len(steps)]
        self.sort_by(self._set.columns[chosen[0]].key if chosen else None, reverse=bool(chosen and chosen[1]))

    def action_filter(self) -> None:
        """Ask for a text that shown rows must contain."""

        def answered(text: str | None) -> None:
            if text is not None:
                self.filter_by(text)

        hint = "Enter filters, an empty text shows all · Esc leaves it as it is"
        _ = self.app.push_screen(AskText("show only rows with", self._set.needle, hint), answered)

    def _put_cursor(self, key: str | None, *, by_hand: bool = True) -> None:
        if key != self._cursor:
            self._cursor = key
            if self.is_attached:
                self.post_message(self.Moved(self, key, by_hand))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Move down by the wheel."""
        self.action_move(1)
        event.stop()
        event.prevent_default()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Move up by the wheel."""
        self.action_move(-1)
        event.stop()
        event.prevent_default()

    # -- painting --------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Choose the columns for the new width."""
        self._layout = lay_out(self._set.columns, self.content_size.width)
        self._cache.clear()
        self._head = ()
        super().on_resize()

    def repaint(self) -> None:
        """Format the visible rows and repaint the cells that changed."""
        self._keep_cursor()
        width, height = self.content_size
        if width <= 0 or height <= 0:
            return
        if not self._head:
            self._head = self._header()
        lines = [self._head]
        view = self._set.view
        if not view:
            note = "no row matches the filter" if self._set.needle else self.empty
            lines.append(((fit(f" {self.keyed(note)}", width), "dim"),))
        room = max(1, height - 1)
        self._top = max(0, min(self._top, len(view) - room))
        self._top = min(max(self._top, self._place - room + 1), self._place)
        lines += [self._line(self._set[key], key == self._cursor) for key in view[self._top : self._top + room]]
        self.show(lines[:height])
        self.set_foot(unseen(self._top, len(view) - self._top - min(room, height - 1)))

    def forget(self) -> None:
        """Forget painted lines and formatted rows while nobody sees them."""
        super().forget()
        self._cache.clear()

    def _keep_cursor(self) -> None:
        """Stay on the same row wherever it moved; where it has gone, take the row at its place."""
        view = self._set.view
        if not view:
            self._place = 0
            self._put_cursor(None, by_hand=False)
        elif self._cursor in view:
            self._place = view.index(self._cursor)
        else:
            self._place = min(self._place, len(view) - 1)
            self._put_cursor(view[self._place], by_hand=False)

    def _header(self) -> Line:
        runs: list[Run] = [(" " * GUTTER, "head")]
        for n, (index, width) in enumerate(self._layout.columns):
            column = self._set.columns[index]
            mark = ""
            if self._set.sort and self._set.sort[0] == index:
                mark = "↓" if self._set.sort[1] else "↑"
            align = "right" if column.align == "decimal" else column.align
            title = fit(column.title, width - len(mark)).rstrip() + mark if mark else column.title
            runs.append((" " * (GAP if n else 0) + fit(title, width, align), "head"))
        return tuple(runs)

    def _line(self, row: Row, cursor: bool) -> Line:
        marks = (cursor, cursor and self.has_focus)
        cached = self._cache.get(row.key)
        if cached is not None and cached[1] == marks and (cached[0] is row or cached[0] == row):
            return cached[2]
        extra = f"{row.style}{' stale' if row.stale else ''}{' cursor' if marks[1] else ''}"
        runs: list[Run] = [((("›" if cursor else "") + ("~" if row.stale else "")).ljust(GUTTER), extra)]
        for n, (index, width) in enumerate(self._layout.columns):
            if n:
                runs.append((" " * GAP, extra))
            runs.append((self._fit(row.text(index), index, width), f"{row.style_of(index)} {extra}".strip()))
        runs.append((" " * max(0, self.content_size.width - self._layout.width), extra))
        line = tuple(runs)
        self._cache[row.key] = (row, marks, line)
        return line

    def _fit(self, text: str, index: int, width: int) -> str:
        align = self._set.columns[index].align
        if self._set.columns[index].tail and len(text) > width > 1:
            text = "…" + text[1 - width :]
        if align != "decimal":
            return fit(text, width, align)
        left, right = self._set.points[index]
        if left + right <= width:
            text += " " * (right - point(text)[1])
        return fit(text, width, "right")
