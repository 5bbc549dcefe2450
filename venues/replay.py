"""Replay: recorded messages as a venue on a clock, and the synchronous driver of back-tests."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from core.clock import ManualClock
from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.events import VenueReconciled
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueId
from core.domain.instrument import Instrument
from core.domain.market import Bar, Feed, FeedReport, Health, InstrumentDefined, Interval, Timer, VenueStatus
from core.domain.message import Command, Event, Message, Nanoseconds
from core.errors import DomainError
from core.outbox import Confirm, PastWanted
from core.ports import Clock, Emit
from core.reconcile.reconcile import reconcile, reported
from core.state.state import State
from venues.matching.matching import Matching
from venues.matching.settings import SECOND, MatchingSettings
from venues.matching.venue import MatchedVenue, opening_balances

_TIMERS_IN_A_SILENCE = 12
"""Timers between two messages at most, however far apart they are."""
_AFTER_THE_END = 3600 * SECOND
"""Commands after the last message by more than this are refused: a wrong stamp would let years pass step by step."""
_TURN = 256
"""Messages emitted before other tasks of the loop get their turn."""


class TapeFeed:
    """Play messages that are stamped on a clock's time (``venues.market.player`` restamps a tape, at any speed).

    With a ``ManualClock`` the tape moves the clock and plays as fast as it can; otherwise each message waits for its
    time. Everything on the tape is emitted, whatever is subscribed to. ``finished`` is set at its end.
    """

    def __init__(self, messages: Iterable[Message], clock: Clock) -> None:
        self.finished = asyncio.Event()
        self.played = 0
        self._messages = messages
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self, emit: Emit) -> None:
        """Begin to play."""
        self._task = asyncio.create_task(self._play(emit), name="replay")

    async def stop(self) -> None:
        """Stop playing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _play(self, emit: Emit) -> None:
        clock = self._clock
        manual = clock if isinstance(clock, ManualClock) else None
        for message in self._messages:
            ts: Nanoseconds = message.ts  # type: ignore[attr-defined]
            if manual is not None:
                manual.advance(ts)
            else:
                ahead = ts - clock.now()
                if ahead > 0:
                    await asyncio.sleep(ahead / 1e9)
            emit(message)
            self.played += 1
            if self.played % _TURN == 0:
                await asyncio.sleep(0)
        self.finished.set()

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """Do nothing: the tape plays what it holds."""

    async def unsubscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """Do nothing: the tape plays what it holds."""

    async def history(
        self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[Bar]:
        """Return no bars: a tape has no past before its beginning."""
        return ()


class Replay(MatchedVenue):
    """An account over a tape: on a live clock at the speed the tape was stamped for, unpaced on a ManualClock."""

    def __init__(
        self,
        venue: VenueId,
        instruments: Sequence[Instrument],
        messages: Iterable[Message],
        clock: Clock,
        settings: MatchingSettings | None = None,
        balances: Mapping[Asset, Decimal] | None = None,
    ) -> None:
        self.tape = TapeFeed(messages, clock)
        super().__init__(venue, instruments, self.tape, clock, settings, balances)


class Processor(Protocol):
    """What the driver needs of the engine."""

    @property
    def state(self) -> State:
        """Return everything known."""
        ...

    def process(self, message: Message) -> Sequence[Any]:
        """Take one message and return its effects."""
        ...


class ReplayDriver:
    """Run an engine over messages and matchings in one thread: no loop, no clock, the same result every time.

    For each message, in the order of time: what the venues have to say before it, the message itself, the fills it
    caused, then the orders that all of this led to. ``observe`` sees the effects of every step; ``past`` answers a
    strategy's question for bars of before.
    """

    def __init__(
        self,
        engine: Processor,
        venues: Mapping[VenueId, Sequence[Instrument]],
        settings: MatchingSettings | None = None,
        balances: Mapping[VenueId, Mapping[Asset, Decimal]] | None = None,
        observe: Callable[[Sequence[Any]], None] | None = None,
        timer_ns: Nanoseconds = SECOND,
        past: Callable[[PastWanted], Message] | None = None,
    ) -> None:
        self.engine = engine
        self.played = 0
        self._observe = observe
        self._past = past
        self._timer_ns = timer_ns
        self._next_timer: Nanoseconds = 0
        self._events: deque[Message] = deque()
        self._orders: dict[ClientOrderId, Matching] = {}
        self.matchings: dict[VenueId, Matching] = {}
        self._by_instrument: dict[str, Matching] = {}
        for venue, instruments in venues.items():
            wallets = (balances or {}).get(venue) or opening_balances(instruments)
            matching = Matching(venue, instruments, wallets, settings or MatchingSettings(), self._collect)
            self.matchings[venue] = matching
            self._by_instrument.update((instrument.id, matching) for instrument in instruments)
        self._venues = list(self.matchings.values())
        self._instruments = [instrument for listed in venues.values() for instrument in listed]

    def run(self, messages: Iterable[Message], commands: Iterable[Command] = ()) -> None:
        """Play messages to the end, each of ``commands`` (in the order of ``ts``) before the first message after it."""
        waiting = iter(commands)
        command = next(waiting, None)
        for message in messages:
            ts: Nanoseconds = message.ts  # type: ignore[attr-defined]
            if not self.played:
                self.open(ts)
            while command is not None and _time(command) <= ts:
                self.command(command)
                command = next(waiting, None)
            self.step(message, ts)
        end = self.engine.state.now
        while command is not None:
            if _time(command) > end + _AFTER_THE_END:
                raise DomainError(
                    f"ts_ns {_time(command)} is long after the end of the tape ({end}): nothing trades there; "
                    f"expected at most {_AFTER_THE_END // SECOND} s after it"
                )
            self.command(command)
            command = next(waiting, None)

    def open(self, ts: Nanoseconds) -> None:
        """Introduce venues, instruments and accounts to the engine, as a connect does."""
        self._next_timer = ts
        for venue, matching in self.matchings.items():
            matching.advance(ts)
            self._process(VenueStatus(venue, True, "replay", ts), ts)
        for instrument in self._instruments:
            self._process(InstrumentDefined(instrument, ts), ts)
            self._process(FeedReport(instrument.id, Health.LIVE, 0, 0, "replay", ts), ts)
        for matching in self.matchings.values():
            for event in reconcile(self.engine.state, matching.snapshot(0), {}, ts, ts):
                self._process(event, ts)

    def command(self, command: Command) -> None:
        """Give the engine a command at its own time, or now where that has passed."""
        ts: Nanoseconds = max(_time(command), self.engine.state.now)
        self._reach(ts)
        self._process(command if _time(command) == ts else command.replace(ts=ts), ts)

    def step(self, message: Message, ts: Nanoseconds) -> None:
        """Play one message."""
        if ts >= self._next_timer:
            self._reach(ts)
        else:
            for venue in self._venues:
                if venue.next_due <= ts:
                    self._reach(ts)
                    break
        matching = self._by_instrument.get(getattr(message, "instrument", ""))
        if matching is not None:
            matching.on_data(message)
        effects = self.engine.process(message)
        self.played += 1
        if effects:
            self._carry_out(effects, ts)
        if self._events:
            self._drain(ts)

    def finish(self, ts: Nanoseconds) -> None:
        """Let time pass to ``ts`` without data: requests and answers on their way arrive."""
        self._reach(ts)

    def _reach(self, ts: Nanoseconds) -> None:
        """Let venues and timers do what is due up to ``ts``, in the order of time."""
        pace = max(self._timer_ns, (ts - self._next_timer) // _TIMERS_IN_A_SILENCE)
        while True:
            matching = min(self._venues, key=_due, default=None)
            due = matching.next_due if matching is not None else ts + 1
            if due > ts and self._next_timer > ts:
                return
            if self._next_timer <= due:
                self._process(Timer(self._next_timer), self._next_timer)
                self._next_timer += pace
            elif matching is not None:
                matching.advance(due)
                self._drain(due)

    def _collect(self, message: Message) -> None:
        if isinstance(message, Event):
            self._events.append(message)

    def _drain(self, ts: Nanoseconds) -> None:
        events = self._events
        while events:
            effects = self.engine.process(events.popleft())
            if effects:
                self._carry_out(effects, ts)

    def _process(self, message: Message, ts: Nanoseconds) -> None:
        effects = self.engine.process(message)
        if effects:
            self._carry_out(effects, ts)
        if self._events:
            self._drain(ts)

    def _carry_out(self, effects: Sequence[Any], ts: Nanoseconds) -> None:
        if self._observe is not None:
            self._observe(effects)
        for effect in effects:
            if type(effect) is Approved:
                self._send(effect.command, ts)
            elif type(effect) is Confirm:
                self._confirm(effect.venue, ts)
            elif type(effect) is PastWanted and self._past is not None:
                self._events.append(self._past(effect))

    def _confirm(self, venue: VenueId, ts: Nanoseconds) -> None:
        """Let a venue say what it holds: an exit of the guardian's ends with nothing less."""
        snapshot = self.matchings[venue].snapshot(ts)
        flat = reported(self.engine.state, snapshot)
        self._events.append(VenueReconciled(venue, snapshot.ts_exchange, ts, ts, flat))

    def _send(self, command: Command, ts: Nanoseconds) -> None:
        if type(command) is SubmitOrder:
            order = command.order
            matching = self.matchings[order.venue] if order.venue else self._by_instrument[order.instrument]
            self._orders[order.client_order_id] = matching
            matching.submit(command, ts)
        elif type(command) is CancelOrder:
            self._orders[command.client_order_id].cancel(command, ts)
        elif type(command) is AmendOrder:
            self._orders[command.client_order_id].amend(command, ts)


def _due(matching: Matching) -> Nanoseconds:
    return matching.next_due


def _time(command: Command) -> Nanoseconds:
    ts: Nanoseconds = command.ts  # type: ignore[attr-defined]
    return ts
