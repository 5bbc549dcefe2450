"""Instruments: what a venue lets us trade, with its contract data."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

import msgspec

from core.domain.identifiers import BETS, DERIVATIVES, Asset, InstrumentId, InstrumentType, VenueId, parse_id
from core.domain.message import Nanoseconds

ZERO = Decimal(0)
ONE = Decimal(1)


class MarginBracket(msgspec.Struct, frozen=True, array_like=True):
    """Give one maintenance tier: it holds for ``floor < notional <= cap`` (settle currency).

    ``cum`` makes maintenance continuous at the edges: cum_k = cum_(k-1) + floor_k * (rate_k - rate_(k-1)).
    """

    floor: Decimal
    cap: Decimal
    maintenance_rate: Decimal
    cum: Decimal
    max_leverage: int


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one instrument; sizes in the instrument's own units, prices in the quote asset."""

    id: InstrumentId
    raw_symbol: str
    base: Asset
    quote: Asset
    settle: Asset
    tick_size: Decimal
    size_step: Decimal
    min_size: Decimal
    min_notional: Decimal = ZERO
    max_size: Decimal | None = None
    contract_size: Decimal = ONE
    """Quote currency per contract for inverse derivatives, base units per contract for the others."""
    inverse: bool = False
    maker_fee: Decimal = ZERO
    """Fraction of the notional; negative is a rebate."""
    taker_fee: Decimal = ZERO
    brackets: tuple[MarginBracket, ...] = ()
    funding_interval_ns: Nanoseconds = 0
    liquidation_fee: Decimal = ZERO
    expiry: Nanoseconds | None = None
    strike: Decimal | None = None
    option_type: str = ""
    ccxt_symbol: str = ""
    chain: str = "off-chain"
    chain_id: int | None = None
    base_address: str = ""
    quote_address: str = ""
    pool_address: str = ""
    fee_tier: int | None = None
    factory: str = ""
    event: str = ""
    home: str = ""
    away: str = ""
    selections: tuple[str, ...] = ()
    in_play_delay_s: int = 0
    trading_hours: str = "24/7"

    @property
    def type(self) -> InstrumentType:
        """Return the type that the id names."""
        return parse_id(self.id).type

    @property
    def venue(self) -> VenueId:
        """Return the venue that the id names."""
        return parse_id(self.id).venue

    @property
    def holding(self) -> InstrumentId:
        """Return the id of what is held after a trade: the SPOT_ASSET for a pair, itself for the rest."""
        if self.type is InstrumentType.SPOT_PAIR:
            return InstrumentId(f"{self.venue}:{InstrumentType.SPOT_ASSET.value}:{self.base}")
        return self.id

    @property
    def is_derivative(self) -> bool:
        """Tell whether the position is a contract on margin."""
        return self.type in DERIVATIVES

    @property
    def is_bet(self) -> bool:
        """Tell whether prices are odds and sizes are stakes."""
        return self.type in BETS

    def notional(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Return the value of a quantity, in the settle asset (base for inverse contracts)."""
        if self.inverse:
            return quantity * self.contract_size / price
        return quantity * self.contract_size * price

    def quantise_price(self, price: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
        """Return the nearest price on the tick grid."""
        return quantise(price, self.tick_size, rounding)

    def floor_size(self, quantity: Decimal) -> Decimal:
        """Return the quantity rounded down to the size step."""
        return quantise(quantity, self.size_step, ROUND_FLOOR)

    def ceil_size(self, quantity: Decimal) -> Decimal:
        """Return the quantity rounded up to the size step."""
        return quantise(quantity, self.size_step, ROUND_CEILING)

    @property
    def price_precision(self) -> int:
        """Return the number of decimals of a price."""
        return decimals(self.tick_size)

    @property
    def size_precision(self) -> int:
        """Return the number of decimals of a size."""
        return decimals(self.size_step)


def quantise(value: Decimal, step: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """Return the multiple of ``step`` next to ``value``."""
    return (value / step).to_integral_value(rounding=rounding) * step


def decimals(step: Decimal) -> int:
    """Return the decimals that show every multiple of ``step``."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
