"""What an asset is worth in the reporting currency, and which market says so."""

from decimal import Decimal

from core.domain.identifiers import Asset, InstrumentType
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.position import Position
from core.state.mark import STALE_NS
from core.state.markets import Market, Markets

STABLE = frozenset({"USDT", "USDC", "USD", "FDUSD"})
"""Assets taken at 1:1 with the reporting currency while no pair quotes them (the reporting currency is one of them)."""


class Rates:
    """Choose the market that values each asset; what has had a rate keeps its last one."""

    def __init__(self, markets: Markets, currency: Asset) -> None:
        self.currency = currency
        self.sources: dict[Asset, Market] = {}
        self._markets = markets

    def rate(self, asset: Asset) -> float:
        """Return the price of an asset in the reporting currency; 0 where nothing marks it yet."""
        if asset == self.currency:
            return 1.0
        market = self.sources.get(asset) or self._find(asset)
        if market is not None and market.mark > 0:
            return market.mark
        return 1.0 if asset in STABLE and self.currency in STABLE else 0.0

    def choose(self, now: Nanoseconds) -> None:
        """Value what a silent market has valued so far by another one that lives; without one its last rate stays."""
        for asset, source in self.sources.items():
            if source.quiet(now) > STALE_NS:
                alive = [market for market in self._markets_of(asset) if market.quiet(now) <= STALE_NS]
                if alive:
                    self.sources[asset] = alive[0]

    def fees(self, position: Position) -> Decimal:
        """Return all fees of a position in its settle asset; those in what has no rate count as nothing."""
        settle = self.rate(position.settle) if position.other_fees else 0.0
        if settle <= 0.0:
            return position.fees
        return position.fees + sum(
            (fee * Decimal(repr(self.rate(asset) / settle)) for asset, fee in position.other_fees.items()), ZERO
        )

    def _find(self, asset: Asset) -> Market | None:
        found = self._markets_of(asset)
        if found:
            self.sources[asset] = found[0]
            return found[0]
        return None

    def _markets_of(self, asset: Asset) -> list[Market]:
        """Return the markets that can value an asset, the best first: spot pairs, then perpetuals.

        One quoted in another stable currency counts at par where the reporting currency has no market of the asset.
        """
        found = [market for market in self._markets.values() if market.instrument.base == asset]
        quoted = [market for market in found if market.instrument.quote == self.currency]
        if not quoted and self.currency in STABLE:
            quoted = [market for market in found if market.instrument.quote in STABLE]
        quoted = [market for market in quoted if market.mark > 0]
        quoted.sort(key=lambda market: (market.instrument.type is not InstrumentType.SPOT_PAIR, market.instrument.id))
        return quoted
