"""One venue connection as the runtime drives it: what follows a connect, and requests that may get lost."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

import structlog

from core.beating import Beating
from core.config.settings import ReconcileSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId, FillId, InstrumentId
from core.domain.message import Event, Message, Nanoseconds
from core.domain.order import CLOSED, OrderStatus
from core.engine import Engine
from core.errors import VenueError
from core.exit_times import ExitTimes
from core.ports import Clock, Venue
from core.reconcile.looks import Looks
from core.reconcile.meeting import Meeting
from core.reconcile.opening import is_past
from core.reconcile.reconcile import foreign_fill, is_foreign
from core.session import protocol as p
from core.state.contact import VenueView
from core.state.flaws import flaw
from core.state.markets import KEPT_BARS
from core.state.state import State

log = structlog.get_logger()
_OF_ORDERS = (e.OrderAccepted, e.OrderFilled, e.OrderCancelled, e.OrderExpired)
RETRY_S = 1.0
HOLD_NS = 2_000_000_000
"""Fills wait this long at most for the snapshot after a connect: a slow venue must not keep a position old."""
QUERY_AFTER_NS = 2_000_000_000
"""An order whose outcome is unknown is asked about again after this long."""
SECOND_LOOK_S = 0.25
"""The time between two looks that must show the same before a difference is told, after a connect."""
ON_THE_WAY_NS = 5_000_000_000
"""While the link is up, an order touched within this time before a look may travel: the look says nothing of it."""


class Shell(Protocol):
    """What a link needs of the runtime."""

    @property
    def engine(self) -> Engine:
        """Return the engine."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        ...

    def emit(self, message: Message) -> None:
        """Queue a message."""
        ...

    def emit_all(self, messages: Sequence[Message]) -> None:
        """Queue messages that follow each other."""
        ...

    def take(self, message: Message) -> None:
        """Process a message now."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task."""
        ...

    @property
    def beating(self) -> Beating:
        """Return what knows whether the sentinel holds the lease."""
        ...

    @property
    def exit_times(self) -> ExitTimes:
        """Return what is told of each exit that leaves."""
        ...

    def waiting(self) -> set[ClientOrderId]:
        """Return the orders that wait for their record."""
        ...


