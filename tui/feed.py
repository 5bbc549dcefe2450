"""Follow the engine: keep one session alive, know how old everything is, and say what has changed since the last frame.

The replica is brought up to date with every message; the screen asks ten times a second what became dirty. A lost link
is retried for as long as the terminal lives.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.domain import events as e
from core.domain import market as m
from core.domain.alerts import AlertRaised
from core.domain.identifiers import InstrumentId
from core.domain.message import Event, Message
from core.domain.studies import ConfigChanged, ResearcherStatus, StudyChanged
from core.errors import ClientError
from core.session import protocol as p
from core.session.client import Client
from core.session.status import Status
from core.state.state import State
from tui.asking import Asking

RETRY_S = (0.2, 0.5, 1.0, 2.0)
PING_S = 1.0
DEPTH = 60
BARS_WANTED = 500
KEPT_EVENTS = 200
KEPT_FILLS = 500

ACCOUNT, ORDERS, NOTICES, LINK, STUDIES = "account", "orders", "notices", "link", "studies"


class Dirty:
    """What changed since the last frame: topics of the account, and instruments by kind of data."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.quotes: set[InstrumentId] = set()
        self.books: set[InstrumentId] = set()
        self.bars: set[InstrumentId] = set()
        self.everything = True

    def __bool__(self) -> bool:
        return bool(self.everything or self.topics or self.quotes or self.books or self.bars)


