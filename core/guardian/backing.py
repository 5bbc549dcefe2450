"""What stands behind a position: the venue's wallet, and its other positions (cross margin)."""

from decimal import Decimal

from core import margin
from core.domain.instrument import ZERO
from core.margin import Backing
from core.state.markets import Market
from core.state.state import State


def backing_of(state: State, market: Market, wallet: Decimal) -> Backing:
    """Return what stands behind a position when the venue's wallet stands behind all of that asset (cross margin)."""
    needed, profit = ZERO, ZERO
    for position in state.ledger.positions.values():
        other = state.markets.get(position.instrument)
        if other is None or other is market or other.venue != market.venue or not position.quantity:
            continue
        if position.settle != market.instrument.settle or other.mark <= 0.0:
            continue
        mark = Decimal(repr(other.mark))
        profit += position.unrealised(mark)
        needed += margin.maintenance(other.instrument.brackets, abs(other.instrument.notional(position.quantity, mark)))
    return Backing(wallet, needed, profit)
