"""The client's side: a snapshot, a numbered stream, ``send(command)`` and ``ask(question)``."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar
from core.domain.message import Command, Message
from core.domain.order import OrderRecord
from core.domain.risk import RiskView
from core.errors import ClientError, IllegalTransition, NoEngine, ProtocolMismatch, SequenceGap
from core.session import protocol as p
from core.session import wire
from core.session.frames import AskHistory, AskRisk
from core.session.status import Status
from core.state.state import State

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
_READ = 256 * 1024


def _ignore(*_: object) -> None:
    """Do nothing: nobody listens."""


class Replica:
    """Follow the engine's state: snapshot, then every numbered update through the same ``State.apply``."""

    def __init__(self) -> None:
        self.state = State()
        self.sequence = 0

    def restart(self, snapshot: p.Snapshot) -> None:
        """Begin again from a snapshot."""
        self.state = State.from_image(snapshot.image)
        self.sequence = snapshot.sequence

    def follow(self, update: p.Update) -> Message:
        """Apply one update and return its message.

        Raises:
            SequenceGap: a number is missing; a new snapshot is needed.
        """
        if update.sequence != self.sequence + 1:
            raise SequenceGap(f"update {update.sequence} came after {self.sequence}; asking for a new snapshot")
        self.sequence = update.sequence
        message = p.message_of(update)
        ts = getattr(message, "ts", 0)
        self.state.now = max(self.state.now, ts)
        try:
            self.state.apply(message)
        except (IllegalTransition, KeyError) as error:
            raise SequenceGap(f"update {update.sequence} does not fit: {error}; asking for a new snapshot") from error
        return message


