"""Frames: every message class goes round with any values, in pieces of any size, and nonsense is refused."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.alerts import AlertKind, AlertRule
from core.domain.events import SettingChange
from core.domain.identifiers import InstrumentId
from core.domain.instrument import Instrument
from core.domain.message import Command, Data, Event, Message
from core.domain.order import Order, Side
from core.domain.studies import Config, ConfigStatus, Study, StudyState
from core.errors import ClientError
from core.session import protocol as p
from core.session import wire
from tests.core.kit import BTC_PERP, D, order

EVERY = (*wire.DATA, *wire.COMMANDS, *wire.EVENTS)
st.register_type_strategy(Instrument, st.just(BTC_PERP))
st.register_type_strategy(Order, st.just(order(BTC_PERP, Side.SELL, "0.5", "60000.1", reduce_only=True)))
RULE = AlertRule(AlertKind.PRICE, BTC_PERP.id, True, D("60000.1"), True, "a note", "a1")
st.register_type_strategy(AlertRule, st.just(RULE))
STUDY = Study("rsi", "rsi", StudyState.RUNNING, 12, 40, 1, 8, 1.22, None, 3.5, "Mon 02:00", 1, 2, "why")
CONFIG = Config(
    "rsi", 3, ConfigStatus.ACTIVE, (BTC_PERP.id,), {"rsi": 14, "on": True, "kind": "x", "q": 0.5}, 2.0, "cross", 0.1,
    None, "s", 7, 1, "anna", {"calmar": 2.4},
)  # fmt: skip
st.register_type_strategy(Study, st.just(STUDY))
st.register_type_strategy(Config, st.just(CONFIG))
ints = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
levels = st.lists(st.tuples(floats, floats), max_size=5).map(tuple)


def values(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Build any message of a class from its annotations."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        if field.type is int:
            fields[field.name] = ints
        elif field.type is float:
            fields[field.name] = floats
        elif field.type == tuple[int, ...]:
            fields[field.name] = st.lists(ints, max_size=5).map(tuple)
        elif field.type == tuple[InstrumentId, ...]:
            fields[field.name] = st.lists(st.text(max_size=9), max_size=5).map(tuple)
        elif "SettingChange" in str(field.type):
            word = st.text(max_size=9)
            fields[field.name] = st.lists(st.builds(SettingChange, word, word, word, st.booleans()), max_size=3).map(
                tuple
            )
        elif "tuple" in str(field.type):
            fields[field.name] = levels
        elif "Decimal" in str(field.type):
            number: st.SearchStrategy[Any] = st.decimals(allow_nan=False, allow_infinity=False)
            fields[field.name] = st.one_of(number, st.none()) if "None" in str(field.type) else number
        elif "NewType" in type(field.type).__name__ or field.type is str or "| None" in str(field.type):
            text: st.SearchStrategy[Any] = st.text(max_size=9)
            fields[field.name] = st.one_of(text, st.none()) if "None" in str(field.type) else text
        else:
            fields[field.name] = st.from_type(field.type)
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_message_goes_round(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(values(kind))
    encoded = wire.encode(message)
    assert wire.decode_message(encoded) == message
    assert [known for known in EVERY if wire.is_kind(encoded, known)] == [kind]
    if isinstance(message, Event):
        assert wire.decode_event(wire.encode(message)) == message
    update = p.decode_server_frame(wire.encode(p.Update(7, message)))
    assert (update.sequence, p.message_of(update)) == (7, message)


def test_no_class_is_left_out_and_tags_are_their_own() -> None:
    assert len({kind.__name__ for kind in EVERY}) == len(EVERY)
    for family, members in ((Data, wire.DATA), (Command, wire.COMMANDS), (Event, wire.EVENTS)):
        assert members
        assert {kind for kind in EVERY if issubclass(kind, family)} == set(members)


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_frames_are_cut_wherever_the_stream_breaks(bodies: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(len(body).to_bytes(wire.HEADER, "little") + body for body in bodies)
    reader, found, at, turn = wire.FrameReader(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += reader.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == bodies


def test_an_impossible_length_is_refused() -> None:
    with pytest.raises(ClientError, match="not a tradedeck peer"):
        wire.FrameReader().feed(b"GET / HTTP/1.1\r\n")


def test_the_streams_prepared_frame_is_the_protocols_own() -> None:
    """The server writes updates without building them: the bytes must be what the struct would give."""
    message = p.Update(300, wire.decode_message(wire.encode(wire.COMMANDS[0](*_defaults(wire.COMMANDS[0])))))
    assert wire.encode(message) == b"\x93\xa6Update" + wire.encode(300) + wire.encode(message.message)


def _defaults(kind: type[Message]) -> list[object]:
    return ["x" for field in msgspec.structs.fields(kind) if field.required]
