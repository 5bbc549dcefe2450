"""Weights: closed forms, published exhibits, skfolio, and what turnover costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ResearchError
from research import portfolio as p

EXPECTED = np.array([0.10, 0.07, 0.03])
VOLATILITY = np.array([0.20, 0.15, 0.05])
CORRELATION = np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 1.0]])
COVARIANCE = CORRELATION * np.outer(VOLATILITY, VOLATILITY)


def test_the_least_variance() -> None:
    made = p.minimum_variance(COVARIANCE)
    inverse = np.linalg.solve(COVARIANCE, np.ones(3))
    assert made == pytest.approx(inverse / inverse.sum(), abs=1e-7)  # no weight is bound: the closed form holds
    assert made == pytest.approx([0.02702703, 0.02702703, 0.94594595], abs=1e-7)
    assert np.sqrt(made @ COVARIANCE @ made) == pytest.approx(0.04931970, abs=1e-8)


def test_the_highest_sharpe_ratio() -> None:
    made = p.highest_sharpe(EXPECTED, COVARIANCE, 0.01)
    assert made == pytest.approx([0.17647059, 0.11764706, 0.70588235], abs=1e-7)
    assert (made @ EXPECTED - 0.01) / np.sqrt(made @ COVARIANCE @ made) == pytest.approx(0.59160798, abs=1e-8)


def test_risk_parity_shares_the_risk() -> None:
    made = p.risk_parity(COVARIANCE)
    assert made == pytest.approx([0.148003, 0.187136, 0.664861], abs=1e-5)
    assert p.risk_shares(made, COVARIANCE) == pytest.approx([1 / 3] * 3, abs=1e-9)
    assert p.risk_parity(COVARIANCE / 365.0**2) == pytest.approx(made, abs=1e-6)  # of any period


@settings(max_examples=10)
@given(st.floats(-0.9, 0.9), st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_two_at_risk_parity_are_inverse_volatility(rho: float, one: float, two: float) -> None:
    covariance = np.array([[one**2, rho * one * two], [rho * one * two, two**2]])
    inverse = np.array([1 / one, 1 / two])
    assert p.risk_parity(covariance) == pytest.approx(inverse / inverse.sum(), abs=1e-5)


def test_hrp_of_the_papers_exhibit() -> None:
    rng = np.random.RandomState(12345)  # the exhibit's own generator
    base = rng.normal(0, 1, (10_000, 5))
    noise = rng.normal(0, 0.25, (10_000, 5))
    covariance = np.cov(np.column_stack([base, base[:, (2, 0, 4, 1, 1)] + noise]), rowvar=False)
    made, order = p.hierarchical_risk_parity(covariance)
    assert 100 * made == pytest.approx([7.00, 7.59, 10.84, 19.03, 9.72, 10.19, 6.62, 9.10, 7.12, 12.79], abs=6e-3)
    assert [leaf + 1 for leaf in order] == [9, 2, 10, 1, 7, 3, 6, 4, 5, 8]


def drawn() -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    correlation = np.array([[1, 0.8, 0.1, 0.2], [0.8, 1, 0, 0.1], [0.1, 0, 1, 0.6], [0.2, 0.1, 0.6, 1]])
    normals = np.random.default_rng(7).normal(size=(500, 4))
    made: np.ndarray[tuple[int, int], np.dtype[np.float64]] = (
        normals @ np.linalg.cholesky(correlation).T * np.array([0.01, 0.02, 0.015, 0.03])
    )
    return made


def test_hrp_of_the_second_vector() -> None:
    made, _ = p.hierarchical_risk_parity(np.cov(drawn(), rowvar=False))
    assert made == pytest.approx([0.53692093, 0.12394438, 0.27650814, 0.06262655], abs=1e-8)


def test_weights_are_skfolios() -> None:
    from skfolio.optimization import MeanRisk, RiskBudgeting

    returns = drawn()
    covariance = np.cov(returns, rowvar=False)
    assert p.minimum_variance(covariance) == pytest.approx(MeanRisk().fit(returns).weights_, abs=1e-4)
    assert p.risk_parity(covariance) == pytest.approx(RiskBudgeting().fit(returns).weights_, abs=1e-4)


def test_one_item_takes_everything() -> None:
    made, order = p.hierarchical_risk_parity(np.array([[0.04]]))
    assert (list(made), order) == ([1.0], [0])
    assert p.minimum_variance(np.array([[0.04]])) == pytest.approx([1.0])


def test_costs_keep_what_is_held() -> None:
    held = np.array([0.3, 0.3, 0.4])
    free = p.mean_variance(EXPECTED, COVARIANCE, 5.0, held=held)
    dear = p.mean_variance(EXPECTED, COVARIANCE, 5.0, held=held, cost=0.002)
    fixed = p.mean_variance(EXPECTED, COVARIANCE, 5.0, held=held, cost=0.5)
    assert p.turnover_cost(dear, held, 1.0) < p.turnover_cost(free, held, 1.0)
    assert fixed == pytest.approx(held, abs=1e-5)
    assert p.turnover_cost(np.array([0.5, 0.5]), np.array([1.0, 0.0]), 0.001) == pytest.approx(0.001)


def test_the_highest_sharpe_ratio_net_of_costs_is_the_highest() -> None:
    held, cost = np.array([0.0, 0.0, 1.0]), 0.01

    def net(weights: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
        earned = weights @ EXPECTED - 0.01 - p.turnover_cost(weights, held, cost)
        return float(earned / np.sqrt(weights @ COVARIANCE @ weights))

    made = p.highest_sharpe(EXPECTED, COVARIANCE, 0.01, held=held, cost=cost)
    grid = [np.array([i, j, 40 - i - j]) / 40 for i in range(41) for j in range(41 - i)]
    assert net(made) >= max(map(net, grid)) - 1e-9
    assert net(made) > net(p.highest_sharpe(EXPECTED, COVARIANCE, 0.01))


@pytest.mark.parametrize(
    ("covariance", "why"),
    [
        (np.array([[0.04, 0.02]]), "expected \\(n, n\\)"),
        (np.array([[0.04, 0.0], [0.0, 0.0]]), "variance of item 1 is 0"),
        (np.array([[0.04, 0.09], [0.09, 0.04]]), "positive semidefinite"),
        (np.array([[0.04, 0.01], [0.02, 0.04]]), "positive semidefinite"),
    ],
)
def test_what_is_no_covariance_is_refused(
    covariance: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", why: str
) -> None:
    for weigh in (p.minimum_variance, p.risk_parity, p.hierarchical_risk_parity):
        with pytest.raises(ResearchError, match=why):
            weigh(covariance)


def test_nothing_worth_holding_is_refused() -> None:
    with pytest.raises(ResearchError, match="more than the risk-free rate"):
        p.highest_sharpe(EXPECTED, COVARIANCE, 0.2)


def test_what_the_solver_does_not_find_is_said() -> None:
    with pytest.raises(ResearchError, match="no weights found: the problem is infeasible"):
        p.highest_sharpe(EXPECTED, COVARIANCE, 0.05, held=np.array([0.0, 0.0, 1.0]), cost=5.0)
