"""Paint widgets as lines of styled runs, and repaint only the cells that changed.

Every live widget is a `LineView`: it says what its lines are, and the view finds the spans that differ from what
is on the screen. That is what keeps a frame cheap in CPU and in bytes on a slow link. Styles are named by class;
their colours stand in the style sheet only.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.app import RenderResult
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.actions import with_keys
from tui.format import fit, width_of
from tui.terminal import app_of

Run = tuple[str, str]
"""A text and its style classes, separated by spaces."""
Line = tuple[Run, ...]


def line_width(line: Line) -> int:
    """Count the cells of a line."""
    return sum(width_of(text) for text, _ in line)


def plain(line: Line) -> str:
    """Give the text of a line without its styles."""
    return "".join(text for text, _ in line)


def changed_spans(before: Line, after: Line) -> list[tuple[int, int]]:
    """Give the spans (first cell, number of cells) in which two lines differ.

    Lines made of the same columns are compared column by column; otherwise the span runs from the first to the
    last difference.
    """
    if len(before) == len(after):
        spans = _column_spans(before, after)
        if spans is not None:
            return spans
    start = 0
    common = 0
    for old, new in zip(before, after, strict=False):
        if old != new:
            break
        start += width_of(new[0])
        common += 1
    tail = 0
    for old, new in zip(reversed(before[common:]), reversed(after[common:]), strict=False):
        if old != new:
            break
        tail += width_of(new[0])
    old_width, new_width = line_width(before), line_width(after)
    if old_width != new_width:
        tail = 0  # what follows has moved
    width = max(old_width, new_width) - start - tail
    return [(start, width)] if width > 0 else []


def _column_spans(before: Line, after: Line) -> list[tuple[int, int]] | None:
    spans: list[tuple[int, int]] = []
    x = 0
    for old, new in zip(before, after, strict=True):
        width = width_of(new[0])
        if old != new:
            if old[0] != new[0] and width_of(old[0]) != width:
                return None
            if spans and spans[-1][0] + spans[-1][1] == x:
                spans[-1] = (spans[-1][0], spans[-1][1] + width)
            elif width:
                spans.append((x, width))
        x += width
    return spans


class LineView(Widget):
    """A widget that shows lines and repaints what changed in them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lines: list[Line] = []
        self._strips: dict[int, Strip] = {}
        self._styles: dict[str, Style] = {}

    @property
    def lines(self) -> Sequence[Line]:
        """The lines now shown, from the top."""
        return self._lines

    @property
    def text(self) -> str:
        """The lines now shown, as plain text."""
        return "\n".join(plain(line).rstrip() for line in self._lines)

    def show(self, lines: Sequence[Line]) -> int:
        """Show these lines from the top and repaint what differs; return the number of cells repainted."""
        regions = list(self._differences(lines))
        self._lines = list(lines)
        if regions and self.is_mounted:
            self.refresh(*regions)
        return sum(region.area for region in regions)

    def _differences(self, lines: Sequence[Line]) -> Iterator[Region]:
        before = self._lines
        for y in range(max(len(before), len(lines))):
            old = before[y] if y < len(before) else ()
            new = lines[y] if y < len(lines) else ()
            if old is new or old == new:
                continue
            self._strips.pop(y, None)
            for x, width in changed_spans(old, new):
                yield Region(x, y, width, 1)

    def keyed(self, text: str) -> str:
        """Put the keys that are in force in the places of their actions' ids: `{flatten} flatten` is `f flatten`."""
        return with_keys(text, app_of(self).chosen_keys if self.is_attached else {})

    def render(self) -> RenderResult:
        """Answer layout questions; painting goes through `render_line`."""
        return ""

    def render_line(self, y: int) -> Strip:
        """Paint one line of the content."""
        width = self.content_size.width
        strip = self._strips.get(y)
        if strip is None or strip.cell_length != width:
            line = self._lines[y] if y < len(self._lines) else ()
            strip = self._strips[y] = self._strip(line, width)
        return strip

    def _strip(self, line: Line, width: int) -> Strip:
        base = self._style("")
        segments = [Segment(text, self._style(classes)) for text, classes in line if text]
        return Strip(segments).adjust_cell_length(width, base).simplify()

    def _style(self, classes: str) -> Style:
        style = self._styles.get(classes)
        if style is None:
            style, app = self.rich_style, app_of(self)
            for name in classes.split():
                style += app.line_style(name)
            self._styles[classes] = style
        return style

    def forget(self) -> None:
        """Forget painted lines while nobody sees them."""
        self._strips.clear()

    def notify_style_update(self) -> None:
        """Forget painted lines when the style sheet or the theme changes."""
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()


