"""The built-in market: seeded order flow for eight instruments, with the look of the recorded ones.

Bursts of activity come as a self-exciting (Hawkes) process. At each, the book follows the coin's price: levels in the
way are eaten or withdrawn, others appear; most bursts print trades on the side the price goes to. The same seed and the
same times give the same messages. The shares of the recorded rates that are played are set by ``rate``. A book that
nobody touches repeats its best prices, so that no instrument is ever silent for long.
"""

import heapq
import math
import random

import msgspec

from core.domain.identifiers import InstrumentId, InstrumentType, VenueId
from core.domain.instrument import Instrument
from core.domain.market import NO_ID, BookDelta, BookSnapshot, MarkPrice, Quote, Trade
from core.domain.message import Nanoseconds
from venues.contracts_table import contracts
from venues.market.depth import DepthProfile, Ladder
from venues.market.params import MicroParams, Params, Quantiles, shipped
from venues.market.parse import MarketData
from venues.market.prices import Prices

RATE = 200.0
"""Messages per second over all instruments."""
TRADE_SHARE = 0.6
"""The share of bursts that trade; the others only change the book."""
_ACTIVITY_POWER = 0.35
"""How much less active coins have fewer messages: volume share to this power."""
_DECAY_PER_S = 2.0
_SPREAD_CHANGES = 0.3
_MARK_NS: Nanoseconds = 1_000_000_000
QUIET_NS: Nanoseconds = 500_000_000
"""A book nobody touches says its unchanged best prices again after this long, as a venue's depth stream does."""
_FUNDING_NS: Nanoseconds = 8 * 3600 * 1_000_000_000
_BURSTS_AT_LEAST = 0.25
"""The share of the rate that bursts keep where marks and repeated quotes alone would fill it."""
_GROUPS = 1.5
"""How many silences a group of bursts that set off each other leaves, for the count of repeated quotes."""
_VENUES = (VenueId("BINANCE-SPOT"), VenueId("BINANCE-FUTURES"))


class FlowState(msgspec.Struct, frozen=True):
    """What must outlive the process: prices go on from here, under another stretch of the seed's random numbers."""

    seed: int
    stretch: int
    now: Nanoseconds
    prices: dict[str, float]
    basis: dict[str, float]
    ids: dict[InstrumentId, tuple[int, int]]
    """The last update id and the last trade id."""


