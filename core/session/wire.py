"""Frames between processes: 4-byte little-endian length, then msgpack. Used by engine ↔ client and engine ↔ market."""

from typing import Any, TypeVar

import msgspec

from core.domain import alerts, commands, configs, differences, events, market, risk, studies, watch
from core.domain.message import Command, Data, Event, Message
from core.errors import ClientError, JournalDamaged, JournalTooNew, StoreError
from core.ports import Record

T = TypeVar("T")
MAX_FRAME = 64 * 1024 * 1024
HEADER = 4


def _members(family: type[Message], *modules: Any) -> tuple[type[Message], ...]:
    named = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    found = [cls for cls in named if issubclass(cls, family) and cls is not family]
    return tuple(sorted(found, key=lambda cls: cls.__name__))


DATA = _members(Data, market, alerts, studies)
COMMANDS = _members(Command, commands, alerts, differences, studies)
EVENTS: tuple[type[Message], ...] = (
    *_members(Event, events, alerts, watch, differences, risk, configs),
    market.InstrumentDefined,
)


def union(*types: type) -> Any:
    """Return the union type of message classes, for a decoder."""
    joined: Any = types[0]
    for kind in types[1:]:
        joined = joined | kind
    return joined


AnyMessage = union(*DATA, *COMMANDS, *EVENTS)
AnyEvent = union(*EVENTS)
AnyCommand = union(*COMMANDS)

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
_message_decoder: "msgspec.msgpack.Decoder[Message]" = msgspec.msgpack.Decoder(AnyMessage)
_event_decoder: "msgspec.msgpack.Decoder[Event]" = msgspec.msgpack.Decoder(AnyEvent)
decode_message = _message_decoder.decode
decode_event = _event_decoder.decode
_TS_AT = {event.__name__: event.__struct_fields__.index("ts") + 1 for event in EVENTS}
"""Where an event's time stands behind its name; an event grows behind it (docs/decisions/030-layouts.md)."""


def event_time(payload: bytes) -> int | None:
    """Return when an encoded event entered the engine (ns, UTC), of a kind not known here its last field; else None."""
    try:
        fields = msgspec.msgpack.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(fields, list) or not fields:
        return None
    at = _TS_AT.get(fields[0], -1) if isinstance(fields[0], str) else -1
    found = fields[at] if at < len(fields) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def recorded(record: Record) -> Event:
    """Return the event of a journal record.

    Raises:
        JournalTooNew: if it is of a kind that this program does not know.
        JournalDamaged: if it has not the form that this program gives it.
    """
    try:
        return decode_event(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(record, error) from error


def _unreadable(record: Record, error: Exception) -> StoreError:
    try:
        fields = msgspec.msgpack.decode(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        fields = None
    name = fields[0] if isinstance(fields, list) and fields and isinstance(fields[0], str) else ""
    where = f"journal record {record.sequence}"
    if name and name not in _TS_AT:
        return JournalTooNew(
            f"{where} is of the kind {name}, which this program does not know; start the newer version that wrote it"
        )
    return JournalDamaged(
        f"{where} ({name or 'no event'}) has not the form of this program's: {error}; trading refused; "
        "start the version that wrote it"
    )


def is_kind(payload: bytes, kind: type[Message]) -> bool:
    """Tell whether an encoded message is of one kind, without decoding it."""
    name = kind.__name__.encode()
    tag = bytes([0xA0 | len(name)]) + name  # msgpack's short string, behind a short or a long array's head
    return payload.startswith(tag, 1) or payload.startswith(tag, 3)


def frame(value: object) -> bytes:
    """Return a value as one frame."""
    body = _encoder.encode(value)
    return len(body).to_bytes(HEADER, "little") + body


class FrameReader:
    """Cut a byte stream into frame bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the stream and return the bodies now complete.

        Raises:
            ClientError: if a length is impossible: the other side does not speak this protocol.
        """
        buffer = self._buffer
        buffer += data
        bodies, at, end = [], 0, len(buffer)
        while end - at >= HEADER:
            size = int.from_bytes(buffer[at : at + HEADER], "little")
            if size > MAX_FRAME:
                raise ClientError(f"frame of {size} bytes is longer than {MAX_FRAME}: not a tradedeck peer")
            if end - at - HEADER < size:
                break
            bodies.append(bytes(buffer[at + HEADER : at + HEADER + size]))
            at += HEADER + size
        del buffer[:at]
        return bodies
