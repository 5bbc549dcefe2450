"""Margin arithmetic for linear and inverse contracts: tiers, liquidation and bankruptcy price, funding.

Linear: size in base units, money in the quote asset. Inverse: size in contracts of ``contract_size`` quote units, money
in the base asset, where everything is linear in ``1 / price``. ``side`` is +1 for long and -1 for short, sizes are
positive.
Source: Binance, "How to Calculate Liquidation Price of USDS-M Futures Contracts".
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from core.domain.instrument import ONE, ZERO, MarginBracket

NO_TIERS = (MarginBracket(ZERO, Decimal("Infinity"), ZERO, ZERO, 1_000_000),)
"""Stands in for an instrument without brackets: liquidated when the wallet is gone."""


class Contract(msgspec.Struct, frozen=True):
    """Give what margin needs to know of an instrument."""

    brackets: Sequence[MarginBracket]
    contract_size: Decimal = ONE
    inverse: bool = False


class Backing(msgspec.Struct, frozen=True):
    """Give what stands behind a position, in the settle asset.

    Cross: the wallet, and the maintenance and open profit of all *other* positions. Isolated: its own wallet alone.
    """

    wallet: Decimal
    other_maintenance: Decimal = ZERO
    other_profit: Decimal = ZERO


def rebuild_cums(tiers: Sequence[tuple[Decimal, Decimal]]) -> list[Decimal]:
    """Return the cum of each (floor, maintenance rate): cum_k = cum_(k-1) + floor_k * (rate_k - rate_(k-1))."""
    cums, cum, before = [], ZERO, ZERO
    for floor, rate in tiers:
        cum += floor * (rate - before)
        cums.append(cum)
        before = rate
    return cums


def notional(contract: Contract, size: Decimal, price: Decimal) -> Decimal:
    """Return the value of a position in the settle asset."""
    units = size * contract.contract_size
    return units / price if contract.inverse else units * price


def tier_of(brackets: Sequence[MarginBracket], value: Decimal) -> MarginBracket:
    """Return the tier with ``floor < value <= cap``; above the last cap the last tier."""
    for tier in brackets:
        if value <= tier.cap:
            return tier
    return brackets[-1] if brackets else NO_TIERS[0]


def maintenance(brackets: Sequence[MarginBracket], value: Decimal) -> Decimal:
    """Return the maintenance margin of a notional: ``value * rate - cum``."""
    tier = tier_of(brackets, value)
    return value * tier.maintenance_rate - tier.cum


def profit(contract: Contract, side: int, size: Decimal, entry: Decimal, price: Decimal) -> Decimal:
    """Return the open profit in the settle asset."""
    units = side * size * contract.contract_size
    return units * (ONE / entry - ONE / price) if contract.inverse else units * (price - entry)


def liquidation_in_tier(
    contract: Contract, side: int, size: Decimal, entry: Decimal, backing: Backing, tier: MarginBracket
) -> Decimal | None:
    """Return where the margin balance meets maintenance if ``tier`` held there; None where that is nowhere.

    Linear: ``(WB - TMM + UPNL + cum - s*q*EP) / (q*mmr - s*q)``.
    """
    units = size * contract.contract_size
    rate = tier.maintenance_rate
    free = backing.wallet - backing.other_maintenance + backing.other_profit + tier.cum
    if not units or rate == side:
        return None
    if contract.inverse:
        reciprocal = (free + side * units / entry) / (units * (rate + side))
        return ONE / reciprocal if reciprocal > 0 else None
    price = (free - side * units * entry) / (units * (rate - side))
    return price if price > 0 else None


def liquidation_price(contract: Contract, side: int, size: Decimal, entry: Decimal, backing: Backing) -> Decimal | None:
    """Return the mark price that liquidates, by the tier at that price; None where there is none.

    Margin balance less maintenance is continuous and monotone in the price: at most one tier fits its own price.
    """
    tiers = contract.brackets or NO_TIERS
    for tier in tiers:
        price = liquidation_in_tier(contract, side, size, entry, backing, tier)
        if price is None:
            continue
        value = notional(contract, size, price)
        if value > tier.floor and (value <= tier.cap or tier is tiers[-1]):
            return price
    return None


def bankruptcy_price(
    contract: Contract, side: int, size: Decimal, entry: Decimal, wallet: Decimal, fee: Decimal = ZERO
) -> Decimal | None:
    """Return the price at which nothing is left after closing at fee fraction ``fee``; None where there is none."""
    units = size * contract.contract_size
    if not units:
        return None
    if contract.inverse:
        reciprocal = (wallet + side * units / entry) / (units * (side + fee))
        return ONE / reciprocal if reciprocal > 0 else None
    price = (units * entry - side * wallet) / (units * (ONE - side * fee))
    return price if price > 0 else None


def funding_payment(contract: Contract, side: int, size: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """Return what a position receives at a stamp: ``-s * notional(mark) * rate``; a positive rate makes longs pay.

    A mark that is not a number gives 0.
    """
    if not mark.is_finite() or not rate.is_finite() or mark <= 0:
        return ZERO
    return -side * notional(contract, size, mark) * rate
