"""Turn the replica into rows and lines: pure functions from state to what stands on the screen."""

from collections.abc import Iterable
from decimal import Decimal

from core.domain import market as m
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.order import OrderRecord, OrderStatus, OrderType
from core.domain.position import Position
from core.session.protocol import FillView
from core.state.brackets import Brackets
from core.state.markets import Market, Markets
from core.state.state import State
from tui.format import age, arrow, fit, gain_class, number, percent, signed
from tui.grid import Cell, Column, Row
from tui.lines import Line
from tui.widgets.candle_chart import Candle, Chart, FillMark, Mark
from tui.widgets.depth import LadderView
from tui.widgets.sparkline import sparkline
from tui.widgets.tape import Print

STALE_NS = 1_000_000_000
SPARK_WIDTH = 9

WATCH_COLUMNS = (
    Column("instrument", "instrument", 10),
    Column("last", "last", 9, best=13, align="decimal"),
    Column("day", "day %", 7, align="right", drop=1),
    Column("spark", "spark", SPARK_WIDTH, drop=2),
)
POSITION_COLUMNS = (
    Column("instrument", "instrument", 10, best=12),
    Column("quantity", "quantity", 9, best=11, align="decimal"),
    Column("entry", "entry", 9, best=12, align="decimal", drop=2),
    Column("mark", "mark", 9, best=12, align="decimal", drop=3),
    Column("pnl", "P&L", 11, best=12, align="right"),
    Column("stop", "stop", 9, best=11, align="decimal", drop=3),
    Column("target", "target", 9, best=11, align="decimal", drop=4),
    Column("share", "% equity", 8, align="right", drop=5),
    Column("age", "age", 4, align="right", drop=6),
)
ORDER_COLUMNS = (
    Column("id", "id", 9, best=11, drop=3, tail=True),
    Column("instrument", "instrument", 10, best=11),
    Column("side", "side", 4),
    Column("type", "type", 6, best=11, drop=1),
    Column("quantity", "quantity", 8, best=10, align="decimal"),
    Column("filled", "filled", 7, best=10, align="decimal", drop=2),
    Column("price", "price", 9, best=12, align="decimal"),
    Column("state", "state", 8, best=16, drop=1),
    Column("venue", "venue", 12, best=15, drop=5),
    Column("age", "age", 4, align="right", drop=4),
)


STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)
SHORT_TYPES = {OrderType.STOP_LIMIT: "STOP L", OrderType.TRAILING_STOP: "TRAIL", OrderType.TAKE_PROFIT: "TAKE P"}
"""How types are written in a column: cut to its width, two of them would read like others."""


def in_order(markets: Markets) -> list[Market]:
    """List the markets as they are shown: derivatives first, otherwise in the engine's order."""
    return sorted(markets.values(), key=lambda market: not market.instrument.is_derivative)


def is_stale(market: Market, now: int) -> bool:
    """Tell whether what is known of a market is older than a second or not to be trusted."""
    seen = market.age(now)
    return seen is None or seen > STALE_NS or market.health in (m.Health.DOWN, m.Health.STALE, m.Health.GAP)


def price_of(market: Market) -> float | None:
    """Give the price to show: the last trade, or the mark before one was seen."""
    return market.last or market.mark or None


def day_change(market: Market) -> float | None:
    """Give the change over the last 24 hours, as a fraction."""
    price = price_of(market)
    return price / market.day_open - 1 if price and market.day_open else None


def watch_row(market: Market, now: int) -> Row:
    """Build the row of one instrument."""
    price, change = price_of(market), day_change(market)
    text = f"{arrow(change)} {number(None if change is None else change * 100, 2):>5}"
    bars = market.bars[m.Interval.M15]
    closes = [bars[start].close for start in sorted(bars)[-96:]]
    return Row(
        market.instrument.id,
        (
            symbol_of(market.instrument.id),
            Cell(number(price, market.instrument.price_precision), "", price),
            Cell(text, gain_class(change), change),
            Cell(sparkline(closes, SPARK_WIDTH), "dim", closes[-1] / closes[0] - 1 if closes and closes[0] else None),
        ),
        stale=is_stale(market, now),
    )


def open_positions(state: State) -> list[tuple[Position, Market]]:
    """List what is held and marked, the largest first."""
    held = [(p, state.ledger.mark_of(p.instrument)) for p in state.ledger.positions.values() if p.quantity]
    marked = [(p, market) for p, market in held if market is not None]
    return sorted(marked, key=lambda pair: -abs(state.ledger.notional(pair[0])))


def profit_of(state: State, position: Position, market: Market) -> float:
    """Give the open profit in the reporting currency."""
    return state.ledger.unrealised(position, market) * state.ledger.rate(position.settle)


def gain_frac(state: State, position: Position, market: Market) -> float | None:
    """Give the open profit as a part of what the position was worth at its entry; None where that is not known."""
    mark, entry = market.mark, float(position.entry_price)
    if mark <= 0 or entry <= 0:
        return None
    cost = abs(state.ledger.notional(position)) * (mark / entry if position.inverse else entry / mark)
    return profit_of(state, position, market) / cost if cost else None


