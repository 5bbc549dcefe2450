"""What benchmarks say: ratios, verdicts, compared values, and the file they are written into."""

import pytest

from bench.__main__ import INTRODUCTION, merge, row, section
from bench.figure import DifferentValues, Figure, Pair, at_most, same, short


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


def test_a_pair_that_was_left_out_says_why() -> None:
    assert "left out: no index" in section("journal", [], "left out: no index")
    assert row(Figure("a|b", "", "1")) == "| a/b |  | 1 |  |  |"