class Client:
    """Hold one session with the engine. ``on_message`` is called after each applied update, ``on_snapshot`` after each
    new picture, ``on_lost`` once with the reason when the session ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._frames = wire.FrameReader()
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[p.Answer]] = {}
        self._task: asyncio.Task[None] | None = None
        self._pending: list[Any] = []
        self._resyncing = False
        self._watched: frozenset[InstrumentId] = frozenset()
        self.replica = Replica()
        self.welcome: p.Welcome | None = None
        self.lost = ""
        self.on_message: Callable[[Message], None] = _ignore
        self.on_snapshot: Callable[[], None] = _ignore
        self.on_lost: Callable[[str], None] = _ignore
        self.control: p.ControlChanged | None = None
        self.on_control: Callable[[p.ControlChanged], None] = _ignore

    @property
    def state(self) -> State:
        """Return the replica's state."""
        return self.replica.state

    @classmethod
    async def connect(
        cls,
        path: Path,
        name: str,
        *,
        view_only: bool = False,
        stream: bool = True,
        terminal: bool = False,
        researcher: bool = False,
    ) -> "Client":
        """Open a session; with ``stream`` the first snapshot has been applied on return.

        A ``terminal`` is one of those of which one holds control.

        Raises:
            NoEngine: nobody answers there.
            ProtocolMismatch: the engine speaks another version.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(str(path), limit=wire.MAX_FRAME)
        except OSError as error:
            raise NoEngine(f"no engine answers at {path} ({error.strerror}); start it with: tradedeck engine") from None
        client = cls(reader, writer)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):  # wait_for of Python 3.11 may swallow a cancellation
                await client._open(p.Hello(p.PROTOCOL, name, view_only, stream, terminal, researcher))
            client._task = asyncio.get_running_loop().create_task(client._follow())
        except TimeoutError:
            raise NoEngine(f"the engine at {path} did not answer within {CONNECT_TIMEOUT_S:g} s") from None
        except msgspec.DecodeError as error:
            raise ClientError(f"what answers at {path} is no tradedeck engine: {error}") from None
        except OSError as error:
            raise NoEngine(f"the engine at {path} ended the connection ({error.strerror})") from None
        finally:
            if client._task is None:  # also when whoever asked has gone meanwhile
                await client.close()
        return client

    async def _open(self, hello: p.Hello) -> None:
        self._write(hello)
        frame = await self._next()
        if not isinstance(frame, p.Welcome):
            raise ClientError(f"the engine said {type(frame).__name__} instead of Welcome")
        self.welcome = frame
        if frame.protocol != p.PROTOCOL:
            raise ProtocolMismatch(
                f"engine {frame.version} speaks protocol {frame.protocol}, this {p.PROTOCOL}: restart the engine"
            )
        if hello.stream:
            self._take(await self._next())

    async def _next(self) -> Any:
        while not self._pending:
            data = await self._reader.read(_READ)
            if not data:
                raise NoEngine("the engine closed the connection")
            self._pending.extend(p.decode_server_frame(body) for body in self._frames.feed(data))
        return self._pending.pop(0)

    async def _follow(self) -> None:
        reason = "the engine closed the connection"
        try:
            while True:
                frame = await self._next()
                if isinstance(frame, p.Bye):
                    reason = frame.reason
                    break
                self._take(frame)
        except (OSError, ClientError, msgspec.DecodeError) as error:
            reason = str(error) or reason
        except Exception as error:  # task boundary: a picture that stands still must say so
            reason = f"this side failed on what the engine said: {error!r}"
        self._end(reason)

    def _end(self, reason: str) -> None:
        self.lost = self.lost or reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(NoEngine(f"the answer is not known: {reason}"))
        self._waiting.clear()
        self._writer.close()
        self.on_lost(reason)

    def _take(self, frame: Any) -> None:
        if isinstance(frame, p.Update):
            if self._resyncing:
                return
            try:
                message = self.replica.follow(frame)
            except SequenceGap:
                self._resyncing = True
                self._write(p.Resync())
                return
            self.on_message(message)
        elif isinstance(frame, p.Snapshot):
            self._resyncing = False
            self.replica.restart(frame)
            self.on_snapshot()
        elif isinstance(frame, p.Answer):
            future = self._waiting.pop(frame.id, None)
            if future is not None and not future.done():
                future.set_result(frame)
        elif isinstance(frame, p.ControlChanged):
            self.control = frame
            self.on_control(frame)

    def _write(self, frame: object) -> None:
        self._writer.write(wire.frame(frame))

    def watch(self, instruments: tuple[InstrumentId, ...], depth: int = 20) -> None:
        """Name the instruments whose book and prints are wanted; replaces the last list."""
        for instrument in instruments:
            market = self.state.markets.get(instrument)
            if market is not None and instrument not in self._watched:
                market.trades.clear()  # the engine sends the recent prints anew, without a hole
                market.printed = 0
        self._watched = frozenset(instruments)
        self._write(p.Watch(instruments, depth))

    async def send(self, command: Command) -> p.Outcome:
        """Give a command and return what came of it, once that is durable.

        Raises:
            NoEngine: the link was lost before the answer; the outcome is not known. Ask again with the same
                ``operation_id``: an instruction is never carried out twice.
        """
        id_ = next(self._ids)
        answer = await self._call(id_, p.Send(id_, command))
        return msgspec.msgpack.decode(answer.body, type=p.Outcome)

    async def take_control(self) -> p.Outcome:
        """Take control from whichever terminal has it.

        Raises:
            NoEngine: the link was lost before the answer.
        """
        id_ = next(self._ids)
        answer = await self._call(id_, p.TakeControl(id_))
        return msgspec.msgpack.decode(answer.body, type=p.Outcome)

    @overload
    async def ask(self, question: p.AskStatus) -> Status: ...
    @overload
    async def ask(self, question: p.AskOrders) -> tuple[OrderRecord, ...]: ...
    @overload
    async def ask(self, question: p.AskFills) -> tuple[p.FillView, ...]: ...
    @overload
    async def ask(self, question: AskRisk) -> RiskView: ...
    @overload
    async def ask(self, question: p.AskBars | AskHistory) -> tuple[Bar, ...]: ...
    @overload
    async def ask(self, question: p.AskPreview) -> p.PreviewView: ...
    @overload
    async def ask(self, question: p.AskLimits) -> tuple[p.LimitView, ...]: ...
    @overload
    async def ask(self, question: p.AskRecords) -> p.Records: ...
    @overload
    async def ask(self, question: p.AskVenues) -> tuple[p.VenueReport, ...]: ...
    @overload
    async def ask(self, question: p.Question) -> Any: ...
    async def ask(self, question: Any) -> Any:
        """Ask a question and return its answer.

        Raises:
            ClientError: the engine could not answer; its sentence says why.
        """
        id_ = next(self._ids)
        answer = await self._call(id_, p.Ask(id_, question))
        return msgspec.msgpack.decode(answer.body, type=p.ANSWERS[type(question)])

    async def _call(self, id_: int, frame: object) -> p.Answer:
        if self.lost:
            raise NoEngine(f"not connected: {self.lost}")
        future: asyncio.Future[p.Answer] = asyncio.get_running_loop().create_future()
        self._waiting[id_] = future
        self._write(frame)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await future
        except TimeoutError:
            self._waiting.pop(id_, None)
            raise NoEngine(
                f"the engine did not answer within {ANSWER_TIMEOUT_S:g} s; the outcome is not known"
            ) from None
        if answer.error:
            raise ClientError(answer.error)
        return answer

    async def close(self) -> None:
        """End the session."""
        self.on_lost = _ignore
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
