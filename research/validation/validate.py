"""Whether what a study found is more than luck: Sharpe ratios deflated, overfitting, stress; and the gates they open.

Sharpe ratios here are per observation, kurtosis is 3 for the normal distribution. Bailey and López de Prado, *The
Sharpe Ratio Efficient Frontier* (2012), *The Deflated Sharpe Ratio* (2014); Bailey, Borwein, López de Prado and Zhu,
*The Probability of Backtest Overfitting* (2017).
"""

import itertools
import math
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import ResearchError
from research.validation.metrics import Moments

Array = NDArray[np.float64]
NORMAL = NormalDist()
_GAMMA = 0.5772156649015329
_CHUNK = 1024


# --- Sharpe ratios ----------------------------------------------------------------------------------------------------


def _spread(moments: Moments, sharpe: float) -> float:
    return 1.0 - moments.skew * sharpe + (moments.kurtosis - 1.0) / 4.0 * sharpe**2


def probabilistic_sharpe(moments: Moments, benchmark: float = 0.0) -> float | None:
    """Return the probability that the true Sharpe ratio exceeds a benchmark (PSR); None where it does not exist."""
    sharpe = moments.sharpe
    if sharpe is None or moments.count < 3 or not _spread(moments, sharpe) > 0.0:
        return None
    return NORMAL.cdf((sharpe - benchmark) * math.sqrt(moments.count - 1) / math.sqrt(_spread(moments, sharpe)))


