"""Engine and sentinel are killed a hundred times while orders flow; nothing is lost, doubled or made up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from desk.roles.pulses import page
from tests.scenarios.house import QUICK, House
from tests.scenarios.killing import PATIENT, KillLoop, Kind
from tests.scenarios.nursery import Nursery

KILLS = 100
"""``python -m scripts.kill_loop --count 500`` does more of the same."""
FEW = 4


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Give what engines are forked from; those that are killed while they start load everything themselves."""
    made = Nursery()
    yield made
    made.end()


@pytest.mark.parametrize("kind", [Kind.SENTINEL, Kind.BOTH])
async def test_a_sentinel_may_fall_alone_or_with_its_engine(tmp_path: Path, nursery: Nursery, kind: Kind) -> None:
    house = House(tmp_path / "home", QUICK + PATIENT, nursery)
    try:
        tally = await KillLoop.make(house, seed=3, kind=kind).run(FEW)
    finally:
        house.end()
        page(house.home).unlink(missing_ok=True)
    print(tally)
    assert getattr(tally, kind) == FEW
    assert tally.sentinel == FEW
    assert tally.engine == (FEW if kind is Kind.BOTH else 0)
    assert tally.acknowledged > 10 * FEW


async def test_kill_9_at_random_moments(tmp_path: Path, nursery: Nursery) -> None:
    house = House(tmp_path / "home", QUICK, nursery)
    try:
        loop = KillLoop.make(house, seed=1)
        tally = await loop.run(KILLS)
    finally:
        house.end()
    print(tally)
    # The loop is only worth something while orders really flow, rest and fill between the kills.
    assert tally.engine >= KILLS
    assert tally.market
    assert tally.recorder
    assert tally.starting
    assert tally.repeated, "no command was ever caught without its answer"
    assert tally.tick_looks >= KILLS // 10
    assert tally.acknowledged > 10 * KILLS
    counts = loop.audit.counts
    seen = ("OrderFilled", "OrderCancelled", "OrderAmended", "OrderRejected", "OrderTriggered", "bracket stop_loss")
    assert all(counts[name] for name in seen), counts
    assert len(loop.audit.runs) >= KILLS - tally.starting