class VenueLink:
    """Drive one venue: reconcile after each connect, subscribe, and make every lost request an UNKNOWN order."""

    def __init__(self, venue: Venue, runtime: Shell, settings: ReconcileSettings | None = None) -> None:
        self.venue = venue
        self._runtime = runtime
        self._meeting = Meeting(venue, runtime)
        self.looks = Looks(venue, runtime, self._meeting, settings or ReconcileSettings(), self._release)
        self._forced: set[tuple[InstrumentId, FillId]] = set()
        """Fills of forced closes that are still to come."""
        self._connecting = False
        self._again = False
        self._resolving = False
        self._confirming = False
        self._up = False
        self._holding: Nanoseconds = 0
        self._held: list[e.OrderFilled] = []
        self._leaving: set[ClientOrderId] = set()
        """Orders handed to the venue's connection that have not left it yet."""

    def emit(self, message: Message) -> None:
        """Queue what the venue says.

        Fills that come with a connect wait for its snapshot: that has those of the time before, and entry price and
        realised profit depend on the order in which fills are applied. Some overtake the word that the link is up.
        """
        if isinstance(message, e.PositionLiquidated):
            self._forced.add((message.instrument, message.fill_id))
        strange = self._meeting.unmet(message, self._state) if isinstance(message, Event) else None
        if strange is not None:
            if self._meeting.first(strange):
                self._runtime.spawn(self._meet(strange))
            return
        self._pass(message)

    def _pass(self, message: Message) -> None:
        if isinstance(message, e.OrderFilled) and (self._holding or not self._up):
            self._held.append(message)
            return
        if isinstance(message, m.VenueStatus):
            self._up = message.connected
            if self._up:
                self._holding = self._runtime.clock.now()
            else:
                self._release()
        elif self._holding and self._runtime.clock.now() - self._holding > HOLD_NS:
            self._release()
        if isinstance(message, _OF_ORDERS):
            record = self._state.blotter.orders.get(message.client_order_id)
            if record is None or record.foreign:
                self.looks.comparison.settled = False  # somebody else trades here: look soon
        if isinstance(message, e.OrderFilled):
            self._runtime.emit_all(self._with_word(message))
        else:
            self._runtime.emit(message)

    def _with_word(self, fill: e.OrderFilled) -> list[Message]:
        """Return a fill, and behind it the difference where no order of ours explains it: it waits for a word."""
        state, venue = self._state, self.venue.id
        if (fill.instrument, fill.fill_id) in self._forced:  # the venue told of the forced close just before
            self._forced.discard((fill.instrument, fill.fill_id))
            return [fill]
        if is_past(state, fill, self._view.opened):
            if fill.client_order_id in state.blotter.orders:
                self.looks.soon()  # its order's report says whether that has counted it
            return []
        if (
            state.blotter.knows_fill(fill.instrument, fill.fill_id)
            or not is_foreign(state, fill, self._owns)
            or flaw(fill)
        ):
            return [fill]
        return [fill, foreign_fill(venue, fill, fill.ts)] if fill.instrument in state.markets else [fill]

    def _owns(self, order: ClientOrderId) -> bool:
        return self._runtime.engine.ids.owns(order)

    async def _meet(self, order: ClientOrderId) -> None:
        """Learn an order of the sentinel's, then hear what was said of it."""
        report = await self._meeting.ask(order)
        if report is not None:
            self._meeting.take_in([report])
        if report is None or report.status in CLOSED:
            self.looks.soon()  # it may rest or have filled all the same; of one that is over nobody may tell the end
        for message in self._meeting.met(order):
            self._pass(message)

    def _release(self) -> None:
        """Let the fills go that waited; those that the snapshot had too are known by their ids."""
        held, self._held, self._holding = self._held, [], 0
        for fill in held:
            self._runtime.emit_all(self._with_word(fill))

    async def connected(self) -> None:
        """Learn the instruments, reconcile, subscribe; repeated until it works or the link is lost."""
        if self._connecting:
            self._again = True
            return
        self._connecting = True
        try:
            self._again = True
            while self._view.connected and (self._again or not self._view.reconciled):
                self._again = False
                try:
                    await self._prepare()
                except VenueError as error:
                    log.warning("venue not ready", venue=self.venue.id, error=str(error))
                    await asyncio.sleep(RETRY_S)
                except Exception:  # task boundary: entries stay denied, and it is tried again
                    log.exception("venue not ready", venue=self.venue.id)
                    await asyncio.sleep(RETRY_S)
                else:
                    await asyncio.sleep(0.05)  # let the engine take the answers before looking again
        finally:
            self._connecting = False

    @property
    def _state(self) -> State:
        return self._runtime.engine.state

    @property
    def _view(self) -> VenueView:
        return self._state.venue(self.venue.id)

    async def _prepare(self) -> None:
        runtime, venue = self._runtime, self.venue
        now = runtime.clock.now()
        instruments = await venue.instruments()
        for instrument in instruments:
            runtime.emit(m.InstrumentDefined(instrument, now))
        await asyncio.sleep(0)
        await self.reconcile()
        for instrument in instruments:
            for feed in venue.abilities.feeds:
                await venue.subscribe(instrument.id, feed)
        for instrument in instruments:
            await self._history(instrument.id)

    async def reconcile(self) -> None:
        """Bring our record to the venue's as far as it explains it; what differs in two looks is told to the trader.

        A venue counts as reconciled, and lets entries through, when no difference waits for its second look.
        """
        self.looks.comparison.forget()
        settled = await self.looks.look(self._leaving)
        while not settled:
            await asyncio.sleep(SECOND_LOOK_S)
            settled = await self.looks.look(self._leaving)
        self.looks.agree()

    def is_due(self) -> bool:
        """Tell whether it is time to compare again."""
        return not (self._resolving or self._connecting) and self.looks.is_due()

    async def compare(self) -> None:
        """Hold our record against the venue's while both run."""
        try:
            if self._view.connected and not self.looks.asking.locked():
                await self.looks.look(self._leaving, self._runtime.clock.now() - ON_THE_WAY_NS)
        except VenueError as error:
            log.warning("not compared", venue=self.venue.id, error=str(error))
            self.looks.failed(str(error))
        except Exception as error:  # task boundary: the next comparison looks again
            log.exception("not compared", venue=self.venue.id)
            self.looks.failed(f"{type(error).__name__}: {error}")

    async def _history(self, instrument: InstrumentId) -> None:
        now = self._runtime.clock.now()
        market = self._state.markets.get(instrument)
        for interval in m.Interval:
            start = now - KEPT_BARS[interval] * interval.ns
            kept = market.bars[interval] if market is not None else {}
            if kept:
                start = max(kept)
            try:
                bars = await self.venue.history(instrument, interval, start, now)
            except VenueError as error:
                log.info("no history", instrument=instrument, interval=interval, error=str(error))
                return
            self._runtime.emit_all(bars)

    async def backfill(self, question: p.AskBars) -> None:
        """Ask the venue for bars that a client wants and the engine lacks; a venue without history changes nothing."""
        try:
            bars = await self.venue.history(question.instrument, question.interval, question.start, question.end)
        except VenueError:
            return
        self._runtime.emit_all(bars)
        await asyncio.sleep(0)

    async def resubscribe(self, instrument: InstrumentId) -> None:
        """Ask for the book again after a gap."""
        try:
            await self.venue.unsubscribe(instrument, m.Feed.BOOK)
            await self.venue.subscribe(instrument, m.Feed.BOOK)
        except VenueError as error:
            log.warning("book not resynced", instrument=instrument, error=str(error))

    def send(self, approved: Approved[Any]) -> Coroutine[Any, Any, None]:
        """Hand a command to the venue. Refused before it left: said so. Anything else that fails: outcome unknown."""
        if isinstance(approved.command, c.SubmitOrder):
            self._leaving.add(approved.command.order.client_order_id)
        return self._send(approved)

    async def _send(self, approved: Approved[Any]) -> None:
        command = approved.command
        if self._runtime.beating.barred:  # looked at here, right before the wire: an engine may have slept until now
            self._not_sent(command, "the sentinel holds the lease")
            return
        try:
            if isinstance(command, c.SubmitOrder):
                await self.venue.submit(approved)
                if approved.urgent:
                    self._runtime.exit_times.left(command.order.client_order_id, self._runtime.clock.now())
            elif isinstance(command, c.CancelOrder):
                await self.venue.cancel(approved)
            else:
                await self.venue.amend(approved)
        except VenueError as error:
            self._not_sent(command, str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # task boundary: the request may have left
            log.exception("request failed", venue=self.venue.id)
            id_ = command.order.client_order_id if isinstance(command, c.SubmitOrder) else command.client_order_id
            self._runtime.emit(e.OrderUnknown(id_, f"request failed: {error!r}", self._runtime.clock.now()))
        finally:
            if isinstance(command, c.SubmitOrder):
                self._leaving.discard(command.order.client_order_id)

    def _not_sent(self, command: Any, reason: str) -> None:
        now = self._runtime.clock.now()
        if isinstance(command, c.SubmitOrder):
            self._runtime.emit(e.OrderRejected(command.order.client_order_id, f"not sent: {reason}", now, now))
        elif isinstance(command, c.CancelOrder):
            self._runtime.emit(e.CancelRejected(command.client_order_id, f"not sent: {reason}", now, now))
        else:
            self._runtime.emit(e.AmendRejected(command.client_order_id, f"not sent: {reason}", now, now))

    def has_unknown(self) -> bool:
        """Tell whether an order's outcome has been unknown for long enough to ask, or how it stands is in doubt."""
        if self._resolving or self.looks.doubts:
            return not self._resolving
        now = self._runtime.clock.now()
        return any(
            record.status is OrderStatus.UNKNOWN
            and record.venue == self.venue.id
            and now - record.updated >= QUERY_AFTER_NS
            for record in self._state.blotter.open.values()
        )

    async def resolve_unknown(self) -> None:
        """Ask about every order whose outcome is unknown; never resend, and never ask again at once."""
        self._resolving = True
        try:
            await self._ask_about_unknown()
            await asyncio.sleep(RETRY_S)
        finally:
            self._resolving = False

    async def _ask_about_unknown(self) -> None:
        try:
            if self._view.connected:
                await self.looks.look(self._leaving)
        except VenueError as error:
            log.warning("unknown orders not resolved", venue=self.venue.id, error=str(error))
        except Exception:  # task boundary: the orders stay UNKNOWN and are asked about again
            log.exception("unknown orders not resolved", venue=self.venue.id)

    async def confirm(self) -> None:
        """Ask what the venue holds, one question at a time; what is not answered is asked again by whoever wants it."""
        if self._confirming or not self._view.connected:
            return
        self._confirming = True
        try:
            await self.looks.look(self._leaving, self._runtime.clock.now() - ON_THE_WAY_NS)
            if self._view.reconciled:  # else the look that follows a connect says so
                self.looks.agree()
        except VenueError as error:
            log.warning("venue did not confirm", venue=self.venue.id, error=str(error))
        except Exception:  # task boundary: who wants to know asks again
            log.exception("venue did not confirm", venue=self.venue.id)
        finally:
            self._confirming = False

    async def stop(self) -> None:
        """Close the connection; a venue that fails to must not keep the journal from being closed."""
        try:
            await self.venue.stop()
        except Exception:  # task boundary: the engine ends all the same
            log.exception("venue not stopped", venue=self.venue.id)
