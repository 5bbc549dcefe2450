"""Files of raw stream frames as a tape.

A raw tape is lines of ``<local receive ns> <frame>``, plain or packed with xz or gzip. The recording machine's clock
may stand behind the exchange's, so that frames seem to arrive before they were sent. ``RawTape`` estimates that
offset from the first frames as the least delay seen, reports it (``clock_offset_ns``: exchange clock minus recorder
clock), and moves the receive stamps by it; stamps that are merely late are left alone, since delay and offset look the
same there.
"""

import gzip
import io
import lzma
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from core.errors import TapeError, VenueError
from venues.market.parse import FrameParser, Market, MarketData, sent_at
from venues.market.tape import TapeStats

SCAN_LINES = 20_000
"""Lines read ahead at opening: which instruments there are, and the clock offset."""
MAX_LINE = 32 * 1024 * 1024
SKEW_NS: Nanoseconds = 1_000_000_000
"""A least delay above this is a recorder clock that runs ahead, not a slow line."""
_XZ, _GZ = b"\xfd7zXZ\x00", b"\x1f\x8b"
_EARLIEST, _LATEST = 10**18, 10**19
_PACKED_ERRORS = (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error)


class RawTape:
    """Play a file of raw stream frames."""

    hold_ns: Nanoseconds = 0

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
