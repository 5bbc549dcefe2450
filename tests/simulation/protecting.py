"""Whether what has a stop has it at the exchange, soon and seen, or somebody was told that it has not."""

from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.message import Event, Nanoseconds
from core.domain.order import Side
from core.domain.watch import ProtectionChanged
from core.guardian.watch.protection import STOPS
from tests.core.kit import BTC_PERP, ETH_PERP
from tests.simulation.machine import MS, S

if TYPE_CHECKING:
    from tests.simulation.world import World

WITHIN: Nanoseconds = 2 * S
TICKS: Nanoseconds = 500 * MS
"""The engine's timers and ours behind that."""
EVERY = 3
"""Timers of the engine between two looks."""
NEVER: Nanoseconds = 1 << 62


class Protecting:
    """Follow the stops of the derivatives whose venue holds stops."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.told: set[InstrumentId] = set()
        """Where the record says that a stop is missing."""
        self.handed: dict[VenueId, Nanoseconds] = {}
        """When the engine was last shown what rests at a venue."""
        plan = world.plan
        self._within = WITHIN + TICKS + 4 * plan.delay[1] + (2 * S if plan.slow_answers else 0)
        self._bare: dict[InstrumentId, Nanoseconds] = {}
        self._covered: dict[InstrumentId, tuple[Nanoseconds, Nanoseconds]] = {}
        """Since when what covers a position rests, at the earliest, and from when on the engine had time to look."""
        self._rested: dict[ClientOrderId, Nanoseconds] = {}
        """Since when each stop rests, at the earliest: one that is amended is the one that was seen."""
        self._timers = 0
        self._last: Nanoseconds = 0
        """When it was looked last: what covers since then was placed behind that."""

    def take(self, event: Event) -> None:
        """Take a record."""
        if isinstance(event, ProtectionChanged):
            (self.told.add if event.missing else self.told.discard)(event.instrument)

    def forget(self) -> None:
        """Begin anew, as behind the end of a process: what was told counts where it is read again."""
        self.told.clear()
        self._bare.clear()
        self._covered.clear()
        self._rested.clear()
        self.handed.clear()
        self._last = self._world.machine.now

    def look(self) -> None:
        """See that nothing is without its stop for long, or without a look at it, in silence."""
        self._timers += 1
        if self._timers % EVERY or not self._world.plan.native or self._world.process is None:
            return
        for one in (BTC_PERP, ETH_PERP):
            covered, excused = self._is_covered(one.id, one.min_size), self._is_excused(one.id)
            if covered or excused:
                self._bare.pop(one.id, None)
            if not covered:
                self._covered.pop(one.id, None)
            if not excused:
                (self._seen if covered else self._missing)(one.id)
        self._last = self._world.machine.now

    def _is_excused(self, id_: InstrumentId) -> bool:
        """Tell whether nobody can say anything of a stop now: the engine does not know its venue, or closes there."""
        world, audit = self._world, self._world.audit
        exchange, now = world.exchanges[BTC_PERP.venue], world.machine.now
        link = exchange.link
        return (
            link is None
            or link.silent
            or not audit.is_ready((BTC_PERP.venue,))
            or id_ in audit.shadow.flattening
            or now < exchange.late_until + 3 * S
            or (audit.guarding is not None and audit.guarding.leased)
        )

    def _is_covered(self, id_: InstrumentId, smallest: Decimal) -> bool:
        process, truth = self._world.process, Decimal(self._world.audit.truth[id_])
        assert process is not None
        brackets = process.engine.state.brackets.of(id_)
        need = min(abs(truth), sum((one.left for one in brackets if one.stop is not None), Decimal(0)))
        if need < smallest:
            self._covered.pop(id_, None)
            return True
        side = Side.SELL if truth > 0 else Side.BUY
        resting = self._world.exchanges[BTC_PERP.venue].matching.snapshot(NEVER).open_orders
        stops = [one for one in resting if one.order.instrument == id_ and one.order.type in STOPS]
        ours = {one.client_order_id: one.order.quantity - one.filled for one in stops if one.order.side is side}
        for stop in ours:
            self._rested.setdefault(stop, self._last)
        since: Nanoseconds = 0
        for stop in sorted(ours, key=self._rested.__getitem__):  # the oldest that are enough cover it
            if need >= smallest:
                since, need = self._rested[stop], need - ours[stop]
        if need >= smallest:
            return False
        if self._covered.get(id_, (-1, 0))[0] != since:
            # A process that was stopped could neither look nor tell: its time runs from when it went on.
            self._covered[id_] = since, max(self._last, process.loop.thawed)
        return True

    def _seen(self, id_: InstrumentId) -> None:
        """See that the engine has looked at what covers a position since it does."""
        if id_ not in self._covered:
            return
        (since, able), now = self._covered[id_], self._world.machine.now
        looked = self.handed.get(BTC_PERP.venue, -1)
        if looked < since and now - able > self._within and id_ not in self.told:
            self._world.audit.fail(f"invariant 16: the stop of {id_} is not verified within {(now - able) / S:.1f} s")

    def _missing(self, id_: InstrumentId) -> None:
        now = self._world.machine.now
        since = self._bare.setdefault(id_, now)
        self._covered.pop(id_, None)
        if now - since > self._within and id_ not in self.told:
            self._world.audit.fail(
                f"invariant 16: {id_} has had no stop for {(now - since) / S:.1f} s, and none was told"
            )
