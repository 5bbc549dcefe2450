"""vectorbt's indicators of the library: every column is our signals of that set and symbol."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from core.errors import ConfigError
from core.strategy.library import MODELS, checked, signals
from core.strategy.signals import Indicators
from research.data.dataset import Wide
from research.factory import INPUTS, OUTPUTS, run
from tests.core.strategy.markets import walk
from tests.research.simulator.test_features import AXES

pytestmark = pytest.mark.filterwarnings("ignore")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT", "LTCUSDT")


@pytest.fixture(scope="module")
def wide() -> Wide:
    """Four symbols; two begin later, one has a hole."""
    bars = walk(1400, seed=4, symbols=4)
    fields = {name: getattr(bars, name).T.copy() for name in INPUTS}
    for values in fields.values():
        values[:100, 1] = np.nan
        values[:130, 2] = np.nan
        values[700:710, 3] = np.nan
    return Wide(bars.ts, SYMBOLS, fields, bars.interval_ns)


@pytest.fixture(scope="module")
def made(wide: Wide) -> Callable[[str], Any]:
    kept: dict[str, Any] = {}

    def make(name: str) -> Any:
        if name not in kept:
            kept[name] = run(MODELS[name], wide, **{key: list(values) for key, values in AXES[name].items()})
        return kept[name]

    return make


@pytest.mark.parametrize("name", MODELS)
def test_every_column_is_the_librarys(made: Callable[[str], Any], wide: Wide, name: str) -> None:
    model, found = MODELS[name], made(name)
    columns = found.entries.columns
    assert columns.names == [*(f"{name}_{parameter.name}" for parameter in model.parameters), "symbol"]
    sets = 1
    for values in AXES[name].values():
        sets *= len(values)
    assert len(columns) == sets * len(SYMBOLS)
    some = 0
    for *values, symbol in columns:
        chosen = checked(model, dict(zip((one.name for one in model.parameters), values, strict=True)))
        bits = ours(wide, name, chosen, symbol)
        for output, bit in OUTPUTS.items():
            column = getattr(found, output)[(*values, symbol)].to_numpy()
            assert np.array_equal(column, (bits & bit) != 0), (values, symbol, output)
            some += int(column.sum())
    assert some > 50


def ours(wide: Wide, name: str, chosen: dict[str, float], symbol: str) -> Any:
    place = SYMBOLS.index(symbol)
    if MODELS[name].across:
        return signals(MODELS[name], Indicators(wide.bars()), chosen)[place]
    bits = np.zeros(wide.ts.size, np.uint8)
    there = np.isfinite(wide.fields["close"][:, place])
    bits[there] = signals(MODELS[name], Indicators(wide.bars(symbol)), chosen)
    return bits


def test_no_column_knows_the_future(made: Callable[[str], Any], wide: Wide) -> None:
    """Truncate the table at some rows and compare the last one."""
    whole = made("rsi_ema").entries.to_numpy()
    lists: dict[str, Sequence[float]] = {key: list(values) for key, values in AXES["rsi_ema"].items()}
    for end in (900, 1203, 1399):
        fields = {key: values[:end] for key, values in wide.fields.items()}
        part = run(MODELS["rsi_ema"], Wide(wide.ts[:end], SYMBOLS, fields, wide.interval_ns), **lists)
        assert np.array_equal(part.entries.to_numpy()[-1], whole[end - 1])


def test_sets_that_are_none_have_no_column(wide: Wide) -> None:
    found = run(MODELS["rsi_ema"], wide, fast=[5, 12], slow=[10, 20])
    pairs = {(fast, slow) for fast, slow, *_ in found.entries.columns}
    assert pairs == {(5, 10), (5, 20), (12, 20)}
    with pytest.raises(ConfigError, match="fast is 30, expected less than slow"):
        run(MODELS["rsi_ema"], wide, fast=30, slow=[10, 20])
    with pytest.raises(ConfigError, match='no parameter "fats"'):
        run(MODELS["rsi_ema"], wide, fats=[3])
    with pytest.raises(ConfigError, match="give at least one"):
        run(MODELS["rsi_ema"], wide, fast=[])
