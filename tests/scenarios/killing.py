"""kill -9 at random moments, and everything that must hold afterwards."""

import asyncio
import os
import random
import signal
import time
from typing import Any

import msgspec

from core.domain.commands import CancelAll, Flatten, SubmitOrder
from core.domain.message import Nanoseconds
from desk.paths import Role
from store.ticks.reader import TickReader
from store.ticks.tables import Busy
from tests.scenarios.audit import Audit
from tests.scenarios.house import FUTURES, PATIENCE_S, Auditor, House, agree, of_market, until
from tests.scenarios.traffic import Given, Traffic

OVERLAP_NS: Nanoseconds = 5_000_000_000
ANSWERED_MIN = 15
"""Commands that are answered before each kill, however slow the machine is."""
LOOK_EVERY = 5
"""Rounds between two comparisons of the recorded ticks."""
TRADES = "SELECT instrument, ts, trade_id FROM trades"
COUNTS = "SELECT (SELECT count(*) FROM quotes), (SELECT count(*) FROM all_levels)"


class Tally(msgspec.Struct):
    """What was done and seen."""

    engine: int = 0
    market: int = 0
    recorder: int = 0
    starting: int = 0
    """Engines killed before they served."""
    commands: int = 0
    acknowledged: int = 0
    repeated: int = 0
    fills: int = 0
    records: int = 0
    tick_looks: int = 0
    slowest_s: float = 0.0
    """The longest time from a restart to an engine that agrees with the market."""


