"""The engine's side of the ticks: columns appended with plain writes, so that they survive kill -9.

No database is loaded here. The recorder (``store.recorder``) moves the segments on.
"""

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from core.domain.identifiers import InstrumentId
from core.domain.market import NO_ID, BookDelta, BookSnapshot, Quote, Timer, Trade
from core.domain.message import Message
from store.segments.format import SUFFIX, Columns, Form, Kind, pack, pack_names

Rows = list[Any]
BATCH = 1000
WINDOW_NS = 250_000_000
RETRY_NS = 1_000_000_000
_MAX_CODE = 65_535
_NEVER = 1 << 63
_FAILURES = (ValueError, TypeError, OverflowError, AttributeError)


class SegmentWriter:
    """Append market data to segment files; one writer a folder.

    A finished batch (1 000 messages of a kind, 250 ms, or a flush) is one block in the page cache. What cannot be kept
    is counted in ``dropped`` (messages or rows); nothing is raised and nothing waits for a reader.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = 32 << 20,
        max_seconds: float = 60.0,
        budget_bytes: int = 2 << 30,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.dropped = 0
        self.written = 0
        self._folder = folder
        self._max_bytes, self._max_ns = max_bytes, int(max_seconds * 1e9)
        self._budget = budget_bytes
        self._monotonic = monotonic
        books: Rows = []  # deltas and snapshots keep their order
        self._lists: dict[Kind, Rows] = {Kind.TRADES: [], Kind.QUOTES: [], Kind.BOOKS: books}
        self._pending: dict[type[Message], Rows] = {
            Trade: self._lists[Kind.TRADES],
            Quote: self._lists[Kind.QUOTES],
            BookDelta: books,
            BookSnapshot: books,
        }
        self._start = self._due = 0
        self._event = self._number = time.time_ns()
        self._fd = -1
        self._size = 0
        self._opened = 0
        self._codes: dict[str, int] = {}
        self._on_disk = self._counted = 0
        self._retry = 0

    def append(self, message: Message) -> None:
        """Take a Quote, Trade, BookDelta or BookSnapshot; a Timer lets waiting rows be written; others are ignored."""
        pending = self._pending.get(type(message))
        if pending is None:
            if type(message) is not Timer:
                return
        else:
            pending.append(message)
        ts: int = message.ts  # type: ignore[attr-defined]  # the last field of every message
        if not self._start <= ts < self._due:
            if self._due:
                self.flush()
            self._start, self._due = ts, ts + WINDOW_NS
        elif pending is not None and len(pending) >= BATCH:
            self.flush()
            self._start, self._due = ts, ts + WINDOW_NS

    def append_columns(
        self, kind: Kind, instruments: InstrumentId | Sequence[InstrumentId], columns: Columns, *, levels: int = 0
    ) -> None:
        """Write one batch of columns as a block, at once.

        Args:
            kind: what the rows are; its columns are named in ``store.segments.format.SCHEMAS``.
            instruments: the one instrument of all rows, or the table that the column ``instrument`` (uint16) points to.
            columns: arrays of one length (or one value for all rows), ns and float64; absent ids become NO_ID, an
                absent ``ts_exchange`` is ``ts``.
            levels: rows of the level columns of a book.
        """
        rows = len(columns["ts"])  # type: ignore[arg-type]  # ts is always an array
        try:
            names = (instruments,) if isinstance(instruments, str) else instruments
            prefix = self._name(names)
            codes = [self._codes[name] for name in names]
            own = columns.get("instrument")
            coded = {**columns, "instrument": codes[0]}
            if isinstance(own, np.ndarray):
                same = codes == list(range(len(codes)))
                coded["instrument"] = own if same else np.array(codes, np.uint16)[own]
            self._write(prefix + pack(kind, coded, rows, levels), rows)
        except _FAILURES:
            self._forget(rows)

    def flush(self) -> None:
        """Write what was appended, and end a segment that is old enough."""
        for kind, pending in self._lists.items():
            if pending:
                self._write_kind(kind, pending)
        self._due = 0
        if self._fd >= 0 and self._size and self._monotonic() - self._opened >= self._max_ns:
            self._end()

    def close(self) -> None:
        """Flush and end the segment; what comes later is counted as dropped."""
        self.flush()
        self._end()
        self._retry = _NEVER

    def _write_kind(self, kind: Kind, pending: Rows) -> None:
        batch, pending[:] = pending[:], []
        try:
            self._write_batch(kind, batch)
        except _FAILURES:
            self._forget(0)
            for message in batch:  # one impossible value must not cost the others
                try:
                    self._write_batch(kind, [message])
                except _FAILURES:
                    self._forget(1)

    def _write_batch(self, kind: Kind, batch: Rows) -> None:
        prefix = self._name({m.instrument for m in batch})
        if kind is Kind.TRADES:
            block = pack(kind, _trades(batch, self._codes), len(batch))
        elif kind is Kind.QUOTES:
            block = pack(kind, _quotes(batch, self._codes), len(batch))
        else:
            columns, levels = _books(batch, self._codes, self._event)
            self._event += len(batch)
            block = pack(kind, columns, len(batch), levels)
        self._write(prefix + block, len(batch))

    def _name(self, instruments: Sequence[str] | set[str]) -> list[Any]:
        """Return the block that names new instruments; ends the segment when its table is full."""
        codes = self._codes
        new = [name for name in instruments if name not in codes]
        if not new:
            return []
        if self._fd >= 0 and len(codes) + len(new) > _MAX_CODE:
            self._end()
            codes, new = self._codes, list(instruments)
        first = len(codes)
        codes.update((name, first + index) for index, name in enumerate(new))
        return pack_names(new, first)

    def _write(self, parts: list[Any], rows: int) -> None:
        size = sum(part.nbytes if isinstance(part, np.ndarray) else len(part) for part in parts)
        now = self._monotonic()
        if now < self._retry or not self._has_room(size, now) or (self._fd < 0 and not self._open(now)):
            self._forget(rows)
            return
        try:
            whole = os.writev(self._fd, parts) == size
        except OSError:
            whole = False
        if not whole:
            self._give_up(rows, now)
            return
        self._size += size
        self._on_disk += size
        self.written += rows
        if self._size >= self._max_bytes or now - self._opened >= self._max_ns:
            self._end()

    def _forget(self, rows: int) -> None:
        """Count rows as dropped, with the names that went with them: the next block names them again."""
        self.dropped += rows
        if self._size:
            self._end()
        else:
            self._codes.clear()

    def _give_up(self, rows: int, now: int) -> None:
        """Cut off what was half written and try a new segment in a second."""
        self.dropped += rows
        self._retry = now + RETRY_NS
        with suppress(OSError):  # the reader drops a torn block itself
            os.ftruncate(self._fd, self._size)
        self._end()

    def _has_room(self, size: int, now: int) -> bool:
        if self._on_disk + size <= self._budget and self._counted:
            return True
        if self._counted and now - self._counted < RETRY_NS:
            return False
        try:
            self._on_disk = sum(entry.stat().st_size for entry in os.scandir(self._folder))
        except OSError:
            return not self._folder.exists()
        self._counted = now or 1
        return self._on_disk + size <= self._budget

    def _open(self, now: int) -> bool:
        """Start a segment, held by a lock that ends with this process."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for _ in range(16):
                self._number += 1
                path = self._folder / f"{self._number:020d}{SUFFIX}"
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:  # the recorder was looking at it: it may be gone already
                    os.close(fd)
                    continue
                if os.fstat(fd).st_nlink:
                    self._fd, self._size, self._opened = fd, 0, now
                    return True
                os.close(fd)
        except OSError:
            pass
        self._retry = now + RETRY_NS
        return False

    def _end(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size = -1, 0
        self._codes = {}


def _trades(batch: Rows, codes: dict[str, int]) -> Columns:
    n = len(batch)
    return {
        **_stamps(batch, n, codes),
        "trade_id": np.fromiter([m.trade_id for m in batch], "<i8", n),
        "price": np.fromiter([m.price for m in batch], "<f8", n),
        "size": np.fromiter([m.size for m in batch], "<f8", n),
        "buyer": np.fromiter([m.buyer for m in batch], "|b1", n),
    }


def _quotes(batch: Rows, codes: dict[str, int]) -> Columns:
    n = len(batch)
    return {
        **_stamps(batch, n, codes),
        "update_id": np.fromiter([m.update_id for m in batch], "<i8", n),
        "bid": np.fromiter([m.bid for m in batch], "<f8", n),
        "bid_size": np.fromiter([m.bid_size for m in batch], "<f8", n),
        "ask": np.fromiter([m.ask for m in batch], "<f8", n),
        "ask_size": np.fromiter([m.ask_size for m in batch], "<f8", n),
    }


def _books(batch: Rows, codes: dict[str, int], event: int) -> tuple[Columns, int]:
    n = len(batch)
    forms = [Form.DELTA if type(m) is BookDelta else Form.SNAPSHOT if m.complete else Form.TOP for m in batch]
    levels = list(chain.from_iterable(side for m in batch for side in (m.bids, m.asks)))
    flat = np.fromiter(chain.from_iterable(levels), "<f8", 2 * len(levels))
    return {
        **_stamps(batch, n, codes),
        "first_id": np.fromiter(
            [NO_ID if form else m.first_id for m, form in zip(batch, forms, strict=True)], "<i8", n
        ),
        "last_id": np.fromiter([m.last_id for m in batch], "<i8", n),
        "prev_id": np.fromiter([NO_ID if form else m.prev_id for m, form in zip(batch, forms, strict=True)], "<i8", n),
        "event": np.arange(event, event + n, dtype="<i8"),
        "bids": np.fromiter([len(m.bids) for m in batch], "<i4", n),
        "asks": np.fromiter([len(m.asks) for m in batch], "<i4", n),
        "form": np.array(forms, "|u1"),
        "price": flat[0::2],
        "size": flat[1::2],
    }, len(levels)


def _stamps(batch: Rows, n: int, codes: dict[str, int]) -> dict[str, Any]:
    return {
        "ts": np.fromiter([m.ts for m in batch], "<i8", n),
        "ts_exchange": np.fromiter([m.ts_exchange for m in batch], "<i8", n),
        "instrument": np.fromiter([codes[m.instrument] for m in batch], "<u2", n),
    }
