"""A trial's report: the page in a real browser, the JSON beside it, and what charts are made of."""

import re
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.domain import studies as s
from core.domain.identifiers import InstrumentId
from core.errors import ResearchError
from research.report import charts, report
from research.report.page import SHOWN_TRADES, page
from research.report.report import Document
from research.study.running import Runner
from research.validation.around import Slice
from research.validation.findings import Case, Findings
from research.validation.history import months
from tests.conftest import ROOT
from tests.research.crossing import BTC
from tests.research.study.test_running import filled, inline

MADE = 1_764_295_200_000_000_000
HOSTILE = '</script><img src="x" onerror="alert(1)">'


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = filled(tmp_path_factory.mktemp("studies") / "s1", trials=20)
    Runner(folder, inline).run()
    findings = Findings(folder)
    return findings.case(findings.trials(1).trials[0].number)


@pytest.fixture(scope="module")
def written(case: Case, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Document]:
    shown, data = report.write(case, tmp_path_factory.mktemp("home") / "reports", MADE)
    return shown, msgspec.json.decode(data.read_bytes(), type=Document)


def test_a_browser_draws_every_chart_without_a_word_of_complaint(
    written: tuple[Path, Document], case: Case, needs_tool: Callable[..., str], tmp_path: Path
) -> None:
    """The page's own policy forbids every request, and what it forbids would stand on the console."""
    chromium = needs_tool("chromium")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    options += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--window-size=1280,3000"]
    found = subprocess.run(
        [chromium, *options, written[0].as_uri()], capture_output=True, text=True, timeout=240, check=False
    )
    complaints = [line for line in found.stderr.splitlines() if "CONSOLE" in line]
    assert not complaints, complaints
    drawn = re.search(r'<html[^>]* data-drawn="(\d+)"', found.stdout)
    assert drawn, found.stderr[-2000:]
    charts_wanted = 4 + len(case.slices)  # equity, price, plateau, outcomes
    assert int(drawn[1]) == charts_wanted == found.stdout.count("data-figure=")
    assert found.stdout.count('class="main-svg"') >= charts_wanted


def test_a_page_names_no_other_place(written: tuple[Path, Document], case: Case) -> None:
    text = written[0].read_text()
    own = text.replace(page_script(), "")
    assert len(own) < 2_000_000 < len(text)
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", own)
    assert "default-src 'none'" in own
    assert 'src="' not in own


def page_script() -> str:
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script


def test_a_page_says_what_the_terminal_says(written: tuple[Path, Document], case: Case) -> None:
    text = unescape(written[0].read_text().replace(page_script(), ""))
    for gate in case.report.gates:
        assert f'<td class="left">{gate.name}</td><td>{gate.value}</td><td>{gate.bound}</td>' in text
    assert "<span>out-of-sample / in-sample, yearly, this window</span>" in text  # the gate's is that of all windows
    failed = sum(not gate.passed for gate in case.report.gates)
    assert f"{failed} of 8 gates failed" in text
    for name, value in case.report.parameters.items():
        assert f"<b>{value:g}</b><span>{name}</span>" in text
    assert "BTC-USDT.P" in text
    trades = len(case.inside.round_trips()) + len(case.outside.round_trips())
    assert (f"the newest {SHOWN_TRADES} of {trades}" if trades > SHOWN_TRADES else f">{trades}<") in text


def test_the_json_is_the_back_test(written: tuple[Path, Document], case: Case) -> None:
    found = written[1]
    assert (found.study, found.trial, found.made_ns) == ("s1", case.report.trial.number, MADE)
    assert found.parameters == case.report.parameters
    assert [gate["passed"] for gate in found.gates] == [gate.passed for gate in case.report.gates]
    for sample, stretch in ((found.in_sample, case.inside), (found.out_of_sample, case.outside)):
        assert (sample.from_ns, sample.to_ns) == (stretch.span.start, stretch.span.stop)
        assert list(sample.trades) == stretch.round_trips()
        earned = sum(trade.profit for trade in sample.trades)
        assert earned == pytest.approx(10_000.0 * (sample.figures.total_return or 0.0))
        whole = np.prod([1.0 + part for part in sample.months.values()]) - 1.0
        assert whole == pytest.approx(sample.figures.total_return)
    assert len(found.in_sample.trades) >= case.report.trial.trades


def test_names_from_a_file_are_text_and_nothing_else(case: Case) -> None:
    named = msgspec.structs.replace(case.report, strategy_id=HOSTILE, parameters={HOSTILE: HOSTILE})
    tried = tuple(msgspec.structs.replace(one, parameters={HOSTILE: 1}) for one in case.tried)
    lines = (Slice(HOSTILE, (1.0, 2.0), (0.5, None)),)
    hostile = msgspec.structs.replace(
        case, report=msgspec.structs.replace(named, plateau=None), slices=lines, tried=tried
    )
    own = page(hostile, MADE).replace(page_script(), "")
    assert "onerror" in own
    assert "<img" not in own
    assert own.count("</script>") == 3


