"""The oracles of the sentinel: who may send, what a sentinel may send, and when everything must be flat."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.domain import commands as c
from core.domain.approval import Approved
from core.domain.identifiers import InstrumentType, VenueId
from core.domain.instrument import Instrument
from core.domain.message import Message, Nanoseconds
from core.domain.order import Order
from core.domain.reports import VenueSnapshot
from core.guardian.closing import held
from core.guardian.pulse import EnginePhase, Pulse
from core.guardian.sentinel import END_NS
from store.lease import Lease
from tests.simulation.machine import MS, S
from tests.simulation.venue import STRANGE

if TYPE_CHECKING:
    from tests.simulation.sentinel import Side
    from tests.simulation.venue import Exchange

OURS = ("t0r", "t0s")
SILENT: Nanoseconds = 2 * S
GRACE: Nanoseconds = 3 * S
HEALTHY: Nanoseconds = 1_500 * MS
"""An engine whose last beat is younger than this cannot be called silent."""
LOOK: Nanoseconds = 200 * MS
BEAT: Nanoseconds = 150 * MS
"""How old what the engine has said of itself may be: a line that went since is found by its guardian first."""
NEVER: Nanoseconds = 1 << 62
"""No fill is as late: a snapshot since then has none."""
DURABLE_WITHIN: Nanoseconds = 600 * MS
RUSH: Nanoseconds = 2_500 * MS
SLOW: Nanoseconds = 6 * S
"""What closing may take from its beginning: two looks, two exits and two confirmations; on a slow network more."""
LATE_ANSWERS: Nanoseconds = 14 * S
"""The same where every other question is answered too late to count."""


class SimPulse(Pulse):
    """The real page; who takes the lease and gives it back is heard of."""

    guarding: "Guarding"

    def take(self) -> None:
        """Take the lease."""
        if not self.barred or self.guarding.outdated:
            self.guarding.took(self)
        Pulse.take(self)

    def release(self) -> None:
        """Give it back."""
        self.guarding.released()
        Pulse.release(self)


class Guarding:
    """Watch the sentinel, its session at the exchanges, and the engine as far as the lease concerns it."""

    def __init__(self, side: "Side") -> None:
        self.side, self.world, self.audit = side, side.world, side.world.audit
        self.leased = False
        """Nothing of the engine may leave, whatever the page says: over restarts and power cuts too."""
        self.runs: set[int] = set()
        self.durable = Lease()
        """What the sentinel's file says."""
        self.unfair: Nanoseconds = 0
        """Until when nobody can be expected to get anything done."""
        self.missed: Nanoseconds = 0
        """For how long an engine has been missed and something held, in fair weather."""
        self._behind: Nanoseconds = 0
        """For how long the file has said something else than the page."""
        self.begins_taking = False
        """An engine or a sentinel starts: it takes what file or page say to be held, for no reason of its own."""
        self.doubted = False
        self.outdated = False
        """An engine that starts has taken the lease on the word of a file that has not heard that it was given back."""
        self._told: dict[VenueId, VenueSnapshot] = {}

    # --- the lease ----------------------------------------------------------------------------------------------------

    def took(self, pulse: Pulse) -> None:
        """See the lease taken: from an engine that has fallen silent or is dead, never from one that is well."""
        self.audit.note("lease", "taken")
        self.audit.counts["lease taken"] += 1
        free = self.outdated or not self.leased
        self.outdated = self.begins_taking and free and self.side.sentinel is not None
        self.leased = True
        if self.begins_taking:
            return
        beat, now = pulse.engine(), self.world.machine.clock_gettime_ns(0)
        process = self.world.process
        if beat.phase is EnginePhase.ENDED:
            self.audit.fail("the sentinel misses an engine that ended in order")
        elif beat.phase is EnginePhase.STARTING:
            pass  # nothing of it may leave before it has reconciled; the one before was not seen to end
        elif process is not None and process.pid == beat.pid and now - min(beat.stamp, beat.looked) < HEALTHY:
            self.audit.fail("invariant 14: the lease is taken from an engine that is well")

    def released(self) -> None:
        """See it given back: to an engine that lives and knows where its venues stand, or did with its last beat."""
        self.audit.note("lease", "given back")
        self.leased = False
        if self.outdated:
            self.outdated = False
            return  # it was given back before, to an engine that had reconciled: this one starts as any other
        process = self.world.process
        if process is None or not process.up:
            self.audit.fail("invariant 15: the lease is given back and no engine runs")
        elif not self.audit.is_ready([id_ for id_, one in self.world.exchanges.items() if self._known_risk(one)], BEAT):
            self.audit.fail("invariants 6, 15: the lease is given back to an engine that has not reconciled")

    def engine_leaves(self, approved: Approved[Any]) -> None:
        """See a request of the engine's leave."""
        if self.leased:
            self.audit.fail(f"invariant 15: the engine sends while the sentinel holds the lease: {approved.command}")

    def wrote(self, lease: Lease) -> None:
        """See the sentinel's file change."""
        self.durable = lease

    def power_cut(self) -> None:
        """See the machine lose its power: what the page said is gone, what the file says stands."""
        self.leased, self.outdated = self.durable.held, False

    def damaged(self) -> None:
        """See the file damaged: it counts as held, and until an engine was there nobody knows whether one is missed."""
        self.leased = self.doubted = True
        self.durable = Lease(held=True)

    def starts(self, run: int) -> None:
        """See a sentinel begin."""
        if run in self.runs:
            self.audit.fail(f"invariant 3: two sentinels have the run number {run}")
        self.runs.add(run)

    # --- what the sentinel sends --------------------------------------------------------------------------------------

    def began(self, approved: Approved[Any]) -> None:
        """It is handed to its connection."""

    def handed(self, snapshot: VenueSnapshot) -> None:
        """See a snapshot reach it."""
        self._told[snapshot.venue] = snapshot

    def left(self, approved: Approved[Any]) -> None:
        """See a request of the sentinel's leave."""
        command = approved.command
        self.audit.note("sentinel", approved)
        self.audit.counts["sentinel orders"] += 1
        if not self.leased or self.outdated:
            self.audit.fail(f"invariant 12: two exiters: the sentinel sends without the lease: {command}")
        if isinstance(command, c.SubmitOrder):
            self._exit(command.order)
        elif not command.client_order_id.startswith(OURS):
            self.audit.fail(f"the sentinel cancels an order of others: {command}")

    def _exit(self, order: Order) -> None:
        id_ = order.client_order_id
        if id_ in self.audit.wire:
            self.audit.fail(f"invariant 3: {id_} is sent twice")
        self.audit.wire.add(id_)
        snapshot, listed = self._told.get(order.venue), self.world.exchanges[order.venue].instruments
        there = {} if snapshot is None else {item.id: size for item, size in held(listed, snapshot)}
        quantity = there.get(order.instrument, Decimal(0))
        if not order.reduce_only:
            self.audit.fail(f"invariant 11: an exit that could open something: {order}")
        if quantity * order.side.sign >= 0 or order.quantity > abs(quantity):
            self.audit.fail(f"invariants 11, 12: the sentinel was told of {quantity}, and sends {order}")

    def happened(self, venue: VenueId, event: Message) -> None:
        """The engine's audit sees it already."""

    # --- flat in time -------------------------------------------------------------------------------------------------

    def said_flat(self) -> None:
        """Hear that everything is flat: each venue's last word must have been that."""
        self.audit.counts["sentinel flat"] += 1
        for venue, exchange in self.world.exchanges.items():
            snapshot = self._told.get(venue)
            ours = [] if snapshot is None else _ours(snapshot)
            if snapshot is None or ours or _held(exchange, snapshot):
                self.audit.fail(f"invariant 5: the sentinel calls flat what {venue} has not: {ours}, {snapshot}")

    def look(self) -> None:
        """See that an engine that does not come back leaves nothing open."""
        now = self.world.machine.now
        self._written()
        if not self._fair():
            self.unfair = now + LOOK
        if not self._missed() or not any(map(self._risk, self.world.exchanges.values())):
            self.missed = 0
        elif now >= self.unfair:
            self.missed += LOOK
            if self.missed > self.bound:
                left = {venue: self._risk(one) for venue, one in self.world.exchanges.items()}
                self.audit.fail(f"invariant 15: no engine for {self.missed / S:.1f} s, and not flat: {left}")

    def _written(self) -> None:
        """See that the file says soon what the page says: a power cut would leave that alone."""
        disk, sentinel, now = self.world.disk, self.side.sentinel, self.world.machine.now
        nobody = sentinel is None or sentinel.loop.frozen or sentinel.task.done()
        held_up = disk.fault or now < disk.stuck_until or nobody
        if held_up or self.leased == self.durable.held:
            self._behind = 0
            return
        self._behind += LOOK
        if self._behind > DURABLE_WITHIN:
            self.audit.fail(f"invariant 15: the lease is {self.leased}, and its file says {self.durable}")

    @property
    def bound(self) -> Nanoseconds:
        """Return how long an engine may be missed with something open."""
        plan = self.world.plan
        closing = RUSH if plan.delay[1] < 10 * MS and not plan.slow_send else SLOW
        return SILENT + GRACE + END_NS + closing + (LATE_ANSWERS if plan.slow_answers else 0)

    def _risk(self, exchange: "Exchange") -> list[object]:
        snapshot = exchange.matching.snapshot(NEVER)
        found: list[object] = [*_held(exchange, snapshot)]
        return found + _ours(snapshot)

    def _known_risk(self, exchange: "Exchange") -> list[object]:
        """Return the risk there of which an engine can know that has not asked: not what others traded meanwhile."""
        fills = self.audit.at_venue.get(exchange.id, {}).values()
        if not any(fill.client_order_id.startswith(STRANGE) for fill in fills):
            return self._risk(exchange)
        recorded: list[object] = [one.id for one in exchange.instruments if self.audit.shadow.held[one.id]]
        return recorded + _ours(exchange.matching.snapshot(NEVER))

    def _missed(self) -> bool:
        """Tell whether an engine ought to be there and is not."""
        process, beat = self.world.process, self.side.page.engine()
        self.doubted = self.doubted and process is None
        if self.doubted:
            return False
        if process is not None and process.up and not process.loop.frozen and self.audit.is_ready(self.world.exchanges):
            return False
        if self.leased:
            return True
        return beat.phase is EnginePhase.RUNNING or (beat.phase is EnginePhase.NONE and self.durable.armed)

    def _fair(self) -> bool:
        sentinel, now = self.side.sentinel, self.world.machine.now
        if sentinel is None or sentinel.loop.frozen or now - sentinel.born < LOOK:
            return False
        return all(
            (line := exchange.lines.get("sentinel")) is not None
            and not line.silent
            and now >= max(exchange.unreachable_until, exchange.no_positions_until)
            and not (exchange.reject or exchange.lose_requests)
            for exchange in self.world.exchanges.values()
        )


def _ours(snapshot: VenueSnapshot) -> list[object]:
    return [one.client_order_id for one in snapshot.open_orders if one.client_order_id.startswith(OURS)]


def _held(exchange: "Exchange", snapshot: VenueSnapshot) -> list[tuple[Instrument, Decimal]]:
    """Return what an order could close: no coins that are worth less than the least one."""
    return [
        (item, size)
        for item, size in held(exchange.instruments, snapshot)
        if item.type is not InstrumentType.SPOT_PAIR
        or abs(size) * Decimal(repr(exchange.dearest(item.base))) >= item.min_notional
    ]
