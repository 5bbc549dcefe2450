"""What is owned outright (spot): what a fill moves, what of a wallet is free, what cannot be sold."""

from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.configs import DustLeft
from core.domain.events import OrderFilled
from core.domain.identifiers import Asset, InstrumentType, VenueId, holding_of
from core.domain.instrument import ZERO, Instrument
from core.domain.order import OrderRecord, Side

if TYPE_CHECKING:
    from core.state.markets import Market
    from core.state.state import State

SPOT_PAIR = InstrumentType.SPOT_PAIR


def is_outright(instrument: Instrument) -> bool:
    """Tell whether what is bought is owned, in the wallet, and cannot be sold short."""
    return instrument.type is SPOT_PAIR


def moved(fill: OrderFilled, instrument: Instrument) -> Decimal:
    """Return by how much a fill changes what is held (unsigned): a fee in coins comes off what arrives."""
    if fill.fee_asset != instrument.base or not is_outright(instrument):
        return fill.quantity
    return fill.quantity - fill.fee if fill.side is Side.BUY else fill.quantity + fill.fee


def is_dust(instrument: Instrument, quantity: Decimal, price: float) -> bool:
    """Tell whether no order can sell it: less than a lot, or worth less than the venue's least order at a price."""
    lots = instrument.floor_size(abs(quantity))
    if lots < instrument.min_size:
        return True
    return price > 0.0 and lots * Decimal(repr(price)) < instrument.min_notional


def is_unsellable(market: "Market", quantity: Decimal) -> bool:
    """Tell whether no exit could close so much (of either sign): less than a lot, or coins worth less than an order.

    An exit of a contract is reduce-only, which venues take however little it is worth. Coins count at the dearest price
    known: a false one must not make dust of a holding.
    """
    instrument = market.instrument
    if market.kind is not SPOT_PAIR:
        return instrument.floor_size(abs(quantity)) < instrument.min_size
    return is_dust(instrument, quantity, max(market.bid, market.mark, market.last))


def least_order(market: "Market", collar: float) -> Decimal:
    """Return the least quantity that an exit surely closes: coins at a limit a collar below the cheapest price."""
    instrument = market.instrument
    least = instrument.ceil_size(instrument.min_size)
    known = [price for price in (market.bid, market.mark, market.last) if price > 0.0]
    limit = Decimal(repr(min(known) * (1.0 - collar))) if known and market.kind is SPOT_PAIR else ZERO
    return max(least, instrument.ceil_size(instrument.min_notional / limit)) if limit > ZERO else least


def there(state: "State", market: "Market") -> Decimal:
    """Return what a market's account has: its position, or where it is owned outright the wallet's coins."""
    if market.kind is SPOT_PAIR:
        return state.ledger.balances.get(market.venue, {}).get(market.instrument.base, ZERO)
    return state.ledger.position_of(market).quantity


def owned(state: "State", market: "Market", position: Decimal) -> Decimal:
    """Return what of a position in coins is there to be sold: no more than the wallet has, and never a debt.

    A sale may be told before the purchase; what the venue holds more or less than our record counts.
    """
    return max(min(position, there(state, market) + state.differences.gap(market)), ZERO)


def orders_of(state: "State", market: "Market") -> list[OrderRecord]:
    """Return the open orders of a market's holding, oldest first: where it is owned outright, of every pair of it."""
    if market.kind is not SPOT_PAIR:
        return state.blotter.of(market.instrument.id)
    return [one for one in state.blotter.open.values() if holding_of(one.order.instrument) == market.holding]


def book(state: "State", market: "Market", fill: OrderFilled, record: OrderRecord | None) -> None:
    """Have strategies' accounts take a fill; any pair may have taken coins, and none holds more than the wallet."""
    state.configs.filled(fill, record, market.instrument, there(state, market))
    if market.kind is not SPOT_PAIR:
        return
    for id_ in state.configs.accounts:
        other = state.markets.get(id_)
        if other is not None and other.venue == market.venue and other.kind is SPOT_PAIR:
            state.configs.held(other.instrument, there(state, other), fill.ts)


def fit_brackets(state: "State", filled: "Market") -> None:
    """Let no bracket hold more than there is, behind a fill: coins may have gone over another pair, or paid for others.

    A wallet below nothing has not been told all of what came: until it is, what is protected there is not known.
    """
    for id_ in tuple(state.brackets.by_instrument):
        market = state.markets.get(id_)
        if market is None or market.venue != filled.venue:
            continue
        if there(state, market) >= ZERO if market.kind is SPOT_PAIR else market.holding == filled.holding:
            state.brackets.held(market.holding, state.ledger.position_of(market).quantity)


def give_up(state: "State", event: DustLeft) -> None:
    """Take coins that cannot be sold out of a strategy's account, and protect them no more."""
    account = state.configs.accounts.get(event.instrument)
    if account is not None and account.entry:
        state.brackets.drop(account.entry)
    state.configs.dust(event)


def free_of(state: "State", venue: VenueId, asset: Asset) -> Decimal:
    """Return what of a venue's wallet no open spot order, ours or anybody's, has set aside."""
    free = state.ledger.balances.get(venue, {}).get(asset, ZERO)
    for record in state.blotter.open.values():
        order, market = record.order, state.markets.get(record.order.instrument)
        if market is None or market.venue != venue or not is_outright(market.instrument):
            continue
        if order.side is Side.SELL and market.instrument.base == asset:
            free -= record.may_fill
        elif order.side is Side.BUY and market.instrument.quote == asset:
            free -= record.may_fill * (order.price or order.trigger or Decimal(repr(market.ask or market.mark)))
    return max(free, ZERO)
