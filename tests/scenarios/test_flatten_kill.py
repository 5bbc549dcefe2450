"""Engines killed in the middle of a flatten: the next one finishes it, by itself."""

import asyncio
import random
from pathlib import Path

from core.domain import events as e
from core.domain.commands import Flatten, SubmitOrder
from core.domain.order import Order, OrderType, Side
from desk.paths import Role
from tests.scenarios.house import PERP, QUICK, House, agree

KILLS, ENOUGH = 20, 3
"""Kills at most, and how many of them must have been in the middle."""


async def begin(house: House, wait: float) -> None:
    """Hold something, rest something, begin to flatten, and kill the engine after ``wait`` seconds."""
    async with house.session() as client:
        mark = client.state.markets[PERP]
        for side, away in ((Side.BUY, 0.99), (Side.SELL, 1.01)):
            price = mark.instrument.tick_size * round(mark.mark * away / float(mark.instrument.tick_size))
            for _ in range(5):
                size = mark.instrument.min_size * 5
                await client.send(SubmitOrder(Order(PERP, side, size, OrderType.LIMIT, price)))
        outcome = await client.send(SubmitOrder(Order(PERP, Side.BUY, mark.instrument.min_size * 20)))
        assert outcome.ok, outcome
        asked = asyncio.ensure_future(client.send(Flatten(PERP, "scenario")))
        await asyncio.sleep(wait)
        house.kill(Role.ENGINE)
        await asyncio.gather(asked, return_exceptions=True)


async def test_a_flatten_is_finished_by_the_next_engine(tmp_path: Path) -> None:
    house = House(tmp_path / "home", QUICK)
    dice = random.Random(7)
    resumed = 0
    try:
        house.start(Role.MARKET, Role.ENGINE)
        async with house.auditor() as auditor:
            for _ in range(KILLS):
                if resumed >= ENOUGH:
                    break
                await house.ready()
                await begin(house, 0.001 + 0.02 * dice.random())
                before = [event for _, event in house.events()]
                started = sum(isinstance(event, e.FlattenStarted) for event in before)
                open_ = started - sum(isinstance(event, e.FlattenEnded) for event in before)
                resumed += open_
                await asyncio.to_thread(house.start, Role.ENGINE)
                await house.ready()
                if not open_:  # killed before its start was durable, or behind its end: nobody was told of it
                    async with house.session() as client:
                        await client.send(Flatten(PERP, "scenario"))
                async with asyncio.timeout(40):
                    while (picture := await agree(house, auditor)).positions or picture.orders:  # noqa: ASYNC110 -- nothing tells of it
                        await asyncio.sleep(0.1)
        ends = [event for _, event in house.events() if isinstance(event, e.FlattenEnded)]
    finally:
        house.end()
    assert resumed >= ENOUGH, "too few engines were caught in the middle of a flatten"
    assert all(event.flat for event in ends)
