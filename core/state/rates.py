"""What an asset is worth in the reporting currency, and which market says so."""

from decimal import Decimal
from typing import NamedTuple

from core.domain.identifiers import BETS, Asset, InstrumentId, InstrumentType, parse_id
from core.domain.instrument import ZERO, Instrument
from core.domain.message import Nanoseconds
from core.domain.position import Position
from core.state.mark import STALE_NS
from core.state.markets import Market, Markets

STABLE = frozenset({"USDT", "USDC", "USD", "FDUSD"})
"""Assets taken at 1:1 with the reporting currency while no pair quotes them (the reporting currency is one of them)."""


class Silence(NamedTuple):
    """How long a market has to be silent to give way, and to go without such a silence to be gone back to.

    The second is longer than the first: nothing is to flap between two.
    """

    lasts: Nanoseconds
    settled: Nanoseconds


BRIEF = Silence(STALE_NS, 10_000_000_000)
"""Between markets that err alike."""
LONG = Silence(15_000_000_000, 30_000_000_000)
"""Between one in our money and one at par or with a premium, which errs by more than the price of a moment ago."""
PATIENCE_NS: Nanoseconds = 10_000_000_000
"""For so long a pair whose stops rest there may be silent, and a pair in our money may keep its first price back."""
MISSED_NS: Nanoseconds = 600_000_000_000
"""A better market that has not come back for this long is not waited for: peaks are made without it."""
_RANKS = {InstrumentType.SPOT_PAIR: 0, InstrumentType.PERPETUAL: 1}
_OTHER = 2
_BEST = (False, False, 0)
_NO_PRICE = BETS | {InstrumentType.OPTION}
"""Odds and premiums are no price of what the instrument is named after."""


