"""Tests of the forecasts: the published vectors, and the verdict in words."""

import math

import pytest

from core.risk.backtest import christoffersen, conditional_coverage, judge, kupiec, zone
from core.state.forecasts import RiskDay

HITS = [day in (50, 51, 52, 120, 200) for day in range(250)]


@pytest.mark.parametrize(
    ("days", "hits", "tail", "ratio"),
    [(1000, 15, 0.01, 2.1892), (250, 3, 0.01, 0.0949), (250, 5, 0.01, 1.9568097882), (250, 0, 0.01, 5.0252)],
)
def test_kupiec(days: int, hits: int, tail: float, ratio: float) -> None:
    assert kupiec(days, hits, tail)[0] == pytest.approx(ratio, abs=1e-4)


def test_kupiecs_p_value() -> None:
    assert kupiec(250, 3, 0.01)[1] == pytest.approx(0.758, abs=1e-3)
    assert kupiec(250, 0, 0.01)[0] == pytest.approx(-2 * 250 * math.log(0.99))


TABLE = [
    (0.01, 255, 0, 7), (0.01, 510, 1, 11), (0.01, 1000, 4, 17), (0.025, 255, 2, 12), (0.025, 510, 6, 21),
    (0.025, 1000, 15, 36), (0.05, 255, 6, 21), (0.05, 510, 16, 36), (0.05, 1000, 37, 65), (0.075, 255, 11, 28),
    (0.075, 510, 27, 51), (0.075, 1000, 59, 92), (0.10, 255, 16, 36), (0.10, 510, 38, 65), (0.10, 1000, 81, 120),
]  # fmt: skip


@pytest.mark.parametrize(("tail", "days", "low", "high"), TABLE)
def test_the_regions_that_jorion_prints(tail: float, days: int, low: int, high: int) -> None:
    """Open bounds; of 1 % in 255 days the printed table has the upper one alone."""
    inside = [hits for hits in range(days // 2) if kupiec(days, hits, tail)[0] < 3.841]
    assert (min(inside) - 1, max(inside) + 1) == (low, high)


def test_christoffersen() -> None:
    ratio, p = christoffersen(HITS)
    assert ratio == pytest.approx(9.8947, abs=1e-4)
    assert p == pytest.approx(0.00166, abs=1e-5)
    ratio, p = conditional_coverage(250, HITS, 0.01)
    assert ratio == pytest.approx(11.8515, abs=1e-4)
    assert p == pytest.approx(0.00267, abs=1e-5)


def test_hits_that_never_follow_each_other_are_defined() -> None:
    ratio, p = christoffersen([day in (10, 100) for day in range(250)])
    assert 0.0 <= ratio < 1.0
    assert p > 0.5
    assert christoffersen([]) == (0.0, 1.0)
    assert christoffersen([False] * 250) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "light"), [(0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red")])
def test_basels_traffic_light(hits: int, light: str) -> None:
    assert zone(hits) == light


def days(losses: list[float], bound: float = 100.0) -> list[RiskDay]:
    return [RiskDay(day, bound, 2 * bound, -loss) for day, loss in enumerate(losses)]


def test_the_verdict_in_words() -> None:
    assert judge(days([50.0] * 59), 0.95).verdict == "too few days"
    assert judge(days([50.0] * 50), 0.95).kupiec_p is None
    spread = [150.0 if day % 20 == 7 else 10.0 for day in range(200)]
    assert judge(days(spread), 0.95).verdict == "good"
    assert judge(days(spread), 0.95).hits == 10
    assert judge(days([10.0] * 250), 0.95).verdict == "too few losses"
    often = [150.0 if day % 5 == 2 else 10.0 for day in range(200)]
    assert judge(days(often), 0.95).verdict == "too many losses"
    clustered = [150.0 if 90 <= day < 100 else 10.0 for day in range(200)]
    assert judge(days(clustered), 0.95).verdict == "losses come in clusters"


def test_each_level_is_held_against_its_own_bound() -> None:
    sample = days([150.0 if day % 20 == 7 else 10.0 for day in range(200)])
    assert judge(sample, 0.99).hits == 0


def test_days_with_nothing_at_risk_and_the_day_that_runs_do_not_count() -> None:
    sample = [RiskDay(0, 0.0, 0.0, -50.0)] * 100 + days([50.0] * 70) + [RiskDay(99, 100.0, 200.0)]
    assert judge(sample, 0.95).days == 70
