"""The book as risk sees it: what each holding makes when its underlying moves, copied from the state in one go."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from core.domain.identifiers import Asset, VenueId
from core.domain.market import Bar, Interval
from core.domain.message import Nanoseconds
from core.margin import Contract
from core.state.markets import Market
from core.state.rates import STABLE
from core.state.state import State

Account = tuple[VenueId, Asset]
"""What stands behind contracts: one asset at one venue (cross margin)."""
LEAST = 100
"""Returns in common below which nothing is computed: five of them are the worst 5 %."""
INTERVALS = (Interval.H1, Interval.M15, Interval.M1)


class Exposure(msgspec.Struct, frozen=True):
    """One holding: ``value`` is what it makes (reporting currency) when its underlying doubles.

    Exact for linear and inverse contracts alike, as long as a coin's price and its contract's mark move together.
    """

    name: str
    kind: str
    base: Asset
    value: float
    account: Account
    half_spread: float = 0.0
    """Half the spread, as a fraction of the price."""


class Margined(msgspec.Struct, frozen=True):
    """One contract position, as its margin account needs it."""

    base: Asset
    kind: str
    contract: Contract
    quantity: Decimal
    entry: Decimal
    mark: Decimal


class RiskBook(msgspec.Struct, frozen=True):
    """A copy of the book; ``rates`` values each account's asset, ``history`` has each underlying's bars."""

    ts: Nanoseconds
    equity: float
    exposures: tuple[Exposure, ...]
    wallets: dict[Account, Decimal]
    margined: dict[Account, tuple[Margined, ...]]
    rates: dict[Asset, float]
    positions: tuple[tuple[str, Asset, str, float], ...]
    """(instrument, underlying, kind, signed value) of what the guardian's limits count."""
    history: dict[Asset, dict[Interval, list[Bar]]]


def take_book(state: State, now: Nanoseconds) -> RiskBook:
    """Copy what risk is computed from; the arithmetic is done elsewhere, so this is all that the engine waits for."""
    ledger = state.ledger
    exposures, wallets = [], {}
    for venue, wallet in ledger.balances.items():
        for asset, amount in wallet.items():
            wallets[venue, asset] = amount
            if amount and asset != ledger.currency:
                value = float(amount) * ledger.rate(asset)
                spread = _half_spread(_pair_of(state, asset))
                exposures.append(Exposure(asset, _kind(asset), asset, value, (venue, asset), spread))
    margined: dict[Account, list[Margined]] = {}
    positions = []
    for position in ledger.positions.values():
        market = ledger.mark_of(position.instrument)
        if not position.quantity or market is None or market.mark <= 0.0:
            continue
        base, kind = market.instrument.base, market.kind.value
        positions.append((str(position.instrument), base, kind, ledger.notional(position)))
        if market.instrument.id != position.instrument:
            continue  # what is owned outright is in its wallet
        account = (market.venue, position.settle)
        mark, entry = Decimal(repr(market.mark)), position.entry_price
        if position.inverse:
            units = float(position.quantity * position.contract_size)
            value = units * ledger.rate(position.settle) / float(entry) if entry > 0 else 0.0
        else:
            value = float(position.quantity * position.contract_size) * market.mark * ledger.rate(position.settle)
        exposures.append(Exposure(str(position.instrument), kind, base, value, account, _half_spread(market)))
        contract = Contract(market.instrument.brackets, position.contract_size, position.inverse)
        margined.setdefault(account, []).append(Margined(base, kind, contract, position.quantity, entry, mark))
    bases = {one.base for one in exposures if one.kind != "STABLE"}
    return RiskBook(
        now,
        ledger.equity,
        tuple(exposures),
        wallets,
        {account: tuple(found) for account, found in margined.items()},
        {asset: ledger.rate(asset) for _, asset in wallets},
        tuple(positions),
        _history(state, bases),
    )


def _history(state: State, bases: set[Asset]) -> dict[Asset, dict[Interval, list[Bar]]]:
    """Return each underlying's bars, of the market that has most of them; the shorter ones only where hours are few."""
    markets: dict[Asset, list[Market]] = {base: [] for base in bases}
    for market in state.markets.values():
        if market.instrument.base in markets:
            markets[market.instrument.base].append(market)
    longest = {base: _most(found, Interval.H1) for base, found in markets.items()}
    enough = all(len(bars) > LEAST for bars in longest.values())
    return {
        base: {
            interval: list((longest[base] if interval is Interval.H1 else _most(found, interval)).values())
            for interval in (INTERVALS[:1] if enough else INTERVALS)
        }
        for base, found in markets.items()
    }


def _most(markets: Sequence[Market], interval: Interval) -> dict[Nanoseconds, Bar]:
    return max((market.bars[interval] for market in markets), key=len, default={})


def _pair_of(state: State, asset: Asset) -> Market | None:
    return next((market for market in state.markets.values() if market.instrument.base == asset), None)


def _half_spread(market: Market | None) -> float:
    if market is None or not 0.0 < market.bid < market.ask:
        return 0.0
    return (market.ask - market.bid) / (market.ask + market.bid)


def _kind(asset: Asset) -> str:
    return "STABLE" if asset in STABLE else "SPOT_ASSET"
