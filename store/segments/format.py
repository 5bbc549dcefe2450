"""The bytes of a tick segment: blocks of little-endian columns, each with its own checksum.

A segment is a run of blocks. A block is a 32-byte header, a directory of one byte a column, and the columns, widest
first; header, directory and body are padded to 8 bytes, so every column can be used in place. A block of kind ``NAMES``
adds instruments to the segment's table; other blocks refer to it by code.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import StoreError

MAGIC = b"TDK1"
VERSION = 1
HEADER = struct.Struct("<4sBBHIIIIII")
"""magic, version, kind, columns, rows, levels, body bytes, body crc, reserved, header crc."""
MAX_BODY = 1 << 28
SUFFIX = ".seg"
RAW, CONSTANT, AS_TS = 0, 1, 2
"""How a column is kept: whole, as one value of 8 bytes, or equal to ``ts`` and not kept at all."""

Array = NDArray[Any]
Columns = Mapping[str, Array | int | float | bool]


class Kind(IntEnum):
    """What the rows of a block are."""

    NAMES = 0
    TRADES = 1
    QUOTES = 2
    BOOKS = 3


class Form(IntEnum):
    """What one book row is."""

    DELTA = 0
    TOP = 1
    """A snapshot that is a conflated view of the top."""
    SNAPSHOT = 2


@dataclass(frozen=True)
class Column:
    """One column: its dtype and, for books, whether it has one value a level instead of one a message."""

    name: str
    dtype: str
    level: bool = False
    default: int | None = None


_STAMPS = (Column("ts", "<i8"), Column("ts_exchange", "<i8"))
SCHEMAS: dict[Kind, tuple[Column, ...]] = {
    Kind.TRADES: (
        *_STAMPS,
        Column("trade_id", "<i8", default=-1),
        Column("price", "<f8"),
        Column("size", "<f8"),
        Column("instrument", "<u2"),
        Column("buyer", "|b1"),
    ),
    Kind.QUOTES: (
        *_STAMPS,
        Column("update_id", "<i8", default=-1),
        Column("bid", "<f8"),
        Column("bid_size", "<f8"),
        Column("ask", "<f8"),
        Column("ask_size", "<f8"),
        Column("instrument", "<u2"),
    ),
    Kind.BOOKS: (
        *_STAMPS,
        Column("first_id", "<i8", default=-1),
        Column("last_id", "<i8", default=-1),
        Column("prev_id", "<i8", default=-1),
        Column("event", "<i8"),
        Column("price", "<f8", level=True),
        Column("size", "<f8", level=True),
        Column("bids", "<i4"),
        Column("asks", "<i4"),
        Column("instrument", "<u2"),
        Column("form", "|u1", default=Form.DELTA),
    ),
}


def _padding(size: int) -> bytes:
    return bytes(-size % 8)


def pack(kind: Kind, columns: Columns, rows: int, levels: int = 0) -> list[Any]:
    """Return one block as buffers for ``writev``.

    Raises:
        ValueError: a column is missing or has the wrong length.
    """
    directory = bytearray()
    body: list[Any] = []
    for column in SCHEMAS[kind]:
        value = columns.get(column.name, column.default)
        if value is None:
            if column.name != "ts_exchange":
                raise ValueError(f"{kind.name} needs the column {column.name}")
            directory.append(AS_TS)
        elif isinstance(value, np.ndarray):
            count = levels if column.level else rows
            if value.shape != (count,):
                raise ValueError(f"column {column.name} has the shape {value.shape}, not ({count},)")
            directory.append(RAW)
            body.append(np.ascontiguousarray(value, column.dtype))
        else:
            directory.append(CONSTANT)
            body.append(np.array([value], column.dtype).tobytes().ljust(8, b"\0"))
    return _sealed(kind, bytes(directory), body, rows, levels)


def pack_names(names: Sequence[str], first: int) -> list[Any]:
    """Return a block that gives instruments the codes from ``first`` on."""
    return _sealed(Kind.NAMES, b"", [msgspec.json.encode((first, names))], len(names), 0)


def _sealed(kind: Kind, directory: bytes, body: list[Any], rows: int, levels: int) -> list[Any]:
    size = sum(part.nbytes if isinstance(part, np.ndarray) else len(part) for part in body)
    parts = [directory + _padding(len(directory)), *body, _padding(size)]
    total = size + len(parts[0]) + len(parts[-1])
    parts = [part for part in parts if len(part)]
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    head = HEADER.pack(MAGIC, VERSION, kind, len(directory), rows, levels, total, crc, 0, 0)[:-4]
    return [head + zlib.crc32(head).to_bytes(4, "little"), *parts]


@dataclass(frozen=True)
class Head:
    """A block's header that passed its checksum."""

    kind: Kind
    columns: int
    rows: int
    levels: int
    size: int
    crc: int


def parse_head(data: bytes) -> Head | None:
    """Return the header, or None where the bytes are none.

    Raises:
        StoreError: a whole header of a newer format.
    """
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        return None
    _, version, kind, columns, rows, levels, size, crc, _, own = HEADER.unpack(data[: HEADER.size])
    if own != zlib.crc32(data[: HEADER.size - 4]) or size > MAX_BODY:
        return None
    if version > VERSION or kind > max(Kind):
        raise StoreError(
            f"tick segment of format {version}, block kind {kind}: written by a newer program; this one reads up to "
            f"format {VERSION}; use the newer program"
        )
    return Head(Kind(kind), columns, rows, levels, size, crc)


def unpack(head: Head, body: bytes) -> dict[str, Array]:
    """Return the columns of a block whose checksum was right; constants are spread out."""
    directory, at = body[: head.columns], head.columns + -head.columns % 8
    columns: dict[str, Array] = {}
    for column, how in zip(SCHEMAS[head.kind], directory, strict=True):
        count = head.levels if column.level else head.rows
        dtype = np.dtype(column.dtype)
        if how == RAW:
            columns[column.name] = np.frombuffer(body, dtype, count, at)
            at += count * dtype.itemsize
        elif how == CONSTANT:
            columns[column.name] = np.full(count, np.frombuffer(body, dtype, 1, at)[0], dtype)
            at += 8
        else:
            columns[column.name] = columns["ts"]
    return columns


def unpack_names(body: bytes) -> tuple[int, list[str]]:
    """Return the first code and the instruments of a ``NAMES`` block."""
    first, names = msgspec.json.decode(body.rstrip(b"\0"), type=tuple[int, list[str]])
    return first, names