class Ticks:
    """Know which rows of the record stood in a finished batch before a kill."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._trades: set[tuple[str, int, int]] = set()
        self._counts = (0, 0)

    def _read(self) -> tuple[list[Any], tuple[int, int]]:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with TickReader(self._house.home.root) as reader:
                    quotes, levels = reader.sql(COUNTS).rows[0]
                    return reader.sql(TRADES).rows, (quotes, levels)
            except Busy:
                assert time.monotonic() < until, "the recorder never lets the day file go"

    def look(self) -> None:
        """Check that nothing seen before is missing or there twice, and remember what is there now."""
        rows, counts = self._read()
        trades = set(rows)
        assert len(trades) == len(rows), f"{len(rows) - len(trades)} trades are recorded twice"
        lost = self._trades - trades
        assert not lost, f"{len(lost)} recorded trades are gone, first {min(lost)}"
        kept = all(now >= before for now, before in zip(counts, self._counts, strict=True))
        assert kept, f"quotes and levels were {self._counts}, now {counts}"
        self._trades, self._counts = trades, counts


class KillLoop:
    """Trade, kill, restart, compare; again."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.seed = house, seed
        self.tally = Tally()
        self.audit = Audit(house)
        self._rng = random.Random(seed)
        self._ticks = Ticks(house)
        self._rounds = 0

    @classmethod
    def make(cls, house: House, seed: int) -> "KillLoop":
        """Start the processes of a home and return a loop on it."""
        house.start(Role.MARKET, Role.ENGINE, Role.RECORDER)
        return cls(house, seed)

    async def run(self, kills: int) -> Tally:
        """Kill the engine so many times."""
        async with self.house.auditor() as auditor:
            await self.house.ready()
            while self.tally.engine < kills:
                await self._round(auditor)
            await self._settle(auditor)
        return self.tally

    async def _round(self, auditor: Auditor) -> None:
        self._rounds += 1
        look = self._rounds % LOOK_EVERY == 0
        traffic = Traffic(self.house, seed=self.seed * 100_000 + self._rounds)
        await traffic.start()
        await asyncio.sleep(0.05 + 0.45 * self._rng.random())
        await until(lambda: traffic.answered >= ANSWERED_MIN, "orders flow")
        if look:
            await asyncio.to_thread(self._ticks.look)
        victims = self._victims()
        since = self.house.clock.now() - OVERLAP_NS
        self.house.kill(*victims)
        await traffic.stop()
        await self._inspect(auditor, victims, traffic.given, since)
        began = time.monotonic()
        await self._restart(victims)
        await self.house.ready()
        await self._compare(auditor, traffic.given, since)
        self.tally.slowest_s = max(self.tally.slowest_s, time.monotonic() - began)
        if look:
            await asyncio.to_thread(self._ticks.look)
            self.tally.tick_looks += 1

    def _victims(self) -> list[Role]:
        dice = self._rng.random()
        if dice < 0.06:
            return [Role.MARKET]
        if dice < 0.16:
            return [Role.ENGINE, Role.MARKET]
        if dice < 0.26:
            return [Role.ENGINE, Role.RECORDER]
        if dice < 0.30:
            return [Role.ENGINE, Role.MARKET, Role.RECORDER]
        return [Role.ENGINE]

    async def _inspect(self, auditor: Auditor, victims: list[Role], given: list[Given], since: Nanoseconds) -> None:
        """Look at journal and market while the engine is dead: what left was recorded, what was answered is there."""
        for role in victims:
            setattr(self.tally, role.value, getattr(self.tally, role.value) + 1)
        self.tally.commands += len(given)
        if Role.ENGINE not in victims:
            return
        self.audit.read()
        self.audit.acknowledged(given)
        if Role.MARKET not in victims:
            await self.audit.intents(auditor, since)
            await self.audit.nothing_beyond(auditor)

    async def _restart(self, victims: list[Role]) -> None:
        if Role.MARKET in victims:
            await asyncio.to_thread(self.house.start, Role.MARKET)
        if Role.ENGINE in victims:
            while self._rng.random() < 0.15:
                pid = self.house.spawn(Role.ENGINE)
                await asyncio.sleep(self._rng.random() * 1.2)
                await asyncio.to_thread(self._kill_starting, pid)
            await asyncio.to_thread(self.house.start, Role.ENGINE)
        if Role.RECORDER in victims:
            await asyncio.to_thread(self.house.start, Role.RECORDER)

    def _kill_starting(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.house.reap()
        self.tally.starting += 1
        self.tally.engine += 1

    async def _compare(self, auditor: Auditor, given: list[Given], since: Nanoseconds) -> None:
        await self._repeat(given)
        await agree(self.house, auditor)
        await self._same_fills(auditor, since)
        self.tally.acknowledged += self.audit.acknowledged(given)
        self.tally.fills = len(self.audit.fills)
        self.tally.records = await asyncio.to_thread(self.audit.sound)

    async def _same_fills(self, auditor: Auditor, since: Nanoseconds) -> None:
        """Compare fills and what they add up to; the market trades on meanwhile, so the journal gets a moment."""
        until = time.monotonic() + PATIENCE_S
        while True:
            accounts = await auditor.snapshots(since)
            held = {key: value for key, (value, _) in of_market(accounts).positions.items()}
            await asyncio.sleep(0.05)  # a fill is told before it is durable here
            self.audit.read()
            try:
                self.audit.same_fills(accounts)
                added = {key: value for key, value in self.audit.positions().items() if key.startswith(FUTURES)}
                assert held == added, f"fills add up to {added}, held is {held}"
                return
            except AssertionError:
                if time.monotonic() > until:
                    raise

    async def _repeat(self, given: list[Given]) -> None:
        """Ask again for what was never answered: the same operation must not be carried out twice."""
        client = await self.house.client("again", stream=False)
        for item in given:
            if item.outcome is None and isinstance(item.command, SubmitOrder):
                item.outcome = await client.send(item.command)
                self.tally.repeated += 1
        await client.close()

    async def _settle(self, auditor: Auditor) -> None:
        """Close everything and see both sides flat."""
        client = await self.house.client("settle")
        until = time.monotonic() + PATIENCE_S
        while True:
            await client.send(CancelAll(None, "scenario"))
            await client.send(Flatten(None, "scenario"))
            await asyncio.sleep(0.25)
            picture = await agree(self.house, auditor)
            if not picture.positions and not picture.orders:
                break
            assert time.monotonic() < until, f"not flat: {picture}"
        await client.close()
        self.audit.read()
        assert not [key for key in self.audit.positions() if key.startswith(FUTURES)]