class Rates:
    """Choose the market that values each asset; what has had a rate keeps its last one."""

    def __init__(self, markets: Markets, currency: Asset) -> None:
        self.currency = currency
        self.sources: dict[Asset, Market] = {}
        self._markets = markets
        self._marking: dict[InstrumentId, Market] = {}
        self._worse: dict[Asset, Nanoseconds] = {}
        """Since when what is at par or dated values an asset, a better market with a price being silent."""
        self._silent: dict[tuple[InstrumentId, Silence], Nanoseconds] = {}
        """When a market that might have been chosen was last found silent for so long."""
        self._asked: dict[Asset, Nanoseconds] = {}
        """When what has a market in the reporting currency was first asked for while that had no price."""
        self._now: Nanoseconds = 0

    def rate(self, asset: Asset) -> float:
        """Return the price of an asset in the reporting currency; 0 where nothing marks it yet."""
        if asset == self.currency:
            return 1.0
        market = self.sources.get(asset) or self._find(asset)
        if market is not None and market.mark > 0:
            return market.mark
        return 1.0 if asset in STABLE and self.currency in STABLE else 0.0

    def choose(self, now: Nanoseconds) -> None:
        """Value by another market that lives what a silent one has valued so far, and by a better one that lives again.

        Where none lives the last rate stays.
        """
        self._now = now
        for asset, source in self.sources.items():
            if source.quiet(now) > STALE_NS or self._rank(source) > _BEST:
                found = self._markets_of(asset)
                self.sources[asset] = chosen = self._next(source, found, now)
                if any(self._rank(one)[:2] < self._rank(chosen)[:2] for one in found):
                    self._worse.setdefault(asset, now)
                    continue
            self._worse.pop(asset, None)
        for held, market in self._marking.items():  # stops rest in its pair: no short silence may take it away
            if market.quiet(now) > PATIENCE_NS or self._rank(market) > _BEST:
                priced = [one for one in self._pairs_of(held) if one.mark > 0]
                self._marking[held] = self._next(market, priced, now, PATIENCE_NS)

    @property
    def standing_in(self) -> float:
        """Return how much is valued by a worse market because a better one has fallen silent: no peak is made of it."""
        found = (self.sources[asset] for asset, since in self._worse.items() if self._now - since <= MISSED_NS)
        return sum(float("inf") if one.nonlinear else abs(one.exposure) * one.mark for one in found)

    def marking(self, held: InstrumentId) -> Market | None:
        """Return the pair that marks what is held of a coin: one with a price first, the same between two timers."""
        market = self._marking.get(held)
        if market is None:
            found = self._pairs_of(held)
            market = next((one for one in found if one.mark > 0), found[0] if found else None)
            if market is not None and market.mark > 0:
                self._marking[held] = market
        return market

    def entry_mark(self, held: InstrumentId) -> Decimal:
        """Return the mark that what no fill explains is entered at; 0 while there is none in our money."""
        market = self._markets.get(held) or self.marking(held)
        return Decimal(repr(market.mark)) if market is not None else ZERO

    def _pairs_of(self, held: InstrumentId) -> list[Market]:
        pairs = [one for one in self._markets.values() if one.holding == held and self.is_at_par(one.instrument.quote)]
        return sorted(pairs, key=self._rank)

    def _next(self, present: Market, found: list[Market], now: Nanoseconds, patience: Nanoseconds = STALE_NS) -> Market:
        """Return what is to value or mark from now on: of those found, the best first."""
        for market in found:
            self._silent.update(
                ((market.instrument.id, silence), now) for silence in (BRIEF, LONG) if market.quiet(now) > silence.lasts
            )
        alive = [market for market in found if market.quiet(now) <= STALE_NS]
        if present.quiet(now) > patience:
            return next((one for one in alive if present.quiet(now) > self._before(one, present).lasts), present)
        better = (one for one in alive if self._rank(one) < self._rank(present))
        return next((one for one in better if self._is_settled(one, self._before(present, one), now)), present)

    def _before(self, stand_in: Market, market: Market) -> Silence:
        """Return which silence of a market has another stand in for it."""
        return LONG if self._rank(stand_in)[:2] > self._rank(market)[:2] else BRIEF

    def _is_settled(self, market: Market, silence: Silence, now: Nanoseconds) -> bool:
        silent = self._silent.get((market.instrument.id, silence))
        return silent is None or now - silent >= silence.settled

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
        if not found or (found[0].instrument.quote != self.currency and self._may_come(asset)):
            return None
        self.sources[asset] = found[0]
        return found[0]

    def _may_come(self, asset: Asset) -> bool:
        """Tell whether a market in the reporting currency may yet have its first price: at par is a guess beside it."""
        if self._now and self._now - self._asked.setdefault(asset, self._now) >= PATIENCE_NS:
            return False
        return any(
            market.instrument.base == asset and market.instrument.quote == self.currency and market.kind in _RANKS
            for market in self._markets.values()
        )

    def _markets_of(self, asset: Asset) -> list[Market]:
        """Return the markets with a price that can value an asset, the best first: spot pairs, perpetuals, then others.

        One quoted in another stable currency counts at par, behind those of the reporting currency.
        """
        found = [
            market
            for market in self._markets.values()
            if market.instrument.base == asset
            and market.mark > 0
            and market.kind not in _NO_PRICE
            and self.is_at_par(market.instrument.quote)
        ]
        found.sort(key=lambda market: (self._rank(market), market.instrument.id))
        return found

    def _rank(self, market: Market) -> tuple[bool, bool, int]:
        """Return how far a market stands behind the best: a dated one's premium is worse than another stable quote."""
        place = _RANKS.get(market.kind, _OTHER)
        return place == _OTHER, market.instrument.quote != self.currency, place

    def crosses(self, instrument: Instrument) -> bool:
        """Tell whether a pair is quoted in foreign money: it moves coins, and no price of it is one of ours."""
        return instrument.type is InstrumentType.SPOT_PAIR and not self.is_at_par(instrument.quote)

    def ours(self, position: Position) -> Position:
        """Return a position of a record: one of coins that was kept in foreign money begins anew at its first mark."""
        coins = parse_id(position.instrument).type is InstrumentType.SPOT_ASSET
        if coins and not self.is_at_par(position.settle):
            position.settle, position.entry_price = self.currency, ZERO
        return position

    def is_at_par(self, quote: Asset) -> bool:
        """Tell whether an asset is the reporting currency, or taken at 1:1 with it."""
        return quote == self.currency or (quote in STABLE and self.currency in STABLE)
