"""Batches of parameter sets: the same as each set by itself, for every strategy."""

from collections.abc import Mapping

import numpy as np
import pytest

pytest.importorskip("talib", reason="TA-Lib comes with the extra research")

from core.errors import ConfigError, ResearchError
from core.strategy.library import MODELS, Model, checked, signals
from core.strategy.signals import Bars, Indicators
from research.data.dataset import Joined, across
from research.simulator import features
from research.simulator.features import batches, grid
from research.simulator.simulator import Account, Market, Sets, simulate
from tests.core.strategy.markets import walk
from tests.research.files import CANDLES

AXES: dict[str, Mapping[str, list[float]]] = {
    "rsi_ema": {"fast": [3, 5], "slow": [12, 20], "rsi_window": [5, 9], "overbought": [55, 70]},
    "donchian": {"channel": [10, 20], "exit_channel": [5], "atr_window": [5], "atr_multiple": [0, 0.5]},
    "bollinger": {"window": [10, 20], "width": [1, 1.5]},
    "vwap": {"width": [1, 1.5], "settle_minutes": [60, 120]},
    "opening_range": {"minutes": [30, 60], "margin_bps": [0, 20]},
    "volume_spike": {"days": [5], "score": [1.5, 2], "hold": [2, 4]},
    "momentum": {"lookback": [20, 30], "threshold_frac": [0, 0.01]},
    "cross_momentum": {"lookback": [10, 20], "every": [5, 7], "count": [1, 2]},
}


def market_of(bars: Bars, symbol: int = 0) -> Market:
    columns = [np.atleast_2d(column)[symbol] for column in (bars.open, bars.high, bars.low, bars.close)]
    there = np.isfinite(columns[3])
    opened, high, low, close = (column[there] for column in columns)
    return Market(bars.ts[there], (opened, high, low, close))


def bars_for(model: Model) -> Bars:
    return walk(2000, seed=4, symbols=4 if model.across else 0, gaps=True)


@pytest.mark.parametrize("name", MODELS)
def test_a_set_in_its_batch_is_the_set_alone(name: str) -> None:
    model, chosen = MODELS[name], grid(**AXES[name])
    bars = bars_for(model)
    symbol = 2 if model.across else 0
    market, x = market_of(bars, symbol), Indicators(bars)
    leverage = np.linspace(1, 5, len(chosen))
    seen, traded = [], 0
    for batch in batches(model, x, chosen, symbol=symbol, leverage=leverage, fraction=0.5, stop=0.05):
        runs, _ = simulate(market, Account(), batch.sets)
        seen += list(batch.numbers)
        for number, run in zip(batch.numbers, runs, strict=True):
            said = np.atleast_2d(signals(model, Indicators(bars), checked(model, chosen[number])))[symbol]
            opens = np.flatnonzero(said[:-1]) + 1
            alone = Sets(bars=opens, signals=said[None, opens - 1], leverage=leverage[number], fraction=0.5, stop=0.05)
            (wanted,), _ = simulate(market, Account(), alone)
            assert (run["orders"], run["liquidated"]) == (wanted["orders"], wanted["liquidated"])
            assert run["equity"] == pytest.approx(wanted["equity"], rel=1e-12)
            assert run["drawdown"] == pytest.approx(wanted["drawdown"], rel=1e-9)
            traded += int(run["trades"])
    assert sorted(seen) == list(range(len(chosen)))
    assert traded > 20


def test_sets_that_share_their_bars_stand_together() -> None:
    model = MODELS["rsi_ema"]
    made = list(batches(model, Indicators(bars_for(model)), grid(**AXES["rsi_ema"]), notional=100.0))
    assert len(made) == 4, "pairs of averages"
    assert all(batch.numbers.size == 4 for batch in made)


