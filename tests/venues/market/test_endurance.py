"""Hours of the built-in market in seconds: what the process keeps reaches a bound and stays there."""

import asyncio
import gc
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.domain.commands import CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderType, Side, TimeInForce
from venues.market import accounts, history, memory
from venues.market.server import MarketServer, MarketSettings
from venues.matching.liquidity import exact

SECOND: Nanoseconds = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
VENUE = VenueId("BINANCE-FUTURES")


class Long:
    """A market whose clock is moved by hand, with a trader who never stops."""

    def __init__(self, home: Path) -> None:
        self.server = MarketServer(MarketSettings(home, rate=20.0))
        self.clock = ManualClock(self.server.clock.now())
        self.server.clock = self.clock  # type: ignore[assignment]
        self.account = self.server.accounts.by_venue[VENUE]
        self.sent = 0
        for message in self.server.source.opening():
            self.server._data(message)

    async def run(self, length: Nanoseconds) -> None:
        """Let time pass, with an order every ten seconds."""
        end = self.clock.now() + length
        while self.clock.now() < end:
            for _ in range(10):
                self.clock.advance(self.clock.now() + SECOND)
                self.server._move(self.clock.now())
            self.trade()
            await asyncio.sleep(0)

    def trade(self) -> None:
        """Send a market order, or a limit order far away and cancel the one before."""
        self.sent += 1
        number, now = self.sent, self.clock.now()
        side = Side.BUY if number % 4 < 2 else Side.SELL
        price = None if number % 2 else Decimal(1000 if side is Side.BUY else 900_000)
        type_ = OrderType.MARKET if price is None else OrderType.LIMIT
        force = TimeInForce.IOC if price is None else TimeInForce.GTC
        order = Order(
            BTC, side, Decimal("0.01"), type_, price, time_in_force=force, client_order_id=ClientOrderId(f"c{number}")
        )
        self.account.request(SubmitOrder(order, "test", now), now)
        if number > 2:
            self.account.request(CancelOrder(ClientOrderId(f"c{number - 2}"), "test", now), now)

    def sizes(self) -> dict[str, int]:
        """Return how much of everything is kept."""
        server, floor = self.server, self.account.matching._floor
        liquidity = floor.listings[BTC].liquidity
        return {
            "minutes": len(server.history),
            "orders": len(floor.orders),
            "closed": len(floor.closed),
            "fills": len(floor.fills),
            "expiries": len(self.account.matching._expiries),
            "taken": len(liquidity.taken_bids) + len(liquidity.taken_asks),
            "levels": sum(len(book.bids) + len(book.asks) for book in server.feeds._books.values()),
            "waiting": len(server.memory._waiting),
        }


def blocks() -> int:
    """Return how many blocks of memory Python's objects have, without what a bounded cache has not filled yet."""
    exact.cache_clear()
    gc.collect()
    return sys.getallocatedblocks()


async def test_what_the_market_keeps_stays_the_same_however_long_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The bounds are made small, so that hours reach them as weeks would.
    for module, name, value in (
        (history, "KEPT_NS", HOUR),
        (history, "_SLACK_NS", 10 * MINUTE),
        (history, "HOURS", 1),
        (memory, "KEPT_NS", HOUR),
        (accounts, "KEPT_ORDERS", 40),
        (accounts, "KEPT_FILLS", 80),
    ):
        monkeypatch.setattr(module, name, value)
    long = Long(tmp_path)
    await long.run(2 * HOUR + 10 * MINUTE)  # the bar builders keep two hours
    before = blocks()
    seen: dict[str, int] = {}
    for _ in range(6):
        await long.run(10 * MINUTE)
        seen = {name: max(size, seen.get(name, 0)) for name, size in long.sizes().items()}
    grown = blocks() - before
    assert seen.pop("minutes") <= 8 * (60 + 10 + 2)
    assert seen.pop("levels") <= 8 * 2 * 61
    assert seen.pop("orders") <= 40 + 3
    assert seen.pop("taken") <= 60, "what we took is remembered for as long as the level is offered"
    assert seen == {"closed": 40, "fills": 80, "expiries": 0, "waiting": seen["waiting"]}
    assert grown < 600, f"{grown} objects stay behind in an hour of 70 000 messages and 360 orders"
    files = sum(path.stat().st_size for path in (tmp_path / "market").glob("bars*"))
    assert files < 8 * 130 * 150, "two hours of minutes at most"
    await long.server.memory.close()
