"""The sentinel beside the engine: the real watchdog in a process loop of its own, its page, its file, its lives."""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import LiveClock
from core.config.settings import GuardianSettings
from core.domain.message import Nanoseconds
from core.errors import StoreError
from core.guardian.pulse import Phase
from desk.roles.watchdog import Watchdog
from store.lease import Lease, LeaseFile, held_on_disk, write_lease
from tests.simulation.guarding import LOOK, Guarding, SimPulse
from tests.simulation.link import Link, SimVenue
from tests.simulation.machine import MS, ProcessLoop, S
from tests.simulation.plan import Mishap, Strike
from tests.simulation.venue import SENTINEL

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.venue import Exchange
    from tests.simulation.world import World

MARK = "t0"
BY_HAND: Nanoseconds = 8 * S
"""A trader who finds no engine for this long starts one."""


class SentinelProcess:
    """One life of the sentinel."""

    def __init__(self, side: "Side") -> None:
        self.side, world = side, side.world
        self.born = world.machine.now
        self.loop = ProcessLoop(  # type: ignore[abstract]
            world.machine, lambda text: world.audit.fail(f"nobody caught, in the sentinel: {text}")
        )
        clock = LiveClock()
        watcher = side.guarding
        venues = [SimVenue(one, clock, self.within, SENTINEL, watcher) for one in world.exchanges.values()]
        self.stop = asyncio.Event()
        side.guarding.begins_taking = True
        self.watchdog = Watchdog(
            GuardianSettings(),
            side.open_page(),
            {venue.id: (venue, True) for venue in venues},
            EngineHandle(side),
            LeaseFile(side.file, side.write, partial(side.write_later, self)),
            clock,
            MARK,
            alarm=self._alarm,
        )
        side.guarding.begins_taking = False
        side.guarding.starts(self.watchdog.run_number)
        self.task = self.loop.create_task(self.watchdog.run(self.stop, lambda: None))

    def within(self, do: Callable[[], None]) -> None:
        """Run something in this process, if it lives."""
        if not self.loop.dead:
            self.loop.call_soon(do)

    def _alarm(self, words: str) -> None:
        self.side.world.audit.note("alarm", words)
        if self.watchdog.sentinel.phase is Phase.FLAT:
            self.side.guarding.said_flat()

    def quiet(self) -> bool:
        """Tell whether it watches an engine and nothing else."""
        return self.watchdog.sentinel.phase is Phase.WATCHING


class EngineHandle:
    """The engine's process, as its pidfd shows it."""

    def __init__(self, side: "Side") -> None:
        self._side, self._pid = side, 0

    def alive(self, pid: int) -> bool:
        """Tell whether the process that beats lives."""
        process = self._side.world.process
        self._pid = pid
        return process is not None and process.pid == pid

    def kill(self) -> None:
        """End it, stopped or not; one that hangs in the kernel ends when that lets it."""
        if self.alive(self._pid):
            self._side.kill_engine()

    def start(self) -> None:
        """Start another."""
        self._side.start_engine()


