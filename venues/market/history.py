"""The market's own bars: a day made up behind the first start, then what its trades made."""

import random
from collections.abc import Iterable, Iterator

from core.bars import BarBuilder, combine
from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval, Trade
from core.domain.message import Nanoseconds
from venues.market.flow import Flow
from venues.market.prices import Prices

HOURS = 24
KEPT_NS: Nanoseconds = 7 * 86_400 * 1_000_000_000
_MINUTE = Interval.M1.ns
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


class History:
    """Keep closed minutes of every instrument and answer questions about longer bars."""

    def __init__(self) -> None:
        self._bars: dict[InstrumentId, dict[Nanoseconds, Bar]] = {}
        self._builders: dict[InstrumentId, BarBuilder] = {}

    def add(self, bars: Iterable[Bar]) -> None:
        """Take closed minutes, in any order; a later one of the same start replaces."""
        for bar in bars:
            self._bars.setdefault(bar.instrument, {})[bar.start] = bar

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
        for bar in minutes:
            kept = self._bars.setdefault(bar.instrument, {})
            kept[bar.start] = bar
            while (oldest := next(iter(kept))) <= bar.start - KEPT_NS:  # after a pause several are due at once
                del kept[oldest]
        return minutes

    def minutes(self, instrument: InstrumentId, start: Nanoseconds, end: Nanoseconds) -> Iterator[Bar]:
        """Yield closed minutes with ``start <= bar.start < end``; a minute in which the market was down is empty."""
        kept = self._bars.get(instrument)
        if not kept:
            return
        first, last = min(kept), max(kept)
        before: Bar | None = None
        for at in range(max(-(-start // _MINUTE) * _MINUTE, first), min(end, last + 1), _MINUTE):
            bar = kept.get(at)
            if bar is None:
                before = before or kept[max(known for known in kept if known < at)]
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
