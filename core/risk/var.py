"""Value at risk and expected shortfall of a sample of profits. Losses are positive numbers.

``profits`` is an array (T,) of what the book would have made in each step, the oldest first; ``tail`` is the
probability beyond, such as 0.05. Scaling a step to a day by the square root of time holds only for independent steps.
"""

from collections.abc import Callable
from math import exp, pi, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
DECAY = 0.97
WARM_UP = 20
"""Steps from which the first variance is taken."""
_NORMAL = NormalDist()
_GRID = np.linspace(0.001, 0.25, 250)


def historical_var(profits: Series, tail: float) -> float:
    """Return the loss at a tail probability by the inverted empirical distribution, the most careful of the rules."""
    return float(-np.quantile(profits, tail, method="inverted_cdf"))


def historical_es(profits: Series, tail: float) -> float:
    """Return the mean loss of exactly the worst ``tail``, the last observation in part.

    Source: Acerbi, Tasche, "On the coherence of expected shortfall" (2002).
    """
    worst = np.sort(profits)
    reach = tail * len(worst)
    whole = int(np.floor(reach + 1e-12))
    part = reach - whole
    total = float(worst[:whole].sum())
    if part > 1e-12:
        total += part * float(worst[whole])
    return -total / reach


def gaussian(profits: Series, tail: float) -> tuple[float, float]:
    """Return (value at risk, expected shortfall) of a normal distribution with the sample's mean and deviation."""
    mean, deviation = float(profits.mean()), float(profits.std(ddof=1))
    z = normal_quantile(tail)
    return -(mean + deviation * z), -(mean - deviation * exp(-z * z / 2) / sqrt(2 * pi) / tail)


def cornish_fisher_z(tail: float | Series, skew: float, excess: float) -> Any:
    """Return the normal quantile corrected for skew and excess kurtosis (Cornish, Fisher 1937)."""
    quantile: Callable[[Any], Any] = normal_quantile if isinstance(tail, float) else np.vectorize(normal_quantile)
    z = quantile(tail)
    return z + (z * z - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skew * skew / 36


def cornish_fisher(profits: Series, tail: float) -> tuple[float, float] | None:
    """Return (value at risk, expected shortfall); None where the correction is not monotone and means nothing.

    The shortfall is the mean of the corrected quantiles over the tail.
    """
    mean, deviation = float(profits.mean()), float(profits.std(ddof=1))
    if not deviation > 0.0:
        return -mean, -mean
    centred = (profits - profits.mean()) / profits.std()
    skew, excess = float((centred**3).mean()), float((centred**4).mean()) - 3.0
    if np.any(np.diff(cornish_fisher_z(_GRID, skew, excess)) <= 0.0):
        return None
    inside = (np.arange(400) + 0.5) / 400 * tail
    shortfall = float(np.mean(cornish_fisher_z(inside, skew, excess)))
    return -(mean + deviation * float(cornish_fisher_z(tail, skew, excess))), -(mean + deviation * shortfall)


def ewma_deviations(profits: Series, decay: float = DECAY) -> Series:
    """Return the deviation forecast for each step and, last, for the next (T + 1,): ``v = d v + (1 - d) r^2``."""
    variances = np.empty(len(profits) + 1)
    variances[0] = float(np.mean(profits[:WARM_UP] ** 2))
    for step, profit in enumerate(profits):
        variances[step + 1] = decay * variances[step] + (1.0 - decay) * profit * profit
    return np.sqrt(variances)


def filtered(profits: Series, deviations: Series, tail: float) -> tuple[float, float]:
    """Return (value at risk, expected shortfall) of the next step: standardised profits times its own deviation.

    Source: Barone-Adesi, Giannopoulos, Vosper, "VaR without correlations" (1999). ``deviations`` is (T + 1,).
    """
    scale = deviations[:-1]
    usable = scale > 0.0
    if not usable.any():
        return 0.0, 0.0
    standard = profits[usable] / scale[usable]
    sigma = float(deviations[-1])
    return historical_var(standard, tail) * sigma, historical_es(standard, tail) * sigma


def garch_deviations(profits: Series) -> Series:
    """Return the deviations (T + 1,) of a GARCH(1, 1) with a constant mean, fitted to the sample.

    Raises:
        ImportError: the package ``arch`` is not installed.
        ValueError: the fit did not converge, or there is nothing to fit.
    """
    from arch import arch_model

    spread = float(profits.std())
    if not spread > 0.0:
        raise ValueError("the profits do not vary")
    fitted = arch_model(profits / spread, mean="Constant", vol="GARCH", p=1, q=1).fit(disp="off", show_warning=False)
    if fitted.convergence_flag:
        raise ValueError(f"the GARCH fit did not converge (flag {fitted.convergence_flag})")
    ahead = fitted.forecast(horizon=1, reindex=False).variance.to_numpy()[-1, 0]
    return np.append(np.asarray(fitted.conditional_volatility), sqrt(float(ahead))) * spread


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile."""
    return _NORMAL.inv_cdf(probability)
