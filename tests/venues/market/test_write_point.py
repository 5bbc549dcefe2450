"""Killed at the write itself: nothing that a session heard may be gone after the restart.

Kills at random moments hardly ever meet the moment between an answer and its write, which is microseconds long. Here
the process dies at each durable write in turn, before it and after it, so that an answer that went out too early is
heard and then missed.
"""

import asyncio
import contextlib
from pathlib import Path

import pytest

from core.domain.events import OrderAccepted, OrderCancelled, OrderFilled
from core.domain.identifiers import ClientOrderId
from core.domain.market import VenueStatus
from core.domain.order import OrderStatus
from core.errors import VenueError
from tests.venues.market.process import MANUAL, MarketProcess, Trader

LAST_WRITE = 5


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, LAST_WRITE + 1))
async def test_what_was_told_is_known_after_a_kill_at_the_write(tmp_path: Path, number: int, when: str) -> None:
    market = MarketProcess(tmp_path, **MANUAL)
    market.program = ("tests.venues.market.dying", str(number), when)
    await asyncio.to_thread(market.start)
    async with Trader(market) as trader:
        await trader.prices(100.0, 100.1)
        links = len(trader.of(VenueStatus))
        with contextlib.suppress(VenueError):  # it died between two requests
            await _work(trader, links)
        await asyncio.to_thread(market.died)
        await trader.until(lambda: len(trader.of(VenueStatus)) > links)
        market.program = ("venues.market",)
        await asyncio.to_thread(market.start)
        try:
            await trader.until(lambda: trader.of(VenueStatus)[-1].connected)
            snapshot = await trader.venue.snapshot(0)
            filled = {fill.fill_id for fill in snapshot.fills}
            assert filled >= {fill.fill_id for fill in trader.of(OrderFilled)}
            for told in trader.of(OrderAccepted):
                assert await trader.venue.order(told.client_order_id) is not None, told
            for gone in trader.of(OrderCancelled):
                report = await trader.venue.order(ClientOrderId(gone.client_order_id))
                assert report is not None
                assert report.status is OrderStatus.CANCELLED
        finally:
            await asyncio.to_thread(market.end)


async def _work(trader: Trader, links: int) -> None:
    """Give the market something to write until it dies: orders that fill, orders that rest, a cancel."""

    def over() -> bool:
        return len(trader.of(VenueStatus)) > links

    for n in range(2 * LAST_WRITE):
        await trader.submit(f"f{n}", "2")
        await trader.until(lambda n=n: over() or trader.of(OrderFilled, f"f{n}"))  # type: ignore[misc]
        if over():
            return
        await trader.submit(f"r{n}", "2", price="90.0")
        await trader.until(lambda n=n: over() or trader.of(OrderAccepted, f"r{n}"))  # type: ignore[misc]
        if over():
            return
        await trader.cancel(f"r{n}")
        await trader.until(lambda n=n: over() or trader.of(OrderCancelled, f"r{n}"))  # type: ignore[misc]
        if over():
            return
