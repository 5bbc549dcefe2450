"""The trade screen: watchlist, ladder, candles, positions, orders, ticket, tape, in the layout that one likes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from core.config.settings import LayoutSettings
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.market import Interval
from core.domain.order import OrderRecord
from core.state.markets import KEPT_BARS, Market
from tui import views
from tui.actions import bindings
from tui.feed import BARS_WANTED, ORDERS, Dirty, Feed
from tui.grid import Grid
from tui.lines import Pane, TabPane
from tui.memory import Memory
from tui.notices import notice_lines
from tui.placing import NARROW, NARROW_TICKET, WIDE, Desk, plan_of, with_ticket
from tui.screens.watching import Watching
from tui.trading import orders_at
from tui.widgets.alerts import AlertGrid
from tui.widgets.candles import Candles
from tui.widgets.draft import Context
from tui.widgets.ladder import Ladder
from tui.widgets.tape import Tape
from tui.widgets.ticket import Ticket

INTERVALS = tuple(Interval)
CANDLE_KEYS = "{candles.interval} interval · {candles.in} {candles.out} zoom · {candles.back} {candles.forward} scroll"
BARS = 3
"""Lines of header and hints around the panes."""


def wanted_of(memory: Memory) -> tuple[InstrumentId | None, Interval]:
    """Read instrument and interval off what is remembered."""
    known = {interval.value: interval for interval in Interval}
    return InstrumentId(memory.instrument) if memory.instrument else None, known.get(memory.interval, Interval.M15)


class TradeScreen(Watching):
    """Show one instrument in depth and all of them at a glance."""

    CSS_PATH = "trade.tcss"
    AUTO_FOCUS = "#ladder"
    NAME = "trade"
    TAB_ORDER = ("watch", "ladder", "candles", "positions", "orders", "alerts", "notices", "ticket", "tape")
    OWN_SCOPE = "trade"
    BINDINGS: ClassVar[list[BindingType]] = bindings("trade")
    SCOPES: ClassVar[Mapping[str, str]] = {
        "watch": "lists",
        "ladder": "ladder",
        "candles": "candles",
        "ticket": "ticket",
        "alerts": "alerts",
    }

    def __init__(self, feed: Feed, **options: Any) -> None:
        super().__init__(feed, **options)
        self._instrument: InstrumentId | None = None
        self.wanted: InstrumentId | None = None
        """The instrument to begin with, once the engine has named it."""
        self.interval = Interval.M15
        self._painted: dict[InstrumentId, int] = {}
        self.layouts: Mapping[str, LayoutSettings] = {}
        """The layouts of the config."""
        self.position = Pane("position", "{flatten} flatten", id="position")
        self.alerts = AlertGrid(short=True, id="alerts")
        self.notices = TabPane("events", "", id="notices")
        self.candles = Candles(id="candles", corner=CANDLE_KEYS)
        self.positions = Grid(views.POSITION_COLUMNS, "positions", "{flatten} flatten", empty="flat", id="positions")
        self.orders = Grid(views.ORDER_COLUMNS, "orders", "{cancel} cancel", empty="no open orders", id="orders")
        self.ladder = Ladder(id="ladder")
        self.ticket = Ticket(id="ticket")
        self.ticket.look = self._look
        self.tape = Tape(id="tape")
        panes = (self.watch_list, self.position, self.alerts, self.notices, self.candles, self.positions, self.orders,
                 self.ladder, self.ticket, self.tape)  # fmt: skip
        self._desk = Desk(*panes, id="desk")

    def body(self) -> ComposeResult:
        """Place the panes; the plan of the layout says where each stands."""
        yield self._desk

    # -- layout ----------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Choose the plan for the size and the wanted layout."""
        super().on_resize()
        self._place()

    def _place(self) -> None:
        """Place the panes; a layout that the terminal is too small for waits until it is large enough."""
        room, shown, own = self.app.size, self.ticket.open, self.layouts.get(self._wanted_layout)
        plan = WIDE if self.is_wide() else NARROW
        if own is not None and plan_of(own).fits(room.width, room.height - BARS):
            plan = plan_of(own)
        elif own is not None:
            width, height = plan_of(own).size
            words = f"layout {self._wanted_layout} needs {width}×{height + BARS}, the terminal has"
            self.hints.say(f"{words} {room.width}×{room.height}: another is shown", "warn")
        plan = with_ticket(plan, shown)
        if shown and not plan.fits(room.width, room.height - BARS):
            plan = NARROW_TICKET
        self._desk.plan = plan

    # -- choices ---------------------------------------------------------------------------------------------

    @property
    def instrument(self) -> InstrumentId | None:
        """The instrument in depth."""
        return self._instrument

    @property
    def market(self) -> Market | None:
        """What is known of the instrument in depth."""
        return None if self._instrument is None else self.feed.state.markets.get(self._instrument)

    def choose(self, instrument: InstrumentId) -> None:
        """Show another instrument in depth."""
        if instrument == self._instrument or instrument not in self.feed.state.markets:
            return
        self._instrument = instrument
        self.feed.watch((instrument,))
        self.watch_list.move_to(instrument)
        self.candles.back = 0
        self.refresh_from(Dirty())

    def next_interval(self) -> None:
        """Show the next bar length."""
        self.interval = INTERVALS[(INTERVALS.index(self.interval) + 1) % len(INTERVALS)]
        self.candles.back = 0
        self.refresh_from(Dirty())

    def set_zone(self, local: bool) -> None:
        """Show times in UTC or in the local zone."""
        self.candles.local_time = self.tape.local_time = local
        super().set_zone(local)

    def price_age(self, instrument: InstrumentId, now: int) -> float | None:
        """Give the age in seconds of the price that stands on the screen; None if none does."""
        seen = self._painted.get(instrument)
        return None if not seen else (now - seen) / 1e9

    # -- panes -----------------------------------------------------------------------------------------------

    def panes(self) -> list[str]:
        """List the panes that Tab may go to: the ticket only while it is open."""
        return [name for name in self.TAB_ORDER if name != "ticket" or self.ticket.open]

    def _look(self) -> Context:
        """Give the ticket prices, equity and time as the picture has them."""
        state, instrument = self.feed.state, self.ticket.instrument
        market = state.markets.get(instrument.id) if instrument is not None else None
        if market is None or instrument is None:
            return Context(equity=state.equity, currency=state.currency, now=state.now)
        rate = state.ledger.rate
        quoted, settled = rate(instrument.quote), rate(instrument.settle)
        return Context(market.bid, market.ask, state.equity, quoted, settled, state.currency, state.now)

    def show_ticket(self, shown: bool) -> None:
        """Make room for the ticket, or give it back."""
        self._place()
        if shown:
            self.zoom(None)
            self.ticket.focus()
        elif self.focused is self.ticket:
            self.ladder.focus()

    def step_back(self) -> bool:
        """Close what is open: an order picked up in the ladder, or a zoom."""
        return self.ladder.let_go() or super().step_back()

    def fits(self, pane: Pane) -> bool:
        """Tell whether a pane has a place beside the others."""
        return pane.id in self._desk.plan.panes

    def chosen_orders(self) -> Sequence[OrderRecord]:
        """List the orders that a key would act on: at the ladder's cursor, or under the list's."""
        state = self.feed.state
        if self.focused is self.ladder and self._instrument is not None:
            return orders_at(state, self._instrument, self.ladder.own_prices)
        found = state.blotter.open.get(self.orders.cursor or "")  # type: ignore[call-overload]
        return [found] if found is not None else []

    def copied(self) -> str:
        """Give the price at the ladder's cursor, or what the focused pane shows."""
        if self.focused is self.ladder and self.ladder.cursor_price is not None:
            return str(self.ladder.cursor_price)
        return super().copied()

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Show the instrument under the cursor of the watchlist or of the positions in depth."""
        grid = event.grid
        if event.key != grid.cursor:  # it has moved on meanwhile
            return
        watched = grid is self.watch_list and event.by_hand  # an edit elsewhere must not change what is in depth
        if event.key is not None and (watched or (grid is self.positions and grid.has_focus)):
            self.choose(InstrumentId(event.key))

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        """Show the instrument of a row in depth, where the cursor came to it without a key."""
        if event.key is not None and event.grid in (self.watch_list, self.positions):
            self.choose(InstrumentId(event.key))

    def on_candles_interval_wanted(self) -> None:
        """Show the next bar length."""
        self.next_interval()

    # -- frames ----------------------------------------------------------------------------------------------

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed."""
        if self._instrument is None and self.feed.state.markets:
            known = self.feed.state.markets
            first = views.in_order(known)[0].instrument.id
            self.draw_watch(dirty, now, True)  # the cursor can only stand on a row that is there
            self.choose(self.wanted if self.wanted is not None and self.wanted in known else first)
            return
        self.draw_watch(dirty, now, slow)
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

    def _draw_depth(self, market: Market, now: int) -> None:
        instrument = market.instrument
        view = views.ladder_view(self.feed.state, market, now)
        self.ladder.set_title(f"ladder {'~' if view.stale else ' '}{symbol_of(instrument.id)}")
        self.ladder.set_view(view, instrument.id)
        self.tape.set_prints(views.prints_of(market), instrument.price_precision, instrument.size_precision)
        self._painted[instrument.id] = market.ts

    def _draw_candles(self, market: Market) -> None:
        wanted = max(BARS_WANTED, min(KEPT_BARS[self.interval], -(-self.candles.reach // 250) * 250))
        self.feed.want_bars(market.instrument.id, self.interval, wanted)
        self.candles.set_title(f"{symbol_of(market.instrument.id)}  {self.interval.value}")
        if self.candles.content_size.width > 0:
            self.candles.set_chart(views.chart_of(self.feed.state, market, self.interval, self.feed.fills))

    def _draw_account(self, now: int) -> None:
        state = self.feed.state
        if self._instrument is not None:
            width, height = self.position.content_size
            self.position.show(views.position_detail(state, self._instrument, width)[:height])
        held = views.open_positions(state)
        self.positions.set_rows(views.position_row(state, position, market, now) for position, market in held)
        newest = sorted(state.blotter.open.values(), key=lambda record: -record.created)
        self.orders.set_rows(
            views.order_row(record, state.markets.get(record.order.instrument), state.brackets, now)
            for record in newest
        )
        self.alerts.set_alerts(state, local=self.local_time)
        width, height = self.notices.content_size
        if width > 0 and height > 0:
            self.notices.show(notice_lines(self.feed.events, width, height, local=self.local_time))