def profit_to(state: State, position: Position, market: Market, price: Decimal, quantity: Decimal) -> float:
    """Give what a part of a position gains on the way from the mark to a price, in the reporting currency.

    An inverse contract is worth ``quantity × size ÷ price`` of its coin, so that a way down is longer than one up.
    """
    held, goal = abs(position.quantity), float(price)
    if not held or market.mark <= 0 or goal <= 0:
        return 0.0
    worth = abs(state.ledger.notional(position)) * float(quantity / held)
    away = (goal - market.mark) / (goal if position.inverse else market.mark)
    return worth * away * (1 if position.quantity > 0 else -1)


def position_row(state: State, position: Position, market: Market, now: int) -> Row:
    """Build the row of one position."""
    instrument, profit = market.instrument, profit_of(state, position, market)
    share = abs(state.ledger.notional(position)) / state.equity if state.equity > 0 else None
    opened = (now - position.opened) / 1e9 if position.opened else None
    stops, targets = protective(state, instrument.id)
    return Row(
        market.instrument.id,
        (
            symbol_of(instrument.id),
            signed(position.quantity, instrument.size_precision),
            number(position.entry_price, instrument.price_precision),
            number(market.mark, instrument.price_precision),
            Cell(f"{arrow(profit)} {signed(profit)}", gain_class(profit), profit),
            Cell(number(stops[0][0], instrument.price_precision) if stops else "–", "stop"),
            Cell(number(targets[0][0], instrument.price_precision) if targets else "–", "target"),
            percent(share, 1),
            age(opened),
        ),
        stale=is_stale(market, now),
    )


def order_price(record: OrderRecord, brackets: Brackets) -> Decimal | None:
    """Give the price that an order waits at: its limit, its trigger, or how far its bracket's stop has come."""
    order = record.order
    if order.type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        return order.price
    bracket = brackets.find(order.parent) if order.parent and order.type in STOPS else None
    if bracket is not None and bracket.stop is not None:
        return bracket.stop.price  # wherever it trails
    return record.stands_at


def _price_text(record: OrderRecord, brackets: Brackets, decimals: int) -> str:
    price, trail = order_price(record, brackets), record.order.trail
    return f"Δ {number(trail, decimals)}" if price is None and trail is not None else number(price, decimals)


def order_row(record: OrderRecord, market: Market | None, brackets: Brackets, now: int) -> Row:
    """Build the row of one order."""
    order = record.order
    prices = market.instrument.price_precision if market else 2
    sizes = market.instrument.size_precision if market else 3
    style = "warn" if record.status is OrderStatus.UNKNOWN else ""
    return Row(
        order.client_order_id,
        (
            order.client_order_id,
            symbol_of(order.instrument),
            Cell(order.side.value, "bid" if order.side.sign > 0 else "ask"),
            SHORT_TYPES.get(order.type, order.type.value),
            number(order.quantity, sizes),
            number(record.filled, sizes) if record.filled else "0",
            _price_text(record, brackets, prices),
            Cell(record.status.value, style),
            record.venue,
            age((now - record.created) / 1e9),
        ),
    )


def order_words(record: OrderRecord, market: Market | None, brackets: Brackets) -> str:
    """Write an order in one line, as it would be sent or cancelled."""
    order = record.order
    prices = market.instrument.price_precision if market else 2
    sizes = market.instrument.size_precision if market else 3
    price = order_price(record, brackets)
    at = f" at {number(price, prices)}" if price is not None else ""
    if price is None and order.trail is not None:
        at = f" behind by {number(order.trail, prices)}"
    left = f" ({number(record.remaining, sizes)} left)" if record.filled else ""
    flags = "  reduce-only" if order.reduce_only else ""
    return (
        f"{order.client_order_id}  {order.side.value} {number(order.quantity, sizes)} {symbol_of(order.instrument)} "
        f"{order.type.value}{at}{left}{flags}  {record.venue}"
    )


Exit = tuple[Decimal, Decimal]
"""The price of an open order that would close (a part of) the position, and the quantity it would close."""


def protective(state: State, instrument: InstrumentId) -> tuple[list[Exit], list[Exit]]:
    """List what would close the position: stops and targets that are open orders, and targets that the engine keeps."""
    stops: list[Exit] = []
    targets: list[Exit] = []
    for record in state.blotter.of(instrument):
        price = order_price(record, state.brackets)
        if not record.order.reduce_only or price is None:
            continue
        stop = record.order.type is OrderType.STOP_LIMIT or record.order.type in STOPS
        (stops if stop else targets).append((price, record.remaining))
    for one in state.brackets.of(instrument):
        targets += one.waiting()
    return stops, targets


def open_risk(state: State) -> float:
    """Give what is lost if every stop is met at its price, in the reporting currency.

    What no stop protects counts in full: a long position could become worthless, a short one as dear again.
    """
    return sum(risk_of(state, position, market) for position, market in open_positions(state))


