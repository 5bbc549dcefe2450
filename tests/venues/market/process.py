"""Run a real market process and talk to it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from core.clock import LiveClock
from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.market import NO_ID, BookSnapshot, Quote, VenueStatus
from core.domain.message import Message
from core.domain.order import Order, OrderType, Side
from venues.market.venue import MarketVenue

ROOT = Path(__file__).resolve().parents[3]
FUTURES, SPOT = VenueId("BINANCE-FUTURES"), VenueId("BINANCE-SPOT")
COINM = VenueId("BINANCE-COINM")
BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
ETH = InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN")
BTC_SPOT = InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT")
MANUAL: dict[str, Any] = {"manual": [BTC, ETH, BTC_SPOT], "latency": {}}
"""Prices by hand and no latency."""


class MarketProcess:
    """Start, kill and restart one market process in one home."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.home, self.socket = home, home / "market.sock"
        self._settings = home / "settings.json"
        self._settings.write_text(json.dumps({"home": str(home)} | settings))
        self._process: subprocess.Popen[bytes] | None = None
        self.program: tuple[str, ...] = ("venues.market",)
        """The module to start and what it is told behind the settings."""

    def start(self) -> None:
        """Start and wait until it listens."""
        self.socket.unlink(missing_ok=True)
        self._process = self.spawn()
        deadline = time.monotonic() + 60
        while not self._listens():
            assert self._process.poll() is None, (self.home / "log").read_text()
            assert time.monotonic() < deadline, "the market does not listen"
            time.sleep(0.01)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as line:
            return line.connect_ex(str(self.socket)) == 0

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start a process in this home and return it."""
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", self.program[0], str(self._settings), *self.program[1:]],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )

    def send(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill -9 and wait."""
        self.end(signal.SIGKILL)

    def died(self) -> int:
        """Wait until it has ended by itself and return its exit code."""
        assert self._process is not None
        process, self._process = self._process, None
        return process.wait(timeout=30)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait and return the exit code."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(number)
        if number != signal.SIGKILL:
            process.send_signal(signal.SIGCONT)  # one that a test has stopped must wake up to end
        return process.wait(timeout=60)


class Trader:
    """A venue connection with everything it was told."""

    def __init__(self, market: MarketProcess | Path, venue: VenueId = FUTURES, answer_s: float = 60.0) -> None:
        path = market if isinstance(market, Path) else market.socket
        self.venue = MarketVenue(venue, path, LiveClock(), "test", answer_s)
        self.got: list[Message] = []

    async def __aenter__(self) -> Self:
        await self.venue.start(self.got.append)
        await self.until(lambda: any(isinstance(m, VenueStatus) and m.connected for m in self.got))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.venue.stop()

    async def outlives(self, market: MarketProcess, number: int = signal.SIGKILL) -> None:
        """End the market, hear everything it still said, start it again and wait for the link."""
        links = len(self.of(VenueStatus))
        await asyncio.to_thread(market.end, number)
        await self.until(lambda: len(self.of(VenueStatus)) > links)
        await asyncio.to_thread(market.start)
        await self.until(lambda: self.of(VenueStatus)[-1].connected)

    def of(self, kind: type[Any], order: str = "") -> list[Any]:
        """Return the messages of a kind, of one order."""
        found = [m for m in self.got if isinstance(m, kind)]
        return [m for m in found if m.client_order_id == order] if order else found

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until something is so.

        Raises:
            TimeoutError: saying what was heard last.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"it did not happen; heard last: {self.got[-5:]}")
            await asyncio.sleep(0.005)

    async def submit(self, key: str, quantity: str, side: Side = Side.BUY, **fields: Any) -> None:
        """Send an order; of the first perpetual unless another instrument is named."""
        fields = {"instrument": BTC, "client_order_id": ClientOrderId(key)} | fields
        if "price" in fields:
            fields = {"type": OrderType.LIMIT} | fields | {"price": Decimal(fields["price"])}
        await self.venue.submit(Approved(SubmitOrder(Order(side=side, quantity=Decimal(quantity), **fields))))

    async def cancel(self, key: str) -> None:
        """Cancel an order."""
        await self.venue.cancel(Approved(CancelOrder(ClientOrderId(key))))

    async def amend(self, key: str, price: str) -> None:
        """Change an order's price."""
        await self.venue.amend(Approved(AmendOrder(ClientOrderId(key), price=Decimal(price))))

    async def prices(self, bid: float, ask: float, instrument: InstrumentId = BTC) -> None:
        """Make the market stand at these prices."""
        now = self.venue.clock.now()
        await self.venue.publish(quote_and_book(instrument, bid, ask, now))


def quote_and_book(instrument: InstrumentId, bid: float, ask: float, now: int) -> Sequence[Message]:
    """Return a book with one level a side, and its quote."""
    book = BookSnapshot(instrument, ((bid, 50.0),), ((ask, 50.0),), now, True, now, now)
    return (book, Quote(instrument, bid, 50.0, ask, 50.0, NO_ID, now, now))
