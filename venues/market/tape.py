"""Recorded files as streams of messages: raw stream frames, candle Parquet, our own recorded days. Flat memory.

A raw tape is lines of ``<local receive ns> <frame>``, plain or packed with xz or gzip. The recording machine's clock
may stand behind the exchange's, so that frames seem to arrive before they were sent. ``open_tape`` estimates that
offset from the first frames as the least delay seen, reports it (``clock_offset_ns``: exchange clock minus recorder
clock), and moves the receive stamps by it; stamps that are merely late are left alone, since delay and offset look the
same there.
"""

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.instrument import ZERO
from core.domain.market import NO_ID, BookDelta, Trade
from core.domain.message import Nanoseconds
from core.errors import TapeError, VenueError
from venues.market.parse import FrameParser, Market, MarketData, sent_at

SCAN_LINES = 20_000
"""Lines read ahead at opening: which instruments there are, and the clock offset."""
MAX_LINE = 32 * 1024 * 1024
SKEW_NS: Nanoseconds = 1_000_000_000
"""A least delay above this is a recorder clock that runs ahead, not a slow line."""
_XZ, _GZ, _PARQUET = b"\xfd7zXZ\x00", b"\x1f\x8b", b"PAR1"
_EARLIEST, _LATEST = 10**18, 10**19
_PACKED_ERRORS = (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error)


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


def open_tape(path: str | Path, market: Market | None = None, instrument: InstrumentId | None = None) -> Tape:
    """Open a recorded file; its kind is seen from its first bytes.

    ``market`` names the market of raw frames that do not tell, ``instrument`` the one of a candle file.

    Raises:
        TapeError: for a file that is missing, empty, or none of the known kinds.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise TapeError(str(path), 0, f"cannot be opened: {error.strerror or error}") from None
    if not head:
        raise TapeError(str(path), 1, "the file is empty; expected lines of <ns> <frame>, or candle Parquet")
    if head.startswith(_PARQUET):
        from venues.market.candles import CandleTape

        return CandleTape(path, instrument)
    return RawTape(path, market)


class RawTape:
    """Play a file of raw stream frames."""

    def __init__(self, path: Path, market: Market | None = None) -> None:
        self.path = str(path)
        self._market = market or _hint(path.name)
        self.stats = TapeStats()
        self.clock_offset_ns = 0
        self.instruments: tuple[InstrumentId, ...] = ()
        self._scan()

    def __iter__(self) -> Iterator[MarketData]:
        """Yield messages in their recorded order.

        Raises:
            TapeError: naming the line that cannot be read and why.
        """
        self.stats = stats = TapeStats()
        offset, parse = self.clock_offset_ns, FrameParser(self._market).parse
        for number, stamp, frame in self._lines():
            try:
                message = parse(frame, stamp + offset)
            except VenueError as error:
                raise TapeError(self.path, number, str(error)) from None
            if message is not None:
                stats.count(message)
                yield message

    def _scan(self) -> None:
        parser = FrameParser(self._market)
        seen: dict[InstrumentId, None] = {}
        least: Nanoseconds | None = None
        number = 0
        with closing(self._lines()) as lines:
            for number, stamp, frame in lines:
                try:
                    message = parser.parse(frame, stamp)
                except VenueError as error:
                    raise TapeError(self.path, number, str(error)) from None
                if message is not None:
                    seen[message.instrument] = None
                sent = sent_at(frame)
                if sent and (least is None or stamp - sent < least):
                    least = stamp - sent
                if number >= SCAN_LINES:
                    break
        if not seen:
            raise TapeError(self.path, max(number, 1), "no market data in it; expected lines of <ns> <stream frame>")
        self.instruments = tuple(seen)
        if least is not None and (least < 0 or least > SKEW_NS):
            self.clock_offset_ns = -least

    def _lines(self) -> Generator[tuple[int, Nanoseconds, bytes]]:
        number = 0
        try:
            with _unpacked(self.path) as file:
                while line := file.readline(MAX_LINE):
                    number += 1
                    stamp, _, frame = line.partition(b" ")
                    if not (stamp.isdigit() and _EARLIEST <= int(stamp) < _LATEST):
                        shown = line[:40].decode("utf-8", "replace").strip()
                        raise TapeError(self.path, number, f'"{shown}" does not begin with a stamp of 19 digits (ns)')
                    if not line.endswith(b"\n") and not frame.rstrip().endswith(b"}"):
                        raise TapeError(self.path, number, "the file ends inside this line: it is truncated")
                    yield number, int(stamp), frame
        except EOFError:
            raise TapeError(self.path, number + 1, "the packed file ends early: it is truncated") from None
        except _PACKED_ERRORS as error:
            raise TapeError(self.path, number + 1, f"the packed file is damaged: {error}") from None
        except OSError as error:
            raise TapeError(self.path, number + 1, f"cannot be read: {error}") from None


class RecordedTape:
    """Play messages that something else reads, such as the store's recorded days; ``source`` starts a new pass."""

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


def _unpacked(path: str) -> BinaryIO:
    with Path(path).open("rb") as file:
        head = file.read(8)
    if head.startswith(_XZ):
        return cast("BinaryIO", lzma.open(path, "rb"))
    if head.startswith(_GZ):
        return cast("BinaryIO", gzip.open(path, "rb"))
    return io.BufferedReader(io.FileIO(path))


def _hint(name: str) -> Market | None:
    """Return the market that a file name tells, such as ``binance-usdm-btcusdt-20240808.xz``."""
    words = name.lower().replace("_", "-").split("-")
    for word, market in (("usdm", Market.USD_M), ("spot", Market.SPOT), ("coinm", Market.COIN_M)):
        if word in words:
            return market
    return None
