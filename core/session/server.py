"""The engine's socket: sessions of terminals and scripts. Events are never left out, market data are conflated."""

import asyncio
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import structlog

from core.domain import market as m
from core.domain.alerts import TargetStatus
from core.domain.identifiers import InstrumentId
from core.domain.message import Command, Data, Event, Message
from core.domain.studies import FOR_RESEARCHER, ConfigChanged, ConfigsStatus, ResearcherStatus, StudyChanged
from core.errors import TradedeckError
from core.session import wire
from core.session.control import Control, pretends
from core.session.frames import AskTrial, AskTrials, Publish, Reply
from core.session.protocol import (
    PROTOCOL,
    Answer,
    Ask,
    Bye,
    Hello,
    Outcome,
    Question,
    Resync,
    Send,
    Snapshot,
    TakeControl,
    Watch,
    Welcome,
    decode_client_frame,
)
from core.session.research import Research
from core.state.state import State

log = structlog.get_logger()
FLUSH_S = 0.1
"""How often conflated data go out."""
HOLD_BYTES = 256 * 1024
"""Conflated data wait while this much is unsent."""
CUT_BYTES = 8 * 1024 * 1024
"""A client with this much unsent is cut: it comes back with a new snapshot."""
KEEP_S = 1.0
"""How often it is looked whether the socket is still there."""
KEPT_PRINTS = 100
"""Prints kept for a client between two flushes; older ones are only for the tick store."""
MAX_DEPTH = 200


_RARE = (m.Bar, m.InstrumentDefined, m.VenueStatus, m.VenueCompared, m.StoreStatus, TargetStatus)
_ONE_BY_ONE = (Event, *_RARE, ResearcherStatus, StudyChanged, ConfigChanged, ConfigsStatus)
_ACCOUNT = InstrumentId("")


class Backend:
    """What a session asks of the engine's runtime."""

    def __init__(
        self,
        state: State,
        command: Callable[[Command], Awaitable[Outcome]],
        answer: Callable[[Question], Awaitable[object]],
        growing: Callable[[InstrumentId], list[m.Bar]],
        welcome: Callable[[], Welcome],
        tell: Callable[[Data], None] = lambda _: None,
    ) -> None:
        self.state, self.command, self.answer, self.growing, self.welcome = state, command, answer, growing, welcome
        self.tell = tell
        """Take data that a client tells, as the engine's own."""


