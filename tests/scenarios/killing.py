"""kill -9 at random moments, and everything that must hold afterwards."""

import asyncio
import contextlib
import os
import random
import signal
import time
from enum import StrEnum
from typing import Any

import msgspec

from core.domain.commands import CancelAll, Flatten, SubmitOrder
from core.domain.message import Nanoseconds
from core.errors import StoreError
from core.guardian.pulse import EnginePhase, Phase, Pulse
from desk.paths import Role
from desk.roles import services
from desk.roles.pulses import open_pulse
from store.lease import read_lease
from store.ticks.reader import TickReader
from store.ticks.tables import Busy
from tests.scenarios.audit import Audit
from tests.scenarios.house import FUTURES, PATIENCE_S, Auditor, House, agree, of_market, until
from tests.scenarios.traffic import Given, Traffic

OVERLAP_NS: Nanoseconds = 5_000_000_000
ANSWERED_MIN = 15
"""Commands that are answered before each kill, however slow the machine is."""
STARTS_WITHIN_S = 10.0
"""Until then a sentinel that misses an engine has started one."""
LOOK_EVERY = 5
"""Rounds between two comparisons of the recorded ticks."""
TRADES = "SELECT instrument, ts, trade_id FROM trades"
COUNTS = "SELECT (SELECT count(*) FROM quotes), (SELECT count(*) FROM all_levels)"


PATIENT = """
[guardian]
engine_silent_after_ms = 20000
sentinel_grace_ms = 60000
"""
"""A busy machine is not taken for an engine that hangs: nothing is closed, and the books can be compared."""


class Kind(StrEnum):
    """Who is killed."""

    ENGINE = "engine"
    """The engine, at times with the market or the recorder, in a house without a sentinel."""
    SENTINEL = "sentinel"
    """The sentinel, while the engine trades on."""
    BOTH = "both"
    """Engine and sentinel at one moment: nobody is left who would restart the other."""


class Tally(msgspec.Struct):
    """What was done and seen."""

    kind: Kind = Kind.ENGINE
    engine: int = 0
    sentinel: int = 0
    both: int = 0
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

    def __init__(self, house: House, seed: int, kind: Kind = Kind.ENGINE) -> None:
        self.house, self.seed, self.kind = house, seed, kind
        self.tally = Tally(kind)
        self._pulse: Pulse | None = None if kind is Kind.ENGINE else open_pulse(house.home)
        self._leases = self._old = 0
        self.audit = Audit(house)
        self._rng = random.Random(seed)
        self._ticks = Ticks(house)
        self._rounds = 0

    @classmethod
    def make(cls, house: House, seed: int, kind: Kind = Kind.ENGINE) -> "KillLoop":
        """Start the processes of a home and return a loop on it."""
        house.start(Role.MARKET, Role.ENGINE, Role.RECORDER)
        if kind is not Kind.ENGINE:
            house.start(Role.SENTINEL)
        return cls(house, seed, kind)

    async def run(self, kills: int) -> Tally:
        """Kill so many times."""
        async with self.house.auditor() as auditor:
            await self._trades()
            while getattr(self.tally, self.kind) < kills:
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
        if Role.SENTINEL in victims:
            self._old = self.house.pid(Role.SENTINEL)
        self.house.kill(*victims)
        if Role.ENGINE not in victims and Role.MARKET not in victims:
            answered = traffic.answered
            await until(lambda: traffic.answered >= answered + ANSWERED_MIN, "orders flow on without a sentinel")
        await traffic.stop()
        await self._inspect(auditor, victims, traffic.given, since)
        began = time.monotonic()
        await self._restart(victims)
        await self._trades()
        await self._compare(auditor, traffic.given, since)
        self.tally.slowest_s = max(self.tally.slowest_s, time.monotonic() - began)
        if look:
            await asyncio.to_thread(self._ticks.look)
            self.tally.tick_looks += 1

    async def _trades(self) -> None:
        """Wait until the engine trades; with a sentinel, until that watches it and has let the lease go."""
        await self.house.ready()
        if self._pulse is None:
            return
        pulse = self._pulse

        def watched() -> bool:
            running = pulse.engine().phase is EnginePhase.RUNNING and not pulse.barred
            return running and pulse.sentinel().phase is Phase.WATCHING and pulse.sentinel().pid != self._old

        await until(watched, f"a sentinel watches an engine that trades; {self.house.log(Role.SENTINEL)}")
        run = read_lease(self.house.home.lease).run
        assert run > self._leases, f"the sentinel's run {run} was given before"
        self._leases = run

    def _victims(self) -> list[Role]:
        dice = self._rng.random()
        if self.kind is Kind.SENTINEL:
            return [Role.SENTINEL, Role.RECORDER] if dice < 0.1 else [Role.SENTINEL]
        if self.kind is Kind.BOTH:
            return [Role.ENGINE, Role.SENTINEL, *([Role.MARKET] if dice < 0.1 else [])]
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
        self.tally.both += {Role.ENGINE, Role.SENTINEL} <= set(victims)
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
        if Role.SENTINEL in victims:
            await self._restart_sentinel(victims)
        elif Role.ENGINE in victims:
            while self._rng.random() < 0.15:
                pid = self.house.spawn(Role.ENGINE)
                await asyncio.sleep(self._rng.random() * 1.2)
                await asyncio.to_thread(self._kill_starting, pid)
            await asyncio.to_thread(self.house.start, Role.ENGINE)
        if Role.RECORDER in victims:
            await asyncio.to_thread(self.house.start, Role.RECORDER)

    async def _restart_sentinel(self, victims: list[Role]) -> None:
        """Start a sentinel, which starts the engine it misses, or one that is replaced by the engine meanwhile."""
        if Role.ENGINE in victims and self._rng.random() < 0.5:
            await asyncio.to_thread(self.house.start, Role.ENGINE)
        elif Role.ENGINE not in victims and self._rng.random() < 0.2:
            return  # the engine misses it, and starts another
        with contextlib.suppress(StoreError, RuntimeError):  # the engine was faster
            await asyncio.to_thread(self.house.start, Role.SENTINEL)
        if await self._waits_for_nobody():
            with contextlib.suppress(StoreError, RuntimeError):
                await asyncio.to_thread(self.house.start, Role.ENGINE)

    async def _waits_for_nobody(self) -> bool:
        """Tell whether the sentinel before was killed behind taking the lease and before it could start the engine.

        Its successor takes the engine for started, waits, and closes after the grace: a service manager starts one.
        """
        assert self._pulse is not None
        end = time.monotonic() + STARTS_WITHIN_S
        while self._pulse.sentinel().phase is Phase.AWAITING and services.running(self.house.home, Role.ENGINE) is None:
            if time.monotonic() > end:
                return True
            await asyncio.sleep(0.02)
        return False

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