def test_a_liquidation_is_said_with_time_and_place(case: Case) -> None:
    trial = msgspec.structs.replace(case.report.trial, liquidated=MADE, liquidated_in=BTC)
    dead = msgspec.structs.replace(case, report=msgspec.structs.replace(case.report, trial=trial))
    assert "Liquidated on 2025-11-28 02:00 UTC in BTC-USDT.P" in page(dead, MADE)
    assert "Liquidated on" not in page(case, MADE)


def test_a_trial_that_was_liquidated_says_when_and_in_what(tmp_path: Path) -> None:
    folder = filled(tmp_path / "s1", trials=8)
    path = folder / "study.toml"
    path.write_text(path.read_text().replace("low = 1.0, high = 20.0", "low = 18.0, high = 20.0"))
    Runner(folder, inline).run()
    findings = Findings(folder)
    dead = [one for one in findings.trials().trials if one.liquidated]
    assert dead
    found = findings.case(dead[0].number)
    ends = [one for one in found.inside.round_trips() if one.reason == "liquidation"]
    ends += [one for one in found.outside.round_trips() if one.reason == "liquidation"]
    assert (dead[0].liquidated, dead[0].liquidated_in) == (ends[0].closed, BTC)
    assert (found.report.trial.liquidated, found.report.trial.liquidated_in) == (ends[0].closed, BTC)


def test_months_that_both_spans_share_are_both_together(case: Case) -> None:
    inside, outside = dict(months(case.inside.curve)), dict(months(case.outside.curve))
    (shared,) = inside.keys() & outside.keys()
    whole = (1 + inside[shared]) * (1 + outside[shared]) - 1
    assert f">{100 * whole:+.1f}</td>" in page(case, MADE)


def test_a_folder_that_cannot_be_written_is_said(case: Case, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(ResearchError, match="the report cannot be written to"):
        report.write(case, tmp_path / "reports", MADE)


def test_thinning_keeps_every_extreme() -> None:
    values = np.random.default_rng(1).normal(size=100_000).cumsum()
    kept = charts.thinned(values, 500)
    assert kept.size <= 502
    assert {0, values.size - 1, int(values.argmin()), int(values.argmax())} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)
    assert list(charts.thinned(values[:10])) == list(range(10))


def test_a_chart_has_every_trade_and_says_where_it_has_not(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    trades = len(case.inside.round_trips()) + len(case.outside.round_trips())
    figure = charts.price(case, BTC)
    marks = [one for one in figure["data"] if one.get("mode") == "markers"]
    assert sum(len(one["x"]) for one in marks) == trades
    assert figure["note"] == f"{trades} trades"
    monkeypatch.setattr(charts, "MOST_MARKS", 3)
    few = charts.price(case, BTC)
    assert sum(len(one["x"]) for one in few["data"] if one.get("mode") == "markers") == 3
    assert few["note"] == f"the newest 3 of {trades} trades"


def test_outcomes_count_every_trade(case: Case) -> None:
    trips = case.inside.round_trips()
    bars = charts.outcomes(trips)["data"][0]
    assert sum(bars["y"]) == len(trips)
    lost = sum(count for count, colour in zip(bars["y"], bars["marker"]["color"], strict=True) if colour == "--loss")
    assert lost == sum(one.profit <= 0 for one in trips)
    assert sum(charts.outcomes([])["data"][0]["y"]) == 0


def test_the_worst_fall_is_on_the_picture(case: Case) -> None:
    drawn = min(value for one in charts.equity(case)["data"] if one.get("yaxis") == "y2" for value in one["y"])
    assert -drawn == pytest.approx(
        max(case.inside.figures.max_drawdown or 0.0, case.outside.figures.max_drawdown or 0.0), rel=1e-6
    )


def test_an_instrument_of_another_grammar_is_named_as_it_is() -> None:
    assert charts.short(InstrumentId("NOTHING")) == "NOTHING"
    assert charts.plateau(None, {}) is None
    made = s.Plateau("a", "b", (1.0, 2.0), (3.0,), ((0.5, None),))
    figure = charts.plateau(made, {"a": 2, "b": 3.0})
    assert figure is not None
    assert figure["data"][0]["z"] == [[0.5, None]]
    assert (figure["data"][1]["x"], figure["data"][1]["y"]) == (["2"], ["3"])


def test_the_guide_names_every_key_of_the_json(written: tuple[Path, Document]) -> None:
    guide = (ROOT / "docs" / "guide" / "reports.md").read_text(encoding="utf-8")

    def keys(value: object) -> set[str]:
        if isinstance(value, list | tuple):
            return {key for one in value for key in keys(one)}
        if isinstance(value, dict):
            inner = {key for one in value.values() for key in keys(one)}
            return inner | {key for key in value if isinstance(key, str)}
        return set()

    found = keys(msgspec.to_builtins(written[1])) - set(written[1].parameters)
    found -= set(written[1].in_sample.months) | set(written[1].out_of_sample.months)
    assert len(found) > 50
    assert {key for key in found if f"`{key}`" not in guide} == set()
