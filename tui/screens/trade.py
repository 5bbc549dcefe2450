"""The trade screen: watchlist, ladder, candles, positions, orders, ticket, tape, in two layouts."""

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget

from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.market import Interval
from core.domain.order import OrderRecord
from core.markets import Market
from tui import views
from tui.actions import Kind, ready_actions, shown_key
from tui.feed import ORDERS, Dirty, Feed
from tui.grid import Grid
from tui.lines import Pane
from tui.notices import notice_lines
from tui.trading import orders_at
from tui.widgets.candles import Candles
from tui.widgets.header import Header, Hints, Standing
from tui.widgets.ladder import Ladder
from tui.widgets.tape import Tape
from tui.widgets.ticket import Ticket

WIDE = (140, 36)
INTERVALS = tuple(Interval)
TAB_ORDER = ("watch", "ladder", "candles", "positions", "orders", "ticket", "tape")
SCOPES = {"watch": "grid", "positions": "grid", "orders": "grid", "ladder": "ladder", "candles": "candles"}
SLOW_S = 0.5
"""How often what needs no haste is drawn: header, candles, ages."""


class TradeScreen(Screen[None]):
    """Show one instrument in depth and all of them at a glance."""

    CSS_PATH = "trade.tcss"
    AUTO_FOCUS = "#ladder"
    COMPONENTS: ClassVar[tuple[str, ...]] = TAB_ORDER

    def __init__(
        self,
        feed: Feed,
        *,
        layout: str = "auto",
        local_time: bool = False,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__()
        self._wall = wall
        self._feed = feed
        self._wanted_layout = layout
        self._instrument: InstrumentId | None = None
        self._interval = Interval.M15
        self._slow_at = 0.0
        self._painted: dict[InstrumentId, int] = {}
        self._zoomed_by_tab = False
        self.local_time = local_time
        self.watch_list = Grid(views.WATCH_COLUMNS, "watch", "i find", empty="no instruments yet", id="watch")
        self.position = Pane("position", "f flatten", id="position")
        self.notices = Pane("events", "", id="notices")
        self.candles = Candles(id="candles", corner="z zoom")
        self.positions = Grid(views.POSITION_COLUMNS, "positions", "f flatten", empty="flat", id="positions")
        self.orders = Grid(views.ORDER_COLUMNS, "orders", "c cancel", empty="no open orders", id="orders")
        self.ladder = Ladder(id="ladder")
        self.ticket = Ticket(id="ticket")
        self.tape = Tape(id="tape")
        self.header, self.hints = Header(id="header"), Hints(id="hints")

    def compose(self) -> ComposeResult:
        """Place the panes; the style sheet says how large each is in which layout."""
        yield self.header
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self.watch_list
                yield self.position
                yield self.notices
            with Vertical(id="middle"):
                yield self.candles
                yield self.positions
                yield self.orders
            with Vertical(id="right"):
                yield self.ladder
                yield self.ticket
                yield self.tape
        yield self.hints

    def on_mount(self) -> None:
        """Choose the layout before the first frame."""
        self.on_resize()
        self.set_zone(self.local_time)

    def on_resize(self) -> None:
        """Choose the layout for the new size."""
        width, height = self.app.size
        wide = self._wanted_layout == "wide" or (
            self._wanted_layout == "auto" and width >= WIDE[0] and height >= WIDE[1]
        )
        self.set_class(wide, "-wide")
        self.set_class(not wide, "-narrow")

    # -- choices ---------------------------------------------------------------------------------------------

    @property
    def instrument(self) -> InstrumentId | None:
        """The instrument in depth."""
        return self._instrument

    @property
    def market(self) -> Market | None:
        """What is known of the instrument in depth."""
        return None if self._instrument is None else self._feed.state.markets.get(self._instrument)

    def choose(self, instrument: InstrumentId) -> None:
        """Show another instrument in depth."""
        if instrument == self._instrument:
            return
        self._instrument = instrument
        self._feed.watch((instrument,))
        self.watch_list.move_to(instrument)
        self.candles.back = 0
        self.refresh_from(Dirty())

    def next_interval(self) -> None:
        """Show the next bar length."""
        self._interval = INTERVALS[(INTERVALS.index(self._interval) + 1) % len(INTERVALS)]
        self.candles.back = 0
        self.refresh_from(Dirty())

    def set_zone(self, local: bool) -> None:
        """Show times in UTC or in the local zone."""
        self.local_time = self.candles.local_time = self.tape.local_time = local
        self.refresh_from(Dirty())

    def price_age(self, instrument: InstrumentId, now: int) -> float | None:
        """Give the age in seconds of the price that stands on the screen; None if none does."""
        seen = self._painted.get(instrument)
        return None if not seen else (now - seen) / 1e9

    # -- panes -----------------------------------------------------------------------------------------------

    @property
    def scopes(self) -> tuple[str, ...]:
        """The places whose keys work now, the focused pane first."""
        focused = self.focused.id if self.focused is not None else None
        own = "ticket" if focused == "ticket" else SCOPES.get(focused or "")
        return (own, "app") if own else ("app",)

    def show_ticket(self, shown: bool) -> None:
        """Make room for the ticket, or give it back."""
        self.set_class(shown, "-ticket")
        if shown:
            self._zoom(None)
            self.ticket.focus()
        elif self.focused is self.ticket:
            self.ladder.focus()

    def toggle_zoom(self) -> None:
        """Show the focused pane alone, or all of them again."""
        zoomed = self.has_class("-zoom")
        self._zoom(None if zoomed or self.focused is None else self.focused)
        self._zoomed_by_tab = False

    def _zoom(self, pane: Widget | None) -> None:
        for widget in self.query(".-zoomed, .-holds-zoom"):
            widget.remove_class("-zoomed", "-holds-zoom")
        self.set_class(pane is not None, "-zoom")
        if pane is not None and isinstance(pane.parent, Widget):
            pane.add_class("-zoomed")
            pane.parent.add_class("-holds-zoom")

    def leave_zoom(self) -> bool:
        """Show all panes again; tell whether one stood alone."""
        zoomed = self.has_class("-zoom")
        self._zoom(None)
        return zoomed

    def next_pane(self, steps: int) -> None:
        """Go to the next pane; one that has no room is shown alone."""
        names = [name for name in TAB_ORDER if name != "ticket" or self.ticket.open]
        here = self.focused.id if self.focused is not None else None
        place = names.index(here) if here in names else -steps
        target = self.query_one(f"#{names[(place + steps) % len(names)]}", Pane)
        if self.has_class("-zoom"):
            self._zoom(None if self._zoomed_by_tab else target)
        if self.has_class("-narrow") and not self.has_class("-zoom") and not self._fits(target):
            self._zoom(target)
            self._zoomed_by_tab = True
        elif not self.has_class("-zoom"):
            self._zoomed_by_tab = False
        target.focus()

    def _fits(self, pane: Pane) -> bool:
        if self.has_class("-ticket"):
            return pane.id in ("ladder", "ticket")
        return pane.id in ("watch", "ladder", "tape")

    def chosen_orders(self) -> Sequence[OrderRecord]:
        """List the orders that a key would act on: at the ladder's cursor, or under the list's."""
        state = self._feed.state
        if self.focused is self.ladder and self._instrument is not None:
            return orders_at(state, self._instrument, self.ladder.own_prices)
        found = state.blotter.open.get(self.orders.cursor or "")  # type: ignore[call-overload]
        return [found] if found is not None else []

    def copied(self) -> str:
        """Give the text that a copy of the focused pane means."""
        focused = self.focused
        if isinstance(focused, Grid):
            row = next((row for row in focused.rows if row.key == focused.cursor), None)
            return "" if row is None else "  ".join(row.text(i) for i in range(len(row.cells)))
        if focused is self.ladder and self.ladder.cursor_price is not None:
            return str(self.ladder.cursor_price)
        return focused.text if isinstance(focused, Pane) else ""

    # -- frames ----------------------------------------------------------------------------------------------

    def show_standing(self, standing: Standing, kinds: Sequence[Kind] = tuple(Kind)) -> None:
        """Draw the header, and hints at keys of these kinds."""
        self.header.set_standing(standing)
        offered = [action for action in ready_actions() if action.kind in kinds]
        here = [action for action in offered if action.scope == self.scopes[0] and action.scope != "app"]
        always = sorted((action for action in offered if action.footer), key=lambda action: action.footer)
        self.hints.set_hints(tuple((shown_key(action.keys[0]), action.label) for action in (*always, *here)))

    def refresh_from(self, dirty: Dirty) -> None:
        """Draw what changed."""
        if not self.is_mounted:
            return
        now, slow = self._wall(), time.monotonic() - self._slow_at >= SLOW_S
        if slow:
            self._slow_at = time.monotonic()
        if self._instrument is None and self._feed.state.markets:
            self.choose(views.in_order(self._feed.state.markets)[0].instrument.id)
            return
        self._draw_watch(dirty, now, slow)
        orders = dirty.everything or ORDERS in dirty.topics
        market = self.market
        if market is not None:
            id_ = market.instrument.id
            if orders or slow or id_ in dirty.books or id_ in dirty.quotes:
                self._draw_depth(market, now)
            if dirty.everything or id_ in dirty.bars or slow:
                self._draw_candles(market)
        if orders or slow:
            self._draw_account(now)

    def _draw_watch(self, dirty: Dirty, now: int, slow: bool) -> None:
        markets = self._feed.state.markets
        if dirty.everything or slow:
            self.watch_list.set_rows(views.watch_row(market, now) for market in views.in_order(markets))
            for id_ in markets:
                self._feed.want_bars(id_, Interval.M15, 120)
        elif dirty.quotes:
            self.watch_list.update_rows(views.watch_row(markets[id_], now) for id_ in dirty.quotes if id_ in markets)

    def _draw_depth(self, market: Market, now: int) -> None:
        instrument = market.instrument
        self.ladder.set_title(f"ladder  {symbol_of(instrument.id)}")
        self.ladder.set_view(views.ladder_view(self._feed.state, market, now), instrument.id)
        self.tape.set_prints(views.prints_of(market), instrument.price_precision, instrument.size_precision)
        self._painted[instrument.id] = market.ts

    def _draw_candles(self, market: Market) -> None:
        self._feed.want_bars(market.instrument.id, self._interval)
        self.candles.set_title(f"{symbol_of(market.instrument.id)}  {self._interval.value}")
        if self.candles.content_size.width > 0:
            self.candles.set_chart(views.chart_of(self._feed.state, market, self._interval, self._feed.fills))

    def _draw_account(self, now: int) -> None:
        state = self._feed.state
        if self._instrument is not None:
            width, height = self.position.content_size
            self.position.show(views.position_detail(state, self._instrument, width)[:height])
        held = views.open_positions(state)
        self.positions.set_rows(views.position_row(state, position, market, now) for position, market in held)
        newest = sorted(state.blotter.open.values(), key=lambda record: -record.created)
        self.orders.set_rows(
            views.order_row(record, state.markets.get(record.order.instrument), now) for record in newest
        )
        width, height = self.notices.content_size
        if width > 0 and height > 0:
            self.notices.show(notice_lines(self._feed.events, width, height, local=self.local_time))
