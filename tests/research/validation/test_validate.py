"""Sharpe ratios deflated, overfitting, stress and gates: published vectors, skfolio, and what must hold."""

import math

import msgspec
import numpy as np
import pytest

from core.errors import ResearchError
from research.validation import validate as v
from research.validation.gates import Bounds, Evidence, gates
from research.validation.metrics import Moments, moments

YEAR = 250.0


def of_sharpe(count: int, sharpe: float, skew: float = 0.0, kurtosis: float = 3.0) -> Moments:
    return Moments(count, sharpe, 1.0, skew, kurtosis)


def test_the_deflated_sharpe_ratio_of_its_paper() -> None:
    daily, variance = 2.5 / math.sqrt(YEAR), 0.5 / YEAR
    sample = of_sharpe(1250, daily, -3.0, 10.0)
    luck = math.sqrt(variance) * v.expected_highest_sharpe(100)
    assert luck == pytest.approx(0.1132, abs=5e-5)
    assert luck * math.sqrt(YEAR) == pytest.approx(1.7894, abs=5e-5)
    assert v.deflated_sharpe(sample, variance, 100) == pytest.approx(0.9004, abs=5e-5)
    assert v.deflated_sharpe(sample, variance, 46) == pytest.approx(0.9505, abs=5e-5)
    assert v.deflated_sharpe(of_sharpe(1250, daily), variance, 88) == pytest.approx(0.9505, abs=5e-5)


def test_the_probabilistic_sharpe_ratio_of_its_paper() -> None:
    assert v.probabilistic_sharpe(of_sharpe(24, 0.458, -2.448, 10.164)) == pytest.approx(0.9134, abs=2e-4)
    assert v.probabilistic_sharpe(of_sharpe(24, 0.458)) == pytest.approx(0.9817, abs=2e-4)