class Flow:
    """Make the messages of the eight instruments; time comes in with every call."""

    def __init__(
        self,
        seed: int,
        now: Nanoseconds,
        rate: float = RATE,
        state: FlowState | None = None,
        params: Params | None = None,
    ) -> None:
        self.seed, self.stretch = (state.seed, state.stretch + 1) if state else (seed, 0)
        self.params = params or shipped()
        self._rng = random.Random(f"{self.seed}/{self.stretch}")
        start = state.prices if state else {coin: self.params.coin[coin].price for coin in self.params.coins}
        self.prices = Prices(self.params, self._rng, now, start)
        if state:
            self.prices.basis = [state.basis[coin] for coin in self.params.coins]
        self.now = now
        self._mark_due = now
        self.markets = {m.id: m for m in self._listed(now, state)}
        scale = self._share(rate)
        self._queue: list[tuple[Nanoseconds, int, _FlowMarket]] = []
        for number, market in enumerate(self.markets.values()):
            market.scale(scale)
            market.begin(now)
            heapq.heappush(self._queue, (market.due, number, market))

    def _share(self, rate: float) -> float:
        """Return the share of the recorded bursts that, with marks and repeated quotes, gives ``rate`` messages/s."""
        markets = list(self.markets.values())
        marks = sum(market.perpetual for market in markets) * 1e9 / _MARK_NS
        high = rate / sum(market.messages_per_s for market in markets)
        low = floor = high * _BURSTS_AT_LEAST
        for _ in range(40):
            share = (low + high) / 2
            total = marks + sum(m.messages_per_s * share + m.repeats_per_s(share) for m in markets)
            low, high = (share, high) if total < rate else (low, share)
        return max(low, floor)

    def _listed(self, now: Nanoseconds, state: FlowState | None) -> list["_FlowMarket"]:
        ids = state.ids if state else {}
        listed = []
        for venue in _VENUES:
            for contract in contracts(venue):
                if contract.base in self.params.coins:
                    coin = self.params.coins.index(contract.base)
                    listed.append(_FlowMarket(contract, coin, self.params, self.prices, self._rng))
                    listed[-1].update_id, listed[-1].trade_id = ids.get(contract.id, (now // 1_000_000, 0))
        return listed

    @property
    def next_due(self) -> Nanoseconds:
        """Return when the next message comes (ns, UTC)."""
        return min(self._queue[0][0], self._mark_due)

    def run(self, until: Nanoseconds) -> list[MarketData]:
        """Return the messages up to a time, in the order of time."""
        out: list[MarketData] = []
        queue = self._queue
        while (due := self.next_due) <= until:
            self.prices.advance(due)
            if self._mark_due <= queue[0][0]:
                out += self._marks(due)
                self._mark_due += _MARK_NS
                continue
            _, number, market = heapq.heappop(queue)
            market.turn(due, out)
            heapq.heappush(queue, (market.due, number, market))
        self.now = max(self.now, until)
        return out

    def pause(self, until: Nanoseconds) -> None:
        """Let time pass without anything happening, as when the machine slept."""
        shift = max(0, until - self.now)
        for _, _, market in self._queue:
            market.pause(shift)
        self._queue = [(market.due, number, market) for _, number, market in self._queue]
        self._mark_due += shift
        self.prices.now += shift
        self.now += shift

    def opening(self) -> list[MarketData]:
        """Return what a newcomer must know: a snapshot and a quote of every book, and the mark prices."""
        out: list[MarketData] = []
        for market in self.markets.values():
            out += (market.snapshot(self.now), market.quote(self.now))
        return [*out, *self._marks(self.now)]

    def state(self) -> FlowState:
        """Return what must outlive the process."""
        prices, basis = self.prices.price, self.prices.basis
        return FlowState(
            self.seed,
            self.stretch,
            self.now,
            {coin: prices[i] for i, coin in enumerate(self.params.coins)},
            {coin: basis[i] for i, coin in enumerate(self.params.coins)},
            {m.id: (m.update_id, m.trade_id) for m in self.markets.values()},
        )

    def _marks(self, now: Nanoseconds) -> list[MarketData]:
        following = (now // _FUNDING_NS + 1) * _FUNDING_NS
        out: list[MarketData] = []
        for market in self.markets.values():
            if market.perpetual:
                index = self.prices.price[market.coin]
                mark = market.round(self.prices.fair(market.coin, True))
                # The rate leans with the basis over a funding interval, within the exchange's clamp.
                lean = max(-0.0005, min(0.0005, self.prices.basis[market.coin] - self.params.basis_bps_mean * 1e-4))
                rate = round(market.funding_rate + 0.25 * lean, 8)
                out.append(MarkPrice(market.id, mark, market.round(index), rate, following, now, now))
        return out


class _FlowMarket:
    """One instrument's book and tape."""

    def __init__(self, contract: Instrument, coin: int, params: Params, prices: Prices, rng: random.Random) -> None:
        self.id, self.coin = contract.id, coin
        self.perpetual = contract.type is InstrumentType.PERPETUAL
        micro, name = params.micro["perp" if self.perpetual else "spot"], params.coins[coin]
        self._micro: MicroParams = micro
        self._prices, self._rng = prices, rng
        self.funding_rate = params.coin[name].funding_rate
        depth, sizes = params.depth_scale(name), params.size_scale(name)
        fair = prices.fair(coin, self.perpetual)
        top = micro.top_quote_median * depth
        self._profile = DepthProfile(contract, fair, micro.depth_quote_per_bps * depth, top, min(micro.top_log_sd, 2.0))
        self._spreads = Quantiles(params.quantiles, micro.spread_excess_bps)
        self._sizes = Quantiles(params.quantiles, tuple(value * sizes for value in micro.trade_quote))
        self._spread = self._draw_spread()
        bid, ask = self._best(fair)
        self.bids, self.asks = Ladder(self._profile, rng, bid, -1), Ladder(self._profile, rng, ask, 1)
        self.bids.changes(), self.asks.changes()
        self.update_id, self.trade_id = 0, 0
        self._buying = True
        activity: float = depth**_ACTIVITY_POWER
        self._per_s = micro.bursts_per_s * activity
        self.messages_per_s = self._per_s * (2 + TRADE_SHARE * micro.prints_per_burst)
        self._excited, self._excited_at = 0.0, prices.now
        self._burst_due = self._quiet_due = prices.now

    def repeats_per_s(self, share: float) -> float:
        """Return about how often the book is quiet for ``QUIET_NS`` when this share of the bursts is played."""
        apart = self._per_s * share * (1 - self._micro.branching) * _GROUPS
        return apart / math.expm1(apart * QUIET_NS / 1e9)

    def scale(self, factor: float) -> None:
        """Play this share of the bursts."""
        self._per_s *= factor
        self._excited = self._per_s * self._micro.branching

    @property
    def due(self) -> Nanoseconds:
        """Return when this market speaks next (ns, UTC)."""
        return min(self._burst_due, self._quiet_due)

    def begin(self, now: Nanoseconds) -> None:
        """Draw the first burst."""
        self._burst_due, self._quiet_due = self.next_burst(now), now + QUIET_NS

    def pause(self, shift: Nanoseconds) -> None:
        """Let time pass without anything happening."""
        self._burst_due += shift
        self._quiet_due += shift

    def turn(self, now: Nanoseconds, out: list[MarketData]) -> None:
        """Let happen what is due: a burst, or the best prices once more where the book was quiet for long."""
        before = len(out)
        if self._burst_due <= now:
            self.burst(now, out)
            self._burst_due = self.next_burst(now)
        else:
            out.append(self.quote(now))
        if len(out) > before:
            self._quiet_due = now + QUIET_NS

    def next_burst(self, now: Nanoseconds) -> Nanoseconds:
        """Draw when the next burst comes, by thinning; what excites it fades until then."""
        rng = self._rng
        base = self._per_s * (1 - self._micro.branching)
        excited = self._excited * math.exp(-_DECAY_PER_S * (now - self._excited_at) / 1e9)
        waited = 0.0
        while True:
            wait = rng.expovariate(base + excited)
            waited += wait
            faded = excited * math.exp(-_DECAY_PER_S * wait)
            if rng.random() * (base + excited) <= base + faded:
                break
            excited = faded
        due = now + int(waited * 1e9) + 1
        self._excited, self._excited_at = faded + self._micro.branching * _DECAY_PER_S, due
        return due

    def burst(self, now: Nanoseconds, out: list[MarketData]) -> None:
        """Let one burst happen: trades, then the book's changes, then the quote."""
        rng = self._rng
        if rng.random() < _SPREAD_CHANGES:
            self._spread = self._draw_spread()
        bid, ask = self._best(self._prices.fair(self.coin, self.perpetual))
        if rng.random() < TRADE_SHARE:
            self._trades(now, bid, ask, out)
        # Each side first steps back, so that at no moment a bid stands at or above an ask.
        self.bids.move(min(bid, self.bids.best))
        self.asks.move(max(ask, self.asks.best))
        self.bids.move(bid)
        self.asks.move(ask)
        for side in (self.bids, self.asks):
            side.churn(rng.randint(0, 2))
        bids, asks = self.bids.changes(), self.asks.changes()
        if not (bids or asks):
            return
        before = self.update_id
        self.update_id += len(bids) + len(asks)
        prev = before if self.perpetual else NO_ID
        out.append(BookDelta(self.id, bids, asks, before + 1, self.update_id, prev, now, now))
        out.append(self.quote(now))

    def _trades(self, now: Nanoseconds, bid: int, ask: int, out: list[MarketData]) -> None:
        rng, profile = self._rng, self._profile
        moved = bid + ask - self.bids.best - self.asks.best
        if moved:
            self._buying = moved > 0
        elif rng.random() < 0.3:
            self._buying = not self._buying
        side = self.asks if self._buying else self.bids
        reach = max(0, (bid - side.best) if self._buying else (side.best - ask))
        keys = [key for key in side.keys if key - side.keys[0] <= reach]
        prints = 1
        while rng.random() > 1 / self._micro.prints_per_burst:
            prints += 1
        for k in range(prints):
            key = keys[k * len(keys) // prints]
            size = profile.lots(self._sizes.draw(rng) / (key * side.sign * profile.tick))
            if key == side.keys[0]:
                side.take(size)
            self.trade_id += 1
            out.append(Trade(self.id, side.price(key), size, self._buying, self.trade_id, now, now))

    def minute(self, rng: random.Random) -> tuple[int, float]:
        """Draw how many trades a minute has and their volume, from the same rates and sizes as the live flow."""
        mean = self._per_s * 60 * TRADE_SHARE
        bursts = int(rng.gammavariate(mean / 4, 4) + rng.random()) if mean else 0
        trades = round(bursts * self._micro.prints_per_burst)
        # A few draws stand for all of them: the mean is right and a large print still shows.
        draws = [self._sizes.draw(rng) for _ in range(min(trades, 30))]
        price = self._prices.fair(self.coin, self.perpetual)
        return trades, self._profile.lots(sum(draws) * trades / len(draws) / price) if draws else 0.0

    def snapshot(self, now: Nanoseconds) -> BookSnapshot:
        """Return the whole book."""
        return BookSnapshot(self.id, self.bids.levels(), self.asks.levels(), self.update_id, True, now, now)

    def quote(self, now: Nanoseconds) -> Quote:
        """Return the best prices."""
        (bid, bid_size), (ask, ask_size) = (
            (side.price(side.keys[0]), side.best_size) for side in (self.bids, self.asks)
        )
        return Quote(self.id, bid, bid_size, ask, ask_size, self.update_id, now, now)

    def round(self, price: float) -> float:
        """Return a price on the tick grid."""
        return round(round(price / self._profile.tick) * self._profile.tick, self._profile.price_digits)

    def _draw_spread(self) -> int:
        return 1 + round(self._spreads.draw(self._rng) / self._profile.tick_bps)

    def _best(self, fair: float) -> tuple[int, int]:
        bid = max(1, math.floor(fair / self._profile.tick - self._spread / 2 + 0.5))
        return bid, bid + self._spread
