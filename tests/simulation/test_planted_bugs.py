"""The simulation sees what it is for: each planted bug is caught within a few seeds."""

from collections.abc import Sequence

import pytest

from tests.simulation.plan import plan_of
from tests.simulation.planted import BUGS
from tests.simulation.planted_sentinel import SENTINEL_BUGS
from tests.simulation.planting import Bug, planted
from tests.simulation.world import simulate

TRIED = 40
"""Seeds tried where the one that is known does not show a bug any more."""


GUARDED = [seed for seed in range(140) if plan_of(seed).guarded]
"""Worlds with a sentinel."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_is_caught(bug: Bug) -> None:
    is_caught(bug, range(TRIED))


@pytest.mark.parametrize("bug", SENTINEL_BUGS, ids=lambda bug: bug.name)
def test_it_is_caught_in_the_sentinel(bug: Bug) -> None:
    is_caught(bug, GUARDED)


def is_caught(bug: Bug, others: Sequence[int]) -> None:
    with planted(bug):
        seeds = [bug.seed, *(seed for seed in others if seed != bug.seed)]
        assert any(simulate(seed).wrong for seed in seeds), f"{bug.name}: not caught within {len(seeds)} seeds"
    assert not simulate(bug.seed).wrong
