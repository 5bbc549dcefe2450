"""Live = study = Backtrader, bar by bar: its TA-Lib and its own indicators, and rules written out in its manner."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval
from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from core.strategy.follower import Follower
from core.strategy.library import MODELS, checked, signals
from core.strategy.signals import Array, Bars, Indicators, before
from tests.core.strategy.markets import recorded

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
HOUR_NS = 3_600_000_000_000
CHOSEN: dict[str, dict[str, float]] = {
    "rsi_ema": {"fast": 8, "slow": 21, "rsi_window": 9, "overbought": 65, "oversold": 35},
    "donchian": {"channel": 20, "exit_channel": 10, "atr_window": 10, "atr_multiple": 0.25},
    "bollinger": {"window": 20, "width": 1.8},
    "momentum": {"lookback": 24, "threshold_frac": 0.02},
}
NAMED: dict[str, Callable[[Indicators], Array]] = {
    "EMA": lambda x: x.ema(21),
    "own EMA": lambda x: x.ema(21),
    "RSI": lambda x: x.rsi(9),
    "own RSI": lambda x: x.rsi(9),
    "ATR": lambda x: x.atr(10),
    "own ATR": lambda x: x.atr(10),
    "MAX": lambda x: x.highest(20),
    "own Highest": lambda x: x.highest(20),
    "MIN": lambda x: x.lowest(10),
    "own Lowest": lambda x: x.lowest(10),
    "own Bollinger": lambda x: x.score(20),
    "ROCP": lambda x: x.change(24),
    "own RateOfChange": lambda x: x.change(24),
}
"""What Backtrader has; strategies of sessions, volume and several instruments are in ``test_backtrader_sessions``."""


def lively(size: int = 2500) -> Bars:
    """A market that never stands still: what an RSI or a band of a flat one is, each library says otherwise."""
    rng = np.random.default_rng(3)
    close = 30_000 * np.exp(np.cumsum(rng.normal(0, 0.006, size)))
    opened = np.r_[30_000.0, close[:-1]]
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 0.002, size)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 0.002, size)))
    ts = 1_700_002_800_000_000_000 + np.arange(size, dtype=np.int64) * HOUR_NS
    return Bars.of(ts, (opened, high, low, close, rng.lognormal(3, 1, size)), HOUR_NS)


@pytest.fixture(scope="module")
def market() -> Bars:
    return lively()


@pytest.fixture(scope="module")
def told(market: Bars) -> Any:
    return run(market)


def run(bars: Bars) -> Any:
    """Return Backtrader's strategy after its run over the bars."""
    import backtrader as bt
    import pandas as pd

    index = pd.DatetimeIndex(bars.ts.view("datetime64[ns]"))
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame(columns, index=index)))
    cerebro.addstrategy(_rules(bt))
    return cerebro.run()[0]


def _rules(bt: Any) -> Any:
    class Rules(bt.Strategy):  # type: ignore[misc]  # it has no types
        """Rules in Backtrader's manner: values of now are [0], of the bar before [-1]."""

        def __init__(self) -> None:
            close, high, low = self.data.close, self.data.high, self.data.low
            self.named = {
                "EMA": bt.talib.EMA(close, timeperiod=21),
                "own EMA": bt.ind.EMA(close, period=21),
                "RSI": bt.talib.RSI(close, timeperiod=9),
                "own RSI": bt.ind.RSI_Wilder(close, period=9),
                "ATR": bt.talib.ATR(high, low, close, timeperiod=10),
                "own ATR": bt.ind.ATR(self.data, period=10),
                "MAX": bt.talib.MAX(high, timeperiod=20),
                "own Highest": bt.ind.Highest(high, period=20),
                "MIN": bt.talib.MIN(low, timeperiod=10),
                "own Lowest": bt.ind.Lowest(low, period=10),
                "own Bollinger": bt.ind.BollingerBands(close, period=20, devfactor=1.0),
                "ROCP": bt.talib.ROCP(close, timeperiod=24),
                "own RateOfChange": bt.ind.ROC(close, period=24),
            }
            self.fast = bt.talib.EMA(close, timeperiod=8)
            self.cross = bt.ind.CrossOver(self.fast, self.named["EMA"])
            self.out_high = bt.ind.Highest(high, period=10)
            self.said: dict[str, dict[int, int]] = {name: {} for name in CHOSEN}

        def next(self) -> None:
            at = len(self) - 1
            for name in CHOSEN:
                self.said[name][at] = RULES[name](self)

    return Rules


def rsi_ema(rules: Any) -> int:
    rsi, cross = rules.named["RSI"][0], rules.cross[0]
    if cross > 0:
        return SHORT_EXIT | (LONG_ENTRY if rsi < 65 else 0)
    return LONG_EXIT | (SHORT_ENTRY if rsi > 35 else 0) if cross < 0 else 0


