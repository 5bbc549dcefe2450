"""Play tapes on another clock: stamps move to the player's time, differences and order stay."""

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.domain.market import NO_ID, BookDelta, BookSnapshot, FeedReport, Health, Quote, Trade
from core.domain.message import Nanoseconds
from core.errors import TapeError
from venues.market.parse import MarketData
from venues.market.tape import Tape, steady

Played = MarketData | FeedReport

PAUSE_NS: Nanoseconds = 100_000_000
"""Between the end of a looped tape and its next pass."""
REPEAT_NS: Nanoseconds = 500_000_000
"""How often, on the player's clock, a candle's standing price is quoted again."""


class Pace:
    """Hold by how much the player's clock was held up so far, for instance while the machine slept (ns)."""

    __slots__ = ("shift",)

    def __init__(self) -> None:
        self.shift: Nanoseconds = 0


class _Pass:
    """Hold how one pass over a tape is moved: in time by ``start - origin`` and ``speed``, in ids by ``shift``."""

    __slots__ = ("high", "low", "origin", "pace", "shift", "speed", "start", "ts")

    def __init__(self, start: Nanoseconds, speed: float, shift: int, pace: Pace) -> None:
        self.start, self.speed, self.shift, self.pace = start - pace.shift, speed, shift, pace
        self.origin: Nanoseconds | None = None
        self.ts = start
        self.low: int | None = None
        self.high = 0

    def move(self, message: MarketData) -> MarketData:
        """Return the message on the player's clock; receive stamps never run backwards."""
        if self.origin is None:
            self.origin = message.ts
        moved = self.start + self.pace.shift + int((message.ts - self.origin) / self.speed)
        self.ts = ts = max(self.ts, moved)
        exchange = ts - (message.ts - message.ts_exchange)
        m = message
        if isinstance(m, Quote):
            return Quote(m.instrument, m.bid, m.bid_size, m.ask, m.ask_size, self._id(m.update_id), exchange, ts)
        if isinstance(m, BookDelta):
            first, last, before = self._id(m.first_id), self._id(m.last_id), self._id(m.prev_id)
            return BookDelta(m.instrument, m.bids, m.asks, first, last, before, exchange, ts)
        if isinstance(m, Trade):
            # Trade ids are another series than update ids, but the same shift keeps them unique as well.
            number = m.trade_id + self.shift if m.trade_id != NO_ID else NO_ID
            return Trade(m.instrument, m.price, m.size, m.buyer, number, exchange, ts)
        if isinstance(m, BookSnapshot):
            return m.replace(last_id=self._id(m.last_id), ts_exchange=exchange, ts=ts)
        funding = ts + int((m.next_funding - m.ts) / self.speed) if m.next_funding else 0
        return m.replace(next_funding=funding, ts_exchange=exchange, ts=ts)

    def _id(self, number: int) -> int:
        if number == NO_ID:
            return NO_ID
        if self.low is None or number < self.low:
            self.low = number
        self.high = max(self.high, number)
        return number + self.shift


def play(
    tape: Tape, start: Nanoseconds, speed: float = 1.0, loop: bool = False, pace: Pace | None = None
) -> Iterator[Played]:
    """Yield a tape's messages as if it had begun at ``start`` (ns, UTC), ``speed`` times as fast.

    A FeedReport for each instrument tells the clock offset at the start, and at the end that the tape has ended or, for
    a damaged one, where and why. With ``loop`` it starts again: time and ids go on, books begin empty.
    """
    pace = pace or Pace()
    offset, name, shift = tape.clock_offset_ns, Path(tape.path).name, 0
    note = f"tape {name}" + (f", recorder clock corrected by {offset / 1e9:+.3f} s" if offset else "")
    while True:
        run = _Pass(start, speed, shift, pace)
        for instrument in tape.instruments:
            yield FeedReport(instrument, Health.LIVE, 0, offset, note, start)
            if shift:
                yield BookSnapshot(instrument, (), (), NO_ID, False, start, start)
        why = f"tape {name} has ended"
        try:
            for message in steady(tape, max(1, int(REPEAT_NS * speed))):
                yield run.move(message)
        except TapeError as error:
            why, loop = str(error), False
        if not loop:
            for instrument in tape.instruments:
                yield FeedReport(instrument, Health.DOWN, tape.stats.gaps.get(instrument, 0), offset, why, run.ts)
            return
        start = run.ts + PAUSE_NS
        shift += run.high - (run.low or 0) + 2 + sum(tape.stats.trades.values())


def play_all(
    tapes: Iterable[Tape], start: Nanoseconds, speed: float = 1.0, loop: bool = False, pace: Pace | None = None
) -> Iterator[Played]:
    """Yield several tapes together, in the order of time; each begins at ``start``."""
    return heapq.merge(*(play(tape, start, speed, loop, pace) for tape in tapes), key=lambda message: message.ts)
