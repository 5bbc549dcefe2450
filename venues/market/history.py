"""The market's own bars: a day made up behind the first start, then what its trades made."""

import random
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval, Trade
from core.domain.message import Nanoseconds
from core.state.bars import BarBuilder, combine
from venues.market.flow import Flow
from venues.market.prices import Prices

HOURS = 24
KEPT_NS: Nanoseconds = 7 * 86_400 * 1_000_000_000
_MINUTE = Interval.M1.ns
_SLACK_NS: Nanoseconds = 3600 * 1_000_000_000
"""What is too old goes by the hour: to move an array each minute would be work for nothing."""
_STEPS = 12
"""Prices looked at a minute, for the high and the low."""


def backfill(flow: Flow, hours: int = HOURS) -> list[Bar]:
    """Return closed minutes behind a flow's start, ending at the prices it starts from; deterministic from its seed.

    The price process looks the same backwards in time, so it is walked from now into the past.
    """
    rng = random.Random(f"{flow.seed}/{flow.stretch}/history")
    coins = flow.params.coins
    past = Prices(flow.params, rng, flow.now, dict(zip(coins, flow.prices.price, strict=True)))
    past.basis = list(flow.prices.basis)
    last = flow.now // _MINUTE * _MINUTE
    past.step(max(1, flow.now - last))
    bars: list[Bar] = []
    markets = list(flow.markets.values())
    for start in range(last - _MINUTE, last - hours * 60 * _MINUTE - 1, -_MINUTE):
        seen: list[list[float]] = [[market.round(past.fair(market.coin, market.perpetual))] for market in markets]
        for _ in range(_STEPS):
            past.step(_MINUTE // _STEPS)
            for market, prices in zip(markets, seen, strict=True):
                prices.append(market.round(past.fair(market.coin, market.perpetual)))
        for market, prices in zip(markets, seen, strict=True):
            trades, volume = market.minute(rng)
            path = prices if trades else prices[-1:]
            low, high, end = min(path), max(path), start + _MINUTE
            bar = Bar(market.id, Interval.M1, start, path[-1], high, low, path[0], volume, trades, True, 0, end)
            bars.append(bar)
    bars.reverse()
    return bars


class _Minutes:
    """Closed minutes of one instrument by their start, 72 bytes each; as objects a week of them takes six times that.

    They are numbers in arrays, so that what stays for a week does not lie between what stays for a moment and keep its
    memory from being used again.
    """

    __slots__ = ("_counts", "_instrument", "_prices", "starts")

    def __init__(self, instrument: InstrumentId) -> None:
        self._instrument = instrument
        self.starts = array("q")
        self._prices = array("d")
        """Open, high, low, close, volume of each."""
        self._counts = array("q")
        """Trades, revision, stamp of each."""

    def __len__(self) -> int:
        return len(self.starts)

    def put(self, bar: Bar) -> None:
        """Keep a minute; one of the same start is replaced, those older than a week go."""
        at = bisect_left(self.starts, bar.start)
        prices = array("d", (bar.open, bar.high, bar.low, bar.close, bar.volume))
        counts = array("q", (bar.trades, bar.revision, bar.ts))
        there = at < len(self.starts) and self.starts[at] == bar.start
        self.starts[at : at + there] = array("q", (bar.start,))
        self._prices[5 * at : 5 * (at + there)] = prices
        self._counts[3 * at : 3 * (at + there)] = counts
        if self.starts[-1] - self.starts[0] > KEPT_NS + _SLACK_NS:
            self._forget(bisect_right(self.starts, self.starts[-1] - KEPT_NS))

    def _forget(self, count: int) -> None:
        del self.starts[:count], self._prices[: 5 * count], self._counts[: 3 * count]

    def bar(self, at: int) -> Bar:
        """Return the minute at a place."""
        open_, high, low, close, volume = self._prices[5 * at : 5 * at + 5]
        trades, revision, ts = self._counts[3 * at : 3 * at + 3]
        start = self.starts[at]
        return Bar(self._instrument, Interval.M1, start, open_, high, low, close, volume, trades, True, revision, ts)


class History:
    """Keep closed minutes of every instrument for a week and answer questions about longer bars."""

    def __init__(self) -> None:
        self._bars: dict[InstrumentId, _Minutes] = {}
        self._builders: dict[InstrumentId, BarBuilder] = {}

    def __len__(self) -> int:
        return sum(map(len, self._bars.values()))

    def add(self, bars: Iterable[Bar]) -> None:
        """Take closed minutes, in any order; a later one of the same start replaces."""
        for bar in bars:
            kept = self._bars.get(bar.instrument)
            if kept is None:
                kept = self._bars[bar.instrument] = _Minutes(bar.instrument)
            kept.put(bar)

    def on_trade(self, trade: Trade) -> list[Bar]:
        """Take a print and return the minutes it closed."""
        builder = self._builders.get(trade.instrument)
        if builder is None:
            builder = self._builders[trade.instrument] = BarBuilder(trade.instrument)
        return self._keep(builder.on_trade(trade))

    def on_time(self, now: Nanoseconds) -> list[Bar]:
        """Return the minutes that time alone closed."""
        return [bar for builder in self._builders.values() for bar in self._keep(builder.on_time(now))]

    def _keep(self, bars: Iterable[Bar]) -> list[Bar]:
        minutes = [bar for bar in bars if bar.interval is Interval.M1]
        self.add(minutes)
        return minutes

    def minutes(self, instrument: InstrumentId, start: Nanoseconds, end: Nanoseconds) -> Iterator[Bar]:
        """Yield closed minutes with ``start <= bar.start < end``; a minute in which the market was down is empty."""
        kept = self._bars.get(instrument)
        if not kept:
            return
        starts = kept.starts
        first = max(-(-start // _MINUTE) * _MINUTE, starts[0])
        place = bisect_left(starts, first)
        before: Bar | None = None
        for at in range(first, min(end, starts[-1] + 1), _MINUTE):
            if starts[place] == at:
                bar = kept.bar(place)
                place += 1
            else:
                before = before or kept.bar(place - 1)
                bar = combine([before.replace(trades=0)], Interval.M1, at, True, 0, at + _MINUTE)
            before = bar
            yield bar

    def bars(self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds) -> list[Bar]:
        """Return closed bars with ``start <= bar.start < end``; longer ones only where all their minutes are there."""
        if interval is Interval.M1:
            return list(self.minutes(instrument, start, end))
        length = interval.ns
        first, out = -(-start // length) * length, list[Bar]()
        group: list[Bar] = []
        for bar in self.minutes(instrument, first, (end - 1) // length * length + length):
            if bar.start % length == 0:
                group = []
            group.append(bar)
            if (bar.start + _MINUTE) % length == 0 and len(group) * _MINUTE == length:
                at = bar.start + _MINUTE - length
                out.append(combine(group, interval, at, True, 0, at + length))
        return out
