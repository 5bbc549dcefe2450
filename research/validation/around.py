"""What lies around a trial: its score as one parameter moves, or two, and whether its neighbours hold up."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from core.domain.studies import Parameter, Plateau
from research.study.study import Range

Sets = Sequence[Mapping[str, Parameter]]
Score = Callable[[Sets], Sequence[float | None]]
"""Return the score of each set, None where it has none."""
REACH = 4
"""So many steps to each side are looked at."""
_STEP = 0.05
"""A neighbour is at least this fraction of the range away."""


class Slice(msgspec.Struct, frozen=True):
    """The score along one parameter, all others as the trial has them."""

    name: str
    values: tuple[float, ...]
    scores: tuple[float | None, ...]

    @property
    def swing(self) -> float:
        """Return how much of the score hangs on the parameter; no score counts as 0."""
        known = [score or 0.0 for score in self.scores]
        return max(known) - min(known)


def numbers(space: Mapping[str, Range]) -> dict[str, Range]:
    """Return the parameters that can be moved by a step: those that are not chosen from a list."""
    return {name: one for name, one in space.items() if not one.choices}


def moved(value: float, one: Range, side: int) -> float:
    """Return the next value worth trying on one side: a step, and at least a twentieth of the range."""
    if one.log:
        found = float(value * (one.high / one.low) ** (_STEP * side))
        if isinstance(value, int):
            return max(round(found), value + 1) if side > 0 else min(round(found), value - 1)
        return found
    step = one.step or (1 if isinstance(value, int) else _STEP * (one.high - one.low))
    steps = max(1, round(_STEP * (one.high - one.low) / step))
    return value + side * steps * step


def neighbours(space: Mapping[str, Range], found: Mapping[str, Any]) -> list[dict[str, Parameter]]:
    """Return the sets a step away in one number each."""
    made: list[dict[str, Parameter]] = []
    for name, one in numbers(space).items():
        for side in (-1, 1):
            value = moved(found[name], one, side)
            if one.low <= value <= one.high:
                made.append({**found, name: value})
    return made


def axis(value: float, one: Range, reach: int = REACH) -> list[float]:
    """Return a value between those that follow it on both sides within the range, rising."""
    below, above = [value], [value]
    for values, side in ((below, -1), (above, 1)):
        for _ in range(reach):
            further = moved(values[-1], one, side)
            if not one.low <= further <= one.high:
                break
            values.append(further)
    return [*reversed(below[1:]), *above]


def slices(space: Mapping[str, Range], found: Mapping[str, Any], score: Score) -> list[Slice]:
    """Return the score along each number, the one on which most of it hangs first."""
    axes = {name: axis(found[name], one) for name, one in numbers(space).items()}
    scores = list(score([{**found, name: value} for name, values in axes.items() for value in values]))
    made: list[Slice] = []
    for name, values in axes.items():
        own, scores = scores[: len(values)], scores[len(values) :]
        made.append(Slice(name, tuple(map(float, values)), tuple(own)))
    return sorted(made, key=lambda one: -one.swing)


def plateau(space: Mapping[str, Range], found: Mapping[str, Any], names: Sequence[str], score: Score) -> Plateau | None:
    """Return the score over the first two of some parameters; None where there are not two."""
    if len(names) < 2:
        return None
    x, y = names[:2]
    xs, ys = axis(found[x], space[x]), axis(found[y], space[y])
    scores = score([{**found, x: across, y: down} for down in ys for across in xs])
    rows = (tuple(scores[row * len(xs) : (row + 1) * len(xs)]) for row in range(len(ys)))
    return Plateau(x, y, tuple(map(float, xs)), tuple(map(float, ys)), tuple(rows))
