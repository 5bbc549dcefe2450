"""The sentinel's process: its run number is on the page before it can send, and no venue holds up another's exit."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from core.config.settings import GuardianSettings
from core.domain.approval import Approved, TradingState
from core.domain.commands import SubmitOrder
from core.domain.identifiers import InstrumentId
from core.domain.instrument import Instrument
from core.domain.market import Feed, VenueStatus
from core.domain.reports import PositionReport, VenueSnapshot
from core.errors import StoreError, VenueError
from core.guardian.pulse import EnginePhase, Phase, Pulse, boottime
from core.ports import Abilities, Emit
from desk.roles.watchdog import Watchdog
from store.lease import Lease, LeaseFile
from tests.core.kit import BTC_COINM, BTC_PERP, T0, D


class Clock:
    """One that stands still."""

    def now(self) -> int:
        return 1_700_000_000_000_000_000


def full(path: Path, lease: Lease) -> None:
    raise StoreError("no space left")


def test_sentinels_that_the_disk_does_not_remember_have_run_numbers_of_their_own(tmp_path: Path) -> None:
    numbers, clock = list[int](), cast("Any", Clock())
    for _ in range(3):
        page, file = Pulse(tmp_path / "page"), LeaseFile(tmp_path / "sentinel.json", full)
        numbers.append(Watchdog(GuardianSettings(), page, {}, cast("Any", None), file, clock, "t0").run_number)
        assert page.last_run == numbers[-1]
        page.close()
    assert numbers == [1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_002]


class Holding:
    """A venue with one position; ``fault`` is what quotes and orders meet with; "snapshot" is met by that alone."""

    abilities = Abilities()

    def __init__(self, instrument: Instrument, fault: str = "") -> None:
        self.id, self.instrument, self.fault = instrument.venue, instrument, fault
        self.sent: list[InstrumentId] = []
        self.took = asyncio.Event()

    async def start(self, emit: Emit) -> None:
        emit(VenueStatus(self.id, True, "", T0))

    async def stop(self) -> None: ...

    async def instruments(self) -> tuple[Instrument, ...]:
        return (self.instrument,)

    async def snapshot(self, since: int) -> VenueSnapshot:
        if self.fault == "snapshot":
            raise ValueError("a reply that nobody expected")
        return VenueSnapshot(self.id, T0, (), (), (PositionReport(self.instrument.id, D(2), D(0), None, D(0), T0),), ())

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        await self._meet()

    async def submit(self, order: Approved[SubmitOrder]) -> None:
        await self._meet()
        self.sent.append(order.command.order.instrument)
        self.took.set()

    async def _meet(self) -> None:
        if self.fault == "refuses":
            raise VenueError("no")
        if self.fault == "breaks":
            raise OSError("connection reset")
        if self.fault == "hangs":
            await asyncio.sleep(3600)


class Dead:
    """An engine that is dead, and comes back no more."""

    def alive(self, pid: int) -> bool:
        return False

    def kill(self) -> None: ...

    def start(self) -> None: ...


@pytest.mark.parametrize("fault", ["refuses", "hangs", "breaks", "snapshot"])
async def test_a_venue_that_takes_nothing_holds_up_no_other(tmp_path: Path, fault: str) -> None:
    bad, good = Holding(BTC_COINM, fault), Holding(BTC_PERP)
    engine = Pulse(tmp_path / "page")
    engine.begin(1)
    engine.beat(1, 1, TradingState.ACTIVE, boottime(), reconciled=True)
    assert engine.engine().phase is EnginePhase.RUNNING
    file = LeaseFile(tmp_path / "sentinel.json")
    venues = cast("Any", {bad.id: (bad, True), good.id: (good, True)})
    settings = GuardianSettings(engine_silent_after_ms=100, sentinel_grace_ms=100)
    watchdog = Watchdog(settings, Pulse(tmp_path / "page"), venues, Dead(), file, cast("Any", Clock()), "t0")
    stop = asyncio.Event()
    task = asyncio.create_task(watchdog.run(stop, lambda: None))
    async with asyncio.timeout(30):
        await good.took.wait()
    stop.set()
    await task
    assert (good.sent[0], bad.sent) == (BTC_PERP.id, [])


class Living(Dead):
    """An engine that lives until it is told otherwise."""

    lives = True

    def alive(self, pid: int) -> bool:
        return self.lives


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[tuple[Pulse, Living, Watchdog]]:
    """A sentinel that watches a living engine, on a disk that is full: the engine's page, its process, the sentinel."""
    page, handle, file = Pulse(tmp_path / "page"), Living(), LeaseFile(tmp_path / "sentinel.json", full)
    page.begin(1)
    page.beat(1, 1, TradingState.ACTIVE, boottime(), reconciled=True)
    clock = cast("Any", Clock())
    watchdog = Watchdog(GuardianSettings(), Pulse(tmp_path / "page"), {}, cast("Any", handle), file, clock, "t0")
    watchdog.look()
    yield page, handle, watchdog
    file.close()


def test_a_lease_that_an_engine_takes_on_the_word_of_an_old_file_is_given_back(
    watching: tuple[Pulse, Living, Watchdog],
) -> None:
    """The disk had not taken that it was given back: an engine that started then would never have sent anything."""
    page, _, watchdog = watching
    page.take()
    watchdog.look()
    assert (page.barred, watchdog.sentinel.phase) == (False, Phase.WATCHING)


def test_a_page_that_an_engine_made_anew_is_told_of_the_lease(watching: tuple[Pulse, Living, Watchdog]) -> None:
    page, handle, watchdog = watching
    handle.lives = False
    watchdog.look()
    assert page.barred
    page.path.unlink()
    handle.lives = True
    engine = Pulse(page.path)
    engine.begin(2)
    assert not engine.barred
    watchdog.look()
    assert (engine.barred, watchdog.sentinel.holds) == (True, True)
