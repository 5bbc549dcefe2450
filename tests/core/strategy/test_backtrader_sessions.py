"""Live = study = Backtrader where a day, a volume or other instruments decide: rules with a memory of their own.

Backtrader has no such indicators. The rules here see one bar at a time, through its clock and its lines, with sums and
medians of Python's own; nothing is shared with the arrays that they are compared with.
"""

import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import fsum, isnan, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from core.strategy.follower import Follower
from core.strategy.library import MODELS, checked, signals
from core.strategy.signals import DAY_NS, Bars, Indicators
from tests.core.strategy.markets import MINUTES_15, recorded, walk

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
Said = NDArray[np.uint8]
HOUR_NS = 3_600_000_000_000
MINUTES = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHOSEN: dict[str, dict[str, float]] = {
    "vwap": {"width": 1.5, "settle_minutes": 90},
    "opening_range": {"minutes": 60, "margin_bps": 5},
    "volume_spike": {"days": 9, "score": 2, "hold": 3},
    "cross_momentum": {"lookback": 30, "every": 8, "count": 1},
}
ONE = [name for name in CHOSEN if not MODELS[name].across]
LIVE = 1000
"""Bars compared live: ten days, so that every kind of broken day is among them."""


def broken(bars: Bars) -> Bars:
    """Return bars without what ends, begins, opens or is inside one in ten days each; two in ten end in a jump."""
    day, bar = bars.ts // DAY_NS % 10, bars.ts % DAY_NS // bars.interval_ns
    gone = (
        ((day == 1) & (bar == 95)) | ((day == 3) & (bar == 0)) | ((day == 5) & (bar < 4)) | ((day == 8) & (bar == 40))
    )
    close = bars.close * (1 + 0.1 * ((bar == 95) & (day == 6)) - 0.1 * ((bar == 95) & (day == 7)))
    high, low = np.maximum(bars.high, close), np.minimum(bars.low, close)
    columns = (bars.open, high, low, close, bars.volume)
    return Bars.of(bars.ts[~gone], [column[~gone] for column in columns], bars.interval_ns)


