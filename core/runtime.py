"""The asyncio shell around the engine: one ordered queue in, journal first, then venues and clients."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog

from core.beating import Beating
from core.config.settings import ReconcileSettings
from core.connection import VenueLink
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.identifiers import VenueId
from core.domain.message import Command, Data, Event, Message, Nanoseconds
from core.domain.watch import LooserLimitsHeldBack
from core.engine import Engine
from core.exit_times import ExitTimes
from core.forecasting import RiskDesk
from core.guardian.loosening import changes
from core.outbox import Confirm, Effect, PastWanted, Resync
from core.ports import Clock, Journal, TickStore, Venue
from core.reconcile.put_back import halted_behind_another_journal
from core.recording import Recording, Reply, Turn, order_id
from core.session import protocol as p
from core.session import wire
from core.session.answers import Answers
from core.session.outcome import outcome_of
from core.session.research import Summon
from core.session.server import Backend, Server
from core.warming import Warming

log = structlog.get_logger()
TIMER_S = 0.1
CHECKPOINT_EVERY = 20_000
"""Records between two checkpoints: what recovery has to apply at most."""
CANCELS, CANCEL_S = 5, 1.0
"""How often, and seconds apart, a task is told to end before the engine ends without it."""
_TICKS = (m.Quote, m.Trade, m.BookDelta, m.BookSnapshot, m.Timer)


class Runtime:
    """Run one engine: feeds it messages in order and carries out its effects."""

    def __init__(  # noqa: PLR0913  who builds it names all it is made of
        self,
        engine: Engine,
        journal: Journal,
        ticks: TickStore,
        venues: Sequence[Venue],
        clock: Clock,
        *,
        version: str = "0",
        reconcile: ReconcileSettings | None = None,
        checkpoint_every: int = CHECKPOINT_EVERY,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.engine, self.journal, self.ticks, self.clock = engine, journal, ticks, clock
        self.beating, self.exit_times = Beating(self), ExitTimes()
        self.links: dict[VenueId, VenueLink] = {venue.id: VenueLink(venue, self, reconcile) for venue in venues}
        self.server: Server | None = None
        self.stopping = asyncio.Event()
        self.late_max_ns = 0
        """The worst lateness of the timer since it was last read: how long the loop was busy."""
        self.summon: Summon | None = None
        """Starts a researcher when one is needed and none is there."""
        self.risk = RiskDesk(engine, self.emit)
        self.warming = Warming(self.emit, clock)
        self.recording = Recording(journal, self, checkpoint_every)
        self.waiting = self.recording.waiting
        self._version, self._on_event = version, on_event
        """Told of every event the engine records; returns at once."""
        self._queue: deque[tuple[Message, Reply | None]] = deque()
        self._scheduled = False
        self._over = False
        """The journal is being closed: what is still said is learnt again from the venues after the next start."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life -------------------------------------------------------------------------------------------------------

    def recover(self) -> int:
        """Rebuild the state from the last checkpoint and the records behind it; return how many were applied.

        Raises:
            JournalDamaged: trading is refused until the journal has been checked.
        """
        return self.recording.recover()

    async def start(self, socket: Path | None = None) -> None:
        """Recover, make the run number durable, listen, and connect the venues."""
        self._loop = asyncio.get_running_loop()
        self.beating.begin()
        applied = self.recover()
        _keep_time(self.clock, self.engine.state.now)
        if self.journal.put_back:  # before the run begins: a kill in between must not make it a journal like any other
            self.take(halted_behind_another_journal(self.clock.now()))
        run, now = self.journal.start_run(), self.clock.now()
        log.info("engine started", run=run, recovered=applied, open_orders=len(self.engine.state.blotter.open))
        if self.engine.state.exits.flattening:
            log.warning("flatten goes on", instruments=list(self.engine.state.exits.flattening))
        self.engine.ids.begin(now)
        self.emit(e.EngineStarted(run, self._version, self.engine.state.mode, now))
        limits, held_back = self.engine.state.limits, self.engine.guardian.held_back
        waited = tuple(limits.held_back.values())  # before what was changed takes its keys out of it
        if (changed := changes(limits.settings, self.engine.guardian.settings, now)) is not None:
            self.emit(changed)
        if held_back != waited:
            self.emit(LooserLimitsHeldBack(held_back, now))
        if socket is not None:
            answers = Answers(self.engine, self.journal, self.links, self.clock, self._vitals, self.risk)
            backend = Backend(
                self.engine.state, self.command, answers.answer, answers.growing, self._welcome, self._told
            )
            self.server = Server(socket, backend)
            self.server.research.summon = self.summon
            await self.server.start()
        self._due = self._loop.time()
        self._tick()
        for link in self.links.values():
            await link.venue.start(link.emit)

    async def stop(self, reason: str) -> None:
        """End in order: venues, last records, ticks, clients."""
        self.beating.end()
        if self._timer is not None:
            self._timer.cancel()
        for link in self.links.values():
            await link.stop()
        await _end(self._tasks)
        while self._queue:
            self._drain()  # what the venues said while they closed
        self.take(e.EngineStopped(self.engine.state.run, reason, self.clock.now()))
        self.recording.checkpoint()
        if self.server is not None:
            await self.server.stop(f"the engine stopped: {reason}")
        self._over = True
        await asyncio.get_running_loop().run_in_executor(None, self.journal.close)
        self.ticks.close()

    # --- in ---------------------------------------------------------------------------------------------------------

    def emit(self, message: Message) -> None:
        """Queue a message; called by venues, in the loop's thread."""
        self._queue.append((message, None))
        if not self._scheduled:
            self._schedule()

    def _told(self, data: Data) -> None:
        """Take data of a client's, at the time of their coming."""
        self.emit(data.replace(ts=self.clock.now()))

    def emit_all(self, messages: Sequence[Message]) -> None:
        """Queue messages that follow each other without anything between them."""
        for message in messages:
            self.emit(message)

    async def command(self, command: Command) -> p.Outcome:
        """Carry out a client's command and return its outcome once that is durable."""
        future: asyncio.Future[p.Outcome] = asyncio.get_running_loop().create_future()

        def reply(outcome: p.Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self._queue.append((command.replace(ts=self.clock.now()), reply))
        if not self._scheduled:
            self._schedule()
        return await future

    def _drain(self) -> None:
        self._scheduled = False
        if self._over:
            return
        turn = Turn()
        queue = self._queue
        for _ in range(len(queue)):
            message, reply = queue.popleft()
            self._process(message, reply, turn)
            if turn.urgent:  # the exit's send starts before anything else is looked at
                break
        self.recording.finish(turn)
        if queue and not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        assert self._loop is not None
        self._scheduled = True
        self._loop.call_soon(self._drain)

    def _process(self, message: Message, reply: Reply | None, turn: Turn) -> None:
        try:
            effects = self.engine.process(message)
        except Exception:  # task boundary: one bad message must not end the engine
            log.exception("message not processed", message=repr(message)[:500])
            if reply is not None:
                turn.replies.append((reply, p.Outcome(False, reason="the engine failed on this command; see its log")))
            self._carry_out(self.engine.decided(), turn)
            return
        if isinstance(message, Data):
            if isinstance(message, _TICKS):
                self.ticks.append(message)
            self._publish(message)
            if isinstance(message, m.VenueStatus):
                self._venue_changed(message)
            elif isinstance(message, m.Timer):
                self.beating.looked()
        if effects:
            self._carry_out(effects, turn)
        elif isinstance(message, c.StopEngine):
            self.stopping.set()
        if reply is not None:
            turn.replies.append((reply, outcome_of(effects)))

    def _carry_out(self, effects: Sequence[Effect], turn: Turn) -> None:
        for effect in effects:
            if isinstance(effect, Approved):
                if effect.urgent:
                    self._send_now(effect, turn)
                else:
                    turn.sends.append(effect)  # known before an urgent cancel of it, which may not overtake it
        for effect in effects:
            if isinstance(effect, Event):
                turn.records.append(wire.encode(effect))
                self._publish(effect)
                self._tell(effect)
            elif isinstance(effect, Resync | Confirm | PastWanted):
                self._ask_venue(effect)
            elif isinstance(effect, m.FeedReport):
                self._publish(effect)
                if effect.health is m.Health.DOWN:
                    log.warning("feed unusable", instrument=effect.instrument, reason=effect.reason)
            elif not isinstance(effect, Approved):
                self._publish(effect)

    def _send_now(self, exit_: Approved[Any], turn: Turn) -> None:
        """Hand an exit to its venue before its record is written, encoded or shown to anybody."""
        if self.recording.withhold(exit_.command, turn):
            return
        turn.urgent = True
        if isinstance(exit_.command, c.SubmitOrder):
            turn.exits.append(exit_.command.order.client_order_id)
            self.exit_times.decided(exit_.command.order.client_order_id, self.engine.state.now)
        self.send(exit_)

    def take(self, message: Message) -> None:
        """Process one message in a turn of its own, now."""
        turn = Turn()
        self._process(message, None, turn)
        self.recording.finish(turn)

    # --- out --------------------------------------------------------------------------------------------------------

    def send(self, approved: Approved[Any]) -> None:
        """Hand an approved command to its venue; a venue that is away answers by itself."""
        link = self.links.get(self._venue_of(approved.command))
        if link is None:
            now = self.clock.now()
            id_ = order_id(approved.command)
            self.emit(e.OrderRejected(id_, "no such venue is connected; nothing was sent", now, now))
            return
        self.spawn(link.send(approved))

    def _venue_of(self, command: Command) -> VenueId:
        if isinstance(command, c.SubmitOrder):
            return command.order.venue
        record = self.engine.state.blotter.orders.get(order_id(command))
        return record.venue if record is not None else VenueId("")

    def _ask_venue(self, effect: Resync | Confirm | PastWanted) -> None:
        """Ask a venue for a book, for what it holds, or for bars of before."""
        venue = effect.venue if isinstance(effect, Confirm) else self.engine.state.markets[effect.instrument].venue
        link = self.links.get(venue)
        if isinstance(effect, PastWanted):
            self.spawn(self.warming.bring(link.venue if link is not None else None, effect))
        elif link is not None:
            self.spawn(link.confirm() if isinstance(effect, Confirm) else link.resubscribe(effect.instrument))

    def _venue_changed(self, status: m.VenueStatus) -> None:
        link = self.links.get(status.venue)
        if link is not None and status.connected:
            self.spawn(link.connected())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task of the engine's; what it raises is logged, never lost."""
        assert self._loop is not None
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task failed", error=repr(task.exception()))

    def _publish(self, message: Message) -> None:
        if self.server is None:
            return
        try:
            self.server.publish(message)
        except Exception:  # task boundary: what a screen is shown must never hold up an order
            log.exception("message not published", kind=type(message).__name__)

    def _tell(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # task boundary: who is told beside the road must never hold up what goes on it
            log.exception("event not told", kind=type(event).__name__)

    def _tick(self) -> None:
        assert self._loop is not None
        late = max(0, int((self._loop.time() - self._due) * 1e9))
        self.late_max_ns = max(self.late_max_ns, late)
        self.beating.late(late)
        self._due = self._loop.time() + TIMER_S
        self._timer = self._loop.call_later(TIMER_S, self._tick)
        self.recording.watch()
        self.beating.tick()
        for link in self.links.values():
            if link.has_unknown():
                self.spawn(link.resolve_unknown())
            elif link.is_due():
                self.spawn(link.compare())
        now = self.clock.now()
        if self.risk.is_due(now):
            self.spawn(self.risk.forecast(now))
        self.emit(m.Timer(now))

    # --- clients ----------------------------------------------------------------------------------------------------

    def _vitals(self) -> tuple[int, int, tuple[int, int, int]]:
        late, self.late_max_ns = self.late_max_ns, 0
        return len(self.server.sessions) if self.server is not None else 0, late, self.exit_times.vitals()

    def _welcome(self) -> p.Welcome:
        state = self.engine.state
        return p.Welcome(p.PROTOCOL, self._version, os.getpid(), state.run, state.mode, self.clock.now())


async def _end(tasks: "Iterable[asyncio.Task[None]]") -> None:
    """Cancel tasks, and again those that go on: ``wait_for`` of Python 3.11 loses a cancel that meets its answer."""
    pending = set(tasks)
    for _ in range(CANCELS):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=CANCEL_S)
    for task in pending:  # what it would still say is learnt again from the venues after the next start
        log.error("task left behind", task=repr(task.get_coro()))


def _keep_time(clock: Clock, last: Nanoseconds) -> None:
    """Go on behind the last record: behind it, nothing would be late, and nothing tried again."""
    now = clock.now()
    if last > now:
        log.warning("system clock is behind the journal, going on from there", behind_s=(last - now) / 1e9)
        clock.advance(last)
