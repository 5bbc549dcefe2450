"""What a study found, from a real one: rows, gates, neighbours, and the walk forward."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import ResearchError
from research.provenance import code_version
from research.study.running import Runner
from research.study.worker import INSIDE, OUTSIDE
from research.validation import validate
from research.validation.findings import BLOCKS, Findings
from research.validation.history import months
from tests.research.crossing import BTC
from tests.research.study.test_running import filled, inline


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
    assert report.equity_in[-1] == pytest.approx(evaluator.cash * (1 + (best.total_return or 0.0)))
    assert 200 < len(report.equity_in) + len(report.equity_out) <= 500
    assert (report.instruments, report.margin_mode) == ((BTC,), "isolated")
    assert (report.data_from, report.data_to) == (evaluator.span.start, evaluator.span.stop)
    assert report.code_version == code_version()


def test_the_walk_forward_judges_the_best_of_each_window_by_its_test(ran: tuple[Runner, Findings]) -> None:
    runner, findings = ran
    inside = outside = days_in = days_out = 0.0
    for search, window in zip(runner.searches, runner.windows, strict=True):
        attrs = search.best_trial.user_attrs
        inside, outside = inside + attrs[INSIDE]["total_return"], outside + attrs[OUTSIDE]["total_return"]
        days_in, days_out = days_in + window.train.days, days_out + window.test.days
    assert findings.walk_forward_efficiency() == pytest.approx((outside / days_out) / (inside / days_in))


def test_a_trial_that_does_not_come_to_the_same_again_is_refused(
    ran: tuple[Runner, Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = Findings(ran[0].folder)
    best = findings.trials(1).trials[0].number
    corrected = findings.evaluator.close.copy()  # type: ignore[attr-defined]  # of the tests' own evaluator
    corrected[-2000:] *= np.linspace(1.0, 1.02, 2000)
    monkeypatch.setattr(findings.evaluator, "close", corrected)
    with pytest.raises(ResearchError, match=r"when it was searched and comes to .* under another name"):
        findings.report(best)


def test_the_plateau_has_the_trial_in_it(ran: tuple[Runner, Findings]) -> None:
    findings = ran[1]
    case = findings.case(findings.trials(1).trials[0].number)
    plateau, trial = case.report.plateau, case.report.trial
    assert plateau is not None
    assert {plateau.x, plateau.y} == {one.name for one in case.slices[:2]}
    x, y = (float(case.report.parameters[name]) for name in (plateau.x, plateau.y))
    assert plateau.scores[plateau.ys.index(y)][plateau.xs.index(x)] == pytest.approx(trial.score)
    for one in case.slices:
        assert one.scores[one.values.index(float(case.report.parameters[one.name]))] == pytest.approx(trial.score)
    assert [one.number for one in case.tried] == list(range(30))


def test_the_terminal_gets_the_price_with_its_trades_and_the_months(ran: tuple[Runner, Findings]) -> None:
    findings = ran[1]
    case = findings.case(findings.trials(1).trials[0].number)
    report = case.report
    assert len(report.prices) == len(report.equity_in) + len(report.equity_out)
    trips = [*case.inside.round_trips(), *case.outside.round_trips()]
    assert [one.profit for one in report.held] == [one.profit for one in trips[-200:]]
    assert all(0 <= one.opened <= one.closed < len(report.prices) for one in report.held)
    apart = [abs(report.prices[one.opened] / one.entry - 1) for one in report.held]
    assert np.median(apart) < 0.02  # a point is some hours wide
    assert report.prices[-1] == findings.evaluator.play(report.parameters, case.outside.span)[0].market.close()[-1]
    inside = [part for month, part in report.months[: len(months(case.inside.curve))]]
    assert np.prod([1 + part for part in inside]) == pytest.approx(1 + (report.trial.total_return or 0.0))


def test_what_is_not_there_is_said(ran: tuple[Runner, Findings], tmp_path: Path) -> None:
    with pytest.raises(ResearchError, match="no trial 999"):
        ran[1].report(999)
    empty = filled(tmp_path / "s2")
    with pytest.raises(ResearchError, match="no trials yet"):
        Findings(empty)
    Runner(empty, inline)
    with pytest.raises(ResearchError, match="no trials yet"):
        Findings(empty).trials()
