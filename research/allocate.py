"""Spread capital over studies and instruments: daily returns on the days that all have, weights, what turning costs."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import ResearchError
from research import portfolio
from research.validation.findings import Case
from research.validation.history import Curve
from research.validation.metrics import YEAR_DAYS
from store.candles import Series

Array = NDArray[np.float64]
Days = NDArray[np.int64]
Method = Literal["risk_parity", "hrp", "min_variance", "sharpe"]
DAY_NS = 86_400_000_000_000
LEAST_DAYS = 60
"""Fewer days in common say little of how things move together."""


class Item(msgspec.Struct, frozen=True):
    """What capital can go to: its return on each day (since 1970); on ``judged`` days it was not fitted."""

    name: str
    days: Days
    returns: Array
    judged: NDArray[np.bool_]


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One item's part: fractions of the capital; ``risk_share`` of the variance, ``volatility`` its own, yearly."""

    name: str
    weight: float
    held: float
    risk_share: float
    volatility: float
    expected: float | None = None
    """Yearly, on the days on which nothing was fitted; None where the method does not look at it."""


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """How capital is spread: by how many days, with which yearly volatility, and what it costs to get there."""

    method: str
    days: int
    shares: tuple[Share, ...]
    volatility: float
    turnover: float
    cost: float


def of_study(case: Case) -> Item:
    """Return a trial as an item; the days of its test are those on which it was not fitted."""
    parts = [_daily(stretch.curve) for stretch in (case.inside, case.outside)]
    fitted = parts[0][0].size
    days, first = np.unique(np.concatenate([part[0] for part in parts]), return_index=True)
    returns = np.concatenate([part[1] for part in parts])[first]
    return Item(case.report.study, days, returns, first >= fitted)


def of_series(series: Series) -> Item:
    """Return a kept series as an item: what its closes earn, held long; nothing of it is fitted.

    Raises:
        ResearchError: it has no closes.
    """
    if "close" not in series.columns:
        raise ResearchError(f"{series.name} has no closes: name a series of candles")
    close = series.columns["close"]
    days, returns = _daily(Curve(series.ts[1:], close[1:], float(close[0])) if series.size else None)
    return Item(str(series.name), days, returns, np.ones(days.size, np.bool_))


def allocate(
    items: Sequence[Item],
    method: Method,
    *,
    held: Mapping[str, float] | None = None,
    cost: float = 0.0,
    hold_days: float = 30.0,
) -> Allocation:
    """Return the weights of a method; ``cost`` is a fraction of what is traded, and earned back over ``hold_days``.

    Raises:
        ResearchError: fewer than two items or one twice, too few days in common, held what is no item, or no weights.
    """
    names = [item.name for item in items]
    before = _before(names, held or {})
    table, judged = _together(items)
    covariance = np.cov(table, rowvar=False) * hold_days
    expected = _expected(table, judged, hold_days) if method == "sharpe" else None
    ways: dict[str, Callable[[], Array]] = {
        "risk_parity": lambda: portfolio.risk_parity(covariance),
        "hrp": lambda: portfolio.hierarchical_risk_parity(covariance)[0],
        "min_variance": lambda: portfolio.minimum_variance(covariance),
        "sharpe": lambda: portfolio.highest_sharpe(_known(expected), covariance, held=before, cost=cost),
    }
    weights = ways[method]()
    yearly = YEAR_DAYS / hold_days
    risk, alone = portfolio.risk_shares(weights, covariance), np.sqrt(np.diag(covariance) * yearly)
    shares = [
        Share(
            name=name,
            weight=float(weights[at]),
            held=float(before[at]),
            risk_share=float(risk[at]),
            volatility=float(alone[at]),
            expected=None if expected is None else float(expected[at] * yearly),
        )
        for at, name in enumerate(names)
    ]
    turnover = portfolio.turnover_cost(weights, before, 1.0)
    whole = float(np.sqrt(weights @ covariance @ weights * yearly))
    return Allocation(
        method=method,
        days=table.shape[0],
        shares=tuple(shares),
        volatility=whole,
        turnover=turnover,
        cost=cost * turnover,
    )


# --- within -----------------------------------------------------------------------------------------------------------


def _daily(curve: Curve | None) -> tuple[Days, Array]:
    """Return each UTC day that has a bar, and what it brought."""
    if curve is None or not curve.ts.size:
        return np.zeros(0, np.int64), np.zeros(0)
    days = curve.ts // DAY_NS
    last = np.append(np.flatnonzero(days[1:] != days[:-1]), days.size - 1)
    ends = curve.equity[last]
    return days[last], ends / np.concatenate([[curve.begin], ends[:-1]]) - 1.0


def _together(items: Sequence[Item]) -> tuple[Array, NDArray[np.bool_]]:
    """Return the returns (days, items) on the days that all have, and on which of them nothing was fitted."""
    common = items[0].days
    for item in items[1:]:
        common = np.intersect1d(common, item.days)
    if common.size < LEAST_DAYS:
        spans = ", ".join(f"{item.name} {_span(item)}" for item in items)
        raise ResearchError(
            f"only {common.size} days in common, at least {LEAST_DAYS} needed: {spans}; take items of the same time"
        )
    rows = [np.searchsorted(item.days, common) for item in items]
    table = np.stack([item.returns[row] for item, row in zip(items, rows, strict=True)], axis=1)
    for item, values in zip(items, table.T, strict=True):
        if not np.isfinite(values).all() or not np.ptp(values) > 0.0:
            raise ResearchError(f"{item.name} never moved, or lost everything, in the {common.size} days in common")
    judged = np.all([item.judged[row] for item, row in zip(items, rows, strict=True)], axis=0)
    return table, judged


def _span(item: Item) -> str:
    if not item.days.size:
        return "has none"
    first, last = (str(np.datetime64(int(day), "D")) for day in (item.days[0], item.days[-1]))
    return f"{first} to {last}"


def _before(names: Sequence[str], held: Mapping[str, float]) -> Array:
    if len(names) < 2:
        raise ResearchError("capital is spread over two items or more: name studies, or series as data ls does")
    for first, second in pairwise(sorted(names)):
        if first == second:
            raise ResearchError(f"{first} is named twice")
    for name, weight in held.items():
        if name not in names:
            raise ResearchError(f"--held names {name}, which is none of {', '.join(names)}")
        if not 0.0 <= weight <= 1.0:
            raise ResearchError(f"--held {name}={weight:g}: a fraction of the capital is from 0 to 1")
    if sum(held.values()) > 1.0 + 1e-9:
        raise ResearchError(f"--held comes to {sum(held.values()):g} of the capital, more than all of it")
    return np.array([held.get(name, 0.0) for name in names])


def _expected(table: Array, judged: NDArray[np.bool_], hold_days: float) -> Array:
    if np.count_nonzero(judged) < LEAST_DAYS:
        raise ResearchError(
            f"what is expected is what was earned out-of-sample, and only {np.count_nonzero(judged)} such days are "
            f"common to all, at least {LEAST_DAYS} needed; take another method, or studies with longer tests"
        )
    expected: Array = table[judged].mean(axis=0) * hold_days
    return expected


def _known(expected: Array | None) -> Array:
    assert expected is not None
    return expected
