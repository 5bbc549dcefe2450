"""What a study found, from a real one: rows, gates, neighbours, and the walk forward."""

from pathlib import Path

import pytest

from core.errors import ResearchError
from research import validate
from research.findings import BLOCKS, Findings, _moved
from research.running import Runner
from research.study import Range
from research.worker import INSIDE, OUTSIDE
from tests.research.test_running import filled, inline


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runner, Findings]:
    folder = filled(tmp_path_factory.mktemp("studies") / "s1", trials=30)
    path = folder / "study.toml"
    path.write_text(path.read_text().replace("least_trades = 5", "least_trades = 20"))
    runner = Runner(folder, inline)
    runner.run()
    return runner, Findings(folder)


def test_trials_stand_best_first_and_those_without_a_score_last(ran: tuple[Runner, Findings]) -> None:
    found = ran[1].trials()
    scores = [row.score for row in found.trials]
    scored = [score for score in scores if score is not None]
    assert found.total == len(scores) == 30
    assert scores == sorted(scored, reverse=True) + [None] * (30 - len(scored))
    assert 0 < len(scored) < 30
    assert ran[1].trials(3).trials == found.trials[:3]


def test_a_report_has_every_gate_with_its_own_evidence(ran: tuple[Runner, Findings]) -> None:
    runner, findings = ran
    best = findings.trials(1).trials[0]
    report = findings.report(best.number)
    trial = runner.searches[-1].get_trials()[best.number]
    assert report.parameters == {"fraction": 1.0, "slippage": 0.0002, **trial.params}
    assert (report.trial.gates_total, report.trial.gates_passed) == (8, sum(gate.passed for gate in report.gates))
    window, evaluator = runner.windows[-1], findings.evaluator
    stressed = evaluator.evaluate([trial.params], window.train, slippage=2.0)[0]["equity"][0]
    figures = {gate.name: gate.value for gate in report.gates}
    assert figures["return at slippage × 2"] == f"{100 * (stressed / evaluator.cash - 1):.1f} %"
    assert figures["trades"] == str(best.trades)
    blocks = findings._blocks(len(runner.windows) - 1, window.train)
    assert blocks is not None
    assert blocks.shape == (BLOCKS, 30)
    assert figures["backtest overfitting"] == f"{validate.overfitting(blocks).pbo:.2f}"
    assert report.equity_in[0] == evaluator.cash
    assert report.equity_out[0] == report.equity_in[-1]
    profits = evaluator.profits(trial.params, window.train)
    assert report.equity_in[-1] == pytest.approx(evaluator.cash + profits.sum())


def test_the_walk_forward_judges_the_best_of_each_window_by_its_test(ran: tuple[Runner, Findings]) -> None:
    runner, findings = ran
    inside = outside = days_in = days_out = 0.0
    for search, window in zip(runner.searches, runner.windows, strict=True):
        attrs = search.best_trial.user_attrs
        inside, outside = inside + attrs[INSIDE]["total_return"], outside + attrs[OUTSIDE]["total_return"]
        days_in, days_out = days_in + window.train.days, days_out + window.test.days
    assert findings.walk_forward_efficiency() == pytest.approx((outside / days_out) / (inside / days_in))


def test_neighbours_are_a_step_away_and_within_the_range(ran: tuple[Runner, Findings]) -> None:
    made = ran[1]._neighbours({"fast": 2, "slow": 100, "leverage": 20.0})
    assert made == [
        {"fast": 3, "slow": 100, "leverage": 20.0},
        {"fast": 2, "slow": 96, "leverage": 20.0},
        {"fast": 2, "slow": 104, "leverage": 20.0},
        {"fast": 2, "slow": 100, "leverage": 19.0},
    ]
    assert _moved(0.1, Range(low=0.01, high=1.0, log=True), 1) == pytest.approx(0.1 * 100**0.05)
    assert _moved(2, Range(low=1, high=100, log=True), -1) == 1
    assert _moved(0.5, Range(low=0.0, high=1.0), 1) == pytest.approx(0.55)


def test_what_is_not_there_is_said(ran: tuple[Runner, Findings], tmp_path: Path) -> None:
    with pytest.raises(ResearchError, match="no trial 999"):
        ran[1].report(999)
    empty = filled(tmp_path / "s2")
    with pytest.raises(ResearchError, match="no trials yet"):
        Findings(empty)
    Runner(empty, inline)
    with pytest.raises(ResearchError, match="no trials yet"):
        Findings(empty).trials()
