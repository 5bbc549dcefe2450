"""Where the practice exchange's prices come from: the built-in flow, tapes, or a test's hand."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar
from core.domain.message import Data, Nanoseconds
from venues.market.flow import RATE, Flow, FlowState
from venues.market.history import backfill
from venues.market.player import Pace, Played, play_all
from venues.market.tape import Tape
from venues.matching.matching import NEVER

SLEPT_NS: Nanoseconds = 5_000_000_000
"""Behind by more than this, the machine slept or the process was stopped: time is skipped, not caught up."""
BATCH = 5_000
"""Messages of a tape handed out at once, so that a fast tape leaves time for sessions."""


class Source(Protocol):
    """Give market data when they are due."""

    instruments: Sequence[InstrumentId]

    @property
    def next_due(self) -> Nanoseconds:
        """Return when the next message comes (ns, UTC)."""
        ...

    def take(self, now: Nanoseconds) -> Sequence[Data]:
        """Return the messages due by now, in the order of time."""
        ...

    def opening(self) -> Sequence[Data]:
        """Return what there is to know before the first message."""
        ...

    def past(self) -> Iterable[Bar]:
        """Return closed minutes behind a first start."""
        ...

    def state(self) -> bytes:
        """Return what must outlive the process; empty for nothing."""
        ...


class FlowSource:
    """Play the built-in market; an old state goes on where it was unless another seed is asked for."""

    def __init__(self, now: Nanoseconds, seed: int | None, rate: float = RATE, state: bytes = b"") -> None:
        before = msgspec.msgpack.decode(state, type=FlowState) if state else None
        if before is not None and seed is not None and seed != before.seed:
            before = None
        self.fresh = before is None
        self._flow = Flow(1 if seed is None else seed, now, rate, before)
        self.instruments: Sequence[InstrumentId] = tuple(self._flow.markets)

    @property
    def next_due(self) -> Nanoseconds:
        """Return when the next message comes (ns, UTC)."""
        return self._flow.next_due

    def take(self, now: Nanoseconds) -> Sequence[Data]:
        """Return the messages due by now."""
        if now - self._flow.now > SLEPT_NS:
            self._flow.pause(now)
        return self._flow.run(now)

    def opening(self) -> Sequence[Data]:
        """Return books, quotes and marks."""
        return self._flow.opening()

    def past(self) -> Iterable[Bar]:
        """Return the day behind a first start."""
        return backfill(self._flow) if self.fresh else ()

    def state(self) -> bytes:
        """Return prices, ids and the stretch of the seed."""
        return msgspec.msgpack.encode(self._flow.state())


class TapeSource:
    """Play tapes on the market's clock."""

    def __init__(self, tapes: Sequence[Tape], now: Nanoseconds, speed: float = 1.0, loop: bool = False) -> None:
        self.instruments: Sequence[InstrumentId] = tuple(
            dict.fromkeys(instrument for tape in tapes for instrument in tape.instruments)
        )
        self._pace = Pace()
        self._played: Iterator[Played] = play_all(tapes, now, speed, loop, self._pace)
        self._next = next(self._played, None)

    @property
    def next_due(self) -> Nanoseconds:
        """Return when the next message comes; never, when all tapes have ended."""
        return NEVER if self._next is None else self._next.ts

    def take(self, now: Nanoseconds) -> Sequence[Data]:
        """Return the messages due by now."""
        if self._next is not None and now - self.next_due > SLEPT_NS:
            self._pace.shift += now - self.next_due
        out: list[Data] = []
        while self._next is not None and self.next_due <= now and len(out) < BATCH:
            out.append(self._next)
            self._next = next(self._played, None)
        return out

    def opening(self) -> Sequence[Data]:
        """Return nothing: a tape begins with its first line."""
        return ()

    def past(self) -> Iterable[Bar]:
        """Return nothing."""
        return ()

    def state(self) -> bytes:
        """Return nothing: a tape starts from its beginning."""
        return b""


class ManualSource:
    """Hand on what a session publishes; for tests that need prices of their own."""

    def __init__(self, instruments: Sequence[InstrumentId]) -> None:
        self.instruments = instruments
        self.queue: deque[Data] = deque()

    @property
    def next_due(self) -> Nanoseconds:
        """Return now if something was published."""
        return 0 if self.queue else NEVER

    def take(self, now: Nanoseconds) -> Sequence[Data]:
        """Return what was published, stamped now."""
        out: list[Data] = [message.replace(ts=now) for message in self.queue]
        self.queue.clear()
        return out

    def opening(self) -> Sequence[Data]:
        """Return nothing."""
        return ()

    def past(self) -> Iterable[Bar]:
        """Return nothing."""
        return ()

    def state(self) -> bytes:
        """Return nothing."""
        return b""
