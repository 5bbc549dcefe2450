"""Reads tick segments, live ones too: whole blocks only; a torn end is left alone, a damaged block is named."""

import fcntl
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from core.errors import StoreError
from store.segments.format import (
    HEADER,
    MAGIC,
    SCHEMAS,
    SUFFIX,
    Array,
    Head,
    Kind,
    parse_head,
    unpack,
    unpack_names,
)
from store.ticks.paths import DAY_NS, day_of

_SEARCH = 1 << 20
NO_SIDE = 2
"""The side of the one row that stands for a book message without levels."""
Pieces = dict[tuple[date, Kind], list[tuple[int, dict[str, Array]]]]
"""Flat rows by day and kind, each with the start of its block."""


@dataclass(frozen=True)
class Block:
    """One block of rows: ``columns`` by name, ``instrument`` as codes of ``names``."""

    kind: Kind
    start: int
    end: int
    rows: int
    columns: dict[str, Array]
    names: list[str]


class SegmentReader:
    """Walk one segment forward, remembering how far; ``damage`` names what could not be trusted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self.names: list[str] = []
        self.damage: list[str] = []
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def finished(self) -> bool:
        """Tell whether its writer has ended it or died; must be asked before the blocks are read.

        Also takes the segment: no writer can hold it afterwards.
        """
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def blocks(self) -> Iterator[Block]:
        """Yield the whole blocks from ``position`` on, moving it behind each.

        Raises:
            StoreError: the segment is of a newer format.
        """
        while (head := self._head()) is not None:
            start, end = self.position, self.position + HEADER.size + head.size
            body = os.pread(self._fd, head.size, start + HEADER.size)
            if len(body) < head.size:
                return  # torn, or being written
            self.position = end
            if zlib.crc32(body) != head.crc:
                self._note(start, f"the checksum of {head.rows} rows is wrong")
            elif head.kind is Kind.NAMES:
                self._learn(*unpack_names(body))
            else:
                columns = unpack(head, body)
                if head.rows and int(columns["instrument"].max()) >= len(self.names):
                    self._note(start, "its instruments are named in a damaged block")
                    continue
                yield Block(head.kind, start, end, head.rows, columns, self.names)

    @property
    def torn(self) -> int:
        """Return the bytes behind the last whole block."""
        return max(0, os.fstat(self._fd).st_size - self.position)

    def _learn(self, first: int, names: list[str]) -> None:
        self.names = [*self.names[:first], *[""] * (first - len(self.names)), *names]

    def _note(self, start: int, why: str) -> None:
        self.damage.append(f"{self.path.name}: the block at byte {start} is damaged: {why}")

    def _head(self) -> Head | None:
        raw = os.pread(self._fd, HEADER.size, self.position)
        if len(raw) < HEADER.size:
            return None
        head = parse_head(raw)
        if head is None:
            found = self._search(self.position + 8)
            if found is None:
                return None
            self._note(self.position, "no block begins there")
            self.position = found
            head = parse_head(os.pread(self._fd, HEADER.size, found))
        return head

    def _search(self, at: int) -> int | None:
        """Return the next byte where a block begins."""
        while data := os.pread(self._fd, _SEARCH + HEADER.size, at):
            found = data.find(MAGIC)
            while 0 <= found < _SEARCH:
                if parse_head(data[found : found + HEADER.size]) is not None:
                    return at + found
                found = data.find(MAGIC, found + 1)
            at += _SEARCH
        return None


def open_segments(folder: Path) -> list[SegmentReader]:
    """Open the segments of a folder, oldest first; those just deleted are left out."""
    readers = []
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else ():
        try:
            readers.append(SegmentReader(path))
        except FileNotFoundError:
            continue
    return readers


def flat(block: Block) -> dict[str, Array]:
    """Return one row a level for books (one of side NO_SIDE where a message has none), or the columns as they are."""
    columns = block.columns
    if block.kind is not Kind.BOOKS:
        return columns
    bids, asks = columns["bids"].astype(np.int64), columns["asks"].astype(np.int64)
    counts = bids + asks
    if int(counts.sum()) != len(columns["price"]) or (counts < 0).any():
        raise StoreError(f"the block at byte {block.start} counts {counts.sum()} levels, not {len(columns['price'])}")
    spread = np.maximum(counts, 1)
    rows = {
        column.name: np.repeat(columns[column.name], spread)
        for column in SCHEMAS[Kind.BOOKS]
        if not column.level and column.name not in {"bids", "asks"}
    }
    first = np.repeat(np.cumsum(spread) - spread, spread)
    index = np.arange(len(first)) - first
    side = (index >= np.repeat(bids, spread)).astype(np.uint8)
    empty = np.repeat(counts == 0, spread)
    side[empty] = NO_SIDE
    for name in ("price", "size"):
        values = np.full(len(first), np.nan)
        values[~empty] = columns[name]
        rows[name] = values
    rows["side"] = side
    return rows


def split(block: Block, pieces: Pieces) -> int:
    """Sort a block's flat rows by UTC day and kind into ``pieces``; return how many there are."""
    columns = flat(block)
    days = columns["ts"] // DAY_NS
    if not len(days):
        return 0
    for number in np.unique(days) if days.min() != days.max() else days[:1]:
        mask = days == number
        part = columns if mask.all() else {name: values[mask] for name, values in columns.items()}
        pieces.setdefault((day_of(int(number) * DAY_NS), block.kind), []).append((block.start, part))
    return len(days)


def joined(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Return pieces of one kind as one."""
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}
