"""One life of the engine: the real one in a process loop, watched by the audit."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from core.clock import LiveClock
from core.config.settings import GuardianSettings, ReconcileSettings
from core.domain.events import EngineStarted
from core.domain.message import Command, Message
from core.domain.order import OrderStatus
from core.engine import Engine
from core.errors import JournalDamaged, StoreError
from core.execution.ids import OrderIds
from core.guardian.guardian import Guardian
from core.outbox import Effect
from core.runtime import Runtime
from core.session.protocol import Outcome
from core.session.wire import decode_event
from store.memory import MemoryTickStore
from tests.simulation.link import SimVenue
from tests.simulation.machine import ProcessLoop, S
from tests.simulation.plan import Plan
from tests.simulation.sentinel import MARK
from tests.simulation.trader import Given

if TYPE_CHECKING:
    from tests.simulation.world import World

WIDE = GuardianSettings(
    duplicate_window_ms=0,
    max_position_frac=100,
    max_sector_frac=100,
    max_gross_frac=100,
    max_net_frac=100,
    min_net_frac=-100,
    max_leverage=100,
    max_order_notional_frac=100,
    max_orders_per_second=1000,
)
DEEP = msgspec.structs.replace(WIDE, max_daily_loss_frac=0.9, max_position_loss_frac=0.9)
"""The drawdown ladder comes before everything else."""
NARROW = GuardianSettings(duplicate_window_ms=0)
_RESTING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.TRIGGERED, OrderStatus.APPROVED})


def _settings(plan: Plan) -> GuardianSettings:
    settings = DEEP if plan.deep else WIDE if plan.roomy else NARROW
    return msgspec.structs.replace(settings, protective_stop="place") if plan.placing else settings


def _looks(plan: Plan) -> ReconcileSettings | None:
    """Return how often the account is compared: often where something is to be found."""
    return ReconcileSettings(every_s=1 if plan.flows else 3) if plan.differs else None


class Process:
    """One life of the engine."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.loop = ProcessLoop(  # type: ignore[abstract]
            world.machine, lambda text: world.audit.fail(f"nobody caught: {text}")
        )
        guardian = Guardian(_settings(world.plan))
        abilities = {venue: exchange.abilities for venue, exchange in world.exchanges.items()}
        self.engine = Engine(guardian, ids=OrderIds(MARK), abilities=abilities)
        self.tapped = self.engine.process
        self.engine.process = self.tap  # type: ignore[method-assign]
        self.clock = LiveClock()
        self.journal = world.disk.open()
        venues = [SimVenue(exchange, self.clock, self.within) for exchange in world.exchanges.values()]
        self.runtime = Runtime(
            self.engine,
            self.journal,
            MemoryTickStore(),
            venues,
            self.clock,
            reconcile=_looks(world.plan),
            on_event=world.trouble.on_event,
        )
        self.runtime.server = world.trouble.server  # type: ignore[assignment]
        self.pid = 0
        if world.side is not None:
            page = world.side.engine_page()
            self.pid = page.pid
            self.runtime.beating.use(page, MARK)
            self.runtime.beating.restart = world.side.restart
        self.up = False
        self.tasks = [self.loop.create_task(self._begin())]

    async def _begin(self) -> None:
        try:
            await self.runtime.start()
        except JournalDamaged as damage:
            self.world.audit.fail(f"invariant 2: the journal of a crash is refused: {damage}")
        except StoreError:
            self.world.restart_later(self, 1 * S)
        else:
            self.up = True

    def within(self, do: Callable[[], None]) -> None:
        """Run something in this process, if it lives."""
        if not self.loop.dead:
            self.loop.call_soon(do)

    def tap(self, message: Message) -> Sequence[Effect]:
        """Let the engine take a message, watched."""
        world = self.world
        if isinstance(message, EngineStarted):
            events = [decode_event(record.payload) for record in self.journal.read()]
            world.audit.recovered(events, self.engine.state)
        world.audit.told(message)
        world.digest.message(message)
        try:
            effects = self.tapped(message)
        except Exception as error:
            world.audit.fail(f"the engine failed on {message}: {error!r}")
            raise
        world.digest.update(effects)
        world.audit.decided(message, effects)
        return effects

    def give(self, command: Command, given: Given | None = None) -> None:
        """Have a client give a command."""

        async def ask() -> None:
            outcome = await self.runtime.command(command)
            if given is not None:
                given.outcome = outcome
            self._answered(outcome)

        self.tasks.append(self.loop.create_task(ask()))

    def _answered(self, outcome: Outcome) -> None:
        """See that what is acknowledged without reservation is durable."""
        audit = self.world.audit
        audit.counts["answers"] += 1
        if outcome.ok and not outcome.reason:
            for id_ in outcome.orders:
                if id_ not in audit.durable.orders:
                    audit.fail(f"invariant 2: {id_} is acknowledged and not durable")

    def quiet(self) -> bool:
        """Tell whether nothing is left to be done."""
        state = self.engine.state
        views = [state.venue(venue) for venue in self.world.exchanges]
        side, spot = self.world.side, self.world.audit.spot
        return (
            self.up
            and (side is None or side.quiet())
            and all(view.connected and view.reconciled for view in views)
            and all(
                # A wallet that other orders have locked leaves a spot bracket without a stop, which tries again.
                record.status in _RESTING
                or (record.order.parent and record.venue in spot and record.status is OrderStatus.SUBMITTED)
                for record in state.blotter.open.values()
            )
            and not state.exits.flattening
            and not state.store_trouble
            and not self.journal.complaint
            and not any(exchange.link is None or exchange.link.silent for exchange in self.world.exchanges.values())
        )

    @property
    def busy(self) -> bool:
        """Tell whether something is on its way to a venue or the disk, as a refused stop's next try is now and then."""
        links = [exchange.link for exchange in self.world.exchanges.values()]
        return not self.journal.idle or any(link is not None and link.busy for link in links)
