"""The positions screen: what is held and what it earned, every result by instrument, and our last fills."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import ClassVar

from textual.app import ComposeResult

from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.order import OrderRecord
from core.domain.position import Position
from core.session.protocol import FillView
from core.state.markets import Market
from core.state.state import State
from tui import views
from tui.feed import ORDERS, Dirty
from tui.format import age, arrow, clock, gain_class, number, percent, signed
from tui.grid import Cell, Column, Grid, Row
from tui.screens.base import DeckScreen

HELD_COLUMNS = (
    Column("instrument", "instrument", 10, best=14),
    Column("quantity", "quantity", 9, best=12, align="decimal"),
    Column("entry", "entry", 9, best=12, align="decimal", drop=2),
    Column("mark", "mark", 9, best=12, align="decimal", drop=3),
    Column("pnl", "open P&L", 11, best=14, align="right"),
    Column("frac", "P&L %", 7, best=8, align="right", drop=2),
    Column("notional", "notional", 11, best=13, align="right", drop=4),
    Column("share", "% equity", 8, align="right", drop=1),
    Column("stop", "stop", 9, best=12, align="decimal", drop=5),
    Column("target", "target", 9, best=12, align="decimal", drop=6),
    Column("venue", "venue", 12, best=16, drop=7),
    Column("age", "age", 4, align="right", drop=3),
)
RESULT_COLUMNS = (
    Column("instrument", "instrument", 10, best=14),
    Column("realised", "realised", 12, best=14, align="right"),
    Column("open", "open", 12, best=14, align="right", drop=3),
    Column("fees", "fees", 10, best=12, align="right"),
    Column("funding", "funding", 10, best=12, align="right", drop=1),
    Column("net", "net", 12, best=14, align="right"),
)
FILL_COLUMNS = (
    Column("time", "time", 8),
    Column("instrument", "instrument", 10, best=14),
    Column("side", "side", 4),
    Column("quantity", "quantity", 9, best=11, align="decimal"),
    Column("price", "price", 9, best=12, align="decimal"),
    Column("fee", "fee", 7, best=9, align="right", drop=1),
    Column("asset", "in", 4, drop=1),
    Column("order", "order", 9, best=14, drop=2, tail=True),
)


def held_row(state: State, position: Position, market: Market, now: int) -> Row:
    """Build the row of one open position."""
    instrument, profit = market.instrument, views.profit_of(state, position, market)
    notional, gain = abs(state.ledger.notional(position)), views.gain_frac(state, position, market)
    stops, targets = views.protective(state, instrument.id)
    return Row(
        instrument.id,
        (
            symbol_of(instrument.id),
            Cell(signed(position.quantity, instrument.size_precision), "", float(position.quantity)),
            number(position.entry_price, instrument.price_precision),
            number(market.mark, instrument.price_precision),
            Cell(f"{arrow(profit)} {signed(profit)}", gain_class(profit), profit),
            Cell(percent(gain, sign=True), gain_class(profit), gain or 0.0),
            Cell(number(notional), "", notional),
            Cell(percent(notional / state.equity if state.equity > 0 else None, 1), "", notional),
            Cell(number(stops[0][0], instrument.price_precision) if stops else "none", "stop" if stops else "warn"),
            Cell(number(targets[0][0], instrument.price_precision) if targets else "–", "target"),
            instrument.venue,
            age((now - position.opened) / 1e9 if position.opened else None),
        ),
        stale=views.is_stale(market, now),
    )


def result_rows(state: State) -> list[Row]:
    """Build a row for every instrument that was ever held, and one of the sum."""
    rows, total = [], [0.0] * 5
    for position in state.ledger.positions.values():
        if not (position.quantity or position.realised or position.fees or position.other_fees or position.funding):
            continue
        rate, market = state.ledger.rate(position.settle), state.ledger.mark_of(position.instrument)
        paid = state.ledger.rates.fees(position)
        realised, fees, funding = (float(x) * rate for x in (position.realised, paid, position.funding))
        profit = 0.0 if market is None or not position.quantity else views.profit_of(state, position, market)
        found = [realised, profit, fees, funding, realised + profit - fees + funding]
        total = [a + b for a, b in zip(total, found, strict=True)]
        rows.append(_result_row(position.instrument, symbol_of(position.instrument), found))
    if len(rows) > 1:
        rows.append(_result_row("total", "total", total, "strong"))
    return rows


def _result_row(key: str, name: str, values: Sequence[float], style: str = "") -> Row:
    realised, profit, fees, funding, net = values
    return Row(
        key,
        (
            name,
            Cell(signed(realised), gain_class(realised), realised),
            Cell(signed(profit), gain_class(profit), profit),
            Cell(number(fees), "", fees),
            Cell(signed(funding), gain_class(funding), funding),
            Cell(f"{arrow(net)} {signed(net)}", gain_class(net), net),
        ),
        style,
    )


def fill_rows(state: State, fills: Iterable[FillView], *, local: bool) -> list[Row]:
    """Build the rows of our fills, the newest first."""
    return [_fill_row(state, fill, local) for fill in reversed(list(fills))]


def _fill_row(state: State, fill: FillView, local: bool) -> Row:
    market = state.markets.get(fill.instrument)
    prices = market.instrument.price_precision if market else 2
    sizes = market.instrument.size_precision if market else 3
    return Row(
        f"{fill.instrument} {fill.fill_id}",
        (
            Cell(clock(fill.ts, local=local), "", fill.ts),
            symbol_of(fill.instrument),
            Cell(fill.side, "bid" if fill.side == "BUY" else "ask"),
            number(fill.quantity, sizes),
            number(fill.price, prices),
            Cell(number(fill.fee, 4), "", float(fill.fee)),
            Cell(fill.fee_asset, "dim"),
            fill.client_order_id,
        ),
    )


class PositionsScreen(DeckScreen):
    """Show what is held, what it earned, and how it came about."""

    CSS_PATH = "positions.tcss"
    AUTO_FOCUS = "#held"
    NAME = "positions"
    TAB_ORDER = ("held", "results", "fills")
    SCOPES: ClassVar[dict[str, str]] = {}

    def body(self) -> ComposeResult:
        """Place the three lists below each other."""
        self.held = Grid(HELD_COLUMNS, "positions", "{flatten} flatten", empty="flat: nothing is held", id="held")
        self.results = Grid(RESULT_COLUMNS, "results", "", empty="nothing was traded yet", id="results")
        self.fills = Grid(
            FILL_COLUMNS,
            "fills",
            "{grid.sort} sort · {grid.filter} filter",
            empty="no fills in the last day",
            id="fills",
        )
        yield self.held
        yield self.results
        yield self.fills

    @property
    def instrument(self) -> InstrumentId | None:
        """The instrument under the cursor of the positions."""
        key = self.held.cursor
        return None if key is None else InstrumentId(key)

    def chosen_orders(self) -> Sequence[OrderRecord]:
        """List the open orders of the chosen instrument."""
        instrument = self.instrument
        return [] if instrument is None else self.feed.state.blotter.of(instrument)

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed."""
        if not (slow or ORDERS in dirty.topics):
            return
        state = self.feed.state
        held = views.open_positions(state)
        self.held.set_rows(held_row(state, position, market, now) for position, market in held)
        gross = sum(Decimal(repr(abs(state.ledger.notional(position)))) for position, _ in held)
        share = f"  gross {percent(float(gross) / state.equity, 1)}" if held and state.equity > 0 else ""
        self.held.set_title(f"positions  {len(held)} open{share}" if held else "positions")
        self.results.set_rows(result_rows(state))
        self.results.set_title(f"results  in {state.currency}")
        self.fills.set_rows(fill_rows(state, self.feed.fills, local=self.local_time))

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        """Show the chosen instrument in depth."""
        if event.grid is self.held and event.key is not None:
            self.post_message(self.InDepth(InstrumentId(event.key)))
