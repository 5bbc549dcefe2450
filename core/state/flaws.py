"""What is wrong with the numbers that a venue tells: none that cannot be money or a contract reaches a record."""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import msgspec

from core.domain import events as e
from core.domain.instrument import ZERO, Instrument
from core.domain.reports import BalanceReport, OrderReport, PositionReport, VenueSnapshot

T = TypeVar("T")
LARGEST = Decimal("1e18")
"""No quantity, price or sum of money is as large; beside it all else would vanish from the equity, which is a float."""
_OFF = "not applied"


def flaw(fill: e.OrderFilled) -> str:
    """Return what is wrong with a fill's numbers, empty where nothing is."""
    quantity, price = fill.quantity, fill.price
    if not quantity.is_finite() or not ZERO < quantity < LARGEST:
        return f"quantity must be a number greater than 0 and below 10^18 (got {quantity}); {_OFF}"
    if not price.is_finite() or not ZERO < price < LARGEST:
        return f"price must be a number greater than 0 and below 10^18 (got {price}); {_OFF}"
    return _amount("fee", fill.fee)


def booking_flaw(event: e.BalanceSet | e.FundingPaid | e.PositionLiquidated | e.PositionSet) -> str:
    """Return what is wrong with what moves money or a position without a fill, empty where nothing is."""
    if isinstance(event, e.BalanceSet):
        return _amount("total", event.total)
    if isinstance(event, e.FundingPaid):
        return _amount("amount", event.amount)
    if isinstance(event, e.PositionSet):
        return _amount("quantity", event.quantity) or _amount("entry price", event.entry_price)
    return _amount("fee", event.fee) or _amount("quantity", event.quantity) or _amount("price", event.price)


def contract_flaw(instrument: Instrument) -> str:
    """Return what is wrong with contract data, empty where nothing is: sizes are rounded to them."""
    for name in ("tick_size", "size_step", "min_size", "contract_size"):
        value: Decimal = getattr(instrument, name)
        if not value.is_finite() or not ZERO < value < LARGEST:
            return f"{name} must be a number greater than 0 (got {value})"
    most = instrument.max_size
    if most is not None and (most.is_nan() or most <= ZERO):
        return f"max_size must be a number greater than 0 (got {most})"
    for name in ("min_notional", "maker_fee", "taker_fee", "liquidation_fee"):
        wrong = _amount(name, getattr(instrument, name), "")
        if wrong:
            return wrong
    return ""


def without_flaws(snapshot: VenueSnapshot) -> tuple[VenueSnapshot, str]:
    """Return a snapshot without what cannot be money, and what was left out, in words; empty where nothing was."""
    wrong: list[str] = []

    def kept(told: tuple[T, ...], judge: Callable[[T], str]) -> tuple[T, ...]:
        found = [judge(one) for one in told]
        wrong.extend(filter(None, found))
        return tuple(one for one, why in zip(told, found, strict=True) if not why) if any(found) else told

    sane = msgspec.structs.replace(
        snapshot,
        open_orders=kept(snapshot.open_orders, _order),
        fills=kept(snapshot.fills, lambda one: _of(f"fill {one.fill_id}", flaw(one))),
        positions=kept(snapshot.positions, _position),
        balances=kept(snapshot.balances, _wallet),
        bookings=kept(snapshot.bookings, lambda one: _of(f"booking of {one.instrument}", booking_flaw(one))),
    )
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return sane, f"it tells what cannot be, left out here: {wrong[0]}{more}" if wrong else ""


def _order(report: OrderReport) -> str:
    order = report.order
    numbers = (order.quantity, report.filled, order.price or ZERO, order.trigger or ZERO)
    return _of(
        f"order {report.client_order_id or report.venue_order_id}",
        *(_amount("each of its numbers", one) for one in numbers),
    )


def _position(report: PositionReport) -> str:
    numbers = _amount("quantity", report.quantity), _amount("entry price", report.entry_price)
    return _of(f"position of {report.instrument}", *numbers)


def _wallet(report: BalanceReport) -> str:
    return _of(f"wallet of {report.asset}", _amount("total", report.total))


def _of(what: str, *flaws: str) -> str:
    return next((f"{what}: {one.removesuffix(f'; {_OFF}')}" for one in flaws if one), "")


def _amount(name: str, value: Decimal, end: str = f"; {_OFF}") -> str:
    if value.is_finite() and -LARGEST < value < LARGEST:
        return ""
    return f"{name} must be a number within 10^18 of 0 (got {value}){end}"
