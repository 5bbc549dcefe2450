"""What a strategy of the library is: parameters, a horizon, a warm-up, and signals for arrays of bars."""

import math
from collections.abc import Mapping
from typing import ClassVar, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError
from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from core.strategy.signals import Flags, Indicators

Parameters: TypeAlias = Mapping[str, float]
Events: TypeAlias = tuple[NDArray[np.int64], NDArray[np.uint8]]
"""Rising bar numbers, and what is signalled at each: (events,), or (symbols, events) where one looks across."""


class Parameter(msgspec.Struct, frozen=True):
    """One number that a study may choose, from ``low`` to ``high`` by ``step``; whole where the step is."""

    name: str
    low: float
    high: float
    step: float
    default: float
    meaning: str

    @property
    def whole(self) -> bool:
        """Tell whether only whole numbers will do."""
        return self.step % 1 == 0


class Model(Protocol):
    """A strategy as a rule: signals are known at a bar's close and meant for the next bar's open.

    Sets that agree in the parameters named by ``shared`` act at much the same bars: a simulator takes them together.
    """

    name: ClassVar[str]
    horizon: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    shared: ClassVar[tuple[str, ...]]
    across: ClassVar[bool]

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return how many bars, the last one among them, decide a signal."""
        ...

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return the bars with a signal and the signals, those of the warm-up among them."""
        ...


def checked(model: Model, chosen: Parameters) -> dict[str, float]:
    """Return a full set of parameters, defaults filled in.

    Raises:
        ConfigError: an unknown name, a number out of range, or averages of which the fast is not the faster one.
    """
    known = {parameter.name: parameter for parameter in model.parameters}
    for name in chosen:
        if name not in known:
            raise ConfigError(f'{model.name} has no parameter "{name}"; it has {", ".join(known)}')
    full = {}
    for name, parameter in known.items():
        value = chosen.get(name, parameter.default)
        if not (math.isfinite(value) and parameter.low <= value <= parameter.high):
            bounds = f"{parameter.low:g} to {parameter.high:g} ({parameter.meaning})"
            raise ConfigError(f"{model.name}: {name} is {value:g}, expected {bounds}")
        if parameter.whole and value != int(value):
            raise ConfigError(f"{model.name}: {name} is {value:g}, expected a whole number")
        full[name] = int(value) if parameter.whole else float(value)
    if "fast" in full and full["fast"] >= full["slow"]:
        raise ConfigError(f"{model.name}: fast is {full['fast']:g}, expected less than slow ({full['slow']:g})")
    return full


def signals(model: Model, x: Indicators, chosen: Parameters) -> NDArray[np.uint8]:
    """Return the signal of every bar, 0 while warming up; the shape is that of the closes."""
    found = np.zeros(x.bars.close.shape, np.uint8)
    when, what = model.events(x, chosen)
    warm = when >= model.warm_up(chosen, x.bars.interval_ns) - 1
    found[..., when[warm]] = what[..., warm]
    return found


def events_of(long: Flags, leave_long: Flags, short: Flags, leave_short: Flags) -> Events:
    """Return conditions, one a bar, as events."""
    bits = np.zeros(long.size, np.uint8)
    for flags, bit in ((long, LONG_ENTRY), (leave_long, LONG_EXIT), (short, SHORT_ENTRY), (leave_short, SHORT_EXIT)):
        bits[flags] |= bit
    when = np.flatnonzero(bits).astype(np.int64)
    return when, bits[when]


def bars_of_days(days: int, interval_ns: int) -> int:
    """Return how many bars some days have."""
    return -(-days * 86_400_000_000_000 // interval_ns)
