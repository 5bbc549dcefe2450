"""Place the panes of the trade screen: a plan of columns says where each stands, a layout of Textual's carries it out.

The two built-in layouts and those of a config are the same kind of plan, so that all of them are placed by one rule.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from textual.containers import Container
from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from core.config.layouts import MIN_COLUMN, MIN_ROWS, Place, place_of
from core.config.settings import LayoutSettings

TICKET_ROWS = 22
CLOSED_ROWS = 3


class Column(msgspec.Struct, frozen=True):
    """Panes from the top; `width` in cells, 0 for what the others leave."""

    width: int
    places: tuple[Place, ...]


class Plan(msgspec.Struct, frozen=True):
    """Where each pane of the screen stands; what is not named is hidden until it is shown alone."""

    columns: tuple[Column, ...]

    @property
    def panes(self) -> set[str]:
        """The panes that have a place."""
        return {place.pane for column in self.columns for place in column.places}

    @property
    def size(self) -> tuple[int, int]:
        """The least cells and lines that it needs."""
        width = sum(column.width or MIN_COLUMN for column in self.columns)
        return width, max(sum(place.rows or MIN_ROWS for place in column.places) for column in self.columns)

    def fits(self, width: int, height: int) -> bool:
        """Tell whether a room of `width` by `height` cells is large enough."""
        needed = self.size
        return needed[0] <= width and needed[1] <= height


def _column(width: int, *entries: str) -> Column:
    return Column(width, tuple(place_of(entry) for entry in entries))


NARROW = Plan((_column(34, "watch", "position:8"), _column(0, "ladder", "tape:6")))
NARROW_TICKET = Plan((_column(40, "ladder"), _column(0, "ticket")))
WIDE = Plan(
    (
        _column(48, "watch", "position:9", "alerts:10", "notices:6"),
        _column(0, "candles", "positions:8", "orders:11"),
        _column(54, "ladder", "ticket:22", "tape:9"),
    )
)


def plan_of(settings: LayoutSettings) -> Plan:
    """Read a layout of the config, which has been checked: the middle column takes what is left, or the right one."""
    columns = [
        _column(width, *entries)
        for width, entries in (
            (settings.left_width, settings.left),
            (0, settings.middle),
            (settings.right_width, settings.right),
        )
        if entries
    ]
    if not settings.middle:
        columns[-1] = Column(0, columns[-1].places)
    return Plan(tuple(columns))


def with_ticket(plan: Plan, shown: bool) -> Plan:
    """Give the ticket its room while it is open; closed, it leaves that to its neighbours.

    Where a plan has no place for it, an open one stands below the last column; the narrow plan gives way to another.
    """
    if "ticket" not in plan.panes:
        if not shown or plan is NARROW:
            return NARROW_TICKET if shown else plan
        last = plan.columns[-1]
        return Plan((*plan.columns[:-1], Column(last.width, (*last.places, Place("ticket", TICKET_ROWS)))))
    rows = None if shown else CLOSED_ROWS
    return Plan(
        tuple(
            Column(
                column.width,
                tuple(
                    Place("ticket", rows or place.rows or TICKET_ROWS) if place.pane == "ticket" else place
                    for place in column.places
                ),
            )
            for column in plan.columns
        )
    )


def _shares(room: int, wanted: Sequence[int]) -> list[int]:
    """Share cells: fixed parts first, cut where there is too little, the others in equal parts to the last cell."""
    loose = wanted.count(0)
    fixed = sum(wanted)
    spare = room - loose * MIN_ROWS
    if fixed > spare > 0:
        wanted = [part * spare // fixed for part in wanted]
        fixed = sum(wanted)
    left, given = max(0, room - fixed), []
    for part in wanted:
        if part or not loose:
            given.append(part)
        else:
            given.append(left // loose)
            left, loose = left - given[-1], loose - 1
    if given and sum(given) < room:
        given[given.index(max(given))] += room - sum(given)
    return given


def regions_of(plan: Plan, width: int, height: int) -> Mapping[str, tuple[int, int, int, int]]:
    """Give x, y, width and height of each pane of a plan in a room of `width` by `height` cells."""
    found: dict[str, tuple[int, int, int, int]] = {}
    x = 0
    for column, cells in zip(plan.columns, _shares(width, [column.width for column in plan.columns]), strict=True):
        y = 0
        rows = _shares(height, [place.rows for place in column.places])
        for place, lines in zip(column.places, rows, strict=True):
            found[place.pane] = (x, y, cells, lines)
            y += lines
        x += cells
    return found


class PlanLayout(Layout):
    """Place children by a plan; a single child takes all the room."""

    name = "plan"

    def __init__(self) -> None:
        super().__init__()
        self.plan = NARROW

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        """Give each child its region."""
        regions = regions_of(self.plan, size.width, size.height)
        placements = []
        for order, child in enumerate(children):
            place = (0, 0, size.width, size.height) if len(children) == 1 else regions.get(child.id or "")
            if place is not None:
                placements.append(WidgetPlacement(Region(*place), NULL_OFFSET, Spacing(), child, order))
        return placements


class Desk(Container):
    """A container whose children stand by a plan."""

    def __init__(self, *children: Widget, **options: Any) -> None:
        self._plan_layout = PlanLayout()  # the style sheet cannot name it, so the widget gives it itself
        super().__init__(*children, **options)

    @property
    def layout(self) -> Layout:
        """The layout of the children."""
        return self._plan_layout

    @property
    def plan(self) -> Plan:
        """Where the children stand; those that it does not name are hidden."""
        return self._plan_layout.plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self._plan_layout.plan = plan
        for child in self.children:
            child.set_class(child.id not in plan.panes, "-off")
            child.refresh(layout=True)  # a child's wish makes its container forget where everything stood
