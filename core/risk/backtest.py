"""Whether value-at-risk forecasts have held: how often losses went beyond them, and whether that came in clusters."""

from collections.abc import Sequence
from itertools import pairwise
from math import erfc, exp, log, sqrt

from core.domain.risk import VarTest
from core.state.forecasts import RiskDay

REJECT = 0.05
LEAST_DAYS = 60
"""Days below which nothing is said: at 99 % even that expects less than one loss beyond."""


def kupiec(days: int, hits: int, tail: float) -> tuple[float, float]:
    """Return (likelihood ratio, p value) of the share of hits against ``tail``.

    Source: Kupiec, "Techniques for verifying the accuracy of risk measurement models" (1995); chi-square(1).
    """
    share = hits / days
    ratio = -2.0 * (_likelihood(days, hits, tail) - _likelihood(days, hits, share))
    return max(ratio, 0.0), erfc(sqrt(max(ratio, 0.0) / 2.0))


def christoffersen(hits: Sequence[bool]) -> tuple[float, float]:
    """Return (likelihood ratio, p value) of hits that follow each other against hits that do not; chi-square(1).

    Source: Christoffersen, "Evaluating interval forecasts" (1998).
    """
    after = [[0, 0], [0, 0]]
    for before, now in pairwise(hits):
        after[before][now] += 1
    (n00, n01), (n10, n11) = after
    total = n00 + n01 + n10 + n11
    if not total:
        return 0.0, 1.0
    apart = _likelihood(n00 + n01, n01, n01 / (n00 + n01) if n00 + n01 else 0.0)
    apart += _likelihood(n10 + n11, n11, n11 / (n10 + n11) if n10 + n11 else 0.0)
    ratio = max(-2.0 * (_likelihood(total, n01 + n11, (n01 + n11) / total) - apart), 0.0)
    return ratio, erfc(sqrt(ratio / 2.0))


def conditional_coverage(days: int, hits: Sequence[bool], tail: float) -> tuple[float, float]:
    """Return (likelihood ratio, p value) of both together; chi-square(2)."""
    ratio = kupiec(days, sum(hits), tail)[0] + christoffersen(hits)[0]
    return ratio, exp(-ratio / 2.0)


def zone(hits: int) -> str:
    """Return Basel's traffic light for losses beyond 99 % in 250 days."""
    return "green" if hits <= 4 else "yellow" if hits <= 9 else "red"


def judge(days: Sequence[RiskDay], level: float) -> VarTest:
    """Test the days that are over and had something at risk at their start."""
    over = [(-day.profit, day.var_95 if level < 0.97 else day.var_99) for day in days if day.profit is not None]
    hits = [loss > bound for loss, bound in over if bound > 0.0]
    count, beyond, tail = len(hits), sum(hits), 1.0 - level
    if count < LEAST_DAYS:
        return VarTest(level, count, beyond, None, None, None, "too few days")
    often, clustered = kupiec(count, beyond, tail)[1], christoffersen(hits)[1]
    both = conditional_coverage(count, hits, tail)[1]
    verdict = "good"
    if often < REJECT:
        verdict = "too many losses" if beyond > tail * count else "too few losses"
    elif clustered < REJECT:
        verdict = "losses come in clusters"
    return VarTest(level, count, beyond, often, clustered, both, verdict)


def _likelihood(days: int, hits: int, share: float) -> float:
    """Return the log likelihood of hits at a share; 0 ln 0 is 0."""
    missed = days - hits
    return (hits * log(share) if hits else 0.0) + (missed * log(1.0 - share) if missed else 0.0)