class Session(asyncio.Protocol):
    """Serve one client."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._reader = wire.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._sequence = 0
        self._out: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.streams = False
        self.view_only = True
        self.name = ""
        self.watched: frozenset[InstrumentId] = frozenset()
        self.depth = 20
        self.dirty: dict[tuple[str, InstrumentId], Data] = {}
        self.books: set[InstrumentId] = set()
        self.prints: deque[m.Trade] = deque(maxlen=KEPT_PRINTS)

    # --- asyncio.Protocol -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection from the same user only."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are not of that class
        uid = peer_uid(transport.get_extra_info("socket"))
        if uid not in (os.getuid(), 0):
            log.warning("connection refused", uid=uid)
            self._end(f"this engine belongs to another user (your uid is {uid})")
            return
        self._server.sessions.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes; whoever does not speak the protocol is told and cut."""
        try:
            for body in self._reader.feed(data):
                self._frame(decode_client_frame(body))
        except (msgspec.DecodeError, TradedeckError) as error:
            self._end(f"not understood: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; the engine does not care."""
        self._server.sessions.discard(self)
        self._server.control.leave(self)
        self._server.research.leave(self)
        for task in self._tasks:
            task.cancel()

    # --- frames -----------------------------------------------------------------------------------------------------

    def _frame(self, frame: Any) -> None:
        if isinstance(frame, Hello) != (not self.name):
            self._end("Hello was said already" if self.name else "the first frame must be Hello")
        elif isinstance(frame, Hello):
            self._hello(frame)
        elif isinstance(frame, Watch):
            self._watch(frame)
        elif isinstance(frame, Resync):
            self._snapshot()
        elif isinstance(frame, Send):
            self._send(frame)
        elif isinstance(frame, TakeControl):
            self._answer(frame.id, self._server.control.take(self))
        elif isinstance(frame, Ask):
            self._ask(frame)
        elif isinstance(frame, Publish):
            self._server.research.told(self, frame.message)
        elif isinstance(frame, Reply):
            self._server.research.reply(self, frame)

    def _send(self, send: Send) -> None:
        against = self._against(send.command)
        if against:
            self._answer(send.id, Outcome(False, reason=against))
        elif isinstance(send.command, FOR_RESEARCHER):
            self._run(send.id, self._server.research.command(send.command))
        else:
            self._run(send.id, self._server.backend.command(send.command))

    def _ask(self, ask: Ask) -> None:
        if isinstance(ask.question, AskTrials | AskTrial):
            self._run(ask.id, self._server.research.ask(ask.question))
        else:
            self._run(ask.id, self._server.backend.answer(ask.question))

    def _hello(self, hello: Hello) -> None:
        self._write(self._server.backend.welcome())
        if hello.protocol != PROTOCOL:
            self._end(f"client speaks protocol {hello.protocol}, this engine {PROTOCOL}: use the same version of both")
            return
        self.name, self.view_only = hello.name or "client", hello.view_only
        if hello.stream:
            self._snapshot()
            self.streams = True
        if hello.terminal:
            self._server.control.join(self)
        if hello.researcher:
            refused = self._server.research.join(self)
            if refused:
                self._end(refused)

    def _against(self, command: Command) -> str:
        if self.view_only:
            return "this session is view-only: it cannot command"
        state = self._server.backend.state.trading_state
        return pretends(command) or self._server.control.refusal(self, command, state)

    def _watch(self, watch: Watch) -> None:
        """Send book and prints of these instruments from now on, for new ones the recent prints first."""
        new = set(watch.instruments) - self.watched
        self.watched = frozenset(watch.instruments)
        self.depth = min(max(watch.depth, 1), MAX_DEPTH)
        self.books = set(self.watched)
        for instrument in new:
            market = self._server.backend.state.markets.get(instrument)
            if market is not None:
                self.prints.extend(market.trades)

    def _run(self, id_: int, work: Awaitable[object]) -> None:
        async def answer() -> None:
            try:
                self._answer(id_, await work)
            except TradedeckError as error:
                self._write(Answer(id_, error=str(error)))
            except Exception as error:  # task boundary: a question must not end the session
                log.exception("answer failed")
                self._write(Answer(id_, error=f"the engine could not answer: {error!r}"))

        task = asyncio.get_running_loop().create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _answer(self, id_: int, body: object) -> None:
        self._write(Answer(id_, msgspec.Raw(wire.encode(body))))

    def _snapshot(self) -> None:
        self.dirty.clear()
        self.prints.clear()
        self.books = set(self.watched)
        self._write(Snapshot(self._sequence, self._server.backend.state.image(client=True)))

    # --- the stream -------------------------------------------------------------------------------------------------

    def update(self, payload: bytes) -> None:
        """Send one message now, numbered for this client."""
        self._sequence += 1
        body = b"\x93\xa6Update" + wire.encode(self._sequence) + payload
        self._out.append(len(body).to_bytes(wire.HEADER, "little") + body)
        if len(self._out) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def offer(self, message: Message) -> None:
        """Take market data, of which only the newest go out."""
        if isinstance(message, m.AccountMarked | m.SentinelStatus):
            self.dirty[type(message).__name__, _ACCOUNT] = message
            return
        instrument: InstrumentId = getattr(message, "instrument", _ACCOUNT)
        if isinstance(message, (m.Quote, m.MarkPrice, m.FeedReport)):
            self.dirty[type(message).__name__, instrument] = message
        if instrument in self.watched:
            self.books.add(instrument)
            if isinstance(message, m.Trade):
                self.prints.append(message)
        elif isinstance(message, m.Trade):
            self.tell_price(instrument)

    def tell_price(self, instrument: InstrumentId) -> None:
        """Send the last price, and what it was a day before, with the next flush."""
        market = self._server.backend.state.markets.get(instrument)
        if market is not None:
            last = m.LastPrice(instrument, market.last, market.printed, market.ts, market.day_open)
            self.dirty["LastPrice", instrument] = last

    def conflated(self) -> None:
        """Send the newest of everything that may be replaced, unless the client is behind."""
        if self.unsent() > HOLD_BYTES:
            return
        for trade in self.prints:  # before a last price, behind which older ones would come too late to be one
            self.update(wire.encode(trade))
        self.prints.clear()
        for message in self.dirty.values():
            self.update(wire.encode(message))
        self.dirty.clear()
        state = self._server.backend.state
        for instrument in self.books:
            market = state.markets.get(instrument)
            if market is not None:
                bids, asks = market.book.top(self.depth)
                book = market.book
                view = m.BookSnapshot(instrument, bids, asks, book.last_id, False, market.ts_exchange, market.ts)
                self.update(wire.encode(view))
                for bar in self._server.backend.growing(instrument):
                    self.update(wire.encode(bar))
        self.books.clear()

    def flush(self) -> None:
        """Write what waits as one piece; cut a client that does not read."""
        if self._transport is None or not self._out:
            return
        if self._transport.is_closing():
            self._out.clear()
            return
        self._transport.write(b"".join(self._out))
        self._out.clear()
        if self.unsent() > CUT_BYTES:
            log.warning("slow client cut", client=self.name, unsent=self.unsent())
            self._transport.abort()

    def unsent(self) -> int:
        """Return the bytes this client has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def say(self, frame: object) -> None:
        """Send a frame now, behind what was said before."""
        self._write(frame)

    def _write(self, frame: object) -> None:
        self.flush()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(wire.frame(frame))

    def _end(self, reason: str) -> None:
        self._write(Bye(reason))
        if self._transport is not None:
            self._transport.close()

    def end(self, reason: str) -> None:
        """Say good-bye and close."""
        self._end(reason)


class Server:
    """Listen on the engine's socket and hand every message to the sessions that want it."""

    def __init__(self, path: Path, backend: Backend) -> None:
        self.path = path
        self.backend = backend
        self.sessions: set[Session] = set()
        self.control = Control()
        self.research = Research(backend.tell, time.monotonic)
        self._listener: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; the socket is 0600 from its first moment. The caller holds the home's lock."""
        self.path.unlink(missing_ok=True)
        await self._listen()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        self._tick()

    async def _listen(self) -> None:
        before = os.umask(0o177)
        try:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_unix_server(lambda: Session(self), str(self.path))
        finally:
            os.umask(before)

    async def _keep(self) -> None:
        """Listen anew where somebody removed the socket: an engine that nobody can reach would hold its risk alone."""
        while True:
            await asyncio.sleep(KEEP_S)
            if self.path.exists():
                continue
            former, self._listener = self._listener, None
            if former is not None:
                former.close()
            try:
                await self._listen()
            except OSError as error:
                log.warning(
                    "the engine's socket is gone and cannot be made again", path=str(self.path), error=str(error)
                )
            else:
                log.warning("the engine's socket was removed; made again", path=str(self.path))

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._tick)
        self.research.publish()
        for session in tuple(self.sessions):
            if session.streams:
                session.conflated()

    def publish(self, message: Message) -> None:
        """Hand a message to every streaming session: events and own data at once, market data conflated."""
        sessions = [session for session in self.sessions if session.streams]
        if not sessions:
            return
        if isinstance(message, _ONE_BY_ONE):
            payload = wire.encode(message)
            for session in sessions:
                session.update(payload)
                if isinstance(message, m.Bar) and message.closed:
                    session.tell_price(message.instrument)
            return
        for session in sessions:
            session.offer(message)

    async def stop(self, reason: str) -> None:
        """Tell every client and stop listening."""
        if self._timer is not None:
            self._timer.cancel()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for session in tuple(self.sessions):
            session.end(reason)
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
        self.path.unlink(missing_ok=True)


def peer_uid(connection: Any) -> int:
    """Return the user id of the process at the other end of a Unix socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return int(uid)