def late(bars: Bars) -> Bars:
    """Return bars whose last instrument begins later than the others."""
    columns = [column.copy() for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
    for column in columns:
        column[-1, :300] = np.nan
    return Bars.of(bars.ts, columns, bars.interval_ns)


class Turn:
    """Tell when what is watched begins to hold; never at the first bar."""

    def __init__(self) -> None:
        self.was: dict[int, bool] = {}

    def __call__(self, what: int, holds: bool) -> int:
        begins = holds and not self.was.get(what, True)
        self.was[what] = holds
        return what * begins


class Session:
    """A day as its bars come: how many there have been, how far it has come, and whether this bar ends one."""

    def __init__(self) -> None:
        self.bars, self.into, self.ends, self.over = 0, timedelta(0), False, False

    def step(self, data: Any) -> None:
        now = data.datetime.datetime(0)
        fresh = len(data) == 1 or data.datetime.date(-1) != now.date()
        self.bars = 1 if fresh else self.bars + 1
        self.into = now - datetime.combine(now.date(), datetime.min.time())
        broke_off = fresh and not self.over
        self.over = (now + 15 * MINUTES).date() != now.date()
        self.ends = self.over or broke_off


class Vwap:
    def __init__(self) -> None:
        self.session, self.turn = Session(), Turn()

    def __call__(self, data: Any) -> int:
        self.session.step(data)
        score, ends = self.score(data), self.session.ends
        settled = self.session.into >= 90 * MINUTES and not ends
        known = not isnan(score)
        return (
            self.turn(LONG_ENTRY, known and score < -1.5 and settled)
            | self.turn(LONG_EXIT, known and score >= 0)
            | self.turn(SHORT_ENTRY, known and score > 1.5 and settled)
            | self.turn(SHORT_EXIT, known and score <= 0)
            | (LONG_EXIT | SHORT_EXIT) * ends
        )

    def score(self, data: Any) -> float:
        """Return the deviations from the day's VWAP in two passes over the day: first the mean, then squares."""
        back = range(1 - self.session.bars, 1)
        prices = [(data.high[i] + data.low[i] + data.close[i]) / 3 for i in back]
        volumes = [data.volume[i] for i in back]
        traded = fsum(volumes)
        if traded == 0:
            return float("nan")
        mean = fsum(p * v for p, v in zip(prices, volumes, strict=True)) / traded
        spread = sqrt(fsum(v * (p - mean) ** 2 for p, v in zip(prices, volumes, strict=True)) / traded)
        return float((data.close[0] - mean) / spread) if spread > 1e-6 * mean else float("nan")


class OpeningRange:
    def __init__(self) -> None:
        self.session, self.turn = Session(), Turn()
        self.high, self.low = 0.0, 0.0

    def __call__(self, data: Any) -> int:
        self.session.step(data)
        if self.session.bars == 1:
            self.high, self.low = float("-inf"), float("inf")
        opening = self.session.into < 60 * MINUTES
        if opening:
            self.high, self.low = max(self.high, data.high[0]), min(self.low, data.low[0])
        known = not opening and self.high > 0
        up = self.turn(LONG_ENTRY, known and data.close[0] > self.high * 1.0005)
        down = self.turn(SHORT_ENTRY, known and data.close[0] < self.low * 0.9995)
        return LONG_EXIT | SHORT_EXIT if self.session.ends else up | down


class VolumeSpike:
    def __init__(self) -> None:
        self.traded: dict[datetime, float] = {}
        self.number: dict[int, int] = {}

    def __call__(self, data: Any) -> int:
        now = data.datetime.datetime(0)
        self.traded[now] = data.volume[0]
        spike = self.score(now) > 2
        up, down = spike and data.close[0] > data.open[0], spike and data.close[0] < data.open[0]
        return self.side(data, up, LONG_ENTRY, LONG_EXIT) | self.side(data, down, SHORT_ENTRY, SHORT_EXIT)

    def side(self, data: Any, spike: bool, entry: int, leave: int) -> int:
        if spike:
            self.number[entry] = len(data)
            return entry
        return leave if len(data) - self.number.get(entry, len(data)) == 3 else 0

    def score(self, now: datetime) -> float:
        volumes = [self.traded.get(now - timedelta(days=back), 0.0) for back in range(10)]
        if min(volumes) <= 0:
            return float("nan")
        newest, *usual = [log(volume) for volume in volumes]
        median = statistics.median(usual)
        spread = 1.482602218505602 * statistics.median(abs(value - median) for value in usual)
        return (newest - median) / spread if spread > 1e-9 else float("nan")


RULES: dict[str, Callable[[], Callable[[Any], int]]] = {
    "vwap": Vwap,
    "opening_range": OpeningRange,
    "volume_spike": VolumeSpike,
}


def run(bars: Bars) -> dict[str, Said]:
    """Return what Backtrader says of each bar, by rule: (bars,), or (symbols, bars) across instruments."""
    import backtrader as bt
    import pandas as pd

    cerebro = bt.Cerebro(stdstats=False)
    index = pd.DatetimeIndex(bars.ts.view("datetime64[ns]"))
    for row in range(np.atleast_2d(bars.close).shape[0]):
        columns = {key: np.atleast_2d(getattr(bars, key))[row] for key in ("open", "high", "low", "close", "volume")}
        frame = pd.DataFrame(columns, index=index).dropna()
        minutes = bars.interval_ns // 60_000_000_000
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=minutes))
    cerebro.addstrategy(_across(bt) if bars.close.ndim > 1 else _single(bt))
    told = cerebro.run()[0].said
    found: dict[str, Said] = {name: np.zeros(bars.close.shape, np.uint8) for name in told}
    for name, said in told.items():
        for at, signal in said.items():
            found[name][..., at] = signal
    return found


def _single(bt: Any) -> Any:
    class Rules(bt.Strategy):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            self.rules = {name: rule() for name, rule in RULES.items()}
            self.said: dict[str, dict[int, int]] = {name: {} for name in RULES}

        def next(self) -> None:
            for name, rule in self.rules.items():
                self.said[name][len(self) - 1] = rule(self.data)

    return Rules


