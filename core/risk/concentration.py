"""How many independent bets a book is. Weights are signed values of underlyings, in any one unit."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Name = TypeVar("Name", contravariant=True)
_SETTLED = 1e-12
_TURNS = 1_000


class Correlate(Protocol[Name]):
    """Tell the correlation of two underlyings' returns, or None where it is not known."""

    def __call__(self, one: Name, other: Name, /) -> float | None:
        """Return the correlation, -1 to 1, or None."""
        ...


def book_variance(weights: Mapping[Name, float], correlation: Correlate[Name]) -> float:
    """Return ``w' C w``; a pair whose correlation is not known counts at its worst, ``+|w_i w_j|``."""
    items = [(name, weight) for name, weight in weights.items() if weight]
    total = 0.0
    for place, (name, weight) in enumerate(items):
        total += weight * weight
        for other, more in items[:place]:
            known = correlation(name, other)
            product = weight * more
            total += 2.0 * (abs(product) if known is None else known * product)
    return total


def effective_bets(weights: Mapping[Name, float], correlation: Correlate[Name]) -> float:
    """Return ``(sum |w|)^2 / w' C w``, at most the number of underlyings; 0 for an empty book.

    The square of the diversification ratio at equal volatilities. Source: Choueifaty, Froidure, Reynier, "Properties of
    the Most Diversified Portfolio" (2013): the number of independent factors that a book holds.
    """
    count = sum(1 for weight in weights.values() if weight)
    gross = sum(abs(weight) for weight in weights.values())
    variance = book_variance(weights, correlation)
    if variance <= gross * gross * 1e-12:
        return float(count)
    return min(gross * gross / variance, float(count))


def minimum_torsion_bets(weights: Matrix, covariance: Matrix) -> tuple[float, Matrix]:
    """Return (effective number of bets, share of each) by minimum torsion.

    Weights (n,), covariance (n, n) positive definite. Source: Meucci, Santangelo, Deguest, "Risk Budgeting and
    Diversification Based on Optimized Uncorrelated Factors" (2015).

    Raises:
        numpy.linalg.LinAlgError: the covariance is not positive definite.
    """
    volatility = np.sqrt(np.diag(covariance))
    if not (volatility > 0.0).all():
        raise np.linalg.LinAlgError("the covariance is not positive definite")
    root = _root(covariance / np.outer(volatility, volatility))
    scale, before = np.ones(len(weights)), np.inf
    turned = np.eye(len(weights))
    for _ in range(_TURNS):
        inner = _root(np.diag(scale) @ root @ root @ np.diag(scale))
        rotation = np.linalg.solve(inner, np.diag(scale) @ root)
        scale = np.diag(rotation @ root)
        turned = np.diag(scale) @ rotation
        left = float(np.linalg.norm(root - turned))
        if abs(before - left) <= _SETTLED:
            break
        before = left
    torsion = np.diag(volatility) @ turned @ np.linalg.inv(root) @ np.diag(1.0 / volatility)
    share = np.linalg.solve(torsion.T, weights) * (torsion @ covariance @ weights) / (weights @ covariance @ weights)
    held = share[share > 0.0]
    return float(np.exp(-(held * np.log(held)).sum())), share


def _root(matrix: Matrix) -> Matrix:
    """Return the symmetric square root of a positive definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] <= 0.0:
        raise np.linalg.LinAlgError("the covariance is not positive definite")
    root: Matrix = (vectors * np.sqrt(values)) @ vectors.T
    return root
