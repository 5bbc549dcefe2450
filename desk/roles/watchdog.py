"""The sentinel as a process: looks ten times a second, and carries out what ``core.guardian.sentinel`` decides."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import structlog

from core.config.settings import GuardianSettings
from core.domain.approval import Approved
from core.domain.commands import SubmitOrder
from core.domain.identifiers import InstrumentId, VenueId
from core.domain.market import Feed, Quote, VenueStatus
from core.domain.message import Message
from core.domain.order import OrderType
from core.guardian.closing import Account, Closer, held
from core.guardian.pulse import Boottime, EnginePhase, Phase, Pulse, boottime
from core.guardian.sentinel import Act, Seen, Sentinel
from core.ports import Clock, Venue
from store.lease import Lease, LeaseFile

log = structlog.get_logger()
MS = 1_000_000
LOOK_S = 0.1
STEP_NS: Boottime = 100 * MS
REST_NS: Boottime = 1000 * MS
"""Between two looks at the accounts: while they are closed (``STEP_NS``), and after."""
ANSWER_S = 1.0
QUOTE_S = 0.2
"""How long the first exit waits for a touch; without one it goes at the market."""


class EngineHandle(Protocol):
    """The engine's process, as the sentinel knows, ends and starts it."""

    def alive(self, pid: int) -> bool:
        """Tell whether the process that beats lives."""
        ...

    def kill(self) -> None:
        """End it, stopped or not."""
        ...

    def start(self) -> None:
        """Start another; returns at once."""
        ...


