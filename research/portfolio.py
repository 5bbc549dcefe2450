"""How capital is spread over strategies or contracts: minimum variance, highest Sharpe ratio, risk parity, HRP.

Expected returns, covariance, risk-free rate and costs are of one and the same period, as fractions. Long only, fully
invested. cvxpy with Clarabel; López de Prado, *Building Diversified Portfolios that Outperform Out of Sample* (2016).
"""

import warnings
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ResearchError

Array = NDArray[np.float64]
cvxpy: Any = import_module("cvxpy")  # its functions are exported by stars, which types do not follow
_TOLERANCE = 1e-12
_SAME_RISK = 1e-12
_ROUNDS = 10_000
_SYMMETRIC = 1e-10
_SUM = 1e-6


def minimum_variance(covariance: Array) -> Array:
    """Return the weights (n,) of the least variance."""
    scaled = _scaled(covariance)
    weights = cvxpy.Variable(len(scaled))
    return _solved(cvxpy.Minimize(_variance(weights, scaled)), [cvxpy.sum(weights) == 1, weights >= 0], weights)


def highest_sharpe(
    expected: Array, covariance: Array, risk_free: float = 0.0, *, held: Array | None = None, cost: float = 0.0
) -> Array:
    """Return the weights (n,) of the highest Sharpe ratio, net of ``cost`` (fraction) on what is traded from ``held``.

    Solved as ``min y'Sy`` with an excess return of at least 1, then normalised.

    Raises:
        ResearchError: nothing is expected to earn more than the risk-free rate and the costs.
    """
    scaled, before = _scaled(covariance), _held(held, expected)
    if not np.max(expected) > risk_free:
        raise ResearchError(f"nothing is expected to earn more than the risk-free rate of {risk_free:g}")
    scale = 1.0 / (np.max(expected) - risk_free)
    weights, whole = cvxpy.Variable(len(scaled)), cvxpy.Variable()
    earned = (scale * (expected - risk_free)) @ weights
    if cost:
        earned -= scale * cost * cvxpy.norm1(weights - whole * before)
    bounds = [earned >= 1, cvxpy.sum(weights) == whole, weights >= 0, whole >= 0]
    return _solved(cvxpy.Minimize(_variance(weights, scaled)), bounds, weights)


def mean_variance(
    expected: Array, covariance: Array, aversion: float, *, held: Array | None = None, cost: float = 0.0
) -> Array:
    """Return the weights (n,) of the highest ``m'w - aversion / 2 × w'Sw - cost × |w - held|``."""
    before = _held(held, expected)
    _scaled(covariance)
    weights = cvxpy.Variable(len(covariance))
    gained = expected @ weights - aversion / 2.0 * _variance(weights, covariance)
    if cost:
        gained -= cost * cvxpy.norm1(weights - before)
    return _solved(cvxpy.Maximize(gained), [cvxpy.sum(weights) == 1, weights >= 0], weights)


def risk_parity(covariance: Array) -> Array:
    """Return the weights (n,) by which everything contributes the same risk: ``min x'Sx / 2 - mean(ln x)``.

    Coordinate by coordinate, which converges for every covariance (Griveau-Billion, Richard and Roncalli 2013) and
    closer than a solver of exponential cones.

    Raises:
        ResearchError: it is no covariance, or the risks do not come out the same.
    """
    scaled = _scaled(covariance)
    count = len(scaled)
    weights = 1.0 / np.sqrt(np.diag(scaled))
    for _ in range(_ROUNDS):
        for item in range(count):
            own = scaled[item, item]
            others = scaled[item] @ weights - own * weights[item]
            weights[item] = (np.sqrt(others**2 + 4.0 * own / count) - others) / (2.0 * own)
        if np.abs(risk_shares(weights, scaled) - 1.0 / count).max() < _SAME_RISK:
            made: Array = weights / weights.sum()
            return made
    raise ResearchError("no weights found: the items do not come to the same risk")


def risk_shares(weights: Array, covariance: Array) -> Array:
    """Return what each weight contributes to the variance, as fractions of it."""
    parts = weights * (covariance @ weights)
    shares: Array = parts / parts.sum()
    return shares