class Feed(Asking):
    """One terminal's view of one engine."""

    def __init__(self, socket: Path, name: str, *, view_only: bool = False) -> None:
        super().__init__()
        self._socket = socket
        self._name = name
        self._view_only = view_only
        self._gone = asyncio.Event()
        self._watched: tuple[InstrumentId, ...] = ()
        self._asked: dict[tuple[InstrumentId, m.Interval], int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = State()
        self.dirty = Dirty()
        self.connects = 0
        self.lost_at = time.monotonic()
        self.heard_at = time.monotonic()
        self.heartbeat_at: float | None = None
        self.round_trip: float | None = None
        self.account: m.AccountMarked | None = None
        self.status: Status | None = None
        self.limits: tuple[p.LimitView, ...] = ()
        self.venues: tuple[p.VenueReport, ...] = ()
        self.events: deque[Message] = deque(maxlen=KEPT_EVENTS)
        self.fills: deque[p.FillView] = deque(maxlen=KEPT_FILLS)
        self.alarms: deque[AlertRaised] = deque(maxlen=KEPT_EVENTS)
        """New alerts since somebody last took them."""
        self.ended: deque[e.FlattenEnded] = deque(maxlen=KEPT_EVENTS)
        """Flattens that are over, since somebody last took them."""
        self.on_control: Callable[[p.ControlChanged | None, p.ControlChanged], None] = lambda *_: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[str], None] = lambda _: None

    # -- life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a session with the engine until cancelled."""
        failures = 0
        while True:
            try:
                await self._session()
                failures = 0
            except (ClientError, OSError) as error:
                self._failed(str(error))
                failures += 1
            except Exception as error:  # task boundary: a screen must never stand still without a word
                self._failed(f"the view failed: {error!r}")
                failures += 1
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    def _failed(self, words: str) -> None:
        self.trouble = words
        self.dirty.topics.add(LINK)

    async def _session(self) -> None:
        client = await Client.connect(self._socket, self._name, view_only=self._view_only, terminal=True)
        try:
            self._gone.clear()
            self._asked.clear()
            client.on_message, client.on_snapshot, client.on_lost = self._message, self._snapshot, self._lost
            client.on_control = self._controlled
            self._client = client
            self.trouble = client.lost
            self.connects += 1
            self._snapshot()
            if self._watched:
                client.watch(self._watched, DEPTH)
            self.on_up()
            if client.control is not None:  # it may have come with the snapshot
                self._controlled(client.control)
            self._spawn(self._recent_fills(client))
            while not self._gone.is_set():
                await self._ping(client)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._gone.wait(), PING_S)
        finally:
            self._client = None
            self._empty = client.state
            await client.close()

    async def stop(self) -> None:
        """End the session."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.trouble = str(task.exception())

    async def _ping(self, client: Client) -> None:
        """Measure the link by a question that the screen needs anyway."""
        started = time.monotonic()
        try:
            self.status = await client.ask(p.AskStatus())
            self.round_trip = time.monotonic() - started
            self.limits = await client.ask(p.AskLimits())
            self.venues = await client.ask(p.AskVenues())
        except ClientError:
            self.round_trip = None
        self.dirty.topics.add(ACCOUNT)

    async def _recent_fills(self, client: Client) -> None:
        since = time.time_ns() - 86_400_000_000_000
        with contextlib.suppress(ClientError):
            found = await client.ask(p.AskFills(since, KEPT_FILLS))
            known = {(fill.instrument, fill.fill_id) for fill in found}
            newer = [fill for fill in self.fills if (fill.instrument, fill.fill_id) not in known]
            self.fills = deque((*found, *newer), maxlen=KEPT_FILLS)
            self.dirty.everything = True

    # -- what the engine says --------------------------------------------------------------------------------

    def _snapshot(self) -> None:
        self.heard_at = time.monotonic()
        self.dirty.everything = True
        self._asked.clear()

    def _lost(self, reason: str) -> None:
        self.trouble = reason
        self.control = None
        self.lost_at = time.monotonic()
        self.round_trip = None
        self._gone.set()
        self.dirty.everything = True
        self.on_down(reason)

    def _controlled(self, control: p.ControlChanged) -> None:
        before, self.control = self.control, control
        self.dirty.topics.add(LINK)
        self.on_control(before, control)

    def _message(self, message: Message) -> None:
        self.heard_at = time.monotonic()
        dirty = self.dirty
        if isinstance(message, m.AccountMarked):
            self.account, self.heartbeat_at = message, self.heard_at
            dirty.topics.add(ACCOUNT)
        elif isinstance(message, (m.BookSnapshot, m.BookDelta, m.Trade)):
            dirty.books.add(message.instrument)
            dirty.quotes.add(message.instrument)
        elif isinstance(message, m.Bar):
            dirty.bars.add(message.instrument)
        elif isinstance(message, m.InstrumentDefined):
            dirty.everything = True
        elif isinstance(message, ResearcherStatus | StudyChanged | ConfigChanged):
            dirty.topics.add(STUDIES)
        elif isinstance(message, Event | m.VenueStatus | m.StoreStatus):
            self._event(message)
        elif isinstance(found := getattr(message, "instrument", None), str):
            dirty.quotes.add(InstrumentId(found))

    def _event(self, message: Message) -> None:
        if isinstance(message, e.OrderFilled):
            self.fills.append(p.FillView.of(message))
        if isinstance(message, AlertRaised) and not message.muted:
            self.alarms.append(message)
        if isinstance(message, e.FlattenEnded):
            self.ended.append(message)
        self._remember(message)
        self.dirty.topics |= {ORDERS, ACCOUNT, NOTICES}

    def _remember(self, message: Message) -> None:
        """Keep an event; a change that is refused again for the same reason takes the place of the time before.

        Behind a venue that is away a close asks for the same cancels again and again: nothing else would be seen.
        """
        if isinstance(message, e.CancelRejected | e.AmendRejected):
            same = [old for old in self.events if type(old) is type(message) and _refusal(old) == _refusal(message)]
            for old in same:
                self.events.remove(old)
        self.events.append(message)

    # -- what the screen asks --------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Tell whether the engine is there."""
        return self._client is not None and not self._client.lost

    @property
    def state(self) -> State:
        """The replica; after a loss, the last one known."""
        return self._client.state if self._client is not None else self._empty

    @property
    def silent_for(self) -> float:
        """Seconds since the engine was last heard."""
        return time.monotonic() - self.heard_at

    @property
    def heartbeat_age(self) -> float | None:
        """Seconds since the engine last marked the account, which its guardian's timer does."""
        return None if self.heartbeat_at is None else time.monotonic() - self.heartbeat_at

    def take_dirty(self) -> Dirty:
        """Give what changed since the last call."""
        dirty, self.dirty = self.dirty, Dirty()
        self.dirty.everything = False
        return dirty

    def watch(self, instruments: tuple[InstrumentId, ...]) -> None:
        """Ask for book and prints of these instruments."""
        self._watched = instruments
        if self._client is not None:
            self._client.watch(instruments, DEPTH)

    def want_bars(self, instrument: InstrumentId, interval: m.Interval, count: int = BARS_WANTED) -> None:
        """Ask for history once a session, again only for more of it; it arrives in the replica."""
        if self._client is not None and self._asked.get((instrument, interval), 0) < count:
            self._asked[instrument, interval] = count
            self._spawn(self._bars(self._client, instrument, interval, count))

    async def _bars(self, client: Client, instrument: InstrumentId, interval: m.Interval, count: int) -> None:
        now = time.time_ns()
        with contextlib.suppress(ClientError):
            question = p.AskBars(instrument, interval, now - count * interval.ns, now + interval.ns)
            for bar in await client.ask(question):
                client.state.apply(bar)
            self.dirty.bars.add(instrument)


def _refusal(event: Any) -> tuple[str, str]:
    return event.client_order_id, event.reason
