"""What a replay is given: a file of orders, configs, days, and what it starts with."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.config.settings import Settings
from core.domain.identifiers import instrument_id
from core.domain.order import Order, OrderType, Side, TimeInForce
from core.domain.studies import Config, ConfigStatus
from core.errors import StoreError, TradedeckError
from desk.output import UsageFault
from desk.paths import Home

NEVER = 1 << 62
SECOND = 1_000_000_000
Span = tuple[int, int]
"""From when to before when, ns."""


class OrderLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a file of orders."""

    ts_ns: int
    action: Literal["submit", "cancel"]
    client_order_id: str
    instrument: str = ""
    side: Side | None = None
    quantity: Decimal | None = None
    type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    stop: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False


def read_orders(path: Path) -> list[OrderLine]:
    """Return the lines of a file of orders.

    Raises:
        UsageFault: naming the line that cannot be read and why.
    """
    try:
        texts = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageFault(f"{path} cannot be read: {error.strerror}") from error
    decoder = msgspec.json.Decoder(OrderLine)
    lines: list[OrderLine] = []
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            line = decoder.decode(text)
            _check(line, lines[-1].ts_ns if lines else 0, {item.client_order_id for item in lines})
        except (msgspec.DecodeError, TradedeckError, UnicodeDecodeError) as error:
            raise UsageFault(f"{path}:{number}: {error}") from error
        lines.append(line)
    return lines


def _check(line: OrderLine, before: int, used: set[str]) -> None:
    if line.ts_ns < before:
        raise UsageFault(f"ts_ns {line.ts_ns} is before the line above ({before}); lines stand in the order of time")
    if line.action == "cancel":
        return
    if line.client_order_id in used:
        raise UsageFault(f'client_order_id "{line.client_order_id}" stands on a line above; each order has its own')
    if line.side is None or line.quantity is None or not line.instrument:
        raise UsageFault("a submit needs instrument, side and quantity")
    if not line.quantity.is_finite() or line.quantity <= 0:
        raise UsageFault(f'quantity must be a number greater than 0 (got "{line.quantity}")')
    instrument_id(line.instrument)


def order_of(line: OrderLine) -> Order:
    """Return the order of a line; its name stands in ``operation_id``."""
    assert line.side is not None
    assert line.quantity is not None
    return Order(
        instrument_id(line.instrument),
        line.side,
        line.quantity,
        line.type,
        line.price,
        line.stop,
        time_in_force=line.tif,
        post_only=line.post_only,
        reduce_only=line.reduce_only,
        operation_id=line.client_order_id,
    )


def start_equity(text: str) -> Decimal | None:
    """Return what was asked for with ``--equity``, or None.

    Raises:
        UsageFault: when it is not a number.
    """
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        raise UsageFault(f'--equity must be a number greater than 0 (got "{text}")') from None


def read_config(path: Path) -> Config:
    """Return the config of a file, as ``tradedeck configs show --json`` prints it; one that is history runs as well.

    Raises:
        UsageFault: naming what cannot be read.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        for name in ("promoted_at", "data_from", "data_to"):
            found.setdefault(name, found.pop(f"{name}_ns", 0))
        return msgspec.structs.replace(msgspec.convert(found, Config), status=ConfigStatus.ACTIVE)
    except OSError as error:
        raise UsageFault(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageFault(f"{path} is no config as `tradedeck configs show --json` prints it: {error}") from error


def span_of(days: str) -> Span:
    """Return what was asked for with ``--days``: from one day to another, both played whole (UTC); empty is all.

    Raises:
        UsageFault: when it is no such text, or nothing lies between them.
    """
    if not days:
        return 0, NEVER
    first, dots, last = days.partition("..")
    try:
        if not dots:
            raise ValueError(days)
        begin = datetime.strptime(first, "%Y-%m-%d").replace(tzinfo=UTC) if first else None
        end = datetime.strptime(last, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1) if last else None
    except ValueError:
        raise UsageFault(f'--days must be such as 2024-01-01..2024-03-31, or one side of it (got "{days}")') from None
    span = (
        0 if begin is None else int(begin.timestamp()) * SECOND,
        NEVER if end is None else int(end.timestamp()) * SECOND,
    )
    if span[0] >= span[1]:
        raise UsageFault(f"--days {days}: its end is before its beginning")
    return span


def promoted(home: Home, settings: Settings) -> list[Config]:
    """Return the configs of a home that strategies run by.

    Raises:
        UsageFault: there is none.
        StoreError: they cannot be read.
    """
    from desk.research import configs

    found = list[Config]()
    if configs.in_use(home, settings):
        with configs.opened(home, settings) as store:
            newest = store.newest()
        if newest.damaged:
            raise StoreError("; ".join(newest.damaged))
        found = [one for one in newest.configs if one.status is ConfigStatus.ACTIVE]
    if not found:
        raise UsageFault("no config is promoted in this home: tradedeck promote STUDY")
    return found
