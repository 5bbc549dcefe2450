"""What benchmarks say: ratios, verdicts, compared values, and the file they are written into."""

import pytest

import bench.terminal
from bench.__main__ import INTRODUCTION, merge, parts, row, section
from bench.figure import DifferentValues, Figure, Pair, Unavailable, at_most, same, short
from bench.grid import Used, beside, least


def test_a_pair_is_judged_by_the_median_of_its_rounds() -> None:
    pair = Pair()
    for ours, theirs in ((2.0, 10.0), (9.0, 10.0), (3.0, 10.0)):
        pair.add(ours, theirs)
    found = pair.figure("work", "µs", at_most=0.25)
    assert (found.measured, found.required, found.verdict) == ("0.3 ×", "≤ 0.25 ×", "missed")
    assert pair.figure("work", "µs", at_most=0.3).verdict == "ok"
    assert pair.figure("work", "µs", at_least=0.31).verdict == "missed"
    assert pair.figure("work", "µs").verdict == ""
    assert "rounds 0.2–0.9" in found.note


def test_a_bound_that_is_just_met_is_met() -> None:
    assert at_most("memory", 60.0, 60.0, "MB").ok
    assert not at_most("memory", 60.01, 60.0, "MB").ok


def test_values_that_differ_give_no_ratio() -> None:
    same("replay", {"fills": 3, "cash": 1e6}, {"fills": 3, "cash": 1e6 + 0.1}, ("fills", "cash"))
    with pytest.raises(DifferentValues, match="fills is 3 on our side and 4 on the other"):
        same("replay", {"fills": 3}, {"fills": 4}, ("fills",))
    with pytest.raises(DifferentValues):
        same("replay", {"cash": 1.0}, {"cash": 1.1}, ("cash",))


@pytest.mark.parametrize(("value", "text"), [(1234567.0, "1 234 567"), (0.1734, "0.173"), (12.34, "12.3")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_a_run_replaces_its_own_section_alone() -> None:
    first = merge("", {name: section(name, [Figure(name, "", "1")], "") for name in ("journal", "engine_latency")})
    assert first.startswith(INTRODUCTION)
    assert first.index("## engine_latency") < first.index("## journal")
    second = merge(first, {"journal": section("journal", [Figure("anew", "≥ 4 ×", "5 ×", True)], "")})
    assert "| anew | ≥ 4 × | 5 × | ok |  |" in second
    assert "| journal |" not in second
    assert "| engine_latency |" in second
    assert merge(second, {}) == second
    third = merge(second, {"crash_days": "## crash_days\n\nmade by a script\n"})
    assert merge(third, {}) == third
    assert third.index("## crash_days") > third.index("## journal")


def test_a_pair_that_was_left_out_says_why() -> None:
    assert "left out: no index" in section("journal", [], "left out: no index")
    assert row(Figure("a|b", "", "1")) == "| a/b |  | 1 |  |  |"


def test_a_part_of_a_benchmark_is_chosen_by_its_name() -> None:
    assert [name for name in bench.terminal.GROUPS if "10000" in name] == ["10000 updates/s"]
    assert parts("terminal", "") == [bench.terminal.figures]
    assert parts("terminal", "idle") == [bench.terminal.idle]
    assert len(parts("terminal", "updates/s")) == len(bench.terminal.RATES) == 5
    with pytest.raises(Unavailable, match="no part of journal is named like 'x'; there are: none"):
        parts("journal", "x")


def test_the_grid_is_judged_beside_datatable_at_one_rate() -> None:
    ours, theirs = Used(10.0, 4e3, 5.0, 40.0), Used(41.0, 280e3, 39.0, 58.0)
    cpu, key = beside("DataTable", ours, theirs, 1_000)
    assert (cpu.required, cpu.measured, cpu.verdict) == ("≤ 0.25 ×", "0.244 ×", "ok")
    assert (key.required, key.measured, key.verdict) == ("≤ 0.125 ×", "0.128 ×", "missed")
    assert [figure.verdict for figure in beside("DataTable", ours, theirs, 10_000)] == ["", ""]
    assert [figure.verdict for figure in beside("rich.live", ours, theirs, 1_000)] == ["", ""]
    assert least([ours, theirs, Used(20.0, 1e3, 1.0, 60.0)]) == Used(10.0, 1e3, 1.0, 40.0)