def test_every_period_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    kept = Indicators.kept

    def counted(self: Indicators, key: object, make: object) -> object:
        if key not in self._kept:
            made.append(key)
        return kept(self, key, make)  # type: ignore[arg-type]

    monkeypatch.setattr(Indicators, "kept", counted)
    model = MODELS["rsi_ema"]
    list(batches(model, Indicators(bars_for(model)), grid(**AXES["rsi_ema"]), notional=100.0))
    assert len(made) == len(set(made))
    assert {key for key in made if key[0] in {"ema", "rsi"}} == {  # type: ignore[index]
        *(("ema", window) for window in (3, 5, 12, 20)),
        *(("rsi", window) for window in (5, 9)),
    }


def test_a_signal_acts_at_the_next_open_and_none_behind_the_last_bar() -> None:
    model, chosen = MODELS["momentum"], {"lookback": 2.0, "threshold_frac": 0.0}
    close = np.array([100.0, 100, 100, 100, 101, 102, 103, 90])
    bars = Bars.of(np.arange(8) * 900_000_000_000, [close] * 4 + [np.ones(8)], 900_000_000_000)
    said = signals(model, Indicators(bars), checked(model, chosen))
    assert list(np.flatnonzero(said)) == [4, 7]
    (batch,) = batches(model, Indicators(bars), [chosen], notional=1.0)
    assert list(batch.sets.bars) == [5]


def test_a_symbol_acts_on_the_bars_that_it_has() -> None:
    """Signals of the wide table are counted in the symbol's own bars: a hole before them moves them."""
    model, chosen = MODELS["cross_momentum"], {"lookback": 3.0, "every": 4.0}
    bars = walk(60, symbols=3)
    holed = np.stack([bars.open, bars.high, bars.low, bars.close, bars.volume])
    holed[:, 1, [5, 6]] = np.nan
    table = Bars.of(bars.ts, holed, bars.interval_ns)
    acted = {}
    for symbol in (0, 1):
        (batch,) = batches(model, Indicators(table), [chosen], symbol=symbol, notional=1.0)
        own = table.ts[np.isfinite(table.close[symbol])]
        acted[symbol] = own[batch.sets.bars]
    assert np.array_equal(acted[0], acted[1])
    assert acted[0].size > 8


def test_contracts_side_by_side() -> None:
    bars = walk(10)
    parts = [Joined(CANDLES, part, None, None) for part in (bars.upto(8), bars.between(2, 10))]
    table = across(parts)
    assert table.close.shape == (2, 10)
    assert np.array_equal(np.isnan(table.close).sum(axis=1), [2, 2])
    assert np.array_equal(table.close[1, 2:], bars.close[2:])
    with pytest.raises(ResearchError, match="one length"):
        across([parts[0], Joined(CANDLES, walk(3, interval_ns=3_600_000_000_000), None, None)])


def test_large_groups_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "BATCH", 3)
    model = MODELS["rsi_ema"]
    made = list(batches(model, Indicators(bars_for(model)), grid(**AXES["rsi_ema"]), notional=100.0))
    assert [batch.numbers.size for batch in made] == [3, 1] * 4


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"levrage": 2.0}, 'a set has no "levrage"; it has'),
        ({"leverage": [1.0, 2.0]}, "leverage has 2 values for 1 sets"),
    ],
)
def test_sizes_that_cannot_be(sizes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ResearchError, match=sentence):
        list(batches(MODELS["bollinger"], Indicators(walk(50)), [{}], **sizes))  # type: ignore[arg-type]


def test_a_set_that_the_strategy_does_not_take() -> None:
    with pytest.raises(ConfigError, match="window is 1, expected 5 to 200"):
        list(batches(MODELS["bollinger"], Indicators(walk(50)), [{"window": 1.0}], notional=1.0))


def test_no_bars_and_no_sets() -> None:
    assert list(batches(MODELS["bollinger"], Indicators(walk(50)), [], notional=1.0)) == []
    empty = Indicators(walk(300).upto(3))
    for name, model in MODELS.items():
        if not model.across:
            (batch,) = batches(model, empty, [grid(**AXES[name])[0]], notional=1.0)
            assert batch.sets.bars.size == 0
