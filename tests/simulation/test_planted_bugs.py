"""The simulation sees what it is for: each planted bug is caught within a few seeds."""

import pytest

from tests.simulation.planted import BUGS
from tests.simulation.planting import Bug, planted
from tests.simulation.world import simulate

TRIED = 40
"""Seeds tried where the one that is known does not show a bug any more."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_is_caught(bug: Bug) -> None:
    with planted(bug):
        seeds = [bug.seed, *(seed for seed in range(TRIED) if seed != bug.seed)]
        assert any(simulate(seed).wrong for seed in seeds), f"{bug.name}: not caught within {len(seeds)} seeds"
    assert not simulate(bug.seed).wrong
