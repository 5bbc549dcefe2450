"""The market process: prices, accounts and sessions of the practice exchange.

It stands in for each venue with an account of its own. It outlives the engine: orders rest and fill while nobody is
connected, and an answer leaves only when what it says is durable, so that kill -9 loses nothing that was said.
"""

import asyncio
import functools
import os
import signal
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import structlog

from core.clock import LiveClock
from core.domain import market as m
from core.domain.identifiers import Asset, InstrumentId, VenueId
from core.domain.message import Data, Nanoseconds
from core.errors import VenueError
from core.session import wire
from core.state.book import Book, Sync
from venues.market import protocol as p
from venues.market.accounts import START_BALANCES, Account, Accounts
from venues.market.flow import RATE
from venues.market.history import History
from venues.market.keep import FolderLock, LatestFile
from venues.market.memory import BarFile, Memory
from venues.market.opening import open_tape
from venues.market.session import Session
from venues.market.source import FlowSource, ManualSource, Source, TapeSource
from venues.market.tape import Tape
from venues.matching.settings import TYPICAL_LATENCY, LatencySettings

log = structlog.get_logger()
_TURN_S = 0.05
"""The longest sleep; the shortest is a millisecond."""
_SAVE_NS: Nanoseconds = 1_000_000_000
_FEEDS: dict[type, m.Feed] = {
    m.Quote: m.Feed.QUOTE,
    m.Trade: m.Feed.TRADE,
    m.BookDelta: m.Feed.BOOK,
    m.BookSnapshot: m.Feed.BOOK,
    m.MarkPrice: m.Feed.MARK,
}


class MarketSettings(msgspec.Struct, frozen=True):
    """How a market process is started; everything it keeps lives under ``home``/market."""

    home: Path
    tapes: tuple[Path, ...] = ()
    loop: bool = False
    speed: float = 1.0
    seed: int | None = None
    rate: float = RATE
    manual: tuple[InstrumentId, ...] = ()
    """Instruments whose prices sessions publish; for tests."""
    latency: LatencySettings = TYPICAL_LATENCY
    balances: dict[VenueId, dict[Asset, Decimal]] | None = None
    """What accounts hold at their first start, where it is not the usual."""

    @property
    def socket(self) -> Path:
        """Return where the market listens."""
        return self.home / p.SOCKET


