"""The engine's way to a simulated exchange: a link that loses, delays, doubles and reorders, and the port before it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.instrument import Instrument
from core.domain.message import Message, Nanoseconds
from core.domain.reports import OrderReport, VenueSnapshot
from core.errors import VenueError
from core.ports import Clock, Emit
from tests.simulation.machine import MS, S
from tests.simulation.venue import ENGINE, Exchange, Request, Watcher

ANSWER_S = 3.0
WINDOW: Nanoseconds = 2_500 * MS
"""A request older than this is not carried out any more."""
GAP: Nanoseconds = 1 * S
"""A gap in what is said of orders is noticed so soon."""
HEARTBEAT: Nanoseconds = 4 * S
"""A link on which nothing comes any more is given up after this long."""
THERE, BACK = 0, 1


class Link:
    """One connection of the engine to the exchange."""

    def __init__(self, exchange: Exchange, venue: "SimVenue") -> None:
        self.exchange, self.venue = exchange, venue
        self.silent = False
        """Nothing arrives on either side, and neither knows."""
        self.alive = True
        self.flying: dict[int, Request] = {}
        self.words = 0
        """Words about orders that are on their way to the engine."""
        self._number = 0
        self._pending: dict[int, tuple[ClientOrderId, asyncio.TimerHandle]] = {}
        self._asked: dict[asyncio.Future[Any], None] = {}  # in order: a set of objects has that of their addresses
        self._last: list[Nanoseconds] = [0, 0]
        """When what was sent last each way arrives."""
        self._gone = False

    @property
    def busy(self) -> bool:
        """Tell whether requests or words about them are on their way."""
        return bool(self.flying or self._pending or self.words)

    # --- to the exchange --------------------------------------------------------------------------------------------

    def request(self, command: Request, order: ClientOrderId) -> None:
        """Send a request; without a receipt in time its outcome is unknown."""
        exchange, machine = self.exchange, self.exchange.machine
        self._number += 1
        number = self._number
        late = asyncio.get_running_loop().call_later(ANSWER_S, self._late, number)
        self._pending[number] = (order, late)
        if self.silent or exchange.lose_requests:
            exchange.lose_requests = max(exchange.lose_requests - 1, 0)
            return
        self.flying[number] = command
        sent = machine.utc
        machine.after(self._leg(THERE), lambda: self._arrive(number, sent))

    def _arrive(self, number: int, sent: Nanoseconds) -> None:
        command = self.flying.pop(number, None)
        if command is None or self.silent or self.exchange.machine.utc - sent > WINDOW:
            return
        self.exchange.take(command)
        if self.exchange.lose_receipts:
            self.exchange.lose_receipts -= 1
        else:
            self._later(lambda: self._receipt(number), self._leg(BACK))

    def _receipt(self, number: int) -> None:
        found = self._pending.pop(number, None)
        if found is not None:
            found[1].cancel()

    def _late(self, number: int) -> None:
        order, _ = self._pending.pop(number)
        self.venue.unknown(order, "no answer in time")

    async def ask(self, answer: Callable[[], Any]) -> Any:
        """Have a question answered.

        Raises:
            VenueError: when no answer comes in time or the link is lost.
        """
        future = asyncio.get_running_loop().create_future()
        self._asked[future] = None
        self.exchange.machine.after(self._leg(THERE), lambda: self._question(answer, future))
        try:
            return await asyncio.wait_for(future, ANSWER_S)
        except TimeoutError:
            raise VenueError(f"{self.exchange.id}: no answer within {ANSWER_S:g} s") from None
        finally:
            self._asked.pop(future, None)

    def _question(self, answer: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        if self.silent or not self.alive:
            return
        found = answer()

        def told() -> None:
            if not future.done():
                future.set_result(found)

        late = self.exchange.rng.randrange(2 * S) if self.exchange.plan.slow_answers else 0
        self._later(told, self._leg(BACK) + late)

    def _leg(self, which: int) -> Nanoseconds:
        """Return how long something travels; on an ordered link never less than what was sent before."""
        exchange = self.exchange
        now, delay = exchange.machine.now, exchange.rng.randrange(*exchange.plan.delay)
        if exchange.plan.unordered:
            return delay
        due = self._last[which] = max(now + delay, self._last[which])
        return due - now

    # --- from the exchange ------------------------------------------------------------------------------------------

    def _later(self, do: Callable[[], None], delay: Nanoseconds) -> None:
        def arrive() -> None:
            if self.alive and not self.silent:
                self.venue.within(do)

        self.exchange.machine.after(delay, arrive)

    def say(self, event: Message) -> None:
        """Tell an event of ours."""
        exchange, machine = self.exchange, self.exchange.machine
        if exchange.lose_answers and not self.silent:
            exchange.lose_answers -= 1
            if not self._gone:
                self._gone = True
                machine.after(exchange.rng.randrange(GAP), lambda: self.drop("a gap in the stream of orders"))
            return
        delay = self._leg(BACK)
        if isinstance(event, e.OrderFilled) and machine.now < exchange.late_until:
            delay += exchange.rng.randrange(2 * S)
        self._word(event, delay)
        if exchange.rng.random() < exchange.plan.twice:
            self._word(event, delay + exchange.rng.randrange(500 * MS))

    def _word(self, event: Message, delay: Nanoseconds) -> None:
        self.words += 1

        def arrive() -> None:
            self.words -= 1
            if self.alive and not self.silent:
                self.venue.within(lambda: self.venue.out(event))

        self.exchange.machine.after(delay, arrive)

    def show(self, data: Sequence[Message]) -> None:
        """Tell prices."""

        def told() -> None:
            for one in data:
                self.venue.out(one)

        if self.venue.line != ENGINE:
            data = [one for one in data if getattr(one, "instrument", None) in self.venue.wanted]
        if data:
            self._later(told, self._leg(BACK))

    # --- its end ----------------------------------------------------------------------------------------------------

    def hush(self) -> None:
        """Become half open; it is noticed by the missing heartbeat."""
        self.silent = True
        self._settle()
        self.exchange.machine.after(HEARTBEAT, lambda: self.drop("no heartbeat"))

    def _settle(self) -> None:
        """Decide what becomes of the requests that are on their way: the exchange has them already, or never will."""
        for number in list(self.flying):
            command = self.flying.pop(number)
            if self.exchange.rng.random() < 0.5:
                self.exchange.take(command)

    def drop(self, reason: str, *, told: bool = True) -> None:
        """End; the engine notices at once, unless it is gone itself."""
        if not self.alive:
            return
        self._settle()
        self.alive = False
        if self.exchange.lines.get(self.venue.line) is self:
            del self.exchange.lines[self.venue.line]
        if told:
            self.venue.within(lambda: self._lost(reason))

    def _lost(self, reason: str) -> None:
        for future in list(self._asked):
            if not future.done():
                future.set_exception(VenueError(f"{self.exchange.id}: the link was lost: {reason}"))
        for order, late in self._pending.values():
            late.cancel()
            self.venue.unknown(order, f"the link was lost before the answer: {reason}")
        self._pending.clear()
        self.venue.down(reason)


class SimVenue:
    """The near side, for one life of the engine or of its sentinel."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        within: Callable[[Callable[[], None]], None],
        line: str = ENGINE,
        watcher: Watcher | None = None,
    ) -> None:
        self.id, self.abilities = exchange.id, exchange.abilities
        self.exchange, self.clock, self.line = exchange, clock, line
        self.within = within
        """Run something in this side's process, if that still lives."""
        self.wanted: set[InstrumentId] = set()
        """Whose prices are asked for; the engine is shown all."""
        self._watcher = watcher or exchange.watcher
        self._emit: Emit | None = None
        self._reason = "not started"
        self._wait = 0.05

    async def start(self, emit: Emit) -> None:
        self._emit = emit
        self._try_later()

    async def stop(self) -> None:
        self._emit = None
        if self.line in self.exchange.lines:
            self.exchange.lines[self.line].drop("closed", told=False)

    def _try_later(self) -> None:
        asyncio.get_running_loop().call_later(self._wait, self._try)

    def _try(self) -> None:
        exchange = self.exchange
        if self._emit is None or self.line in exchange.lines:
            return
        if exchange.machine.now < exchange.unreachable_until:
            if self._wait == 0.05:
                self.out(m.VenueStatus(self.id, False, "cannot be reached", self.clock.now()))
            self._wait = min(2 * self._wait, 2.0)
            self._try_later()
            return
        self._wait = 0.05
        exchange.lines[self.line] = link = Link(exchange, self)
        self.out(m.VenueStatus(self.id, True, "simulated", self.clock.now()))
        fills = exchange.matching.snapshot(0).fills
        for fill in fills[len(fills) - exchange.rng.randrange(3) :] if fills else ():
            link.say(fill)  # some exchanges begin by telling the last ones again

    def down(self, reason: str) -> None:
        """Take that the link is lost, and try for another."""
        self._reason = reason
        self.out(m.VenueStatus(self.id, False, reason, self.clock.now()))
        if self._emit is not None:
            self._try_later()

    def out(self, message: Message) -> None:
        """Hand a message to the engine, stamped with its arrival."""
        if self._emit is not None:
            self._emit(message.replace(ts=self.clock.now()))

    def unknown(self, order: ClientOrderId, reason: str) -> None:
        """Say that a request's outcome is not known."""
        self.out(e.OrderUnknown(order, reason, self.clock.now()))

    def _linked(self) -> Link:
        link = self.exchange.lines.get(self.line)
        if link is None:
            raise VenueError(f"{self.id} is not connected: {self._reason}")
        return link

    async def _send(self, approved: Approved[Any], order: ClientOrderId) -> None:
        exchange = self.exchange
        self._watcher.began(approved)
        if exchange.plan.slow_send:
            self._linked()
            await asyncio.sleep(exchange.rng.random() * 0.4)
        link = self._linked()
        exchange.machine.moment()
        self._watcher.left(approved)
        link.request(approved.command, order)
        exchange.machine.moment()

    async def submit(self, order: Approved[SubmitOrder]) -> None:
        await self._send(order, order.command.order.client_order_id)

    async def amend(self, order: Approved[AmendOrder]) -> None:
        await self._send(order, order.command.client_order_id)

    async def cancel(self, order: Approved[CancelOrder]) -> None:
        await self._send(order, order.command.client_order_id)

    async def order(self, client_order_id: ClientOrderId) -> OrderReport | None:
        matching = self.exchange.matching
        report: OrderReport | None = await self._linked().ask(lambda: matching.order(client_order_id))
        return report

    async def snapshot(self, since: Nanoseconds) -> VenueSnapshot:
        found: VenueSnapshot = await self._linked().ask(lambda: self.exchange.snapshot(since))
        self._watcher.handed(found)
        return found

    async def instruments(self) -> Sequence[Instrument]:
        self._linked()
        return self.exchange.instruments

    async def subscribe(self, instrument: InstrumentId, feed: m.Feed) -> None:
        self._linked()
        self.wanted.add(instrument)

    async def unsubscribe(self, instrument: InstrumentId, feed: m.Feed) -> None:
        self._linked()
        self.wanted.discard(instrument)

    async def history(
        self, instrument: InstrumentId, interval: m.Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[m.Bar]:
        return ()