def turnover_cost(weights: Array, held: Array, cost: float) -> float:
    """Return what it costs to get from ``held`` to ``weights``: ``cost`` is a fraction of what is traded."""
    return cost * float(np.abs(weights - held).sum())


def hierarchical_risk_parity(covariance: Array) -> tuple[Array, list[int]]:
    """Return the HRP weights (n,) and the order of the tree's leaves.

    Single linkage over the Euclidean distance between the rows of ``sqrt((1 - correlation) / 2)``, as in the paper's
    code; then capital is halved down the ordered list by inverse variance.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    _scaled(covariance)
    deviation = np.sqrt(np.diag(covariance))
    correlation = np.clip(covariance / np.outer(deviation, deviation), -1.0, 1.0)
    order = [0]
    if len(covariance) > 1:
        rows = np.sqrt(np.maximum(0.0, 1.0 - correlation) / 2.0)
        order = [int(leaf) for leaf in leaves_list(linkage(pdist(rows), "single"))]
    weights, parts = np.ones(len(covariance)), [order]
    while parts:
        parts = [half for part in parts for half in (part[: len(part) // 2], part[len(part) // 2 :]) if len(part) > 1]
        for left, right in zip(parts[::2], parts[1::2], strict=True):
            first, second = _cluster_variance(covariance, left), _cluster_variance(covariance, right)
            share = 1.0 - first / (first + second)
            weights[left] *= share
            weights[right] *= 1.0 - share
    return weights, order


def _cluster_variance(covariance: Array, members: list[int]) -> float:
    part = covariance[np.ix_(members, members)]
    inverse = 1.0 / np.diag(part)
    weights = inverse / inverse.sum()
    return float(weights @ part @ weights)


# --- within -----------------------------------------------------------------------------------------------------------


def _scaled(covariance: Array) -> Array:
    """Return the covariance with a mean variance of 1, so that the solver's tolerances mean the same for any period.

    Raises:
        ResearchError: it is not square, symmetric and positive semidefinite, or a variance is not above 0.
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or not np.isfinite(covariance).all():
        raise ResearchError(f"the covariance has the shape {covariance.shape}; expected (n, n) numbers")
    variances = np.diag(covariance)
    if not np.all(variances > 0.0):
        raise ResearchError(
            f"the variance of item {int(np.argmin(variances))} is {variances.min():g}; expected above 0"
        )
    scaled: Array = covariance / variances.mean()
    if np.abs(scaled - scaled.T).max() > _SYMMETRIC or np.linalg.eigvalsh(scaled).min() < -_SYMMETRIC:
        raise ResearchError("the covariance is not symmetric and positive semidefinite: is it made of one sample?")
    return scaled


def _held(held: Array | None, expected: Array) -> Array:
    return np.zeros(len(expected)) if held is None else held


def _variance(weights: Any, covariance: Array) -> Any:
    return cvxpy.quad_form(weights, cvxpy.psd_wrap((covariance + covariance.T) / 2.0))


def _solved(goal: Any, bounds: list[Any], weights: Any) -> Array:
    """Return the weights of a solved problem, made to sum up to 1.

    Raises:
        ResearchError: the solver found none, or none that holds.
    """
    problem = cvxpy.Problem(goal, bounds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # inaccurate by so small a tolerance: what counts is checked
            problem.solve(solver=cvxpy.CLARABEL, tol_gap_abs=_TOLERANCE, tol_gap_rel=_TOLERANCE, tol_feas=_TOLERANCE)
    except cvxpy.SolverError as error:
        raise ResearchError(f"no weights found: {error}") from error
    if problem.status not in (cvxpy.OPTIMAL, cvxpy.OPTIMAL_INACCURATE) or weights.value is None:
        raise ResearchError(f"no weights found: the problem is {problem.status}")
    found = np.maximum(weights.value, 0.0)
    total = float(found.sum())
    if not total > 0.0 or float(weights.value.min()) < -_SUM * total:
        raise ResearchError("no weights found: the solver's are not long only")
    made: Array = found / total
    return made
