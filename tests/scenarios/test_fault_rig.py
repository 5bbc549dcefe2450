"""Breaches on real processes, with a quiet machine and a full disk: each ends in its order, and nothing is lost."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain import events as e
from desk.paths import Role
from tests.scenarios.breaching import SETTINGS, Rig, examine, hand_market
from tests.scenarios.house import FUTURES, House, agree
from tests.scenarios.small_disk import small_disk, why_not
from tests.venues.market.process import MarketProcess

QUIET = (4, 4, 2)
"""Positions of each round: ten breaches."""


@pytest.fixture
def rigged(tmp_path: Path) -> Iterator[tuple[House, MarketProcess, bool]]:
    """Give an engine on a market set by hand, and tell whether its disk can be filled."""
    with contextlib.ExitStack() as stack:
        root, small = tmp_path / "home", not why_not()
        try:
            root = stack.enter_context(small_disk(root)) if small else root
        except OSError:
            small = False
        house = House(root, SETTINGS)
        stack.callback(house.end)
        market = hand_market(house, tmp_path / "books")
        stack.callback(market.end)
        yield house.start(Role.ENGINE), market, small


async def test_every_breach_ends_in_order_and_nothing_is_lost(rigged: tuple[House, MarketProcess, bool]) -> None:
    house, market, small = rigged
    async with house.auditor() as auditor:
        rig = await Rig.make(house, market, auditor)
        for count in QUIET:
            await rig.round(count)
        quiet = len(rig.breaches)
        if small:
            await rig.round(4, full=True)
        await rig.client.close()
        fills = (await auditor.snapshots())[FUTURES].fills
        house.kill(Role.ENGINE)
        courses = examine(house, rig.breaches, fills)
        assert len(courses) == len(rig.breaches) == quiet + (4 if small else 0)
        unjournalled = [event for _, event in house.events() if isinstance(event, e.ExitUnjournalled)]
        assert bool(unjournalled) == small, "with a full disk exits leave without their record, else none does"
        house.start(Role.ENGINE)
        again = await Rig.make(house, market, auditor)
        await again.client.close()
        assert not (await agree(house, auditor)).positions
    assert all(one.exit_ns > 0 for one in rig.breaches)
