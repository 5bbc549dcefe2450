"""Figures of a back-test: published and hand-made vectors, and what must never be infinite."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ResearchError
from research.simulator.records import RUN
from research.validation.metrics import (
    Objective,
    drawdown,
    from_equity,
    from_runs,
    growth,
    moments,
    moments_of_sums,
    score,
)

CURVE = np.array([100.0, 110.0, 99.0, 120.0, 90.0, 135.0])
ANY = Objective(least_trades=0)


def run(**fields: Any) -> "np.ndarray[Any, np.dtype[np.void]]":
    """Return one record that earned 20 % over 400 days, some fields changed."""
    made = np.zeros(1, RUN)
    rng = np.random.default_rng(1)
    returns = rng.normal(0.001, 0.02, 400)
    usual = {"equity": 120.0, "drawdown": 0.1, "gross_profit": 50.0, "gross_loss": 30.0, "liquidated": -1, "trades": 40}
    sums = {f"sum_{power}": float(np.sum(returns**power)) for power in (1, 2, 3, 4)}
    for name, value in {**usual, "wins": 25, "leverage": 2.0, "days": 400, **sums, **fields}.items():
        made[name] = value
    return made


def test_the_published_curve_has_its_drawdown_and_score() -> None:
    made = from_equity(CURVE, 365.0, leverage=3.0, objective=ANY)
    assert made.max_drawdown == pytest.approx(0.25, abs=1e-12)
    assert made.total_return == pytest.approx(0.35, abs=1e-12)
    assert made.return_over_drawdown == pytest.approx(1.40, abs=1e-9)
    assert made.calmar == pytest.approx(1.40, abs=1e-9)
    assert made.score == pytest.approx(0.35 / 0.75, abs=1e-9)
    assert made.sharpe_daily is None  # six values over a year are no daily returns


def test_the_first_value_belongs_to_the_peak() -> None:
    assert drawdown(np.array([100.0, 80.0, 90.0])) == pytest.approx(0.2)


def test_growth_goes_by_the_clock() -> None:
    assert growth(0.21, 730.0) == pytest.approx(0.1, abs=1e-12)
    assert growth(0.21, 73.0) == pytest.approx(1.21**5 - 1, abs=1e-12)
    assert growth(-1.0, 100.0) == -1.0
    assert growth(5.0, 0.0) is None
    assert growth(1e9, 0.01) is None  # more than a float holds


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60))
def test_moments_from_sums_are_those_of_the_returns(values: list[float]) -> None:
    returns = np.array(values)
    direct = moments(returns)
    summed = moments_of_sums(returns.size, *(float(np.sum(returns**power)) for power in (1, 2, 3, 4)))
    assert summed.mean == pytest.approx(direct.mean, abs=1e-12)
    if direct.deviation > 1e-4:
        assert summed.deviation == pytest.approx(direct.deviation, rel=1e-6)
        assert summed.skew == pytest.approx(direct.skew, abs=1e-3)
        assert summed.kurtosis == pytest.approx(direct.kurtosis, rel=1e-3)


def test_moments_are_scipys() -> None:
    from scipy import stats

    returns = np.random.default_rng(3).standard_t(5, 500) * 0.01
    made = moments_of_sums(500, *(float(np.sum(returns**power)) for power in (1, 2, 3, 4)))
    assert made.deviation == pytest.approx(returns.std(ddof=1), rel=1e-9)
    assert made.skew == pytest.approx(float(stats.skew(returns)), rel=1e-9)
    assert made.kurtosis == pytest.approx(float(stats.kurtosis(returns, fisher=False)), rel=1e-9)


def test_returns_that_are_all_the_same_have_no_sharpe_ratio() -> None:
    assert moments(np.full(50, 0.001)).sharpe is None
    assert moments_of_sums(50, 0.05, 50e-6, 50e-9, 50e-12).sharpe is None


def test_a_record_gives_the_score_and_the_ratios() -> None:
    made = from_runs(run(), 100.0, 400.0, Objective())
    assert made.score == pytest.approx(0.2 / (0.1 * 2.0))
    assert made.cagr == pytest.approx(1.2 ** (365 / 400) - 1)
    assert made.calmar == pytest.approx((1.2 ** (365 / 400) - 1) / 0.1)
    assert made.profit_factor == pytest.approx(50 / 30)
    assert made.win_rate == pytest.approx(25 / 40)
    assert made.sharpe_daily is not None
    assert made.sharpe_365 == pytest.approx(made.sharpe_daily * math.sqrt(365))


def test_no_drawdown_counts_as_the_least_and_says_so() -> None:
    made = from_runs(run(drawdown=0.0), 100.0, 400.0, Objective())
    assert made.score == pytest.approx(0.2 / (0.01 * 2.0))
    assert "taken as 0.01" in made.why
    assert score(0.5, 0.0, 1.0) == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"liquidated": 12}, "liquidated"),
        ({"trades": 3}, "3 trades, at least 30 needed"),
        ({"equity": math.nan}, "equity is not a number"),
    ],
)
def test_what_does_not_count_has_no_score_and_says_why(fields: dict[str, float], why: str) -> None:
    made = from_runs(run(**fields), 100.0, 400.0, Objective())
    assert made.score is None
    assert made.why == why
    assert made.liquidated == ("liquidated" in fields)


def test_nothing_lost_is_no_infinite_profit_factor() -> None:
    assert from_runs(run(gross_loss=0.0), 100.0, 400.0, Objective()).profit_factor is None


def test_a_short_span_is_not_annualised() -> None:
    made = from_runs(run(), 100.0, 89.0, Objective())
    assert made.cagr is None
    assert made.calmar is None
    assert made.score is not None


def test_several_wallets_count_together_the_worst_drawdown_and_the_days_once() -> None:
    both = np.concatenate([run(), run(equity=100.0, drawdown=0.3, liquidated=-1)])
    made = from_runs(both, 100.0, 400.0, Objective())
    assert made.total_return == pytest.approx(0.1)
    assert made.max_drawdown == pytest.approx(0.3)
    assert made.trades == 80
    assert made.moments is not None
    assert made.moments.count == 400
    assert from_runs(np.concatenate([run(), run(liquidated=5)]), 100.0, 400.0, Objective()).score is None


@given(
    equity=st.floats(allow_nan=True, allow_infinity=True),
    fall=st.floats(0.0, 5.0),
    days=st.floats(0.0, 4000.0),
    leverage=st.floats(1.0, 20.0),
)
def test_no_figure_is_ever_infinite(equity: float, fall: float, days: float, leverage: float) -> None:
    made = from_runs(run(equity=equity, drawdown=fall, leverage=leverage), 100.0, days, Objective(least_days=0.0))
    for name in ("score", "cagr", "calmar", "return_over_drawdown", "sharpe_365", "profit_factor", "total_return"):
        value = getattr(made, name)
        assert value is None or math.isfinite(value), name


def test_an_empty_curve_is_refused() -> None:
    with pytest.raises(ResearchError, match="first value above 0"):
        from_equity(np.array([]), 10.0)
    with pytest.raises(ResearchError, match="both must be above 0"):
        from_runs(np.zeros(0, RUN), 100.0, 10.0, ANY)
