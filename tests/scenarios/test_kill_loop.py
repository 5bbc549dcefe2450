"""The engine is killed a hundred times while orders flow; nothing is lost, doubled or made up."""

from pathlib import Path

from tests.scenarios.house import QUICK, House
from tests.scenarios.killing import KillLoop

KILLS = 100
"""``python -m scripts.kill_loop --count 500`` does more of the same."""


async def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    house = House(tmp_path / "home", QUICK)
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