class Watchdog:
    """Carry out what the sentinel decides."""

    def __init__(  # noqa: PLR0913  who builds it names all it is made of
        self,
        settings: GuardianSettings,
        pulse: Pulse,
        venues: Mapping[VenueId, tuple[Venue, bool]],
        engine: EngineHandle,
        file: LeaseFile,
        clock: Clock,
        mark: str,
        *,
        supervised: bool = False,
        alarm: Callable[[str], None] = lambda _: None,
        on_look: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin where the last sentinel of this home stopped; its run number is given once.

        ``venues`` tells of each whether it must answer before anything counts as flat; the others only once they have
        answered at all. ``mark`` begins the order ids of this home. ``supervised``: systemd starts the engine again,
        not we.
        """
        self._lease = before = file.begin(clock.now(), pulse.last_run)
        pulse.number(before.run)
        missed = pulse.barred or pulse.engine().phase in (EnginePhase.STARTING, EnginePhase.RUNNING)
        held_before = before.held or pulse.barred  # taken, and killed before that was durable
        if held_before:
            pulse.take()
        self._pulse, self._venues, self._engine, self._file, self._clock = pulse, venues, engine, file, clock
        self._supervised, self._alarm, self._on_look = supervised, alarm, on_look
        silent, grace = settings.engine_silent_after_ms * MS, settings.sentinel_grace_ms * MS
        self.sentinel = Sentinel(
            silent,
            grace,
            armed=before.armed,
            held=held_before,
            closing=before.closing,
            unsure=bool(file.doubt) and not missed,
        )
        self.closer = Closer(mark, before.run)
        self._known = {id_ for id_, (_, must) in venues.items() if must}
        self._up: set[VenueId] = set()
        self._quotes: dict[InstrumentId, tuple[float, float]] = {}
        self._quoted = asyncio.Event()
        self._step: asyncio.Task[None] | None = None
        self._resting: asyncio.Task[None] | None = None
        self._stepped: Boottime = -REST_NS

    @property
    def run_number(self) -> int:
        """Return the number that this sentinel's order ids begin with."""
        return self._lease.run

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Watch until told to stop; a lease that is held stays held."""
        if self._file.doubt:
            self._alarm(f"{self._file.doubt}; nothing is sent until an engine has reconciled: look at the account")
        for id_, (venue, _) in self._venues.items():
            await venue.start(partial(self._hear, id_))
        self.look()
        ready()
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)
            if not stop.is_set():
                self.look()
        if self._step is not None:
            self._step.cancel()
        for venue, _ in self._venues.values():
            await venue.stop()
        self._keep(armed=False)
        self._file.close()
        self._pulse.watching(Phase.ENDED, self.sentinel.did)

    def look(self) -> None:
        """Look once, and do what the sentinel decides."""
        if self._pulse.renew():
            log.warning("the page of the heartbeats was taken away, it is there again", page=str(self._pulse.path))
        beat = self._pulse.engine()
        seen = Seen(beat, self._engine.alive(beat.pid), self.closer.flat, self.closer.sent)
        before = self.sentinel.did
        for act in self.sentinel.look(seen, boottime()):
            self._carry_out(act)
        self._agree()
        if self.sentinel.did != before:
            log.info("sentinel", phase=self.sentinel.phase.name, did=self.sentinel.did, engine=beat.pid, run=beat.run)
        self._keep(armed=self.sentinel.armed)
        self._pulse.watching(self.sentinel.phase, self.sentinel.did)
        self._on_look(self.sentinel.did or "waits for an engine")

    def _carry_out(self, act: Act) -> None:
        if act is Act.TAKE:
            self._pulse.take()
            self.closer.begin()
        elif act is Act.RELEASE:
            if self._step is not None:
                self._step.cancel()  # it may be about to send: from here on the engine does
            self._pulse.release()
            self._resting = asyncio.get_running_loop().create_task(self._rest())
        elif act is Act.END:
            self._engine.kill()
        elif act is Act.START and not self._supervised:
            self._engine.start()
        elif act is Act.FLATTEN:
            self._go_on()
        elif act is Act.ALARM:
            log.error("sentinel alarm", words=self.sentinel.did)
            self._alarm(self.sentinel.did)

    def _agree(self) -> None:
        """Have the page say what is held here, whoever else wrote there.

        An engine that starts takes the lease where the file says that it is held, and a disk that is full may not have
        taken yet that it was given back. A page that an engine made anew may not know that it is held.
        """
        barred, holds = self._pulse.barred, self.sentinel.holds
        if barred != holds:
            log.warning("the page disagreed about the lease", page=barred, holds=holds)
            (self._pulse.take if holds else self._pulse.release)()

    def _keep(self, *, armed: bool) -> None:
        """Have what must not be forgotten written; the disk is waited for by a thread, never by an exit."""
        sentinel = self.sentinel
        since = self._lease.since_ns or self._clock.now() if sentinel.holds else 0
        closing = sentinel.phase is Phase.FLATTENING
        lease = Lease(self._lease.run, armed, sentinel.holds, closing, sentinel.did if sentinel.holds else "", since)
        self._lease = lease
        self._file.keep(lease)

    # --- closing ------------------------------------------------------------------------------------------------------

    def _hear(self, venue: VenueId, message: Message) -> None:
        if isinstance(message, VenueStatus):
            if message.connected:
                self._known.add(venue)
                self._up.add(venue)
            else:
                self._up.discard(venue)
        elif isinstance(message, Quote):
            self._quotes[message.instrument] = (message.bid, message.ask)
            self._quoted.set()

    def _go_on(self) -> None:
        pause, now = REST_NS if self.sentinel.phase is Phase.FLAT else STEP_NS, boottime()
        if (self._step is None or self._step.done()) and now - self._stepped >= pause:
            self._stepped = now
            self._step = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        try:
            accounts = await asyncio.gather(*(self._account(id_) for id_ in self._known))
            await self._touch(accounts)
            sends = dict[VenueId, list[Approved[Any]]]()
            for venue, approved in self.closer.look(accounts, self._quotes, boottime()):
                sends.setdefault(venue, []).append(approved)
            await asyncio.gather(*(self._send(self._venues[id_][0], commands) for id_, commands in sends.items()))
        except Exception:  # task boundary: the next look goes on
            log.exception("closing stumbled")

    async def _account(self, id_: VenueId) -> Account:
        venue, _ = self._venues[id_]
        if id_ not in self._up:
            return Account(id_)
        try:
            async with asyncio.timeout(ANSWER_S):
                market = OrderType.MARKET in venue.abilities.order_types
                return Account(id_, await venue.instruments(), await venue.snapshot(0), market)
        except Exception as error:  # task boundary: no venue holds up another's exit, whatever its adapter meets
            log.warning("venue does not answer", venue=id_, error=repr(error))
            return Account(id_)

    async def _touch(self, accounts: Sequence[Account]) -> None:
        """Learn the touch of what is to be closed; it is waited for a moment, once."""
        lacking = {
            instrument.id: instrument.venue
            for account in accounts
            if account.snapshot is not None
            for instrument, _ in held(account.instruments, account.snapshot)
            if instrument.id not in self._quotes
        }
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUOTE_S):
                await asyncio.gather(*(self._follow(self._venues[venue][0], id_) for id_, venue in lacking.items()))
                while not lacking.keys() <= self._quotes.keys():
                    self._quoted.clear()
                    await self._quoted.wait()

    async def _follow(self, venue: Venue, instrument: InstrumentId) -> None:
        """Ask for quotes; a venue that gives none holds up no exit, its own neither."""
        try:
            await venue.subscribe(instrument, Feed.QUOTE)
        except Exception as error:  # task boundary
            log.warning("no quotes", instrument=instrument, error=repr(error))

    async def _send(self, venue: Venue, commands: Sequence[Approved[Any]]) -> None:
        """Send to one venue in order; one that takes nothing holds up itself alone, and each command for a moment."""
        for approved in commands:
            log.warning("sentinel sends", command=repr(approved.command)[:400])
            try:
                async with asyncio.timeout(ANSWER_S):
                    if isinstance(approved.command, SubmitOrder):
                        await venue.submit(approved)
                    else:
                        await venue.cancel(approved)
            except Exception as error:  # task boundary: the next look finds the account as it is
                log.warning("not taken", venue=venue.id, error=repr(error))

    async def _rest(self) -> None:
        """Follow no prices while nothing is closed."""
        quotes, self._quotes = self._quotes, {}
        for instrument in quotes:
            for venue, _ in self._venues.values():
                with contextlib.suppress(Exception):  # it costs nothing but messages
                    await venue.unsubscribe(instrument, Feed.QUOTE)
