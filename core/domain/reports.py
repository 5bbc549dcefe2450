"""What a venue reports when it is asked: orders, fills, positions, balances. Answers, not messages."""

from decimal import Decimal

import msgspec

from core.domain.events import FundingPaid, OrderFilled, PositionLiquidated
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueId, VenueOrderId
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderStatus


class OrderReport(msgspec.Struct, frozen=True, array_like=True):
    """One order as the venue holds it; ``client_order_id`` is empty for an order placed elsewhere."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    order: Order
    status: OrderStatus
    filled: Decimal
    average_price: Decimal | None
    ts_exchange: Nanoseconds


class PositionReport(msgspec.Struct, frozen=True, array_like=True):
    """One position as the venue holds it; quantity 0 is an explicit flat."""

    instrument: InstrumentId
    quantity: Decimal
    entry_price: Decimal
    liquidation_price: Decimal | None
    margin: Decimal
    ts_exchange: Nanoseconds


class BalanceReport(msgspec.Struct, frozen=True, array_like=True):
    """One wallet: ``total`` is what is owned before open profit, ``free`` what can be used now."""

    asset: Asset
    total: Decimal
    free: Decimal


class VenueSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Everything a venue knows of us at one moment; ``fills`` since the asked time, oldest first.

    ``positions`` names every instrument that has had a position, flat ones included: a missing report is not "flat".
    """

    venue: VenueId
    ts_exchange: Nanoseconds
    open_orders: tuple[OrderReport, ...]
    fills: tuple[OrderFilled, ...]
    positions: tuple[PositionReport, ...]
    balances: tuple[BalanceReport, ...]
    bookings: tuple[FundingPaid | PositionLiquidated, ...] = ()
    """Funding and forced closes since the asked time, oldest first: wallets move by them without a fill of ours."""