class MarketServer:
    """Run the exchange on the present event loop."""

    def __init__(self, settings: MarketSettings, tapes: Sequence[Tape] = ()) -> None:
        self.settings = settings
        self.clock = LiveClock()
        folder = settings.home / "market"
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FolderLock(folder)
        file = LatestFile(folder / "accounts")
        now = self.clock.now()
        life = file.values.get("life", f"{now // 1_000_000_000:x}".encode())
        file.put({"life": life}, sync=True)
        self.source = _source(settings, tapes, now, file.values.get("flow", b""))
        self.accounts = Accounts(
            self.source.instruments, file.values, life.decode(), settings.latency, settings.balances or START_BALANCES
        )
        self.memory = Memory(file, self.accounts)
        self.history = History()
        self._bars: BarFile | None = None
        if isinstance(self.source, FlowSource):
            self._bars = BarFile(folder / "bars", now, self.source.fresh)
            self.history.add(self._bars.take())
            if past := list(self.source.past()):
                self.history.add(past)
                self._bars.append(past)
        self.feeds = Feeds()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._saved: Nanoseconds = 0
        self._due: deque[Data] = deque()
        self.sessions: set[Session] = set()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and let prices move.

        Raises:
            VenueError: when the socket cannot be made.
        """
        path = self.settings.socket
        if len(os.fsencode(path)) > 100:
            raise VenueError(f"{path} is too long for a socket (100 bytes); use a shorter --home")
        path.unlink(missing_ok=True)  # the folder's lock is ours: whoever listened here is gone
        before = os.umask(0o177)
        try:
            self._server = await asyncio.get_running_loop().create_unix_server(lambda: Session(self), str(path))
        finally:
            os.umask(before)
        for message in self.source.opening():
            self._data(message)
        log.info("market open", socket=str(path), instruments=len(self.source.instruments))
        self._turn()

    async def stop(self) -> None:
        """Stop prices, write what is left, close the sessions."""
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
        self._settle()
        self._save(self.clock.now())
        await self.memory.close()
        for session in list(self.sessions):
            session.end("the market closes")
        if self._bars is not None:
            self._bars.close()
        self.settings.socket.unlink(missing_ok=True)
        self._lock.release()

    # --- time ---------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        try:
            self._move(self.clock.now())
        except Exception:  # task boundary: one bad message must not stop prices for good
            log.exception("the market stumbled")
        finally:
            self._arm()

    def _move(self, now: Nanoseconds) -> None:
        self._due.extend(self.source.take(now))
        while self._due:
            self._data(self._due.popleft())
        self.accounts.advance(now)
        self._settle()
        if now - self._saved >= _SAVE_NS:
            self._keep_bars(self.history.on_time(now))
            self._save(now)
        for session in list(self.sessions):
            session.flush()

    def _arm(self) -> None:
        """Have the next turn come when something is due."""
        if self._timer is not None:
            self._timer.cancel()
        due = min(self.source.next_due, self.accounts.next_due) - self.clock.now()
        delay = min(max(due / 1e9, 0.001), _TURN_S)
        self._timer = asyncio.get_running_loop().call_later(delay, self._turn)

    def _data(self, message: Data) -> None:
        instrument: InstrumentId = message.instrument  # type: ignore[attr-defined]
        self.feeds.on_data(message, instrument)
        self.accounts.on_data(message, instrument)
        if isinstance(message, m.Trade):
            self._keep_bars(self.history.on_trade(message))

    def _keep_bars(self, bars: list[m.Bar]) -> None:
        if bars and self._bars is not None:
            self._bars.append(bars)

    def _save(self, now: Nanoseconds) -> None:
        self._saved = now
        if state := self.source.state():
            self.memory.note("flow", state)

    def _settle(self) -> None:
        """Hand the accounts' news to the memory, and from there to their sessions."""
        for account in self.accounts.by_venue.values():
            if account.events or account.touched:
                events = tuple(wire.frame(event) for event in account.events)
                account.events.clear()
                account.touched = False
                self.memory.changed(account.venue, functools.partial(self._tell, account.venue, events))

    def _tell(self, venue: VenueId, frames: Sequence[bytes]) -> None:
        for session in self.sessions:
            if session.venue == venue:
                for frame in frames:
                    session.send(frame)
                session.flush()

    # --- sessions -----------------------------------------------------------------------------------------------------

    def login(self, session: Session, frame: p.Login) -> None:
        """Enter an account."""
        account = self.accounts.by_venue.get(frame.venue)
        if frame.protocol != p.PROTOCOL:
            session.end(f"you speak protocol {frame.protocol}, this market {p.PROTOCOL}: use the same version of both")
        elif account is None:
            known = ", ".join(self.accounts.by_venue)
            session.end(f'no account at "{frame.venue}"; this market stands in for {known}')
        else:
            session.venue, session.name = frame.venue, frame.name
            self.sessions.add(session)
            self._reply(session, p.Welcome(frame.venue, account.instruments, self.clock.now()))

    def left(self, session: Session) -> None:
        """Forget a session."""
        self.sessions.discard(session)
        self.feeds.forget(session)

    def take(self, session: Session, frame: p.Frame) -> None:
        """Take a frame of a session that is logged in."""
        assert session.venue is not None
        account, now = self.accounts.by_venue[session.venue], self.clock.now()
        if isinstance(frame, p.Request):
            account.request(frame.command, now)
            self._settle()
            self._reply(session, p.Done(frame.id))
            self._arm()
        elif isinstance(frame, p.Subscribe):
            self.feeds.subscribe(session, frame, now)
            session.flush()
        elif isinstance(frame, p.Publish):
            self._publish(session, frame)
        else:
            self._ask(session, account, frame, now)

    def _ask(self, session: Session, account: Account, frame: p.Frame, now: Nanoseconds) -> None:
        account.matching.advance(now)
        if isinstance(frame, p.AskOrder | p.AskSnapshot):
            account.touched = True  # it may tell of what was carried out and whose answer is still on its way
        self._settle()
        if isinstance(frame, p.AskOrder):
            self._reply(session, p.OrderAnswer(frame.id, account.matching.order(frame.client_order_id)))
        elif isinstance(frame, p.AskSnapshot):
            self._reply(session, p.SnapshotAnswer(frame.id, account.matching.snapshot(frame.since)))
        elif isinstance(frame, p.AskHistory):
            bars = self.history.bars(frame.instrument, frame.interval, frame.start, min(frame.end, now))
            self._reply(session, p.HistoryAnswer(frame.id, tuple(bars)))

    def _publish(self, session: Session, frame: p.Publish) -> None:
        if not isinstance(self.source, ManualSource):
            self._reply(session, p.Failed(frame.id, "this market makes its own prices"))
            return
        self.source.queue.extend(frame.messages)
        self._turn()
        self._reply(session, p.Done(frame.id))

    def _reply(self, session: Session, frame: p.Frame) -> None:
        """Answer when everything said before, and what the answer rests on, is durable."""

        def send() -> None:
            session.send(wire.frame(frame))
            session.flush()

        self.memory.after(send)


