"""A tape is a recorded stream of messages that counts what it brought; flat memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.instrument import ZERO
from core.domain.market import NO_ID, BookDelta, Quote, Trade
from core.domain.message import Nanoseconds
from venues.market.parse import MarketData


class TapeStats(msgspec.Struct):
    """Count what one pass over a tape brought; ``volume`` is the sum of the sizes of one instrument's trades."""

    messages: int = 0
    trades: dict[InstrumentId, int] = {}
    volume: dict[InstrumentId, Decimal] = {}
    gaps: dict[InstrumentId, int] = {}
    last_ids: dict[InstrumentId, int] = {}

    def count(self, message: MarketData) -> None:
        """Count one message, and a gap where a delta does not follow the one before."""
        self.messages += 1
        if type(message) is Trade:
            key = message.instrument
            self.trades[key] = self.trades.get(key, 0) + 1
            self.volume[key] = self.volume.get(key, ZERO) + Decimal(repr(message.size))
        elif type(message) is BookDelta:
            key = message.instrument
            last = self.last_ids.get(key, NO_ID)
            if NO_ID not in (last, message.last_id):
                follows = message.prev_id == last if message.prev_id != NO_ID else message.first_id <= last + 1
                if not follows:
                    self.gaps[key] = self.gaps.get(key, 0) + 1
            self.last_ids[key] = message.last_id


class Tape(Protocol):
    """A recorded stream; each iteration starts at its beginning, with the stamps of the recording, offset corrected."""

    path: str
    clock_offset_ns: int
    hold_ns: Nanoseconds
    """How long a price stands when nothing follows it, as between the points of a candle; 0 where all was recorded."""
    stats: TapeStats
    """Of the present or last iteration."""

    @property
    def instruments(self) -> Sequence[InstrumentId]:
        """Return what the tape carries, as far as its first lines show."""
        ...

    def __iter__(self) -> Iterator[MarketData]:
        """Yield messages in their recorded order.

        Raises:
            TapeError: naming the line that cannot be read and why.
        """
        ...


def steady(tape: Tape, every: Nanoseconds) -> Iterator[MarketData]:
    """Yield a tape's messages; a price that stands between points of a candle is quoted again ``every`` ns."""
    last: Quote | None = None
    for message in tape:
        if last is not None:
            for ts in range(last.ts + every, min(message.ts, last.ts + tape.hold_ns), every):
                yield last.replace(ts_exchange=ts, ts=ts)
        if tape.hold_ns and type(message) is Quote:
            last = message
        yield message


class RecordedTape:
    """Play messages that something else reads, such as the store's recorded days; ``source`` starts a new pass."""

    hold_ns: Nanoseconds = 0

    def __init__(
        self,
        name: str,
        instruments: Iterable[InstrumentId],
        source: Callable[[], Iterable[MarketData]],
        offset_ns: int = 0,
    ) -> None:
        self.path = name
        self.instruments = tuple(instruments)
        self.clock_offset_ns = offset_ns
        self.stats = TapeStats()
        self._source = source

    def __iter__(self) -> Iterator[MarketData]:
        """Yield the source's messages."""
        self.stats = stats = TapeStats()
        for message in self._source():
            stats.count(message)
            yield message
