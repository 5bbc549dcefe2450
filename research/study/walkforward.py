"""Cut time into what a study may look at and what it is judged by: walk-forward windows, purge, embargo, CPCV.

*Purge*: the last samples before a test whose outcome reaches into it. *Embargo*: the samples after a test that still
remember it. López de Prado, Advances in Financial Machine Learning (2018), chapters 7 and 12.
"""

import itertools
import math
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import ResearchError

Indices = NDArray[np.int64]
DAY_NS = 86_400_000_000_000


class Span(msgspec.Struct, frozen=True, array_like=True):
    """From ``start`` to before ``stop``: positions, or times (ns, UTC)."""

    start: int
    stop: int

    @property
    def days(self) -> float:
        """Return the length of a span of times in days."""
        return (self.stop - self.start) / DAY_NS

    @property
    def words(self) -> str:
        """Return a span of times as days: ``2022-01-01 to 2025-01-01``."""
        days = (datetime.fromtimestamp(ts / 1e9, UTC).date().isoformat() for ts in (self.start, self.stop))
        return " to ".join(days)


class Window(msgspec.Struct, frozen=True, array_like=True):
    """One step forward: chosen in-sample on ``train``, judged out-of-sample on ``test``."""

    train: Span
    test: Span


class Windows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How windows roll, in days: train, a gap of purge and embargo, test; then on by one test.

    ``purge_days`` covers the longest life of a position or label, ``embargo_days`` what is remembered beyond it.
    ``expand`` keeps the first day of training.
    """

    train_days: float = 365.0
    test_days: float = 90.0
    purge_days: float = 1.0
    embargo_days: float = 0.0
    expand: bool = False


def rolling(
    size: int, train: int, test: int, *, purge: int = 0, embargo: int = 0, expand: bool = False
) -> list[Window]:
    """Return the windows of ``size`` samples; a last test that would be shorter is left out.

    Raises:
        ResearchError: a length of 0 or less, a negative gap, fewer samples than one window takes.
    """
    gap = purge + embargo
    if train <= 0 or test <= 0 or purge < 0 or embargo < 0:
        raise ResearchError(
            f"train {train}, test {test}, purge {purge}, embargo {embargo}: lengths must be above 0, gaps 0 or more"
        )
    if size < train + gap + test:
        raise ResearchError(
            f"{size} samples are fewer than one window takes: train {train} + purge {purge} + embargo {embargo} + "
            f"test {test}; shorten the windows or take more data"
        )
    starts = range(train + gap, size - test + 1, test)
    return [
        Window(Span(0 if expand else start - gap - train, start - gap), Span(start, start + test)) for start in starts
    ]


def windows(span: Span, how: Windows) -> list[Window]:
    """Return the windows over a span of time (ns). The newest test ends where the span does: what is left over is old.

    Raises:
        ResearchError: see ``rolling``.
    """
    hour = DAY_NS // 24
    lengths = {name: round(getattr(how, f"{name}_days") * 24) for name in ("train", "test", "purge", "embargo")}
    size = (span.stop - span.start) // hour
    try:
        found = rolling(size, **lengths, expand=how.expand)
    except ResearchError as error:
        raise ResearchError(f"windows over {size / 24:g} days, counted in hours: {error}") from None
    first = span.stop - found[-1].test.stop * hour

    def at(part: Span, start: int | None = None) -> Span:
        return Span(first + part.start * hour if start is None else start, first + part.stop * hour)

    return [Window(at(one.train, span.start if how.expand else None), at(one.test)) for one in found]


def purged(labels: NDArray[np.int64], tests: list[Span], embargo: int = 0) -> Indices:
    """Return which samples may be trained on: those whose label touches no test and that no embargo covers.

    ``labels``: (n, 2), from when to when (inclusive) the outcome of each sample is decided, in positions; ``tests``:
    spans of positions.
    """
    free = np.ones(len(labels), np.bool_)
    for test in tests:
        inside = labels[test.start : test.stop]
        begins, ends = int(inside[:, 0].min()), int(inside[:, 1].max())
        free &= (labels[:, 1] < begins) | (labels[:, 0] > ends)
        free[test.start : min(test.stop + embargo, len(labels))] = False
    found: Indices = np.flatnonzero(free).astype(np.int64)
    return found


def combinatorial(
    size: int, groups: int, tested: int, *, purge: int = 0, embargo: int = 0
) -> Iterator[tuple[Indices, list[Span]]]:
    """Yield (train, tests) of combinatorial purged cross-validation: every choice of ``tested`` among ``groups``.

    Raises:
        ResearchError: more groups tested than there are, or more groups than samples.
    """
    if not 0 < tested < groups <= size or purge < 0 or embargo < 0:
        raise ResearchError(
            f"cannot test {tested} of {groups} groups of {size} samples, purge {purge}, embargo {embargo}"
        )
    edges = [round(number * size / groups) for number in range(groups + 1)]
    for chosen in itertools.combinations(range(groups), tested):
        tests = [Span(edges[group], edges[group + 1]) for group in chosen]
        free = np.ones(size, np.bool_)
        for test in tests:
            free[max(0, test.start - purge) : test.stop + purge + embargo] = False
        yield np.flatnonzero(free).astype(np.int64), tests


def paths(groups: int, tested: int) -> int:
    """Return how many whole paths the tests of ``combinatorial`` make up: tested / groups × C(groups, tested)."""
    return tested * math.comb(groups, tested) // groups
