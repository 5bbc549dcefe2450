"""Show a book by price, with own orders, depth bars and a cursor that stays at its price."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.actions import bindings
from tui.format import basis_points, fit, number, signed
from tui.lines import Line, Pane
from tui.widgets.depth import AGGREGATION, Depth, LadderView, Step, fold_down, natural_step, to_ticks
from tui.widgets.sparkline import bar

MINE_WIDTH = 8
MAX_BAR = 24


class Ladder(Pane, can_focus=True):
    """A framed price ladder.

    The cursor is a price, not a line. While it follows, the spread stays in the middle and the cursor keeps its price
    as long as that is in view; otherwise the cursor's price keeps its line however the market moves.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("ladder")

    class OrderMove(Message):
        """The reader carried the own orders of one row, which stand at `sources`, to another price."""

        def __init__(self, sources: tuple[float, ...], target: float) -> None:
            super().__init__()
            self.sources = sources
            self.target = target

    class Refused(Message):
        """A key could not do what it says; `words` tell why."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(self, title: str = "ladder", **options: Any) -> None:
        super().__init__(title, "", **options)
        self._view: LadderView | None = None
        self._depth: Depth | None = None
        self._instrument = ""
        self._aggregation = 0
        self._cursor: int | None = None
        self._line = 0
        self._carried: int | None = None
        self._carried_prices: tuple[float, ...] = ()
        self._size_width = 7
        self._chosen = False
        self.following = True

    # -- data ------------------------------------------------------------------------------------------------

    def set_view(self, view: LadderView, instrument: str = "") -> None:
        """Show this book; another instrument starts afresh with the spread in the middle."""
        if instrument != self._instrument:
            self._instrument = instrument
            self._cursor, self._carried, self.following = None, None, True
            self._size_width = 7
            self._chosen = False
        self._view = view
        if not self._chosen and len(view.bids) > 1 and len(view.asks) > 1 and self.content_size.height > 2:
            self._aggregation, self._chosen = natural_step(view, self._room // 2), True
            self._cursor = None
        self._gather()
        self.repaint()

    def _gather(self) -> None:
        view = self._view
        if view is None or not (view.bids or view.asks):
            self._depth = None
            return
        self._depth = Depth(view, AGGREGATION[self._aggregation], self._cursor)
        if self._cursor is None:
            self._cursor = self._depth.best_bid

    @property
    def step(self) -> int:
        """The ticks that one row gathers."""
        return AGGREGATION[self._aggregation]

    @property
    def cursor_price(self) -> float | None:
        """The price under the cursor, on the instrument's tick."""
        if self._cursor is None or self._view is None:
            return None
        return round(self._cursor * self._view.tick, self._view.price_decimals)

    @property
    def own_prices(self) -> tuple[float, ...]:
        """The prices of the own orders in the row under the cursor."""
        if self._depth is None or self._cursor is None:
            return ()
        return self._depth.own_prices.get(self._cursor, ())

    @property
    def carrying(self) -> bool:
        """Tell whether an own order has been picked up."""
        return self._carried is not None

    # -- keys ------------------------------------------------------------------------------------------------

    def action_move(self, steps: int) -> None:
        """Move the cursor by rows, upwards positive; the spread row is skipped."""
        depth = self._depth
        if depth is None or self._cursor is None:
            return
        before = depth.distance_of(self._cursor)
        after = before + steps
        if after == 0 or (after > 0) != (before > 0):
            after += 1 if steps > 0 else -1
            after -= (1 if steps > 0 else -1) if abs(steps) > 1 else 0
            after = after or (1 if steps > 0 else -1)
        target = depth.price_at(after)
        if target is not None and target >= 0:
            self._cursor = target
            self._line -= steps
            self._gather()
            self.repaint()

    def action_page(self, pages: int) -> None:
        """Move the cursor by half the height."""
        self.action_move(pages * max(2, self._room // 2))

    def action_centre(self) -> None:
        """Put the spread in the middle and the cursor on the best bid."""
        if self._depth is not None:
            self._cursor = self._depth.best_bid
            self._line = self._room // 2 + 1
            self.repaint()

    def action_follow(self) -> None:
        """Keep the spread in the middle, or stay at the cursor's price."""
        self.following = not self.following
        self.repaint()

    def action_aggregate(self, steps: int) -> None:
        """Gather more ticks in a row (positive) or fewer."""
        self._aggregation = max(0, min(len(AGGREGATION) - 1, self._aggregation + steps))
        if self._cursor is not None:
            self._cursor = fold_down(self._cursor, self.step)
        self._carried = None
        self._gather()
        self.repaint()

    def action_move_order(self) -> None:
        """Pick up the own order at the cursor, or put the carried one down here."""
        if self._depth is None or self._cursor is None or self._view is None:
            return
        if self._carried is None:
            if self._cursor in self._depth.own:
                self._carried, self._carried_prices = self._cursor, self.own_prices
                self.repaint()
            else:
                self.post_message(self.Refused("no order of yours stands at this price"))
            return
        source, self._carried = self._carried, None
        if source != self._cursor and self.cursor_price is not None:
            self.post_message(self.OrderMove(self._carried_prices, self.cursor_price))
        self.repaint()

    def action_own(self) -> None:
        """Put the cursor on the next own order below it, round from the top, and stay there."""
        if self._depth is None or not self._depth.own:
            self.post_message(self.Refused("no order of yours rests in this instrument"))
            return
        prices = sorted(self._depth.own, reverse=True)
        here = self._cursor
        self._cursor = next((price for price in prices if here is not None and price < here), prices[0])
        self.following, self._line = False, self._room // 2
        self._gather()
        self.repaint()

    def let_go(self) -> bool:
        """Drop a carried order where it was; tell whether there was one."""
        carried, self._carried = self._carried, None
        self.repaint()
        return carried is not None

    def place_cursor(self, price: float) -> None:
        """Put the cursor on a price."""
        if self._view is not None:
            self._cursor = fold_down(to_ticks(price, self._view.tick), self.step)
            self._gather()
            self.repaint()

    # -- painting --------------------------------------------------------------------------------------------

    @property
    def _room(self) -> int:
        return max(1, self.content_size.height - 1)

    def repaint(self) -> None:
        """Lay the rows out for the present size and paint what changed."""
        width, height = self.content_size
        if width <= 0 or height <= 0:
            return
        view, depth = self._view, self._depth
        if view is None or depth is None:
            self.show([((fit(" no book yet", width), "dim"),)])
            return
        step_text = number(self.step * view.tick, view.price_decimals)
        rows = depth.rows(self._spread_line(depth), self._room)
        self.set_title(self._pane_title, self._corner(step_text, rows, depth))
        self._size_width = max(
            [self._size_width] + [len(number(size, view.size_decimals)) for r in rows for size in (r.bid, r.ask)]
        )
        largest = max((max(row.bid, row.ask) for row in rows), default=0.0)
        self.show([self._header(width), *(self._row(row, largest, width) for row in rows)])

    def _corner(self, step_text: str, rows: Sequence[Step], depth: Depth) -> str:
        """Write the step, whether the ladder stands still, and how many own orders lie above and below the view."""
        prices = [row.ticks for row in rows if not row.spread]
        above = sum(price > max(prices) for price in depth.own) if prices else 0
        below = sum(price < min(prices) for price in depth.own) if prices else 0
        words = "".join(f"{arrow}{count} " for arrow, count in (("↑", above), ("↓", below)) if count)
        return f"{'mine ' if words else ''}{words}{step_text}{'' if self.following else ' fixed'}"

    def _spread_line(self, depth: Depth) -> int:
        cursor = depth.best_bid if self._cursor is None else self._cursor
        if self.following:
            middle = self._room // 2
            line = middle - depth.distance_of(cursor)
            if not 0 <= line < self._room:
                self._cursor = depth.price_at(middle - max(0, min(self._room - 1, line)))
                line = max(0, min(self._room - 1, line))
            self._line = line
            return middle
        self._line = max(0, min(self._room - 1, self._line))
        return self._line + depth.distance_of(cursor)

    def _widths(self, width: int) -> tuple[int, int, int]:
        view = self._view
        top = 0 if self._depth is None else self._depth.best_ask
        price = 9 if view is None else len(number((top + 1) * view.tick, view.price_decimals))
        fixed = MINE_WIDTH + 2 * (self._size_width + 1) + price + 2
        return price, max(0, min(MAX_BAR, width - fixed - 1)), fixed

    def _header(self, width: int) -> Line:
        price, _, _ = self._widths(width)
        text = fit("mine", MINE_WIDTH, "right") + fit("bid", self._size_width + 1, "right")
        text += "  " + fit("price", price, "right") + fit("ask", self._size_width + 1, "right")
        return ((fit(text, width), "head"),)

    def _row(self, row: Step, largest: float, width: int) -> Line:
        view = self._view
        assert view is not None
        if row.spread:
            return ((fit(self._spread_text(), width, "centre"), "dim"),)
        price_width, bar_width, fixed = self._widths(width)
        here = row.ticks == self._cursor
        extra = " stale" if view.stale else ""
        focus = " cursor" if here and self.has_focus else ""
        side = "bid" if row.bid else "ask" if row.ask else "dim"
        carried = row.ticks == self._carried
        mine = signed(row.mine, view.size_decimals) if row.mine else ""
        size = max(row.bid, row.ask)
        price = number(row.ticks * view.tick, view.price_decimals)
        return (
            (fit(f"{'↕' if carried else ''}{mine}", MINE_WIDTH, "right"), f"mine{extra}"),
            (self._sized(row.bid), f"bid{extra}"),
            (" ›" if here else "  ", f"strong{extra}{focus}"),
            (fit(price, price_width, "right"), f"{side} strong{extra}{focus}" if here else f"{side}{extra}"),
            (self._sized(row.ask), f"ask{extra}"),
            (" " + fit(bar(size / largest, bar_width) if largest > 0 else "", bar_width), f"{side}{extra}"),
            (" " * max(0, width - fixed - 1 - bar_width), ""),
        )

    def _sized(self, size: float) -> str:
        assert self._view is not None
        return fit(number(size, self._view.size_decimals) if size else "", self._size_width + 1, "right")

    def _spread_text(self) -> str:
        view, depth = self._view, self._depth
        assert view is not None
        assert depth is not None
        if depth.crossed:
            return "─── crossed ───"
        if not view.bids or not view.asks:
            return f"─── no {'asks' if view.bids else 'bids'} ───"
        best_bid, best_ask = view.bids[0][0], view.asks[0][0]
        gap = best_ask - best_bid
        return f"─── spread {number(gap, view.price_decimals)} · {basis_points(gap / best_bid)} ───"