class Feeds:
    """Know who follows what, and what a newcomer must be shown first."""

    def __init__(self) -> None:
        self._followers: dict[tuple[InstrumentId, m.Feed], set[Session]] = {}
        self._books: dict[InstrumentId, Book] = {}
        self._last: dict[tuple[InstrumentId, m.Feed], Data] = {}
        self._reports: dict[InstrumentId, m.FeedReport] = {}

    def on_data(self, message: Data, instrument: InstrumentId) -> None:
        """Pass a message on to its followers."""
        if isinstance(message, m.BookDelta):
            self._book(instrument).apply_delta(message)
        elif isinstance(message, m.BookSnapshot):
            book = self._book(instrument)
            book.apply_snapshot(message)
            if book.last_id > message.last_id:  # older than the deltas that a newcomer was shown as one picture
                message = _picture(instrument, book, message.ts).replace(ts_exchange=message.ts_exchange)
        elif isinstance(message, m.FeedReport):
            self._reports[instrument] = message
            log.info("feed", instrument=instrument, health=str(message.health), reason=message.reason)
        feed = _FEEDS.get(type(message))
        if feed is None:
            parties = [sessions for (key, _), sessions in self._followers.items() if key == instrument]
            followers: set[Session] = set().union(*parties)
        else:
            if feed is not m.Feed.BOOK:
                self._last[instrument, feed] = message
            followers = self._followers.get((instrument, feed), set())
        if followers:
            frame = wire.frame(message)
            for session in followers:
                session.send(frame)

    def _book(self, instrument: InstrumentId) -> Book:
        book = self._books.get(instrument)
        if book is None:
            book = self._books[instrument] = Book()
        return book

    def subscribe(self, session: Session, frame: p.Subscribe, now: Nanoseconds) -> None:
        """Start or end a feed; a newcomer is shown where it stands."""
        key = (frame.instrument, frame.feed)
        followers = self._followers.setdefault(key, set())
        if not frame.on:
            followers.discard(session)
            return
        if session in followers:
            return
        followers.add(session)
        if (report := self._reports.get(frame.instrument)) is not None:
            session.send(wire.frame(report.replace(ts=now)))
        if frame.feed is m.Feed.BOOK:
            book = self._books.get(frame.instrument)
            if book is not None and book.sync is not Sync.EMPTY:
                session.send(wire.frame(_picture(frame.instrument, book, now)))
        elif (last := self._last.get(key)) is not None and frame.feed is not m.Feed.TRADE:
            session.send(wire.frame(last))

    def forget(self, session: Session) -> None:
        """End all feeds of a session."""
        for followers in self._followers.values():
            followers.discard(session)


def _picture(instrument: InstrumentId, book: Book, now: Nanoseconds) -> m.BookSnapshot:
    bids, asks = book.top(max(len(book.bid_prices), len(book.ask_prices)))
    return m.BookSnapshot(instrument, bids, asks, book.last_id, book.sync is Sync.SYNCED, now, now)


def _source(settings: MarketSettings, tapes: Sequence[Tape], now: Nanoseconds, state: bytes) -> Source:
    if settings.manual:
        return ManualSource(settings.manual)
    played = [*tapes, *(open_tape(path) for path in settings.tapes)]
    if played:
        return TapeSource(played, now, settings.speed, settings.loop)
    return FlowSource(now, settings.seed, settings.rate, state)


async def serve(settings: MarketSettings, stop: asyncio.Event) -> None:
    """Run the market until ``stop`` is set.

    Raises:
        TapeError: for a tape that cannot be opened.
        HomeLocked: when another market runs in this home.
    """
    server = MarketServer(settings)
    await server.start()
    try:
        await stop.wait()
    finally:
        await server.stop()


def run(settings: MarketSettings) -> None:
    """Run the market as this process until SIGTERM or SIGINT."""
    import uvloop

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(settings, stop)

    uvloop.run(main())
