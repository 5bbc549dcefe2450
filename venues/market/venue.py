"""The practice exchange as a venue of the engine: one session over its socket."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.events import OrderUnknown
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.instrument import Instrument
from core.domain.market import Bar, Feed, Interval, VenueStatus
from core.domain.message import Message, Nanoseconds
from core.domain.order import Operation, OrderType, TimeInForce
from core.domain.reports import OrderReport, VenueSnapshot
from core.errors import ClientError, VenueError
from core.ports import Abilities, Clock, Emit
from core.session import wire
from venues.market import protocol as p

A = TypeVar("A", bound=p.Frame)
ABILITIES = Abilities(
    order_types=frozenset(OrderType),
    time_in_force=frozenset(TimeInForce),
    feeds=frozenset(Feed),
    operations=frozenset({Operation.TRADE}),
    amend=True,
    post_only=True,
    reduce_only=True,
    native_stops=True,
)
ANSWER_S = 5.0
"""How long an answer may take; the exchange answers when it is durable, which a busy disk delays."""
FIRST_S = 1.0
"""How long ``start`` waits for the first attempt."""
RETRY_S = (0.05, 2.0)
"""The first and the longest wait before a new connection."""


class MarketVenue:
    """Trade one account of the practice exchange."""

    def __init__(
        self,
        venue: VenueId,
        socket: Path,
        clock: Clock,
        name: str = "engine",
        answer_s: float = ANSWER_S,
        *,
        optional: bool = False,
    ) -> None:
        """Prepare a connection; an ``optional`` one says nothing until its account is there for the first time."""
        self.id = venue
        self.abilities = ABILITIES
        self.socket, self.clock, self.name, self.answer_s = socket, clock, name, answer_s
        self._emit: Emit | None = None
        self._link: _Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._up, self._tried = asyncio.Event(), asyncio.Event()
        self._feeds: set[tuple[InstrumentId, Feed]] = set()
        self._listed: tuple[Instrument, ...] = ()
        self._reason = "not started"
        self._known = not optional

    # --- the link -----------------------------------------------------------------------------------------------------

    async def start(self, emit: Emit) -> None:
        """Connect and stay connected; returns after the first attempt, of which VenueStatus tells."""
        if self._task is None:
            self._emit = emit
            self._tried.clear()
            self._task = asyncio.create_task(self._stay())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._tried.wait(), FIRST_S)

    async def stop(self) -> None:
        """Close the connection and end the task."""
        task, self._task, self._emit = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._link is not None:
            self._link.close()
            self._link = None
        self._up.clear()

    async def _stay(self) -> None:
        wait = RETRY_S[0]
        while True:
            link = _Link(self)
            try:
                await asyncio.get_running_loop().create_unix_connection(lambda made=link: made, str(self.socket))  # type: ignore[misc]
                link.send(p.Login(self.id, self.name))
                reason = await link.closed
            except OSError as error:
                reason = f"practice market at {self.socket}: {error.strerror or error}"
            except VenueError as error:  # it was gone before the login could be said
                reason = str(error)
            finally:
                link.close()
            wait = RETRY_S[0] if self._link is not None else wait
            self._down(reason)
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_S[1])

    def _down(self, reason: str) -> None:
        was_up, said_before = self._link is not None, self._reason == reason
        self._link, self._reason = None, reason
        self._up.clear()
        self._tried.set()
        if self._known and (was_up or not said_before):
            self.out(VenueStatus(self.id, False, reason, self.clock.now()))

    def up(self, link: "_Link", welcome: p.Welcome) -> None:
        """Take a link whose login succeeded."""
        self._link, self._listed, self._reason = link, welcome.instruments, "connected"
        self._known = True
        for instrument, feed in sorted(self._feeds):
            link.send(p.Subscribe(instrument, feed))
        self._up.set()
        self._tried.set()
        self.out(VenueStatus(self.id, True, "practice market", self.clock.now()))

    def out(self, message: Message) -> None:
        """Hand a message to the engine."""
        if self._emit is not None:
            self._emit(message)

    def unknown(self, order: ClientOrderId, reason: str) -> None:
        """Say that a request's outcome is not known."""
        self.out(OrderUnknown(order, reason, self.clock.now()))

    async def _linked(self) -> "_Link":
        """Return the link, waiting a moment for it.

        Raises:
            VenueError: when there is none.
        """
        if self._link is None and self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._up.wait(), self.answer_s)
        return self._now_linked()

    def _now_linked(self) -> "_Link":
        if self._link is None:
            raise VenueError(f"{self.id} is not connected: {self._reason}")
        return self._link

    # --- requests -----------------------------------------------------------------------------------------------------

    async def submit(self, order: Approved[SubmitOrder]) -> None:
        """Send an order under its client order id; sending it twice gives one order.

        Raises:
            VenueError: when it did not leave.
        """
        self._now_linked().request(order.command, order.command.order.client_order_id)

    async def amend(self, order: Approved[AmendOrder]) -> None:
        """Change a working order.

        Raises:
            VenueError: when the request did not leave.
        """
        self._now_linked().request(order.command, order.command.client_order_id)

    async def cancel(self, order: Approved[CancelOrder]) -> None:
        """Cancel a working order.

        Raises:
            VenueError: when the request did not leave.
        """
        self._now_linked().request(order.command, order.command.client_order_id)

    async def order(self, id: ClientOrderId) -> OrderReport | None:
        """Return one order by client id, closed ones too; None only when the exchange never had it."""
        link = await self._linked()
        answer = await link.ask(lambda number: p.AskOrder(number, id), p.OrderAnswer)
        return answer.report

    async def snapshot(self, since: Nanoseconds) -> VenueSnapshot:
        """Return open orders, fills since then, positions and balances, all of one moment."""
        link = await self._linked()
        answer = await link.ask(lambda number: p.AskSnapshot(number, since), p.SnapshotAnswer)
        return answer.snapshot

    async def history(
        self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[Bar]:
        """Return closed bars with ``start <= bar.start < end``."""
        link = await self._linked()
        answer = await link.ask(lambda number: p.AskHistory(number, instrument, interval, start, end), p.HistoryAnswer)
        return answer.bars

    async def publish(self, messages: Sequence[Message]) -> None:
        """Make market data happen, where the market was started to be driven by hand.

        Raises:
            VenueError: when the market makes its own prices.
        """
        link = await self._linked()
        await link.ask(lambda number: p.Publish(number, tuple(messages)), p.Done)

    # --- data ---------------------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """Return what can be traded here."""
        await self._linked()
        return self._listed

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """Start a feed; it comes back by itself after a lost link."""
        key = (instrument, feed)
        if key not in self._feeds:
            self._feeds.add(key)
            self._follow(p.Subscribe(instrument, feed))

    async def unsubscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """End a feed."""
        key = (instrument, feed)
        if key in self._feeds:
            self._feeds.discard(key)
            self._follow(p.Subscribe(instrument, feed, on=False))

    def _follow(self, frame: p.Subscribe) -> None:
        if self._link is not None:
            with contextlib.suppress(VenueError):  # a link that is just going: the next one brings all feeds
                self._link.send(frame)


class _Link(asyncio.Protocol):
    """One connection: frames in and out, and the requests that wait for their answer."""

    def __init__(self, venue: MarketVenue) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[str] = loop.create_future()
        self._venue = venue
        self._reader = wire.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._number = 0
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._requested: dict[int, tuple[ClientOrderId, asyncio.TimerHandle]] = {}
        self._reason = "the practice market closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are not of that class

    def data_received(self, data: bytes) -> None:
        """Hand on data and events, settle answers."""
        now = self._venue.clock.now()
        try:
            for body in self._reader.feed(data):
                message = p.decode_market_frame(body)
                if isinstance(message, Message):
                    self._venue.out(message.replace(ts=now))
                else:
                    self._answer(message)
        except (msgspec.DecodeError, ClientError) as error:
            self._reason = f"the practice market speaks another language: {error}"
            self.close()

    def _answer(self, frame: p.Frame) -> None:
        if isinstance(frame, p.Welcome):
            self._venue.up(self, frame)
            return
        number: int = frame.id  # type: ignore[attr-defined]
        if isinstance(frame, p.Failed) and number == 0:
            self._reason = frame.reason
            self.close()
            return
        request = self._requested.pop(number, None)
        if request is not None:
            request[1].cancel()
            if isinstance(frame, p.Failed):
                self._venue.unknown(request[0], frame.reason)
            return
        future = self._asked.pop(number, None)
        if future is not None and not future.done():
            if isinstance(frame, p.Failed):
                future.set_exception(VenueError(f"{self._venue.id}: {frame.reason}"))
            else:
                future.set_result(frame)

    def send(self, frame: p.Frame) -> None:
        """Write a frame.

        Raises:
            VenueError: when the connection is gone.
        """
        if self._transport is None or self._transport.is_closing():
            raise VenueError(f"{self._venue.id} is not connected: {self._reason}")
        self._transport.write(wire.frame(frame))

    def request(self, command: SubmitOrder | AmendOrder | CancelOrder, order: ClientOrderId) -> None:
        """Send a request; without an answer in time its outcome is unknown."""
        self._number += 1
        number = self._number
        self.send(p.Request(number, command))
        late = asyncio.get_running_loop().call_later(self._venue.answer_s, self._late, number)
        self._requested[number] = (order, late)

    def _late(self, number: int) -> None:
        order, _ = self._requested.pop(number)
        self._venue.unknown(order, f"no answer within {self._venue.answer_s:g} s")

    async def ask(self, make: Callable[[int], p.Frame], kind: type[A]) -> A:
        """Send a question and return its answer.

        Raises:
            VenueError: when none comes in time or the link is lost.
        """
        self._number += 1
        number = self._number
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self.send(make(number))
            answer = await asyncio.wait_for(future, self._venue.answer_s)
        except TimeoutError:
            raise VenueError(f"{self._venue.id}: no answer within {self._venue.answer_s:g} s") from None
        finally:
            self._asked.pop(number, None)
        if not isinstance(answer, kind):
            raise VenueError(f"{self._venue.id}: unexpected answer {type(answer).__name__}")
        return answer

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle what waits: questions fail, requests are unknown."""
        self._transport = None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(VenueError(f"{self._venue.id}: the link was lost: {self._reason}"))
        for order, late in self._requested.values():
            late.cancel()
            self._venue.unknown(order, f"the link was lost before the answer: {self._reason}")
        self._requested.clear()
        if not self.closed.done():
            self.closed.set_result(self._reason)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