def _across(bt: Any) -> Any:
    class Across(bt.Strategy):  # type: ignore[misc]  # it has no types
        """Backtrader calls ``next`` once every feed has its lookback."""

        def __init__(self) -> None:
            self.change = [bt.ind.ROC(data.close, period=30) for data in self.datas]
            self.said: dict[str, dict[int, list[int]]] = {"cross_momentum": {}}

        def next(self) -> None:
            hours = (self.data.datetime.datetime(0).replace(tzinfo=UTC) - EPOCH) // timedelta(hours=1)
            if hours % 8:
                return
            falling = sorted(range(len(self.datas)), key=lambda row: -self.change[row][0])
            said = [LONG_EXIT | SHORT_EXIT] * len(self.datas)
            said[falling[0]] = LONG_ENTRY | SHORT_EXIT
            said[falling[-1]] = LONG_EXIT | SHORT_ENTRY
            self.said["cross_momentum"][len(self) - 1] = said

    return Across


@pytest.fixture(scope="module")
def markets() -> dict[str, Bars]:
    one, many = broken(walk(4000, 2)), late(walk(2000, 2, interval_ns=HOUR_NS, symbols=4))
    return {name: many if MODELS[name].across else one for name in CHOSEN}


@pytest.fixture(scope="module")
def told(markets: dict[str, Bars]) -> dict[str, Said]:
    return run(markets["vwap"]) | run(markets["cross_momentum"])


def assert_signals(told: Said, market: Bars, name: str) -> None:
    """Compare every bar from the first that is warm; there are enough of each kind, on both sides."""
    model, chosen = MODELS[name], checked(MODELS[name], CHOSEN[name])
    start = model.warm_up(chosen, market.interval_ns) - 1
    ours, theirs = signals(model, Indicators(market), chosen)[..., start:], told[..., start:]
    assert np.argwhere(ours != theirs).tolist() == []
    for bit in (LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT):
        assert min(np.count_nonzero(ours & bit), np.count_nonzero(theirs & bit)) >= 15, bit


@pytest.mark.parametrize("name", CHOSEN)
def test_a_study_signals_where_backtrader_does(told: dict[str, Said], markets: dict[str, Bars], name: str) -> None:
    assert_signals(told[name], markets[name], name)


@pytest.mark.parametrize("name", CHOSEN)
def test_live_signals_where_backtrader_does(told: dict[str, Said], markets: dict[str, Bars], name: str) -> None:
    market = markets[name]
    rows = np.stack([np.atleast_2d(getattr(market, key)) for key in ("open", "high", "low", "close", "volume")])
    follower = Follower(MODELS[name], CHOSEN[name], market.interval_ns, symbols=rows.shape[1])
    first = market.size - LIVE
    for at in range(first - follower.warm_up + 1, market.size):
        found = follower.take(int(market.ts[at]), rows[:, :, at])
        assert at < first or found.tolist() == np.atleast_2d(told[name])[:, at].tolist(), at
    assert follower.missing == 0
    assert np.count_nonzero(told[name][..., first:]) >= 15


def test_days_are_broken_in_every_way(markets: dict[str, Bars]) -> None:
    x = Indicators(markets["vwap"])
    late_ends = x.session_ends() & (x.into_session() < DAY_NS - MINUTES_15)
    starts = np.unique(x.session_start())
    assert np.count_nonzero(late_ends[1:]) >= 3
    assert {0, MINUTES_15, 4 * MINUTES_15} <= set(x.into_session()[starts].tolist())


def test_recorded_days_are_the_same_to_both(recorded_data: Path) -> None:
    """Twin of the tests on generated bars."""
    market = recorded(recorded_data, "BTCUSDT-perp-15m", MINUTES_15, 5000)
    told = run(market)
    for name in ONE:
        assert_signals(told[name], market, name)


def test_recorded_instruments_are_the_same_to_both(recorded_data: Path) -> None:
    """Twin of the test on generated bars; XRP is listed months after BTC."""
    names = [f"{coin}USDT-perp-1h" for coin in ("BTC", "ETH", "LTC", "XRP")]
    found = [recorded(recorded_data, name, HOUR_NS, 5000) for name in names]
    ts = found[0].ts
    columns = []
    for key in ("open", "high", "low", "close", "volume"):
        wide = np.full((len(found), ts.size), np.nan)
        for row, bars in enumerate(found):
            within = np.isin(bars.ts, ts)
            wide[row, np.searchsorted(ts, bars.ts[within])] = getattr(bars, key)[within]
        columns.append(wide)
    market = Bars.of(ts, columns, HOUR_NS)
    assert_signals(run(market)["cross_momentum"], market, "cross_momentum")
