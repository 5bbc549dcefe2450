"""The trade screen: watchlist, ladder, candles, positions, orders, ticket, tape, in two layouts."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.market import Interval
from core.domain.order import OrderRecord
from core.markets import Market
from tui import views
from tui.feed import ORDERS, Dirty, Feed
from tui.grid import Grid
from tui.lines import Pane
from tui.memory import Memory
from tui.notices import notice_lines
from tui.screens.base import DeckScreen
from tui.trading import orders_at
from tui.widgets.alerts import AlertGrid
from tui.widgets.candles import Candles
from tui.widgets.draft import Context
from tui.widgets.ladder import Ladder
from tui.widgets.tape import Tape
from tui.widgets.ticket import Ticket

INTERVALS = tuple(Interval)


def wanted_of(memory: Memory) -> tuple[InstrumentId | None, Interval]:
    """Read instrument and interval off what is remembered."""
    known = {interval.value: interval for interval in Interval}
    return InstrumentId(memory.instrument) if memory.instrument else None, known.get(memory.interval, Interval.M15)


class TradeScreen(DeckScreen):
    """Show one instrument in depth and all of them at a glance."""

    CSS_PATH = "trade.tcss"
    AUTO_FOCUS = "#ladder"
    NAME = "trade"
    TAB_ORDER = ("watch", "ladder", "candles", "positions", "orders", "alerts", "ticket", "tape")
    SCOPES: ClassVar[Mapping[str, str]] = {
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
        self.watch_list = Grid(views.WATCH_COLUMNS, "watch", "i find", empty="no instruments yet", id="watch")
        self.position = Pane("position", "f flatten", id="position")
        self.alerts = AlertGrid(short=True, id="alerts")
        self.notices = Pane("events", "", id="notices")
        self.candles = Candles(id="candles", corner="z zoom")
        self.positions = Grid(views.POSITION_COLUMNS, "positions", "f flatten", empty="flat", id="positions")
        self.orders = Grid(views.ORDER_COLUMNS, "orders", "c cancel", empty="no open orders", id="orders")
        self.ladder = Ladder(id="ladder")
        self.ticket = Ticket(id="ticket")
        self.ticket.look = self._look
        self.tape = Tape(id="tape")

    def body(self) -> ComposeResult:
        """Place the panes; the style sheet says how large each is in which layout."""
        with Horizontal(id="columns"):
            with Vertical(id="left"):
                yield self.watch_list
                yield self.position
                yield self.alerts
                yield self.notices
            with Vertical(id="middle"):
                yield self.candles
                yield self.positions
                yield self.orders
            with Vertical(id="right"):
                yield self.ladder
                yield self.ticket
                yield self.tape

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
        if instrument == self._instrument:
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
        self.set_class(shown, "-ticket")
        if shown:
            self.zoom(None)
            self.ticket.focus()
        elif self.focused is self.ticket:
            self.ladder.focus()

    def step_back(self) -> bool:
        """Close what is open: an order picked up in the ladder, or a zoom."""
        return self.ladder.let_go() or super().step_back()

    def fits(self, pane: Pane) -> bool:
        """Tell whether a pane has room beside the others in the narrow layout."""
        if self.has_class("-ticket"):
            return pane.id in ("ladder", "ticket")
        return pane.id in ("watch", "ladder", "tape")

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
        if event.key is not None and (grid is self.watch_list or (grid is self.positions and grid.has_focus)):
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
            self._draw_watch(dirty, now, True)  # the cursor can only stand on a row that is there
            self.choose(self.wanted if self.wanted is not None and self.wanted in known else first)
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
        markets = self.feed.state.markets
        if dirty.everything or slow:
            self.watch_list.set_rows(views.watch_row(market, now) for market in views.in_order(markets))
            for id_ in markets:
                self.feed.want_bars(id_, Interval.M15, 120)
        elif dirty.quotes:
            self.watch_list.update_rows(views.watch_row(markets[id_], now) for id_ in dirty.quotes if id_ in markets)

    def _draw_depth(self, market: Market, now: int) -> None:
        instrument = market.instrument
        self.ladder.set_title(f"ladder  {symbol_of(instrument.id)}")
        self.ladder.set_view(views.ladder_view(self.feed.state, market, now), instrument.id)
        self.tape.set_prints(views.prints_of(market), instrument.price_precision, instrument.size_precision)
        self._painted[instrument.id] = market.ts

    def _draw_candles(self, market: Market) -> None:
        self.feed.want_bars(market.instrument.id, self.interval)
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
            views.order_row(record, state.markets.get(record.order.instrument), now) for record in newest
        )
        self.alerts.set_alerts(state, local=self.local_time)
        width, height = self.notices.content_size
        if width > 0 and height > 0:
            self.notices.show(notice_lines(self.feed.events, width, height, local=self.local_time))