def donchian(rules: Any) -> int:
    close, atr = rules.data.close, rules.named["ATR"]
    high, low = rules.named["own Highest"], rules.named["own Lowest"]
    lows = lowest(rules, 20)

    def turns(holds: Callable[[int], bool]) -> bool:
        return holds(0) and not holds(-1)

    return int(
        LONG_ENTRY * turns(lambda i: close[i] > high[i - 1] + 0.25 * atr[i - 1])
        | LONG_EXIT * turns(lambda i: close[i] < low[i - 1])
        | SHORT_ENTRY * turns(lambda i: close[i] < lows[i - 1] - 0.25 * atr[i - 1])
        | SHORT_EXIT * turns(lambda i: close[i] > rules.out_high[i - 1])
    )


def bollinger(rules: Any) -> int:
    close, bands = rules.data.close, rules.named["own Bollinger"]

    def score(i: int) -> float:
        return float((close[i] - bands.mid[i]) / (bands.top[i] - bands.mid[i]))

    now, was = score(0), score(-1)
    return (
        LONG_ENTRY * (now < -1.8 <= was)
        | LONG_EXIT * (now >= 0 > was)
        | SHORT_ENTRY * (now > 1.8 >= was)
        | SHORT_EXIT * (now <= 0 < was)
    )


def momentum(rules: Any) -> int:
    now, was = rules.named["own RateOfChange"][0], rules.named["own RateOfChange"][-1]
    return int(
        LONG_ENTRY * (now > 0.02 >= was)
        | LONG_EXIT * (now <= 0 < was)
        | SHORT_ENTRY * (now < -0.02 <= was)
        | SHORT_EXIT * (now >= 0 > was)
    )


def lowest(rules: Any, bars: int) -> dict[int, float]:
    """Return the lowest low of some bars, as it was at the last bars."""
    return {-i: min(rules.data.low[-i - back] for back in range(bars)) for i in range(1, 3)}


RULES = {"rsi_ema": rsi_ema, "donchian": donchian, "bollinger": bollinger, "momentum": momentum}


def line(told: Any, name: str) -> Array:
    indicator = told.named[name]
    if name == "own Bollinger":
        close, middle = np.array(told.data.close.array), np.array(indicator.lines.mid.array)
        made: Array = (close - middle) / (np.array(indicator.lines.top.array) - middle)
        return made
    values = np.array(indicator.lines[0].array)
    return before(values) if name in {"MAX", "own Highest", "MIN", "own Lowest"} else values  # ours leave out the last


def assert_indicator(told: Any, market: Bars, name: str, rtol: float) -> None:
    ours, theirs = NAMED[name](Indicators(market)), line(told, name)
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.sum() > 0.95 * market.size
    np.testing.assert_allclose(ours[both], theirs[both], rtol=rtol, atol=1e-7)


def assert_signals(told: Any, market: Bars, name: str) -> None:
    model, chosen = MODELS[name], checked(MODELS[name], CHOSEN[name])
    ours = signals(model, Indicators(market), chosen)
    start = max(model.warm_up(chosen, HOUR_NS), min(told.said[name])) + 1
    theirs = np.array([told.said[name][at] for at in range(start, market.size)])
    assert list(np.flatnonzero(ours[start:] != theirs)) == []
    assert np.count_nonzero(theirs) > 20
    assert set(np.unique(ours[start:] & LONG_ENTRY)) == {0, LONG_ENTRY}


@pytest.mark.parametrize("name", NAMED)
def test_an_indicator_is_backtraders(told: Any, market: Bars, name: str) -> None:
    assert_indicator(told, market, name, 1e-9)


@pytest.mark.parametrize("name", CHOSEN)
def test_a_study_signals_where_backtrader_does(told: Any, market: Bars, name: str) -> None:
    assert_signals(told, market, name)


@pytest.mark.parametrize("name", CHOSEN)
def test_live_signals_where_backtrader_does(told: Any, market: Bars, name: str) -> None:
    follower = Follower(MODELS[name], CHOSEN[name], HOUR_NS)
    said = told.said[name]
    compared = 0
    for at in range(market.size - follower.warm_up - 150, market.size):
        prices = [float(column[at]) for column in (market.open, market.high, market.low, market.close, market.volume)]
        found = follower.on_bar(bar(int(market.ts[at]), prices))
        if not follower.missing:
            assert found == said[at], at
            compared += 1
    assert compared > 140


def bar(start: int, prices: list[float]) -> Bar:
    opened, high, low, close, volume = prices
    return Bar(BTC, Interval.H1, start, opened, high, low, close, volume, 1, True, 0, start)


def test_recorded_bars_are_the_same_to_both(recorded_data: Path) -> None:
    """Twin of the tests on generated bars."""
    market = recorded(recorded_data, "BTCUSDT-perp-1h", HOUR_NS, 6000).between(2000, 6000)
    told = run(market)
    for name in CHOSEN:
        assert_signals(told, market, name)
    for name in NAMED:
        assert_indicator(told, market, name, 1e-8)
