"""What lies around a trial: steps, slices and the plateau, on a score made by hand."""

from collections.abc import Mapping, Sequence

import pytest

from core.domain.studies import Parameter
from research.study.study import Range
from research.validation.around import axis, moved, neighbours, plateau, slices

SPACE = {
    "fast": Range(low=2, high=30),
    "slow": Range(low=31, high=120),
    "leverage": Range(low=1.0, high=20.0, step=1.0),
    "kind": Range(choices=["a", "b"]),
}
FOUND: dict[str, Parameter] = {"fast": 2, "slow": 100, "leverage": 20.0, "kind": "a"}


def score(sets: Sequence[Mapping[str, Parameter]]) -> list[float | None]:
    """Hangs most on the leverage, then on the slow average; above 18 there is none."""
    found: list[float | None] = []
    for one in sets:
        leverage, slow = float(one["leverage"]), float(one["slow"])
        found.append(None if leverage > 18 else leverage / 20 + slow / 1000)
    return found


def test_neighbours_are_a_step_away_and_within_the_range() -> None:
    assert neighbours(SPACE, FOUND) == [
        {**FOUND, "fast": 3},
        {**FOUND, "slow": 96},
        {**FOUND, "slow": 104},
        {**FOUND, "leverage": 19.0},
    ]


def test_steps_are_worth_trying() -> None:
    assert moved(0.1, Range(low=0.01, high=1.0, log=True), 1) == pytest.approx(0.1 * 100**0.05)
    assert moved(2, Range(low=1, high=100, log=True), -1) == 1
    assert moved(0.5, Range(low=0.0, high=1.0), 1) == pytest.approx(0.55)


def test_an_axis_has_the_value_among_those_within_the_range() -> None:
    assert axis(2, SPACE["fast"]) == [2, 3, 4, 5, 6]
    assert axis(100, SPACE["slow"]) == [84, 88, 92, 96, 100, 104, 108, 112, 116]
    assert axis(20.0, SPACE["leverage"], reach=2) == [18.0, 19.0, 20.0]


def test_slices_begin_with_what_most_of_the_score_hangs_on() -> None:
    found = slices(SPACE, {**FOUND, "leverage": 17.0}, score)
    assert [one.name for one in found] == ["leverage", "slow", "fast"]
    assert found[0].values == (13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0)
    assert found[0].scores[4:6] == pytest.approx((0.95, 1.0))
    assert found[0].scores[6:] == (None, None)
    assert found[0].swing == pytest.approx(1.0)
    assert found[1].swing == pytest.approx(0.032)
    assert slices({"kind": SPACE["kind"]}, FOUND, score) == []


def test_a_plateau_is_the_score_over_two() -> None:
    found = plateau(SPACE, FOUND, ["leverage", "slow", "fast"], score)
    assert found is not None
    assert (found.x, found.y) == ("leverage", "slow")
    assert found.xs == (16.0, 17.0, 18.0, 19.0, 20.0)
    assert found.ys[0] == 84
    assert (len(found.scores), len(found.scores[0])) == (9, 5)
    assert found.scores[0][2] == pytest.approx(0.9 + 0.084)
    assert found.scores[8][4] is None
    assert plateau(SPACE, FOUND, ["leverage"], score) is None