def least_track_record(moments: Moments, benchmark: float = 0.0, confidence: float = 0.95) -> float | None:
    """Return how many observations show a Sharpe ratio to be above a benchmark (minTRL); None if none suffice."""
    sharpe = moments.sharpe
    if sharpe is None or sharpe <= benchmark or not _spread(moments, sharpe) > 0.0:
        return None
    return 1.0 + _spread(moments, sharpe) * (NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def effective_trials(trials: int, correlation: float) -> float:
    """Return how many independent trials ``trials`` of an average correlation come to, at least 1."""
    bound = min(max(correlation, 0.0), 1.0)
    return max(1.0, bound + (1.0 - bound) * trials)


def expected_highest_sharpe(trials: float) -> float:
    """Return the expected highest of independent standard normal Sharpe ratios; 0 for a single trial."""
    if trials <= 1.0:
        return 0.0
    upper, lower = NORMAL.inv_cdf(1.0 - 1.0 / trials), NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return (1.0 - _GAMMA) * upper + _GAMMA * lower


def deflated_sharpe(moments: Moments, variance: float, trials: float) -> float | None:
    """Return the PSR over what the best of ``trials`` would show by luck (DSR).

    ``variance``: of the Sharpe ratios of all trials, liquidated ones among them; ``trials``: the effective number.
    """
    return probabilistic_sharpe(moments, math.sqrt(variance) * expected_highest_sharpe(trials))


def least_backtest_years(trials: float, sharpe_annual: float) -> float:
    """Return the years in which the best of ``trials`` shows an annual Sharpe ratio by luck (minBTL)."""
    return (expected_highest_sharpe(trials) / sharpe_annual) ** 2


# --- overfitting ------------------------------------------------------------------------------------------------------


class Overfitting(msgspec.Struct, frozen=True):
    """The outcome of CSCV: ``pbo``, a logit a split, the slope of out-of-sample on in-sample, the share that lost."""

    pbo: float
    logits: tuple[float, ...]
    slope: float | None
    loss_share: float


def overfitting(returns: Array, blocks: int = 16) -> Overfitting:
    """Return the probability of backtest overfitting by CSCV, measured by mean return.

    ``returns``: (periods, trials). Half of the blocks choose the best, the other half rank it: r of N from the worst,
    ``w = r / (N + 1)``, equals at their middle. Overfit is where ``ln(w / (1 - w)) <= 0``. Periods that do not fill the
    blocks are left out at the old end.

    Raises:
        ResearchError: an odd number of blocks, fewer periods than blocks, fewer than two trials, a missing value.
    """
    periods, trials = returns.shape
    if blocks < 2 or blocks % 2 or periods < blocks or trials < 2 or not np.isfinite(returns).all():
        raise ResearchError(
            f"overfitting needs an even number of blocks, as many periods, 2 trials and no missing value; "
            f"got {blocks} blocks, {periods} periods, {trials} trials"
        )
    length = periods // blocks
    sums = returns[periods - length * blocks :].reshape(blocks, length, trials).sum(axis=1)
    chosen = list(itertools.combinations(range(blocks), blocks // 2))
    inside, outside, ranks = np.empty(len(chosen)), np.empty(len(chosen)), np.empty(len(chosen))
    for at in range(0, len(chosen), _CHUNK):
        part = slice(at, at + _CHUNK)
        mask = np.zeros((len(chosen[part]), blocks))
        np.put_along_axis(mask, np.array(chosen[part]), 1.0, axis=1)
        seen, unseen = mask @ sums, (1.0 - mask) @ sums
        best = np.argmax(seen, axis=1)[:, None]
        own = np.take_along_axis(unseen, best, axis=1)
        inside[part], outside[part] = np.take_along_axis(seen, best, axis=1)[:, 0], own[:, 0]
        ranks[part] = (unseen < own).sum(axis=1) + ((unseen == own).sum(axis=1) + 1) / 2.0
    share = ranks / (trials + 1.0)
    logits = np.log(share / (1.0 - share))
    spread = float(np.var(inside))
    slope = float(np.cov(inside, outside, ddof=0)[0, 1]) / spread if spread > 0.0 else None
    return Overfitting(float(np.mean(logits <= 0.0)), tuple(logits.tolist()), slope, float(np.mean(outside < 0.0)))


def average_correlation(returns: Array) -> float:
    """Return the average correlation between the columns of (periods, trials), those without dispersion left out."""
    moving = returns[:, returns.std(axis=0) > 0.0]
    count = moving.shape[1]
    if count < 2:
        return 0.0
    return float((np.corrcoef(moving, rowvar=False).sum() - count) / (count * (count - 1)))


# --- holding up -------------------------------------------------------------------------------------------------------


def efficiency(inside: float, inside_days: float, outside: float, outside_days: float) -> float | None:
    """Return an efficiency: annualised out-of-sample over in-sample return; None without a gain.

    Each is a total return over days by the clock, annualised simply (by days, not compounded): a short test compounded
    to a year would drown everything else.
    """
    if inside <= 0.0 or inside_days <= 0.0 or outside_days <= 0.0:
        return None
    return (outside / outside_days) / (inside / inside_days)


def plateau(score: float, neighbours: list[float | None]) -> float | None:
    """Return the median score of the neighbours over a trial's own, discarded ones counting as 0; None without any."""
    if not neighbours or score <= 0.0:
        return None
    return float(np.median([0.0 if value is None else value for value in neighbours])) / score


class Bootstrap(msgspec.Struct, frozen=True):
    """What other orders of the trades would have brought: drawdowns at three quantiles, the share ruined."""

    drawdown_50: float
    drawdown_95: float
    drawdown_99: float
    ruined_share: float


def bootstrap(
    profits: Array, cash: float, *, draws: int = 1000, seed: int = 0, replace: bool = False
) -> Bootstrap | None:
    """Return the drawdowns of shuffled trades: ``profits`` (trades,) in the wallet's money; None without trades.

    Each trade counts as the fraction of the equity that it met, and the fractions compound: a late profit is large for
    the equity behind it. ``replace`` draws trades with replacement: then what they come to changes as well.
    """
    if not profits.size:
        return None
    met = cash + np.concatenate([[0.0], np.cumsum(profits)[:-1]])
    if np.any(met <= 0.0):
        return Bootstrap(1.0, 1.0, 1.0, 1.0)
    factors = np.maximum(1.0 + profits / met, 0.0)
    rng = np.random.default_rng(seed)
    falls = np.empty(draws)
    for number in range(draws):
        order = rng.choice(factors, factors.size) if replace else rng.permutation(factors)
        equity = np.concatenate([[1.0], np.cumprod(order)])
        falls[number] = np.max(1.0 - equity / np.maximum.accumulate(equity))
    half, most, worst = np.quantile(falls, [0.5, 0.95, 0.99])
    return Bootstrap(float(half), float(most), float(worst), float(np.mean(falls >= 1.0)))
