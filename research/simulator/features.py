"""Many parameter sets of one strategy as batches for the simulator: indicators once, events instead of bars.

A signal of bar ``t`` is known at its close and acts at the open of ``t + 1``. Sets that agree in what their strategy
calls ``shared`` stand in one batch, whose bars are those at which any of them acts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import ResearchError
from core.strategy.library import Model, Parameters, checked
from core.strategy.library.model import Events
from core.strategy.signals import Bars, Indicators
from research.simulator.simulator import Sets

Key: TypeAlias = tuple[float, ...]
BATCH = 4096
"""Sets of one batch at most: a row of signals each."""
SIZES = frozenset({"leverage", "notional", "fraction", "max_size", "stop", "target", "trail"})


class Batch(msgspec.Struct, frozen=True):
    """Sets to simulate together; ``numbers`` are their places among those that were asked for."""

    numbers: NDArray[np.int64]
    sets: Sets


def grid(**axes: Sequence[float]) -> list[dict[str, float]]:
    """Return every combination of parameters, the last axis fastest."""
    combined: list[dict[str, float]] = [{}]
    for name, values in axes.items():
        combined = [{**one, name: value} for one in combined for value in values]
    return combined


def batches(
    model: Model, x: Indicators, chosen: Sequence[Parameters], *, symbol: int = 0, **sizes: ArrayLike
) -> Iterator[Batch]:
    """Yield all sets in batches; ``sizes`` are fields of ``Sets``, one number for all or one a set.

    Each indicator is worked out once for all that share ``x``. ``symbol`` is the row of a strategy that looks across
    instruments: every instrument is simulated by itself, on the bars that it has.

    Raises:
        ConfigError: a set that the strategy does not take.
        ResearchError: a size that ``Sets`` does not have, or not one for each set.
    """
    columns = _sizes(sizes, len(chosen))
    full = [checked(model, one) for one in chosen]
    opens = _next_open(x.bars, symbol)
    last = int(opens[-1]) if opens.size else 0
    groups: dict[Key, list[int]] = {}
    for number, one in enumerate(full):
        groups.setdefault(tuple(one[name] for name in model.shared), []).append(number)
    for members in groups.values():
        for start in range(0, len(members), BATCH):
            numbers = np.array(members[start : start + BATCH], np.int64)
            when, signals = _together([_acting(model, x, full[number], symbol) for number in numbers])
            acts = opens[when]
            there = acts < last  # nothing acts on the last close
            own = {name: column[numbers] for name, column in columns.items()}
            yield Batch(numbers, Sets(bars=acts[there], signals=signals[:, there], **own))


def _sizes(sizes: Mapping[str, ArrayLike], count: int) -> dict[str, Any]:
    columns = {}
    for name, values in sizes.items():
        if name not in SIZES:
            raise ResearchError(f'a set has no "{name}"; it has {", ".join(sorted(SIZES))}')
        column = np.asarray(values, np.float64)
        if column.ndim and column.shape != (count,):
            raise ResearchError(f"{name} has {column.size} values for {count} sets; give one, or one a set")
        columns[name] = np.broadcast_to(column, (count,))
    return columns


def _acting(model: Model, x: Indicators, chosen: Parameters, symbol: int) -> Events:
    """Return the events of a set; what comes of the warm-up is 0, so that the bars stay shared."""
    when, what = model.events(x, chosen)
    warm = when >= model.warm_up(chosen, x.bars.interval_ns) - 1
    return when, np.where(warm, what[symbol] if model.across else what, 0).astype(np.uint8)


def _together(events: Sequence[Events]) -> Events:
    """Return the bars at which any set signals, and a row of signals a set."""
    first = events[0][0]
    if all(when is first for when, _ in events):  # one array for all: averages that cross, say
        when, signals = first, np.stack([what for _, what in events])
    else:
        when = np.unique(np.concatenate([when for when, _ in events]))
        signals = np.zeros((len(events), when.size), np.uint8)
        for row, (own, what) in zip(signals, events, strict=True):
            row[np.searchsorted(when, own)] = what
    some = signals.any(axis=0)
    return when[some], signals[:, some]


def _next_open(bars: Bars, symbol: int) -> NDArray[np.int64]:
    """Return for each bar which of the symbol's own bars comes next: those that it lacks do not count."""
    close = bars.close[symbol] if bars.close.ndim > 1 else bars.close
    return np.cumsum(np.isfinite(close))
