"""What goes wrong, when its time has come."""

import random
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.domain.message import Event, Message
from tests.simulation.machine import HOUR, MS, S
from tests.simulation.plan import Fault, Incident

if TYPE_CHECKING:
    from tests.simulation.venue import Exchange
    from tests.simulation.world import World


class Screen:
    """Stand where the engine's server stands; what it shows may fail."""

    def __init__(self, trouble: "Trouble") -> None:
        self._trouble = trouble
        self.sessions: set[object] = set()

    def publish(self, message: Message) -> None:
        """Show a message, or fail."""
        self._trouble.side()

    async def stop(self, reason: str) -> None:
        """End."""


class Trouble:
    """Carry out the plan's incidents."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.rng = random.Random(f"{world.plan.seed}.trouble")
        self.server = Screen(self)
        self._side_until = 0
        self._doom = 0
        self._do: dict[Fault, Callable[[Incident, Exchange], None]] = {
            Fault.DROP: lambda one, at: at.link.drop("lost") if at.link is not None else None,
            Fault.HALF_OPEN: lambda one, at: at.link.hush() if at.link is not None else None,
            Fault.OUTAGE: self._outage,
            Fault.LOSE_ANSWERS: lambda one, at: self._set(at, "lose_answers", self.rng.randrange(1, 4)),
            Fault.LOSE_REQUESTS: lambda one, at: self._set(at, "lose_requests", self.rng.randrange(1, 4)),
            Fault.LOSE_RECEIPTS: lambda one, at: self._set(at, "lose_receipts", self.rng.randrange(1, 4)),
            Fault.LATE: lambda one, at: self._set(at, "late_until", self._end(one)),
            Fault.REJECT: lambda one, at: self._set(at, "reject", self.rng.randrange(1, 5)),
            Fault.NO_POSITIONS: self._no_positions,
            Fault.FREEZE: lambda one, at: self._feed(one, at, "frozen"),
            Fault.STUCK_STAMP: lambda one, at: self._feed(one, at, "stuck"),
            Fault.CROSSED: lambda one, at: self._feed(one, at, "crossed"),
            Fault.SENSELESS: lambda one, at: self._feed(one, at, "senseless"),
            Fault.CRASH: lambda one, at: at.move(1 - self.rng.choice((0.01, 0.05, 0.2, 0.5))),
            Fault.SPIKE: lambda one, at: at.move(1 + self.rng.choice((0.01, 0.05, 0.2, 0.5))),
            Fault.DISK_FULL: lambda one, at: self._disk(one, sqlite3.SQLITE_FULL),
            Fault.DISK_ERROR: lambda one, at: self._disk(one, sqlite3.SQLITE_IOERR_WRITE),
            Fault.DISK_STUCK: lambda one, at: self._set(self.world.disk, "stuck_until", self._end(one) + 3 * S),
            Fault.KILL: lambda one, at: self._set(self, "_doom", self.rng.randrange(1, 60)),
            Fault.POWER: lambda one, at: self._set(self.world.disk, "tear", True),
            Fault.STOP: lambda one, at: self._stop(),
            Fault.CLOCK: self._clock,
            Fault.SUSPEND: self._suspend,
            Fault.SIDE: lambda one, at: self._set(self, "_side_until", self._end(one)),
            Fault.CHECKPOINT: lambda one, at: self._checkpoint(),
        }

    def begin(self, incident: Incident) -> None:
        """Make something go wrong."""
        self.world.audit.note("trouble", f"{incident.fault.name}: {incident.fault}")
        self.world.audit.counts[incident.fault.name] += 1
        exchanges = list(self.world.exchanges.values())
        self._do[incident.fault](incident, exchanges[0 if self.rng.random() < 0.7 else 1])

    def commanded(self) -> None:
        """Know that the trader has given a command: a good moment to die is soon after."""
        if self._doom:
            self.world.machine.doom = self.world.machine.steps + self._doom
            self._doom = 0

    def heal(self) -> None:
        """End everything that goes wrong."""
        world = self.world
        self._doom = world.machine.doom = self._side_until = 0
        world.disk.tear = False
        world.disk.fault = world.disk.stuck_until = 0
        for exchange in world.exchanges.values():
            exchange.heal()

    # --- what only shows --------------------------------------------------------------------------------------------

    def side(self) -> None:
        """Fail, where that is the trouble."""
        if self.world.machine.now < self._side_until:
            raise RuntimeError("a side task fails")

    def on_event(self, event: Event) -> None:
        """Be told of an event, or fail."""
        self.side()

    def expected(self, entry: dict[str, Any]) -> bool:
        """Tell whether an error that is logged belongs to a trouble."""
        text = str(entry.get("event", ""))
        if text in ("journal trouble", "sentinel alarm"):
            return True
        return self.world.machine.now < self._side_until and "a side task fails" in str(entry)

    # --- one by one -------------------------------------------------------------------------------------------------

    def _end(self, incident: Incident) -> int:
        return self.world.machine.now + incident.lasts

    def _set(self, what: object, name: str, value: object) -> None:
        setattr(what, name, value)

    def _outage(self, incident: Incident, exchange: "Exchange") -> None:
        exchange.unreachable_until = self._end(incident)
        exchange.cut("lost")

    def _no_positions(self, incident: Incident, exchange: "Exchange") -> None:
        exchange.no_positions_until = self._end(incident)
        if exchange.link is not None:
            exchange.link.drop("lost")

    def _feed(self, incident: Incident, exchange: "Exchange", what: str) -> None:
        exchange.feed[what] = self._end(incident)

    def _disk(self, incident: Incident, code: int) -> None:
        disk = self.world.disk
        disk.fault = code

        def mended() -> None:
            if disk.fault == code:
                disk.fault = 0

        self.world.machine.after(incident.lasts, mended)

    def _stop(self) -> None:
        world, process = self.world, self.world.process
        if process is None or not process.up:
            return
        process.up = False

        async def stop() -> None:
            await process.runtime.stop("simulated")
            world.machine.after(10 * MS, ended)

        def ended() -> None:
            if world.process is process:
                world.end(process)
                if world.side is None:
                    world.boot()
                else:  # an end in order, and its sentinel must not miss it
                    world.machine.after(world.side.rng.randrange(3 * S), world.boot)

        process.tasks.append(process.loop.create_task(stop()))

    def _clock(self, incident: Incident, exchange: "Exchange") -> None:
        self.world.machine.stepped += self.rng.choice((-HOUR, HOUR))

    def _suspend(self, incident: Incident, exchange: "Exchange") -> None:
        self.world.machine.asleep += self.rng.randrange(10 * S, HOUR)
        for each in self.world.exchanges.values():
            for link in list(each.lines.values()):
                link.hush()

    def _checkpoint(self) -> None:
        process = self.world.process
        if process is not None and process.up:
            process.within(process.runtime.recording.checkpoint)
