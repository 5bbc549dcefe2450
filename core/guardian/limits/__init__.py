"""The limits, one small class each (docs/guide/guardian.md); the gate asks them in the order of ``Guardian.limits``."""

from core.guardian.limits.base import Breach, Limit, Rule, number
from core.guardian.limits.concentration import EffectiveBets
from core.guardian.limits.flow import AmendRate, Duplicates, OpenOrders, OrderRate
from core.guardian.limits.orders import OrderNotional, OrderQuantity, Owned, PriceCollar, ReduceOnly, Supported
from core.guardian.limits.standing import ClockOffset, Stale, StoresReady, Terms, TradingStateLimit, Valued, VenueReady

__all__ = [
    "AmendRate",
    "Breach",
    "ClockOffset",
    "Duplicates",
    "EffectiveBets",
    "Limit",
    "OpenOrders",
    "OrderNotional",
    "OrderQuantity",
    "OrderRate",
    "Owned",
    "PriceCollar",
    "ReduceOnly",
    "Rule",
    "Stale",
    "StoresReady",
    "Supported",
    "Terms",
    "TradingStateLimit",
    "Valued",
    "VenueReady",
    "number",
]
