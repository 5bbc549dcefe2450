"""The library's strategies as vectorbt's indicators: lists of parameters over all symbols in one pass.

vectorbt takes some six seconds and 400 MB to load, so nothing here loads it before it is asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, ResearchError
from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from core.strategy.library import Model, checked, signals
from core.strategy.signals import Indicators
from research.data.dataset import Wide
from research.simulator.features import grid

Flags: TypeAlias = NDArray[np.bool_]
INPUTS = ("open", "high", "low", "close", "volume")
OUTPUTS = {"entries": LONG_ENTRY, "exits": LONG_EXIT, "short_entries": SHORT_ENTRY, "short_exits": SHORT_EXIT}
"""As ``vbt.Portfolio.from_signals`` names them."""


def factory(model: Model) -> Any:
    """Return vectorbt's indicator class of a strategy: inputs, parameters and outputs by name.

    ``run(open, high, low, close, volume, *parameters, looked=Looked(wide, model))``: what is looked at is made once
    for all parameter sets.

    Raises:
        ResearchError: vectorbt is not installed.
    """
    try:
        import vectorbt as vbt
    except ImportError as error:
        raise ResearchError(f'vectorbt is not installed: {error}; install the extra "research"') from error
    names = [parameter.name for parameter in model.parameters]

    def apply(*args: Any, looked: "Looked") -> tuple[Flags, ...]:
        chosen = checked(model, dict(zip(names, map(float, args[len(INPUTS) :]), strict=True)))
        bits = looked.bits(model, chosen)
        return tuple((bits & bit) != 0 for bit in OUTPUTS.values())

    made = vbt.IndicatorFactory(
        class_name=model.name, short_name=model.name, input_names=INPUTS, param_names=names, output_names=list(OUTPUTS)
    )
    return made.from_apply_func(apply, **{parameter.name: parameter.default for parameter in model.parameters})


class Looked:
    """The indicators of every symbol's own bars, or of all of them together, on the rows of a wide table."""

    def __init__(self, wide: Wide, model: Model) -> None:
        self.shape = (wide.ts.size, len(wide.symbols))
        self._there = np.isfinite(wide.fields["close"])
        self._across = Indicators(wide.bars()) if model.across else None
        self._each = [] if model.across else [Indicators(wide.bars(symbol)) for symbol in wide.symbols]

    def bits(self, model: Model, chosen: Mapping[str, float]) -> NDArray[np.uint8]:
        """Return the signals of a parameter set, (rows, symbols); 0 where a symbol has no bar."""
        if self._across is not None:
            return signals(model, self._across, chosen).T
        found = np.zeros(self.shape, np.uint8)
        for column, x in enumerate(self._each):
            found[self._there[:, column], column] = signals(model, x, chosen)
        return found


def run(model: Model, wide: Wide, **axes: float | Sequence[float]) -> Any:
    """Return vectorbt's indicator over every combination of parameters and every symbol.

    A column is a parameter set and a symbol; combinations that are none (a fast average that is not the faster one)
    have none. Signals are known at a bar's close: shift them by one row to act at the next open.

    Raises:
        ConfigError: an unknown parameter, or not one combination that the strategy takes.
        ResearchError: vectorbt is not installed.
    """
    lists = {name: list(map(float, np.atleast_1d(values))) for name, values in axes.items()}
    sets, refused = list[dict[str, float]](), ConfigError(f"{model.name}: no value for a parameter; give at least one")
    for one in grid(**lists):
        try:
            sets.append(checked(model, one))
        except ConfigError as error:
            refused = error
    if not sets:
        raise refused
    frame = wide.frame()
    columns = [[one[parameter.name] for one in sets] for parameter in model.parameters]
    return factory(model).run(*(frame[name] for name in INPUTS), *columns, looked=Looked(wide, model))