FRAME = 6
"""What a border of Textual's takes of a title's room: a corner, a stroke and a blank at each side."""
BETWEEN = 3
"""What stands between a title and its corner at least: a stroke between two blanks."""
SHORTEST = 8
"""A corner of which fewer cells are left in whole words says nothing, and is left out."""


def corner_room(title: str, width: int) -> int:
    """Count the cells that a corner has beside this title in a border of `width` cells."""
    return width - FRAME - BETWEEN - width_of(title)


def framed_title(title: str, corner: str, width: int) -> str:
    """Set a title at the left and a hint at the right of a top border of `width` cells, as Textual markup.

    A corner that is too long is cut behind a whole word, and left out where there is hardly room for one.
    """
    if width < FRAME + 3:
        return ""
    shown, room = f"[b]{_escape(title)}[/b]", corner_room(title, width)
    if width_of(corner) > room:
        whole = fit(corner, room)[:-1].rpartition(" ")[0].rstrip(" ·")  # half a word, or half a number, misleads
        corner = f"{whole} …" if width_of(whole) >= SHORTEST else ""
    if not corner:
        return shown
    return f"{shown} {'─' * (room - width_of(corner) + 1)} {_escape(corner)}"


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


class Pane(LineView):
    """A framed line view: a title says what the box is, its corner what a key does there.

    `{id}` in either stands for the key of that action, as the config has it.
    """

    def __init__(self, title: str = "", corner: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._pane_title = title
        self._pane_corner = corner
        self._pane_note = ""

    def note(self, words: str) -> None:
        """Keep words beside the title, whatever the title is: what holds for all that the pane shows."""
        self._pane_note = words
        self._frame()

    def set_title(self, title: str, corner: str | None = None) -> None:
        """Change the title and, when given, the corner."""
        corner = self._pane_corner if corner is None else corner
        if (title, corner) != (self._pane_title, self._pane_corner):
            self._pane_title, self._pane_corner = title, corner
            self._frame()

    def corner_room(self, title: str) -> int:
        """Count the cells that a corner has beside this title, as wide as the pane is now."""
        return corner_room(self._titled(title), self.outer_size.width)

    def frame_anew(self) -> None:
        """Name the keys of the keymap that is in force now."""
        self._frame()
        self.repaint()

    def _frame(self) -> None:
        corner = self.keyed(self._pane_corner)
        self.border_title = framed_title(self._titled(self._pane_title), corner, self.outer_size.width)

    def _titled(self, title: str) -> str:
        return self.keyed(title) + (f"  {self._pane_note}" if self._pane_note else "")

    def set_foot(self, words: str) -> None:
        """Set words at the right of the bottom border; none leaves it a stroke."""
        if words != (self.border_subtitle or ""):
            self.border_subtitle = words

    def on_resize(self) -> None:
        """Fit the title and the content to the new size."""
        self._frame()
        self._strips.clear()
        self.repaint()

    def on_focus(self) -> None:
        """Show the cursor as active."""
        self.repaint()

    def on_blur(self) -> None:
        """Show the cursor as resting."""
        self.repaint()

    def repaint(self) -> None:
        """Build the lines anew; a subclass says how."""


class TabPane(Pane, can_focus=True):
    """A pane without keys of its own that Tab can reach, so that it is seen where there is no room for it."""
