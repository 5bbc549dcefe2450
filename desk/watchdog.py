"""The sentinel as a process: looks ten times a second, and carries out what ``core.guardian.sentinel`` decides."""

import asyncio
import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog
from msgspec import structs

from core.config import GuardianSettings
from core.domain.approval import Approved
from core.domain.commands import SubmitOrder
from core.domain.identifiers import InstrumentId, VenueId
from core.domain.market import Feed, Quote, VenueStatus
from core.domain.message import Message
from core.errors import StoreError, VenueError
from core.guardian.closing import Account, Closer, held
from core.guardian.pulse import Phase, Pulse, boottime
from core.guardian.sentinel import Act, Seen, Sentinel
from core.ports import Venue
from desk import services
from desk.paths import Home, Role
from store.lease import Lease, next_run, read_lease, write_lease

log = structlog.get_logger()
LOOK_S = 0.1
STEP_S, REST_S = 0.1, 1.0
"""Between two looks at the accounts: while they are closed, and after."""
ANSWER_S = 1.0
QUOTE_S = 0.2
"""How long the first exit waits for a touch; without one it goes at the market."""
MS = 1_000_000


class Watchdog:
    """Carry out what the sentinel decides."""

    def __init__(
        self,
        home: Home,
        settings: GuardianSettings,
        pulse: Pulse,
        venues: Mapping[VenueId, tuple[Venue, bool]],
        *,
        supervised: bool = False,
        alarm: Callable[[str], None] = lambda _: None,
        on_look: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin where the last sentinel of this home stopped; its run number is given once.

        ``venues`` tells of each whether it must answer before anything counts as flat; the others only once they have
        answered at all. ``supervised``: systemd starts the engine again, not we.

        Raises:
            StoreError: the sentinel's file cannot be read.
        """
        before = read_lease(home.lease)
        self._lease = _begun(home, before)
        held_before = before.held or pulse.barred  # taken, and killed before that was durable
        if held_before:
            pulse.take()
        self._home, self._pulse, self._venues = home, pulse, venues
        self._supervised, self._alarm, self._on_look = supervised, alarm, on_look
        silent, grace = settings.engine_silent_after_ms * MS, settings.sentinel_grace_ms * MS
        self.sentinel = Sentinel(silent, grace, armed=before.armed, held=held_before, closing=before.closing)
        self.closer = Closer(f"t{home.mark()}", self._lease.run)
        self._process = Process(home)
        self._writer = ThreadPoolExecutor(1, "lease")
        self._known = {id_ for id_, (_, must) in venues.items() if must}
        self._up: set[VenueId] = set()
        self._quotes: dict[InstrumentId, tuple[float, float]] = {}
        self._quoted = asyncio.Event()
        self._step: asyncio.Task[None] | None = None
        self._resting: asyncio.Task[None] | None = None
        self._stepped = 0.0

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Watch until told to stop; a lease that is held stays held."""
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
        self._writer.shutdown()
        self._pulse.watching(Phase.ENDED, self.sentinel.did)

    def look(self) -> None:
        """Look once, and do what the sentinel decides."""
        beat = self._pulse.engine()
        seen = Seen(beat, self._process.alive(beat.pid), self.closer.flat, self.closer.sent)
        before = self.sentinel.did
        for act in self.sentinel.look(seen, boottime()):
            self._carry_out(act)
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
            self._pulse.release()
            self._resting = asyncio.get_running_loop().create_task(self._rest())
        elif act is Act.END:
            self._process.kill()
        elif act is Act.START and not self._supervised:
            threading.Thread(target=self._process.start, daemon=True).start()
        elif act is Act.FLATTEN:
            self._go_on()
        elif act is Act.ALARM:
            log.error("sentinel alarm", words=self.sentinel.did)
            self._alarm(self.sentinel.did)

    def _keep(self, *, armed: bool) -> None:
        """Have what must not be forgotten written; the disk is waited for by a thread, never by an exit."""
        sentinel = self.sentinel
        since = self._lease.since_ns or time.time_ns() if sentinel.holds else 0
        closing = sentinel.phase is Phase.FLATTENING
        lease = Lease(self._lease.run, armed, sentinel.holds, closing, sentinel.did if sentinel.holds else "", since)
        if lease != self._lease:
            self._lease = lease
            self._writer.submit(self._write, lease)

    def _write(self, lease: Lease) -> None:
        try:
            write_lease(self._home.lease, lease)
        except StoreError as error:
            log.warning("lease not durable", error=str(error))

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
        pause = REST_S if self.sentinel.phase is Phase.FLAT else STEP_S
        if (self._step is None or self._step.done()) and time.monotonic() - self._stepped >= pause:
            self._stepped = time.monotonic()
            self._step = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        try:
            accounts = await asyncio.gather(*(self._account(id_) for id_ in self._known))
            await self._touch(accounts)
            for venue, approved in self.closer.look(accounts, self._quotes, boottime()):
                await self._send(self._venues[venue][0], approved)
        except Exception:  # task boundary: the next look goes on
            log.exception("closing stumbled")

    async def _account(self, id_: VenueId) -> Account:
        venue, _ = self._venues[id_]
        if id_ not in self._up:
            return Account(id_)
        try:
            async with asyncio.timeout(ANSWER_S):
                return Account(id_, await venue.instruments(), await venue.snapshot(0))
        except (TimeoutError, VenueError) as error:
            log.warning("venue does not answer", venue=id_, error=str(error))
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
        for instrument, venue in lacking.items():
            await self._venues[venue][0].subscribe(instrument, Feed.QUOTE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUOTE_S):
                while not lacking.keys() <= self._quotes.keys():
                    self._quoted.clear()
                    await self._quoted.wait()

    async def _send(self, venue: Venue, approved: Approved[Any]) -> None:
        with contextlib.suppress(VenueError):  # it did not leave: the next look finds the account as it was
            if isinstance(approved.command, SubmitOrder):
                await venue.submit(approved)
            else:
                await venue.cancel(approved)
        log.warning("sentinel sends", command=repr(approved.command)[:400])

    async def _rest(self) -> None:
        """Follow no prices while nothing is closed."""
        quotes, self._quotes = self._quotes, {}
        for instrument in quotes:
            for venue, _ in self._venues.values():
                with contextlib.suppress(VenueError):
                    await venue.unsubscribe(instrument, Feed.QUOTE)


def _begun(home: Home, before: Lease) -> Lease:
    """Return the lease under a run number of its own, durable; on a full disk the time is a number that nobody had."""
    lease = structs.replace(before, run=next_run(before, time.time_ns()))
    try:
        write_lease(home.lease, lease)
    except StoreError as error:
        log.warning("lease not durable", error=str(error))
        return structs.replace(before, run=next_run(Lease(), time.time_ns()))
    return lease


class Process:
    """Know the engine's process by a handle that no other process can come to bear."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._pid = 0
        self._fd = -1

    def alive(self, pid: int) -> bool:
        """Tell whether the process that beats lives; a pid from an earlier life is proven by the engine's lock."""
        if pid != self._pid:
            self._forget()
            self._pid = pid
            holder = services.running(self._home, Role.ENGINE) if pid else None
            if holder is not None and holder.pid in (pid, 0):
                with contextlib.suppress(OSError):
                    self._fd = os.pidfd_open(pid)
        return self._fd >= 0 and not select.select([self._fd], [], [], 0)[0]

    def kill(self) -> None:
        """End the process, stopped or not."""
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def start(self) -> None:
        """Start the engine; what comes of it is seen by its heartbeat."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, os.WNOHANG)  # it was our child where we had started it
        try:
            services.start(self._home, Role.ENGINE)
        except StoreError as error:
            log.warning("engine not restarted", error=str(error))

    def _forget(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
