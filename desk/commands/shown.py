"""Plain tables for people; programs read the JSON."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.numbers import plain
from core.domain.order import OrderRecord
from core.session.protocol import FillView
from core.session.status import FeedView, PositionView, Status
from core.session.strategies import strategy_words
from core.state.exiting import missing_sentinel
from desk.output import grouped, signed, table, write

SECOND_NS = 1_000_000_000
_WIDE = 120
"""Columns in which tables have room for whole instrument ids."""


def clock(ts: int) -> str:
    """Return a stamp as UTC date and time."""
    return datetime.fromtimestamp(ts // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S")


def show_status(view: Status) -> None:
    """Print the account at a glance."""
    why = f" ({view.state_reason})" if view.state_reason else ""
    partly = "" if view.complete else "  (not everything could be valued)"
    write(f"{view.mode.upper()}  {view.state}{why}  run {view.run}  {clock(view.now)} UTC")
    known = view.judged  # else a day's profit, a drawdown and what is held would be guesses
    day, drawdown = (signed(view.day_pnl), f"{view.drawdown:.2%}") if known else ("–", "–")
    gross, net = (grouped(view.gross), signed(view.net)) if known else ("–", "–")
    about = "" if view.complete else "~"
    write(f"equity {about}{grouped(view.equity)}{partly}  day {day}  drawdown {drawdown}  gross {gross}  net {net}")
    write(f"realised {signed(view.realised_pnl)}  fees {grouped(view.fees)}  funding {signed(view.funding)}")
    write(f"journal {view.journal}  clients {view.clients}")
    write(sentinel_words(view))
    for venue, words in view.venues.items():
        write(f"{venue}: {words}")
    for line in strategy_words(view.strategies, clock):
        write(line)
    if view.configs:
        write(f"promotions: {view.configs}")
    if view.research:
        write(f"studies and the schedule wait: {view.research}")
    if view.loosened:
        write(f"limits loosened by a change of the settings: {', '.join(view.loosened)}")
    if view.held_back:
        write(
            f"looser limits NOT in force: {', '.join(view.held_back)}; say the word with tradedeck loosen, then restart"
        )
    if view.flattening:
        write(f"being closed: {', '.join(view.flattening)}")
    if view.unjournalled:
        write(f"sent without a record yet: {', '.join(view.unjournalled)}")
    if view.positions:
        write()
        show_positions(view.positions)
    if view.orders:
        write()
        show_orders(view.orders)
    if view.feeds:
        write()
        show_feeds(view.feeds)


def sentinel_words(view: Status) -> str:
    """Say in a line how the sentinel stands."""
    told = view.sentinel
    drill = f"; {told.drill}" if told is not None and told.drill else ""
    if told is None or not told.seen:
        held = f" and the lease is held: {told.holds}" if told is not None and told.holds else ""
        return f"sentinel: none runs{held}; nobody closes positions if the engine dies{drill}"
    missing = missing_sentinel(told, view.now)
    if missing:
        held = f"; the lease is held: {told.holds}" if told.holds else ""
        return f"NO SENTINEL: {missing}{held}{drill}"
    how = f"HOLDS THE LEASE, nothing is sent: {told.holds}" if told.holds else "armed" if told.armed else "not armed"
    return f"sentinel ♥{max(view.now - told.seen, 0) / SECOND_NS:.1f}s {how}{drill}"


def named(instruments: Sequence[InstrumentId]) -> list[str]:
    """Return what instruments are called in a table: on a narrow terminal by symbol, where that tells them apart."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
    short_ = [symbol_of(one) for one in instruments]
    return short_ if columns < _WIDE and len(set(short_)) == len(set(instruments)) else list(instruments)


def show_positions(views: Iterable[PositionView]) -> None:
    """Print positions."""
    views = list(views)
    table(
        ("position", "quantity", "entry", "mark", "unrealised", "realised", "fees"),
        (
            (
                name,
                plain(item.quantity),
                plain(short(item.entry_price)),
                plain(item.mark_price),
                signed(item.unrealised_pnl),
                signed(item.realised_pnl),
                grouped(item.fees),
            )
            for name, item in zip(named([item.instrument for item in views]), views, strict=True)
        ),
    )


def show_orders(records: Iterable[OrderRecord]) -> None:
    """Print orders."""
    records = list(records)
    table(
        ("order", "instrument", "side", "type", "status", "quantity", "filled", "price", "trigger"),
        (
            (
                record.order.client_order_id,
                name,
                record.order.side.value,
                record.order.type.value,
                record.status.value,
                plain(record.order.quantity),
                plain(record.filled),
                "-" if record.order.price is None else plain(record.order.price),
                "-" if record.stands_at is None else plain(record.stands_at),
            )
            for name, record in zip(named([one.order.instrument for one in records]), records, strict=True)
        ),
        left=5,
    )


def show_feeds(views: Iterable[FeedView]) -> None:
    """Print feeds."""
    table(
        ("feed", "health", "age ms", "gaps", "clock offset ms"),
        (
            (
                item.instrument,
                item.health,
                "-" if item.age_ms is None else str(item.age_ms),
                str(item.gaps),
                f"{item.clock_offset_ns / 1e6:.1f}",
            )
            for item in views
        ),
        left=2,
    )


def show_fills(views: Iterable[FillView]) -> None:
    """Print fills."""
    table(
        ("time (UTC)", "instrument", "side", "order", "quantity", "price", "fee", "asset", "liquidity"),
        (
            (
                clock(item.ts),
                item.instrument,
                item.side,
                item.client_order_id,
                plain(item.quantity),
                plain(item.price),
                plain(item.fee),
                item.fee_asset,
                item.liquidity,
            )
            for item in views
        ),
        left=4,
    )


def short(price: Decimal) -> Decimal:
    """Return an average price without the digits that only arithmetic made: eight of them, more before the point."""
    exponent, least = price.as_tuple().exponent, min(price.adjusted() - 7, 0)
    return price.quantize(Decimal(1).scaleb(least)) if isinstance(exponent, int) and exponent < least else price


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print the rows of a query; columns of numbers are aligned right."""
    left = next((at for at in range(len(columns)) if rows and isinstance(rows[0][at], int | float)), len(columns))
    table(columns, ([str(cell) for cell in row] for row in rows), left=left)
