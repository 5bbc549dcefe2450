"""The orders screen: what works now, what was, and the life of the chosen order as the journal tells it."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from msgspec.structs import replace
from textual.app import ComposeResult

from core.domain.identifiers import InstrumentId
from core.domain.order import OrderRecord, OrderStatus
from core.errors import ClientError
from core.session import protocol as p
from tui import views
from tui.feed import ORDERS, Dirty, Feed
from tui.format import age, clock, fit, number
from tui.grid import Cell, Column, Grid, Row
from tui.lines import Pane
from tui.records import kind_of, text_of
from tui.screens.base import DeckScreen


def _in_history(column: Column) -> Column:
    """Give a column of the working orders the room that it has in the history: 80 cells hold the id and every state."""
    if column.key == "id":
        return replace(column, width=column.width - 1)
    return replace(column, drop=3) if column.key in ("filled", "price") else column


PAST_COLUMNS = (
    Column("time", "ended", 8),
    *(_in_history(column) for column in views.ORDER_COLUMNS[:-3]),
    Column("average", "average", 9, best=12, align="decimal", drop=1),
    Column("state", "state", 9, best=10),
    Column("reason", "why", 10, flex=1, drop=3),
)
_BAD = (OrderStatus.DENIED, OrderStatus.REJECTED)


def past_row(record: OrderRecord, state: Any, *, local: bool) -> Row:
    """Build the row of an order that is over."""
    market = state.markets.get(record.order.instrument)
    live = views.order_row(record, market, state.brackets, record.updated)
    prices = market.instrument.price_precision if market else 2
    style = "warn" if record.status in _BAD else "ok" if record.status is OrderStatus.FILLED else ""
    return Row(
        record.order.client_order_id,
        (
            Cell(clock(record.updated, local=local), "", record.updated),
            *live.cells[:-3],
            number(record.average_price, prices) if record.average_price is not None else "–",
            Cell(record.status.value, style),
            Cell(record.reason, "dim"),
        ),
    )


class OrdersScreen(DeckScreen):
    """Show the blotter, its history, and one order's life."""

    CSS_PATH = "orders.tcss"
    AUTO_FOCUS = "#open"
    NAME = "orders"
    TAB_ORDER = ("open", "past")
    SCOPES: ClassVar[dict[str, str]] = {}

    def __init__(self, feed: Feed, **options: Any) -> None:
        super().__init__(feed, **options)
        self._life_of = ""
        self._life: tuple[p.RecordView, ...] = ()

    def body(self) -> ComposeResult:
        """Place the lists below each other, the life of an order under them."""
        self.open = Grid(views.ORDER_COLUMNS, "orders", "{cancel} cancel", empty="no open orders", id="open")
        self.past = Grid(
            PAST_COLUMNS, "history", "{grid.filter} filter · {grid.sort} sort", empty="no order is over yet", id="past"
        )
        self.life = Pane("life of an order", "", id="life")
        yield self.open
        yield self.past
        yield self.life

    @property
    def _chosen(self) -> OrderRecord | None:
        grid = self.past if self.focused is self.past else self.open
        return self.feed.state.blotter.orders.get(grid.cursor or "")  # type: ignore[call-overload,no-any-return]

    @property
    def _told(self) -> OrderRecord | None:
        """The order whose life is told: the chosen one; where none is open, the one under the history's cursor."""
        past = self.past.cursor if self.open.cursor is None else None
        return self._chosen or self.feed.state.blotter.orders.get(past or "")  # type: ignore[call-overload]

    @property
    def instrument(self) -> InstrumentId | None:
        """The instrument of the chosen order."""
        chosen = self._chosen
        return None if chosen is None else chosen.order.instrument

    def chosen_orders(self) -> Sequence[OrderRecord]:
        """Give the order under the cursor, when it is open."""
        chosen = self._chosen
        return [chosen] if chosen is not None and chosen.is_open else []

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed."""
        if not (slow or ORDERS in dirty.topics):
            return
        state = self.feed.state
        newest = sorted(state.blotter.open.values(), key=lambda record: -record.created)
        self.open.set_rows(
            views.order_row(record, state.markets.get(record.order.instrument), state.brackets, now)
            for record in newest
        )
        over = [record for record in state.blotter.orders.values() if not record.is_open]
        over.sort(key=lambda record: -record.updated)
        self.past.set_rows(past_row(record, state, local=self.local_time) for record in over)
        self.open.set_title(f"orders  {len(newest)} open" if newest else "orders")
        self.past.set_title(f"history  {len(over)} kept, older ones stand in the journal ({{screen.journal}})")
        if ORDERS in dirty.topics or dirty.everything:
            self._life_of = ""
        self._draw_life()

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Show the life of the order under the cursor."""
        if event.grid.has_focus:
            self._draw_life()

    def on_descendant_focus(self) -> None:
        """Show the life of the order under the cursor of the list that now has the focus."""
        self._draw_life()

    def _draw_life(self) -> None:
        chosen = self._told
        id_ = "" if chosen is None else chosen.order.client_order_id
        if id_ and id_ != self._life_of:
            self._life_of = id_
            _ = self.run_worker(partial(self._ask_life, id_), group="life")
        if chosen is None:
            self.life.show([((" no order is chosen", "dim"),)])
            self.life.set_title("life of an order")
            return
        width, height = self.life.content_size
        self.life.set_title(f"life of {id_}")
        began = self._life[-1].event.ts if self._life else 0
        lines = []
        for record in reversed(self._life):
            event = record.event
            after = age((event.ts - began) / 1e9) if event.ts != began else ""
            words = f"{clock(event.ts, local=self.local_time)}  {after:>6}  {kind_of(event):<18}  {text_of(event)}"
            lines.append(((fit(f" {words}", width), ""),))
        self.life.show(lines[-height:] if height > 0 else [])

    async def _ask_life(self, id_: str) -> None:
        try:
            found = await self.feed.ask(p.AskRecords(0, 50, id_))
        except ClientError as error:
            self.life.set_title(f"life of {id_}: {error}")
            return
        if id_ == self._life_of:
            self._life = found.records
            self._draw_life()

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        """Show the instrument of the chosen order in depth."""
        if self.instrument is not None:
            self.post_message(self.InDepth(self.instrument))