@pytest.mark.parametrize(
    ("a_year", "skew", "kurtosis", "years"),
    [(252, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_least_track_record_of_its_paper(a_year: int, skew: float, kurtosis: float, years: float) -> None:
    root = math.sqrt(a_year)
    found = v.least_track_record(of_sharpe(100, 2 / root, skew, kurtosis), 1 / root)
    assert found is not None
    assert found / a_year == pytest.approx(years, abs=6e-3)


def test_the_highest_of_a_hundred_and_the_years_it_fools() -> None:
    assert v.expected_highest_sharpe(100) == pytest.approx(2.5306028932, abs=1e-9)
    assert v.expected_highest_sharpe(1) == 0.0
    assert v.least_backtest_years(45, 1.0) == pytest.approx(4.998, abs=5e-4)


def test_sharpe_ratios_are_skfolios() -> None:
    from skfolio.measures import deflated_sharpe_ratio, expected_max_sharpe_ratio, probabilistic_sharpe_ratio

    rng = np.random.default_rng(5)
    returns = rng.standard_t(4, 700) * 0.01 + 0.0008
    trials = rng.normal(0.02, 0.03, 60)
    sample, variance = moments(returns), float(trials.var(ddof=1))
    for benchmark in (0.0, 0.05):
        expected = probabilistic_sharpe_ratio(returns, benchmark)
        assert v.probabilistic_sharpe(sample, benchmark) == pytest.approx(expected, abs=1e-12)
    assert v.expected_highest_sharpe(60) == pytest.approx(expected_max_sharpe_ratio(60, 1.0), abs=1e-12)
    assert v.deflated_sharpe(sample, variance, 60) == pytest.approx(deflated_sharpe_ratio(returns, trials), abs=1e-9)


def test_what_has_no_sharpe_ratio_has_none_deflated() -> None:
    assert v.probabilistic_sharpe(Moments(100, 0.1, 0.0)) is None
    assert v.probabilistic_sharpe(of_sharpe(2, 0.1)) is None
    assert v.probabilistic_sharpe(of_sharpe(50, 1.0, skew=5.0)) is None  # the variance would be negative
    assert v.least_track_record(of_sharpe(50, 0.1), 0.2) is None


def test_trials_that_move_together_are_fewer() -> None:
    assert v.effective_trials(100, 0.0) == 100.0
    assert v.effective_trials(100, 0.3) == pytest.approx(0.3 + 0.7 * 100)
    assert v.effective_trials(100, 1.0) == 1.0
    assert v.effective_trials(100, -0.2) == 100.0
    assert v.effective_trials(0, 0.0) == 1.0


# --- overfitting ------------------------------------------------------------------------------------------------------

HAND = np.array([[1.0, 0.0, 3.0], [2.0, 1.0, -1.0], [0.0, 4.5, 1.0], [1.2, 2.0, -2.0]])


def test_overfitting_of_the_hand_made_matrix() -> None:
    made = v.overfitting(HAND, 4)
    assert sorted(made.logits) == pytest.approx([-math.log(3), -math.log(3), 0.0, 0.0, 0.0, 0.0], abs=1e-9)
    assert made.pbo == 1.0  # an even logit counts as overfit


def test_the_same_order_everywhere_is_not_overfit() -> None:
    noise = np.random.default_rng(2).normal(0.0, 0.01, (160, 1))
    made = v.overfitting(noise + np.arange(10) * 0.001, 8)
    assert made.pbo == 0.0
    assert made.logits[0] == pytest.approx(math.log(10))  # r / (N + 1): finite for the best


def test_noise_is_overfit_about_half_of_the_time() -> None:
    found = [v.overfitting(np.random.default_rng(seed).normal(size=(320, 40)), 8).pbo for seed in range(20)]
    assert 0.35 < float(np.mean(found)) < 0.65


def test_an_edge_is_found() -> None:
    returns = np.random.default_rng(7).normal(size=(1000, 50))
    returns[:, :5] += 0.25
    assert v.overfitting(returns, 16).pbo < 0.05


def test_overfitting_equals_the_plain_count() -> None:
    import itertools

    returns = np.random.default_rng(11).normal(size=(26, 6))  # two periods do not fill four blocks: the oldest
    parts = np.split(returns[2:], 4)
    plain = []
    for chosen in itertools.combinations(range(4), 2):
        inside = np.concatenate([parts[i] for i in chosen]).mean(axis=0)
        outside = np.concatenate([parts[i] for i in range(4) if i not in chosen]).mean(axis=0)
        share = (1 + int(np.sum(outside < outside[inside.argmax()]))) / 7
        plain.append(math.log(share / (1 - share)))
    assert v.overfitting(returns, 4).logits == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize(("matrix", "blocks"), [(HAND, 3), (HAND, 6), (HAND[:, :1], 4), (HAND * math.nan, 4)])
def test_what_cannot_be_judged_is_refused(
    matrix: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", blocks: int
) -> None:
    with pytest.raises(ResearchError, match="even number of blocks"):
        v.overfitting(matrix, blocks)


def test_the_average_correlation() -> None:
    base = np.random.default_rng(4).normal(size=(500, 3))
    assert v.average_correlation(np.column_stack([base[:, 0], base[:, 0] * 2.0])) == pytest.approx(1.0)
    assert v.average_correlation(np.column_stack([base[:, 0], np.zeros(500)])) == 0.0
    assert v.average_correlation(base) == pytest.approx((np.corrcoef(base, rowvar=False).sum() - 3) / 6)


# --- holding up -------------------------------------------------------------------------------------------------------


def test_efficiency_compares_like_with_like() -> None:
    assert v.efficiency(0.40, 365.0, 0.05, 91.25) == pytest.approx(0.5)
    assert v.efficiency(0.40, 365.0, -0.05, 91.25) == pytest.approx(-0.5)
    assert v.efficiency(-0.1, 365.0, 0.05, 90.0) is None


def test_a_plateau_is_what_its_neighbours_say() -> None:
    assert v.plateau(2.0, [1.0, 1.5, 1.8]) == pytest.approx(0.75)
    assert v.plateau(2.0, [None, None, 1.8]) == 0.0  # a spike between liquidated neighbours
    assert v.plateau(2.0, []) is None
    assert v.plateau(-1.0, [1.0]) is None


def test_other_orders_of_the_trades() -> None:
    steady = v.bootstrap(np.full(20, 5.0), 100.0, draws=50)
    assert steady == v.Bootstrap(0.0, 0.0, 0.0, 0.0)
    mixed = v.bootstrap(np.array([100.0, -100.0, -50.0]), 100.0, draws=400)  # twice as much, half, half
    assert mixed is not None
    assert mixed.drawdown_50 == mixed.drawdown_99 == pytest.approx(0.75)  # in two of three orders both halves meet
    assert v.bootstrap(np.array([-100.0]), 100.0, draws=9) == v.Bootstrap(1.0, 1.0, 1.0, 1.0)
    assert v.bootstrap(np.array([-60.0, -60.0, 200.0]), 100.0) == v.Bootstrap(1.0, 1.0, 1.0, 1.0)
    assert v.bootstrap(np.array([]), 100.0) is None
    trades = np.random.default_rng(1).normal(size=50)
    assert v.bootstrap(trades, 100.0, seed=3) == v.bootstrap(trades, 100.0, seed=3)


# --- gates ------------------------------------------------------------------------------------------------------------

GOOD = Evidence(
    liquidated=False,
    trades=120,
    efficiency=0.7,
    dsr=0.97,
    pbo=0.1,
    plateau=0.8,
    stressed_return=0.12,
    bootstrap=v.Bootstrap(0.1, 0.2, 0.3, 0.0),
)


def test_every_gate_opens_for_what_holds_up() -> None:
    found = gates(GOOD, Bounds())
    assert all(gate.passed for gate in found)
    assert [(gate.value, gate.bound) for gate in found][2:] == [
        ("0.70", "≥ 0.50"),
        ("0.97", "≥ 0.95"),
        ("0.10", "≤ 0.20"),
        ("0.80", "≥ 0.50"),
        ("12.0 %", "> 0.0 %"),
        ("20.0 %", "≤ 50.0 %"),
    ]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("no liquidation", "liquidated", True),
        ("trades", "trades", 29),
        ("walk-forward efficiency", "efficiency", 0.49),
        ("deflated Sharpe", "dsr", 0.94),
        ("backtest overfitting", "pbo", 0.21),
        ("plateau", "plateau", 0.49),
        ("return at slippage × 2", "stressed_return", 0.0),
        ("drawdown, trades shuffled", "bootstrap", v.Bootstrap(0.1, 0.51, 0.6, 0.0)),
    ],
)
def test_each_gate_closes_by_its_own_figure(name: str, field: str, value: object) -> None:
    found = gates(msgspec.structs.replace(GOOD, **{field: value}), Bounds())
    assert [gate.name for gate in found if not gate.passed] == [name]


def test_a_gate_without_a_figure_is_closed() -> None:
    found = gates(Evidence(liquidated=False, trades=120), Bounds())
    assert [gate.passed for gate in found] == [True, True, *[False] * 6]
    assert {gate.value for gate in found[2:]} == {"–"}
