"""Value at risk: the vectors of the specification, and what holds for every sample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.risk import var

SAMPLE = np.array(
    [-0.05, -0.03, -0.02, -0.015, -0.01, -0.008, -0.005, 0, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.012, 0.015,
     0.018, 0.02, 0.025, 0.03]
)  # fmt: skip


@pytest.mark.parametrize(("tail", "expected"), [(0.05, 0.05), (0.10, 0.03)])
def test_historical_takes_the_careful_side_of_a_quantile(tail: float, expected: float) -> None:
    assert var.historical_var(SAMPLE, tail) == expected


@pytest.mark.parametrize(("tail", "expected"), [(0.05, 0.05), (0.075, 0.0433333333), (0.10, 0.04)])
def test_the_shortfall_takes_the_last_observation_in_part(tail: float, expected: float) -> None:
    assert var.historical_es(SAMPLE, tail) == pytest.approx(expected, abs=1e-9)


def test_the_normal_figures() -> None:
    assert var.gaussian(SAMPLE, 0.05) == pytest.approx((0.0310221164, 0.0390681117), abs=1e-9)


@pytest.mark.parametrize(
    ("tail", "skew", "excess", "expected"),
    [(0.01, -0.5, 3.0, -3.3012844922), (0.05, -1.0, 2.0, -1.8699666597),
     (0.05, -0.8728024405, 0.6755701405, -1.8650121573)],
)  # fmt: skip
def test_cornish_fisher_quantiles(tail: float, skew: float, excess: float, expected: float) -> None:
    assert var.cornish_fisher_z(tail, skew, excess) == pytest.approx(expected, abs=1e-9)


def test_cornish_fisher_of_the_sample() -> None:
    found = var.cornish_fisher(SAMPLE, 0.05)
    assert found is not None
    assert found[0] == pytest.approx(0.0352613304, abs=1e-8)
    assert found[1] > found[0]


def test_a_correction_that_is_not_monotone_is_not_used() -> None:
    wild = np.concatenate([np.full(99, 0.001), [-1.0]])
    assert var.cornish_fisher(wild, 0.05) is None


def test_exponential_weights() -> None:
    """RiskMetrics from 2 %: the variances of the specification."""
    deviations = var.ewma_deviations(np.array([0.01, -0.03, 0.005]), 0.94)
    first = float(np.mean(np.array([0.01, -0.03, 0.005]) ** 2))
    assert deviations[0] ** 2 == pytest.approx(first)
    variance, seen = 0.0004, []
    for step in (0.01, -0.03, 0.005):
        variance = 0.94 * variance + 0.06 * step * step
        seen.append(variance)
    assert seen == pytest.approx([0.000382, 0.00041308, 0.0003897952])
    chain = [first]
    for step in (0.01, -0.03, 0.005):
        chain.append(0.94 * chain[-1] + 0.06 * step * step)
    assert deviations**2 == pytest.approx(chain)


def test_the_filter_knows_that_the_market_has_become_wild() -> None:
    walk = np.random.Generator(np.random.PCG64(3))
    calm, wild = walk.normal(0, 1, 400), walk.normal(0, 5, 60)
    rising = np.concatenate([calm, wild])
    falling = np.concatenate([wild, calm])
    assert np.sort(rising) == pytest.approx(np.sort(falling))
    assert var.historical_var(rising, 0.01) == var.historical_var(falling, 0.01)
    up, down = (var.filtered(x, var.ewma_deviations(x), 0.01)[0] for x in (rising, falling))
    assert up > 2.5 * down


def test_each_step_is_measured_by_what_was_known_before_it() -> None:
    """A shock must not hide in the deviation that it makes itself."""
    profits = np.full(200, 1.0) * np.resize([1.0, -1.0], 200)
    profits[150] = -10.0
    deviations = var.ewma_deviations(profits)
    assert deviations[150] == pytest.approx(1.0)
    assert deviations[151] > 1.9
    found, _ = var.filtered(profits, deviations, 1 / 200)
    assert found == pytest.approx(10.0 * deviations[-1])


@given(st.lists(st.floats(-1e6, 1e6), min_size=100, max_size=150), st.floats(0.005, 0.2))
def test_the_shortfall_is_never_less_than_the_value_at_risk(profits: list[float], tail: float) -> None:
    sample = np.array(profits)
    assert var.historical_es(sample, tail) >= var.historical_var(sample, tail) - 1e-6
    assert var.gaussian(sample, tail)[1] >= var.gaussian(sample, tail)[0] - 1e-6


def test_garch_of_the_sp_500() -> None:
    """The fit and the forecast of 5 030 daily returns 1999-2018, against the package's own data."""
    pytest.importorskip("arch", reason="the package arch comes with the research extra")
    from arch.data import sp500

    returns = 100 * sp500.load()["Adj Close"].pct_change().dropna().to_numpy()
    assert len(returns) == 5030
    deviations = var.garch_deviations(returns)
    assert deviations[-1] == pytest.approx(1.89644, rel=2e-3)
    assert var.historical_var(returns, 0.01) == pytest.approx(3.3059, rel=5e-3)
    assert var.filtered(returns - returns.mean(), deviations, 0.01)[0] == pytest.approx(5.0539, rel=2e-2)
