"""A real engine for the terminal's tests: runtime, server, paper venues and the built-in market in one loop."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.clock import LiveClock
from core.config.settings import AlertSettings, GuardianSettings
from core.domain.identifiers import Asset, InstrumentId, VenueId, venue_of
from core.domain.market import Bar, Feed, FeedReport, Health, Interval
from core.domain.message import Command, Data, Message, Nanoseconds
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.outbox import Effect
from core.ports import Emit
from core.runtime import Runtime
from core.state.state import State
from store.memory import MemoryJournal, MemoryTickStore
from venues.contracts_table import contracts
from venues.market.history import History
from venues.market.source import FlowSource
from venues.paper import Paper

SPOT, FUTURES = VenueId("BINANCE-SPOT"), VenueId("BINANCE-FUTURES")
BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
ETH = InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN")
START = {Asset("USDT"): Decimal(50_000)}
START_S = 60.0


class NotingEngine(Engine):
    """An engine that notes the commands it is given."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.noted: list[Command] = []

    def process(self, message: Message) -> Sequence[Effect]:
        """Note a command, and process it."""
        if isinstance(message, Command):
            self.noted.append(message)
        return super().process(message)


class FlowFeed:
    """Feed one venue from the built-in market, which runs for all of them."""

    def __init__(self, venue: VenueId, hub: "Hub") -> None:
        self._venue, self._hub = venue, hub

    async def start(self, emit: Emit) -> None:
        """Begin to emit."""
        self._hub.listen(self._venue, emit)

    async def stop(self) -> None:
        """Stop emitting."""
        self._hub.listeners.pop(self._venue, None)

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """Do nothing: everything is emitted."""

    async def unsubscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """Do nothing."""

    async def history(
        self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[Bar]:
        """Give the bars of the last day."""
        return self._hub.history.bars(instrument, interval, start, end)


class Hub:
    """Run the built-in market and hand its messages to the venues."""

    def __init__(self, clock: LiveClock, seed: int = 7) -> None:
        self.clock = clock
        self.source = FlowSource(clock.now(), seed)
        self.history = History()
        self.history.add(self.source.past())
        self.listeners: dict[VenueId, Emit] = {}
        self.silent = False
        self._task: asyncio.Task[None] | None = None

    def listen(self, venue: VenueId, emit: Emit) -> None:
        """Add a venue."""
        self.listeners[venue] = emit
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._play())

    async def _play(self) -> None:
        await asyncio.sleep(0.3)
        self._hand(self.source.opening())
        while True:
            await asyncio.sleep(max(0.01, (self.source.next_due - self.clock.now()) / 1e9))
            data = self.source.take(self.clock.now())
            if not self.silent:
                self._hand(data)

    def _hand(self, data: Iterable[Data]) -> None:
        for message in data:
            emit = self.listeners.get(venue_of(message.instrument))  # type: ignore[attr-defined]
            if emit is not None:
                emit(message)

    async def stop(self) -> None:
        """Stop the market."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(START_S):
        while not true():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.01)


class House:
    """One running engine with its market."""

    def __init__(self, folder: Path, alerts: AlertSettings | None = None, stale_after_s: int = 60) -> None:
        self.socket = folder / "engine.sock"
        self.alerts, self._stale_after_ms = alerts, stale_after_s * 1_000
        self.clock = LiveClock()
        self.hub = Hub(self.clock)
        self.runtime = self._runtime(MemoryJournal())

    def _runtime(self, journal: MemoryJournal) -> Runtime:
        listed = set(self.hub.source.instruments)
        papers = [
            Paper(
                venue,
                [item for item in contracts(venue) if item.id in listed],
                FlowFeed(venue, self.hub),
                self.clock,
                balances=START,
            )
            for venue in (SPOT, FUTURES)
        ]
        # Screen, engine and market share one loop here: when the machine stands still, prices grow old by no fault.
        self.engine = NotingEngine(
            Guardian(GuardianSettings(stale_after_ms=self._stale_after_ms)),
            State(Asset("USDT"), "paper"),
            alerts=self.alerts,
        )
        return Runtime(self.engine, journal, MemoryTickStore(10_000), papers, self.clock, version="test")

    @property
    def commands(self) -> list[Command]:
        """What terminals have sent, without the time at which it came."""
        return [command.replace(ts=0) for command in self.engine.noted if getattr(command, "origin", "") == "terminal"]

    @property
    def state(self) -> State:
        """The engine's own state."""
        return self.runtime.engine.state

    async def start(self) -> "House":
        """Start and wait until every feed has delivered."""
        await self.runtime.start(self.socket)
        markets = self.state.markets
        await _until(lambda: len(markets) >= 8 and all(market.ask and market.mark for market in markets.values()))
        now = self.clock.now()
        for id_, market in self.state.markets.items():
            if market.health is Health.DOWN:
                self.runtime.emit(FeedReport(id_, Health.LIVE, 0, 0, "", now))
        await _until(lambda: all(market.health is not Health.DOWN for market in markets.values()))
        return self

    async def stop(self) -> None:
        """Stop the engine and the market."""
        await self.runtime.stop("test over")
        await self.hub.stop()
