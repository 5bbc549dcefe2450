"""What an order would cost and lead to, and what every limit says of it: asked before anything is sent. Pure."""

from decimal import Decimal

import msgspec

from core import margin
from core.domain.instrument import ZERO, Instrument
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderType
from core.domain.position import Position
from core.guardian.backing import backing_of
from core.guardian.guardian import Guardian
from core.guardian.proposal import Proposal, marketable, unit_value
from core.margin import Contract
from core.session.protocol import PreviewView
from core.session.views import money
from core.state.markets import Market
from core.state.state import State

USUAL_LEVERAGE = 20
"""What a venue's account is taken to be set to, where its tier allows it."""


def preview(state: State, guardian: Guardian, order: Order, now: Nanoseconds) -> PreviewView:
    """Return what an order would cost and lead to, every limit before and after it, and why it would be refused."""
    refusals = tuple(guardian.words(breach) for breach in guardian.breaches(state, order, now))
    market = state.markets.get(order.instrument)
    quantity = order.quantity
    if market is None or not quantity.is_finite() or not ZERO < quantity < Decimal("1e18"):
        return PreviewView(None, None, None, None, None, None, refusals)
    proposal = Proposal(state, order, market, now)
    instrument, equity = market.instrument, proposal.equity
    maker = order.post_only or (order.type is OrderType.LIMIT and not marketable(order, market))
    rate = instrument.maker_fee if maker else instrument.taker_fee
    after = proposal.position + (quantity if order.side.sign > 0 else -quantity)
    frac = abs(float(after)) * proposal.unit / equity if equity > 0 else None
    risk = _risk(state, order, market, proposal.price)
    cost = proposal.quantity * unit_value(state, market, proposal.price)
    return PreviewView(
        money(cost),
        money(cost * float(rate)),
        money(cost / _leverage(instrument)),
        after,
        frac,
        proposal.gross / equity if equity > 0 else None,
        refusals,
        maker=maker,
        leverage=frac if instrument.is_derivative else None,
        liquidation=_liquidation(state, order, market, proposal.price, rate),
        risk=money(risk) if risk is not None else None,
        risk_frac=risk / equity if risk is not None and equity > 0 else None,
        equity=money(equity),
        limits=tuple(guardian.changes(state, order, market, now)),
        scaled=_scaled(state, guardian, order, proposal),
    )


def _scaled(state: State, guardian: Guardian, order: Order, proposal: Proposal) -> Decimal | None:
    """Return the size that the volatility target would give an entry, where that is another; a hand's keeps its own."""
    if not guardian.sizing.on or proposal.reduces:
        return None
    scaled = guardian.sizing.scaled(state, order, proposal.market)
    return None if scaled == order.quantity else scaled


def _leverage(instrument: Instrument) -> int:
    if not instrument.is_derivative:
        return 1
    return min(max((bracket.max_leverage for bracket in instrument.brackets), default=1), USUAL_LEVERAGE)


def _risk(state: State, order: Order, market: Market, entry: float) -> float | None:
    """Return what is lost when the attached stop closes the order at its price (reporting currency, no fees)."""
    stop = order.stop_loss
    if stop is None or not stop.price.is_finite() or stop.price <= ZERO or entry <= 0.0:
        return None
    instrument, quantity = market.instrument, float(order.quantity)
    if instrument.inverse:
        lost = abs(1.0 / entry - 1.0 / float(stop.price)) * market.contract_size
        return quantity * lost * state.ledger.rate(instrument.settle)
    return quantity * abs(unit_value(state, market, entry) - unit_value(state, market, float(stop.price)))


def _liquidation(state: State, order: Order, market: Market, price: float, rate: Decimal) -> Decimal | None:
    """Return the mark price that would liquidate the position after the order, the venue's wallet behind all of it.

    None for what is owned outright, for a position that ends flat, and where no price would.
    """
    instrument = market.instrument
    if not instrument.is_derivative or price <= 0.0:
        return None
    held = state.ledger.positions.get(market.holding)
    after = msgspec.structs.replace(held) if held is not None else Position.of(instrument)
    entry = Decimal(repr(price))
    earned = after.apply_fill(order.side, order.quantity, entry, 0) - rate * instrument.notional(order.quantity, entry)
    if not after.quantity:
        return None
    wallet = state.ledger.balances.get(market.venue, {}).get(instrument.settle, ZERO) + earned
    contract = Contract(instrument.brackets, instrument.contract_size, instrument.inverse)
    side, backing = (1 if after.quantity > 0 else -1), backing_of(state, market, wallet)
    found = margin.liquidation_price(contract, side, abs(after.quantity), after.entry_price, backing)
    return instrument.quantise_price(found) if found is not None else None
