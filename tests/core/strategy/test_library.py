"""Strategies: what they signal, no look-ahead, and live equal to the study bar by bar."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("talib", reason="TA-Lib comes with the extra research")

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval
from core.errors import ConfigError
from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from core.strategy.follower import Follower
from core.strategy.library import MODELS, Model, checked, signals
from core.strategy.signals import DAY_NS, Bars, Indicators
from tests.core.strategy.markets import MINUTES_15, recorded, walk

SMALL: dict[str, dict[str, float]] = {
    "rsi_ema": {"fast": 3, "slow": 12, "rsi_window": 5},
    "donchian": {"channel": 15, "exit_channel": 7, "atr_window": 5},
    "bollinger": {"window": 20, "width": 1.5},
    "vwap": {"width": 1.2},
    "opening_range": {"minutes": 60},
    "volume_spike": {"days": 5, "score": 1.5, "hold": 3},
    "momentum": {"lookback": 30, "threshold_frac": 0.01},
    "cross_momentum": {"lookback": 20, "every": 5, "count": 1},
}


def market_for(model: Model, size: int, seed: int = 3, *, gaps: bool = True) -> Bars:
    return walk(size, seed, symbols=4 if model.across else 0, gaps=gaps)


def row(bars: Bars, t: int) -> Any:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return np.stack([np.atleast_1d(column[..., t]) for column in columns])


def follow(model: Model, chosen: dict[str, float], bars: Bars) -> Any:
    """Return what the live form says, bar by bar, in the shape of the closes."""
    follower = Follower(model, chosen, bars.interval_ns, np.atleast_2d(bars.close).shape[0])
    said = [follower.take(int(bars.ts[t]), row(bars, t)) for t in range(bars.size)]
    return np.stack(said, axis=-1).reshape(bars.close.shape)


def test_every_strategy_is_tried_here() -> None:
    assert SMALL.keys() == MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_no_signal_knows_the_future(name: str) -> None:
    model, chosen = MODELS[name], checked(MODELS[name], SMALL[name])
    bars = market_for(model, 1400)
    whole = signals(model, Indicators(bars), chosen)
    for end in range(model.warm_up(chosen, bars.interval_ns), bars.size, 7):
        part = signals(model, Indicators(bars.upto(end)), chosen)
        assert np.array_equal(part, whole[..., :end]), end


@pytest.mark.parametrize("name", MODELS)
def test_live_is_the_study_bar_by_bar(name: str) -> None:
    model, chosen = MODELS[name], checked(MODELS[name], SMALL[name])
    bars = market_for(model, 2500, seed=11)
    study = signals(model, Indicators(bars), chosen)
    assert np.count_nonzero(study) > 20
    for bit in (LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT):
        assert np.any(study & bit), f"{name} never signals {bit}"
    live = follow(model, chosen, bars)
    wrong = np.argwhere(live != study)
    assert not wrong.size, f"first at {wrong[0]}"


@pytest.mark.parametrize("name", [name for name in MODELS if not MODELS[name].across])
def test_live_is_the_study_on_recorded_bars(name: str, recorded_data: Path) -> None:
    model, chosen = MODELS[name], checked(MODELS[name], SMALL[name])
    for symbol, interval, size in (("BTCUSDT-perp-1h", 4 * MINUTES_15, 1500), ("LTCUSDT-perp-15m", MINUTES_15, 1500)):
        bars = recorded(recorded_data, symbol, interval, size)
        assert np.array_equal(follow(model, chosen, bars), signals(model, Indicators(bars), chosen)), symbol


@pytest.mark.parametrize("name", MODELS)
def test_the_default_parameters_are_legal(name: str) -> None:
    model = MODELS[name]
    chosen = checked(model, {})
    assert chosen.keys() == {parameter.name for parameter in model.parameters}
    assert set(model.shared) <= chosen.keys()
    assert model.warm_up(chosen, MINUTES_15) > 1


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"windw": 3.0}, 'bollinger has no parameter "windw"; it has window, width'),
        ({"window": 2.0}, "bollinger: window is 2, expected 5 to 200"),
        ({"window": 20.5}, "bollinger: window is 20.5, expected a whole number"),
        ({"width": float("nan")}, "bollinger: width is nan, expected 0.5 to 4"),
    ],
)
def test_parameters_that_cannot_be(chosen: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        checked(MODELS["bollinger"], chosen)


def test_averages_must_differ() -> None:
    with pytest.raises(ConfigError, match="fast is 50, expected less than slow"):
        checked(MODELS["rsi_ema"], {"fast": 50, "slow": 50})


def test_a_cross_by_hand_and_the_rsi_that_forbids_it() -> None:
    close = np.concatenate([np.linspace(100.0, 80.0, 600), np.linspace(80.0, 120.0, 60)])
    bars = Bars.of(
        np.arange(close.size, dtype=np.int64) * MINUTES_15,
        [close, close, close, close, np.ones(close.size)],
        MINUTES_15,
    )
    model = MODELS["rsi_ema"]
    base = {"fast": 5, "slow": 20, "rsi_window": 5}
    free = signals(model, Indicators(bars), checked(model, {**base, "overbought": 100}))
    when = np.flatnonzero(free)
    assert when.size == 1
    assert free[when[0]] == LONG_ENTRY | SHORT_EXIT
    held = signals(model, Indicators(bars), checked(model, {**base, "overbought": 60}))
    assert held[when[0]] == SHORT_EXIT


def test_the_best_is_bought_and_the_worst_sold() -> None:
    bars = walk(40, symbols=4)
    rises = np.array([0.01, 0.03, -0.02, 0.0])
    close = np.asarray(100.0 * (1 + rises[:, None]) ** np.arange(40), np.float64)
    bars = Bars.of(bars.ts, [close] * 4 + [np.ones_like(close)], bars.interval_ns)
    said = signals(
        MODELS["cross_momentum"], Indicators(bars), checked(MODELS["cross_momentum"], SMALL["cross_momentum"])
    )
    last = said[:, np.flatnonzero(said[0])[-1]]
    assert list(last) == [
        LONG_EXIT | SHORT_EXIT,
        LONG_ENTRY | SHORT_EXIT,
        LONG_EXIT | SHORT_ENTRY,
        LONG_EXIT | SHORT_EXIT,
    ]


def test_day_strategies_are_flat_at_the_end_of_the_day() -> None:
    for name in ("opening_range", "vwap"):
        model, bars = MODELS[name], walk(3000)
        said = signals(model, Indicators(bars), checked(model, SMALL[name]))
        last = (bars.ts + bars.interval_ns) % DAY_NS == 0
        last[: model.warm_up(checked(model, {}), bars.interval_ns)] = False
        assert np.all(said[last] == LONG_EXIT | SHORT_EXIT)


def a_bar(start: int, price: float, revision: int = 0) -> Bar:
    instrument = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
    return Bar(instrument, Interval.M15, start, price, price, price, price, 1.0, 1, True, revision, start)


def test_a_late_word_on_a_bar_replaces_it() -> None:
    model, chosen = MODELS["bollinger"], {"window": 5, "width": 1.5}
    follower, straight = (Follower(model, chosen, MINUTES_15) for _ in range(2))
    prices = [100.0, 101, 100, 101, 100, 101, 100, 101, 100, 101, 80]
    misled = said = 0
    for number, price in enumerate(prices):
        misled = follower.on_bar(a_bar(number * MINUTES_15, 500.0 if number == 8 else price))
        said = straight.on_bar(a_bar(number * MINUTES_15, price))
    assert misled != said == LONG_ENTRY | SHORT_EXIT
    assert follower.on_bar(a_bar(8 * MINUTES_15, prices[8], 1)) == said


def test_a_bar_older_than_all_is_left_out_and_warm_up_is_counted() -> None:
    follower = Follower(MODELS["bollinger"], {"window": 5}, MINUTES_15)
    assert follower.missing == 6
    follower.on_bar(a_bar(5 * MINUTES_15, 100.0))
    follower.on_bar(a_bar(0, 100.0))
    assert follower.missing == 5