class Side:
    """The sentinel's side of a world: its lives, and what goes wrong there."""

    def __init__(self, world: "World", folder: Path) -> None:
        self.world, self.machine = world, world.machine
        self.rng = random.Random(f"{world.plan.seed}.sentinel")
        self.file = folder / "sentinel.json"
        self._page = folder / "page"
        self._pids = 100
        self._pages: list[SimPulse] = []
        self.guarding = Guarding(self)
        self.sentinel: SentinelProcess | None = None
        self.page = self.open_page()
        """The page as this side looks at it."""
        self.none_until: Nanoseconds = 0
        """Engines cannot be started before."""
        self._gone: Nanoseconds = 0
        self._pending: list[Callable[[], None]] = []
        self._dying: Process | None = None
        self._do: dict[Mishap, Callable[[Strike], None]] = {
            Mishap.SENTINEL_KILLED: lambda one: self.end(),
            Mishap.SENTINEL_KILLED_SOON: self._doom,
            Mishap.SENTINEL_FROZEN: lambda one: self._freeze(one.lasts, self.sentinel),
            Mishap.SENTINEL_STOPPED: lambda one: self._stop(),
            Mishap.ENGINE_FROZEN: lambda one: self._freeze(one.lasts, world.process),
            Mishap.BOTH_FROZEN: lambda one: self._freeze(one.lasts, world.process, self.sentinel),
            Mishap.BOTH_KILLED: lambda one: self._kill_both(),
            Mishap.ENGINE_LOST: self._lost,
            Mishap.LINE_LOST: lambda one: self._lines(Link.drop, "lost"),
            Mishap.LINE_SILENT: lambda one: self._lines(Link.hush),
            Mishap.POWER_CUT: lambda one: self.power_cut(),
            Mishap.FILE_DAMAGED: lambda one: self._damage(),
        }

    # --- page and file ------------------------------------------------------------------------------------------------

    def open_page(self) -> SimPulse:
        """Open the page for a process that starts."""
        self._pids += 1
        page = SimPulse(self._page, pid=self._pids)
        page.guarding = self.guarding
        self._pages.append(page)
        return page

    def engine_page(self) -> SimPulse:
        """Open the page for an engine that starts, as that does: what its file says to be held is held."""
        page = self.open_page()
        self.guarding.begins_taking = True
        if held_on_disk(self.file):
            page.take()
        self.guarding.begins_taking = False
        return page

    def write(self, path: Path, lease: Lease) -> None:
        """Write the sentinel's file, or fail as the disk does.

        Raises:
            StoreError: the disk is full or broken.
        """
        if self.world.disk.fault:
            raise StoreError(f"{path} cannot be written: simulated")
        write_lease(path, lease)
        self.guarding.wrote(lease)

    def write_later(self, process: SentinelProcess, do: Callable[[], None]) -> None:
        """Write when the disk has come to it, one behind the other."""
        self._pending.append(do)
        if len(self._pending) == 1:
            self.machine.after(self.rng.randrange(20 * MS), partial(self._turn, process))

    def _turn(self, process: SentinelProcess) -> None:
        if process is not self.sentinel:
            return
        if self.machine.now < self.world.disk.stuck_until or process.loop.frozen:
            self.machine.after(50 * MS, partial(self._turn, process))
            return
        self._pending.pop(0)()
        if self._pending:
            self.machine.after(self.rng.randrange(20 * MS), partial(self._turn, process))

    # --- lives --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a sentinel, if none runs."""
        if self.sentinel is None and not self.world.audit.wrong:
            self.world.audit.counts["sentinels"] += 1
            self.sentinel = SentinelProcess(self)

    def end(self) -> None:
        """Kill the sentinel, as by SIGKILL."""
        sentinel, self.sentinel = self.sentinel, None
        if sentinel is None:
            return
        self.world.audit.note("life", "the sentinel is gone")
        sentinel.loop.kill()
        if self._pending and self.rng.random() < 0.5:
            self._pending[0]()  # it was with the system already
        self._pending.clear()
        for exchange in self._lined():
            exchange.lines[SENTINEL].drop("the sentinel is gone", told=False)

    def restart(self) -> None:
        """Put another in the place of one that fell silent, as the engine's sitter does."""
        self.end()
        self.machine.after(self.rng.randrange(200 * MS, 900 * MS), self.start)

    def _stop(self) -> None:
        """End the sentinel in order, and start it again: from here to there nobody watches."""
        sentinel = self.sentinel
        if sentinel is None:
            return
        sentinel.within(sentinel.stop.set)

        def again() -> None:
            if self.sentinel is sentinel:
                if not sentinel.task.done():
                    self.world.audit.fail("the sentinel does not end when it is told to")
                self.end()
                self.start()

        self.machine.after(6 * S, again)

    def start_engine(self) -> None:
        """Start the engine; it takes a while, and where nothing can be started nothing comes of it."""

        def started() -> None:
            if self.machine.now >= self.none_until:
                self.world.boot()

        self.machine.after(self.rng.randrange(*self.world.plan.start), started)

    def kill_engine(self) -> None:
        """Kill the engine: it runs no more at once, and is gone in a moment, or when the kernel lets it go."""
        process = self.world.process
        if process is None or process is self._dying:
            return
        self._dying = process
        process.loop.frozen = True
        hangs = self.rng.random() < 0.1
        self.machine.after(1500 * MS if hangs else self.rng.randrange(5 * MS), lambda: self._dead(process))

    def _dead(self, process: "Process") -> None:
        if self.world.process is process:
            self.world.end(process)

    def _fell(self) -> None:
        if self.world.process is not None:
            self.world.end(self.world.process)

    def power_cut(self) -> None:
        """Take the machine's power away: processes and page are gone, what was durable is there when it comes back."""
        self.world.audit.note("life", "the power is cut")
        self._fell()
        self.end()
        self._page.unlink()
        self.page.close()
        self.page = self.open_page()
        self.guarding.power_cut()
        self.machine.after(self.rng.randrange(200 * MS, 2 * S), self.world.boot)
        self.machine.after(self.rng.randrange(200 * MS, 2 * S), self.start)

    def needs_hand(self) -> bool:
        """Tell whether a trader would start what is missing: for a while it was, whoever should have started it."""
        if self.world.process is not None and self.sentinel is not None:
            self._gone = 0
            return False
        self._gone = self._gone or self.machine.now
        return self.machine.now - self._gone >= BY_HAND

    def begin(self) -> None:
        """Start the first sentinel a moment behind the engine, and look at it from then on."""
        self.machine.after(self.rng.randrange(400 * MS), self.start)
        self._look()
        for strike in self.world.plan.strikes:
            self.machine.after(strike.at, partial(self.strike, strike))

    def _look(self) -> None:
        self.guarding.look()
        self.machine.after(LOOK, self._look)

    def quiet(self) -> bool:
        """Tell whether a sentinel watches the engine and nothing else goes on here; one that is gone is started."""
        if self.sentinel is None:
            return False
        return self.sentinel.quiet() and not self.guarding.leased

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def strike(self, strike: Strike) -> None:
        """Make something go wrong."""
        self.world.audit.note("trouble", strike.mishap)
        self.world.audit.counts[strike.mishap.name] += 1
        self._do[strike.mishap](strike)

    def _lined(self) -> "list[Exchange]":
        return [one for one in self.world.exchanges.values() if SENTINEL in one.lines]

    def _doom(self, strike: Strike) -> None:
        if self.sentinel is not None:
            self.sentinel.loop.doom = self.rng.randrange(1, 80)

    def _lines(self, do: Callable[..., None], *words: str) -> None:
        for exchange in self._lined():
            do(exchange.lines[SENTINEL], *words)

    def _kill_both(self) -> None:
        self.end()
        self._fell()

    def _freeze(self, lasts: Nanoseconds, *processes: "SentinelProcess | Process | None") -> None:
        for process in processes:
            if process is not None:
                process.loop.frozen = True
                self.machine.after(lasts, partial(self._thaw, process))

    def _thaw(self, process: "SentinelProcess | Process") -> None:
        if not process.loop.dead and process is not self._dying:
            process.loop.thaw()

    def _lost(self, strike: Strike) -> None:
        """Kill the engine, and let no other start for a while."""
        self.none_until = self.machine.now + 4 * strike.lasts
        self._fell()

    def _damage(self) -> None:
        self.power_cut()
        self.file.write_text('{"run": 4, "hel')
        self.guarding.damaged()

    def heal(self) -> None:
        """End everything that goes wrong; who is frozen goes on."""
        for process in (self.world.process, self.sentinel):
            if process is not None:
                process.loop.doom = 0
                self._thaw(process)

    def close(self) -> None:
        """Let go of everything."""
        if self.sentinel is not None:
            self.sentinel.loop.kill()
        for page in self._pages:
            page.close()
