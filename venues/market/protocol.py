"""What a session and the market process say to each other, framed by ``core.session.wire``.

A session says ``Login`` and gets ``Welcome``. Then it asks, each question with an id of its own; answers carry the id.
Market data and the account's events come between them as plain messages, without a frame of their own.
"""

from typing import Any

import msgspec

from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.instrument import Instrument
from core.domain.market import Bar, Feed, Interval
from core.domain.message import Nanoseconds
from core.domain.reports import OrderReport, VenueSnapshot
from core.session import wire

PROTOCOL = 1
SOCKET = "market.sock"
"""The socket's name in the market's home."""


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Carry one thing that a session or the market says."""


class Login(Frame, frozen=True):
    """Enter the account of one venue; ``name`` is for the log."""

    venue: VenueId
    name: str = ""
    protocol: int = PROTOCOL


class Welcome(Frame, frozen=True):
    """The account is there; these are the instruments it can trade."""

    venue: VenueId
    instruments: tuple[Instrument, ...]
    now: Nanoseconds
    protocol: int = PROTOCOL


class Subscribe(Frame, frozen=True):
    """Start a feed, or end it; a book begins with a snapshot."""

    instrument: InstrumentId
    feed: Feed
    on: bool = True


class Request(Frame, frozen=True):
    """Submit, amend or cancel; ``Done`` answers when the request is durable, what came of it follows as events."""

    id: int
    command: SubmitOrder | AmendOrder | CancelOrder


class AskOrder(Frame, frozen=True):
    """Ask for one order by client id; ``OrderAnswer``."""

    id: int
    client_order_id: ClientOrderId


class AskSnapshot(Frame, frozen=True):
    """Ask for the account as it is, with fills since a time; ``SnapshotAnswer``."""

    id: int
    since: Nanoseconds


class AskHistory(Frame, frozen=True):
    """Ask for closed bars with ``start <= bar.start < end``; ``HistoryAnswer``."""

    id: int
    instrument: InstrumentId
    interval: Interval
    start: Nanoseconds
    end: Nanoseconds


class Publish(Frame, frozen=True):
    """Make these market data happen; only where the market was started to be driven by hand. ``Done`` answers."""

    id: int
    messages: tuple[wire.union(*wire.DATA), ...]  # type: ignore[valid-type]


class Done(Frame, frozen=True):
    """The request is taken and durable."""

    id: int


class Failed(Frame, frozen=True):
    """The question or request was not understood or cannot be; id 0 is the session itself, which then ends."""

    id: int
    reason: str


class OrderAnswer(Frame, frozen=True):
    """The order, or None if this account never had it."""

    id: int
    report: OrderReport | None


class SnapshotAnswer(Frame, frozen=True):
    """The account as it is."""

    id: int
    snapshot: VenueSnapshot


class HistoryAnswer(Frame, frozen=True):
    """Closed bars, oldest first."""

    id: int
    bars: tuple[Bar, ...]


_FROM_SESSION = (Login, Subscribe, Request, AskOrder, AskSnapshot, AskHistory, Publish)
_FROM_MARKET = (Welcome, Done, Failed, OrderAnswer, SnapshotAnswer, HistoryAnswer)
decode_session_frame: Any = msgspec.msgpack.Decoder(wire.union(*_FROM_SESSION)).decode
decode_market_frame: Any = msgspec.msgpack.Decoder(wire.union(*_FROM_MARKET) | wire.AnyMessage).decode
