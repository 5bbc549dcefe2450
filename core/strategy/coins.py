"""What a strategy may buy and sell outright: by the wallet's free money, and the free coins that are there."""

from decimal import Decimal

from core.domain.instrument import ONE, ZERO
from core.state.markets import Market
from core.state.outright import free_of, there
from core.state.state import State


def payable(state: State, market: Market) -> Decimal:
    """Return how many coins the free quote money of the venue's wallet buys at the offer, the fee paid with it."""
    instrument, price = market.instrument, market.ask or market.last or market.mark
    if not price:
        return ZERO
    paid = Decimal(repr(price)) * (ONE + instrument.taker_fee)
    return instrument.floor_size(free_of(state, market.venue, instrument.quote) / paid)


def sellable(state: State, market: Market, own: Decimal) -> Decimal:
    """Return how many of an account's ``own`` coins may be sold now: no venue keeps a sale from taking others'.

    Where a difference stands they are what both our record and the venue have; what other orders hold is not free.
    """
    most = state.differences.both(market, there(state, market))
    return max(min(own, most, free_of(state, market.venue, market.instrument.base)), ZERO)
