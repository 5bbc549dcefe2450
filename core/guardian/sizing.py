"""Sizes by volatility: a strategy's entry is made smaller where its instrument moves more than the target."""

from decimal import ROUND_DOWN, Decimal

import msgspec

from core.config.settings import GuardianSettings
from core.domain.identifiers import InstrumentId
from core.domain.numbers import exact, plain
from core.domain.order import Order
from core.guardian.limits.base import SECOND_NS, Breach
from core.risk.returns import Returns
from core.state.markets import Market
from core.state.state import State

REALISED = "realised"
_ROUNDING = Decimal("1e-9")
"""A whole number of steps is not lost to the last digit of a division."""
INDEX_AGE_NS = 4 * 86_400 * SECOND_NS
"""A volatility index older than this (a long weekend) says nothing of today."""


class Sizing:
    """Scale entries by ``min(1, target / volatility)``; nothing where no target is set.

    Volatility is the underlying's own (annualised, ``core.risk.returns``) or an index in percent. Sizes are never made
    larger: a quiet market is no reason for more than was asked.
    """

    def __init__(self, settings: GuardianSettings, returns: Returns) -> None:
        self._target, self._source, self._returns = settings.volatility_target_frac, settings.volatility_source, returns
        self.on = self._target > 0.0

    def volatility(self, state: State, market: Market) -> float | None:
        """Return the yearly volatility that sizes go by, or None where it is not known."""
        if self._source == REALISED:
            return self._returns.volatility.get(market.instrument.base)
        index = state.markets.get(InstrumentId(self._source))
        level = (index.last or index.mark) if index is not None else 0.0
        if index is None or not level > 0.0 or state.now - index.ts > INDEX_AGE_NS:
            return None
        return level / 100.0

    def scaled(self, state: State, order: Order, market: Market) -> Decimal | None:
        """Return the quantity that the target allows of an order, rounded down to the step; None if it is not known."""
        volatility = self.volatility(state, market)
        if volatility is None:
            return None
        if volatility <= self._target:
            return order.quantity
        step = market.instrument.size_step
        wanted = order.quantity * Decimal(repr(self._target)) / Decimal(repr(volatility))
        return (wanted / step + _ROUNDING).to_integral_value(ROUND_DOWN) * step

    def size(self, state: State, order: Order, market: Market) -> Order | Breach:
        """Return an entry at the size that the target allows, what was asked beside it, or why it may not pass."""
        quantity = self.scaled(state, order, market)
        target, base = f"{self._target:.0%}", market.instrument.base
        if quantity is None:
            what = f"{base}'s volatility" if self._source == REALISED else f"the volatility index {self._source}"
            text = f"{what} is not known yet, and sizes go by it (target {target}): entries of strategies denied"
            return Breach("volatility_target", "unknown", exact(self._target), text, "volatility_target_frac")
        if quantity == order.quantity:
            return order
        if quantity < market.instrument.min_size or not quantity:
            text = (
                f"the volatility target {target} leaves {plain(quantity)} of {plain(order.quantity)}: too small to send"
            )
            return Breach(
                "volatility_target",
                plain(quantity),
                plain(market.instrument.min_size),
                text,
                "volatility_target_frac",
            )
        asked = {**(order.metadata or {}), "asked_quantity": plain(order.quantity)}
        return msgspec.structs.replace(order, quantity=quantity, metadata=asked)
