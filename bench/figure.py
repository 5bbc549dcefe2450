"""What a benchmark says: one figure with what is required of it, what was measured, and whether that is enough."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class DifferentValues(Exception):
    """The two sides did not do the same work: a ratio would mean nothing."""


class Unavailable(Exception):
    """The other side cannot run here; the pair is left out, saying why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; ``ok`` is None where nothing is required."""

    what: str
    required: str
    measured: str
    ok: bool | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return ``ok``, ``missed``, or nothing."""
        return "" if self.ok is None else "ok" if self.ok else "missed"


@dataclass(slots=True)
class Pair:
    """What both sides took (or did a second) in each round, and the values they must agree on."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    def add(self, ours: float, theirs: float) -> None:
        """Take one round."""
        self.ours.append(ours)
        self.theirs.append(theirs)

    @property
    def ratios(self) -> list[float]:
        """Return ours over theirs, round by round."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    def figure(self, what: str, unit: str, *, at_most: float | None = None, at_least: float | None = None) -> Figure:
        """Return the median ratio as a figure, both sides' medians and the range of the rounds beside it."""
        ratio = statistics.median(self.ratios)
        required, ok = "", None
        if at_most is not None:
            required, ok = f"≤ {short(at_most)} ×", ratio <= at_most
        elif at_least is not None:
            required, ok = f"≥ {short(at_least)} ×", ratio >= at_least
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        note = f"{short(ours)} against {short(theirs)} {unit}"
        if len(self.ratios) > 1:
            note += f"; rounds {short(min(self.ratios))}–{short(max(self.ratios))}"
        return Figure(what, required, f"{short(ratio)} ×", ok, note)


def short(value: float) -> str:
    """Return a number with three digits that matter, thousands grouped."""
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def at_most(what: str, value: float, bound: float, unit: str, note: str = "") -> Figure:
    """Return a figure that must not be larger than its bound."""
    return Figure(what, f"≤ {short(bound)} {unit}", f"{short(value)} {unit}", value <= bound, note)


def plain(what: str, value: float, unit: str, note: str = "") -> Figure:
    """Return a figure of which nothing is required."""
    return Figure(what, "", f"{short(value)} {unit}", None, note)


def same(what: str, ours: Mapping[str, object], theirs: Mapping[str, object], keys: Sequence[str]) -> None:
    """Compare values before any ratio.

    Raises:
        DifferentValues: naming the first value that differs.
    """
    for key in keys:
        a, b = ours[key], theirs[key]
        if isinstance(a, int | float) and isinstance(b, int | float):
            equal = abs(a - b) <= 1e-6 * max(1.0, abs(a), abs(b))
        else:
            equal = a == b
        if not equal:
            raise DifferentValues(f"{what}: {key} is {a} on our side and {b} on the other; no ratio is given")