def risk_of(state: State, position: Position, market: Market) -> float:
    """Give what one position loses if its stops are met; see `open_risk`."""
    left, risk = abs(position.quantity), 0.0
    unit = abs(state.ledger.notional(position)) / float(left)
    for price, quantity in protective(state, market.instrument.id)[0]:
        part = min(left, quantity)
        risk += max(0.0, -profit_to(state, position, market, price, part))
        left -= part
    return risk + float(left) * unit


def position_detail(state: State, instrument: InstrumentId, width: int) -> list[Line]:
    """Describe the position in one instrument, line by line."""
    market = state.markets.get(instrument)
    position = None if market is None else state.ledger.positions.get(market.instrument.holding)
    if market is None or position is None or not position.quantity:
        return [((fit(f" {symbol_of(instrument)}  flat", width), "dim"),)]
    prices = market.instrument.price_precision
    profit = profit_of(state, position, market)
    share = abs(state.ledger.notional(position)) / state.equity if state.equity > 0 else None
    lines: list[Line] = [
        (
            (f" {symbol_of(instrument):<14}", "strong"),
            (f"{signed(position.quantity, market.instrument.size_precision):>10}", "mine"),
        ),
        ((f"  {'entry':<7}{number(position.entry_price, prices):>13}", ""),),
        (
            (f"  {'P&L':<7}", ""),
            (f"{arrow(profit)} {signed(profit):>11}", gain_class(profit)),
            (f"  {percent(gain_frac(state, position, market), sign=True)}", gain_class(profit)),
        ),
    ]
    stops, targets = protective(state, instrument)
    for label, style, found in (("stop", "stop", stops), ("target", "target", targets)):
        for price, quantity in found[:1]:
            effect = profit_to(state, position, market, price, quantity)
            lines.append(((f"  {label:<7}{number(price, prices):>13}  {signed(effect)}", style),))
    lines.append(((f"  {'size':<7}{percent(share, 1):>13} of equity", ""),))
    return [tuple((fit(text, width) if len(line) == 1 else text, style) for text, style in line) for line in lines]


def ladder_view(state: State, market: Market, now: int) -> LadderView:
    """Give the book of a market with our own orders."""
    bids, asks = market.book.top(200)
    if not bids and market.bid:
        bids = ((market.bid, market.bid_size),)
    if not asks and market.ask:
        asks = ((market.ask, market.ask_size),)
    own: dict[float, float] = {}
    for record in state.blotter.of(market.instrument.id):
        price = order_price(record, state.brackets)
        if price is not None:
            own[float(price)] = own.get(float(price), 0.0) + float(record.remaining) * record.order.side.sign
    instrument = market.instrument
    return LadderView(
        bids, asks, float(instrument.tick_size), own, instrument.price_precision, instrument.size_precision,
        is_stale(market, now),
    )  # fmt: skip


def chart_of(state: State, market: Market, interval: m.Interval, fills: Iterable[FillView]) -> Chart:
    """Give the bars of a market with entry, protective orders, working orders and fills."""
    kept = market.bars[interval]
    bars = [_candle(kept[start]) for start in sorted(kept)]
    instrument = market.instrument
    marks = []
    position = state.ledger.positions.get(instrument.holding)
    if position is not None and position.quantity:
        text = signed(position.quantity, instrument.size_precision)
        marks.append(Mark(float(position.entry_price), text, "entry"))
    stops, targets = protective(state, instrument.id)
    held = position.quantity if position is not None else Decimal(0)
    marks += [Mark(float(price), f"stop{_part(quantity, held)}", "stop") for price, quantity in stops]
    marks += [Mark(float(price), f"target{_part(quantity, held)}", "target") for price, quantity in targets]
    for record in state.blotter.of(instrument.id):
        price = order_price(record, state.brackets)
        if price is not None and not record.order.reduce_only:
            words = f"{record.order.side.value.lower()} {number(record.remaining, instrument.size_precision)}"
            marks.append(Mark(float(price), words, "order"))
    marks += [
        Mark(bound, f"alert {'▲' if above else '▼'}", "alert")
        for bound, above, _ in state.alerts.priced.get(instrument.id, ())
    ]
    ours = tuple(
        FillMark(fill.ts, float(fill.price), fill.side == "BUY") for fill in fills if fill.instrument == instrument.id
    )
    return Chart(bars, interval.ns, tuple(marks), ours, price_of(market), instrument.price_precision)


def _part(quantity: Decimal, held: Decimal) -> str:
    """Write which part of a position an exit closes; nothing for all of it."""
    return "" if not held or quantity >= abs(held) else f" {percent(quantity / abs(held), 0)}"


def _candle(bar: m.Bar) -> Candle:
    return Candle(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.empty)


def prints_of(market: Market) -> list[Print]:
    """List the public trades kept of a market, the oldest first."""
    return [Print(t.ts_exchange, t.price, t.size, t.buyer) for t in market.trades]
