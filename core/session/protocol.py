"""What engine and client say to each other over the socket (docs/architecture.md shows a session).

A client says ``Hello`` and gets ``Welcome`` and a ``Snapshot``; then ``Update`` frames numbered for this client without
gaps. Order events are never left out; quotes, books and account marks replace each other while the client is slow.
"""

from decimal import Decimal
from typing import Any

import msgspec

from core.domain.events import OrderFilled
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.market import Bar, Interval
from core.domain.message import Message, Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus
from core.domain.risk import RiskView
from core.domain.studies import TrialReport, Trials
from core.session import frames, wire
from core.session.frames import (
    AskEquity,
    AskHistory,
    AskRisk,
    AskTrial,
    AskTrials,
    Frame,
    OfResearcher,
    Publish,
    Reply,
    Request,
)
from core.session.status import Status
from core.state.curve import EquityPoint
from core.state.state import StateImage

PROTOCOL = 3
Question = frames.Question
_More = OfResearcher | AskEquity | AskRisk | AskHistory


class AskStatus(Question, frozen=True):
    """Ask for the account at a glance; answered by ``Status``."""


class AskOrders(Question, frozen=True):
    """Ask for orders, newest first; answered by ``Orders``."""

    open_only: bool = True
    limit: int = 200


class AskFills(Question, frozen=True):
    """Ask for our fills since a time, oldest first, from the journal; answered by ``Fills``."""

    since: Nanoseconds = 0
    limit: int = 10_000


class AskBars(Question, frozen=True):
    """Ask for bars with ``start <= bar.start < end``; the engine asks the venue for what it lacks. ``Bars`` answers."""

    instrument: InstrumentId
    interval: Interval
    start: Nanoseconds
    end: Nanoseconds


class AskPreview(Question, frozen=True):
    """Ask what an order would cost and what the guardian would say; answered by ``Preview``."""

    order: Order


class AskLimits(Question, frozen=True):
    """Ask for every limit with its use; answered by ``Limits``."""


class AskRecords(Question, frozen=True):
    """Ask for the journal's newest records before a sequence (0: from its end) that hold every word of a text.

    Answered by ``Records``.
    """

    before: int = 0
    limit: int = 200
    text: str = ""


class AskVenues(Question, frozen=True):
    """Ask how every venue connection does; answered by ``Venues``."""


class RecordView(msgspec.Struct, frozen=True):
    """One record of the journal."""

    sequence: int
    event: wire.AnyEvent


class Records(msgspec.Struct, frozen=True):
    """Records, the newest first; ``reached`` is the sequence below which nothing was looked at, 0 at the beginning."""

    records: tuple[RecordView, ...]
    reached: int


class VenueReport(msgspec.Struct, frozen=True):
    """How one venue connection does; times in ms, None where nothing was measured yet.

    ``answer_p50_ms`` and ``answer_p99_ms`` are over the ``answers`` kept orders that the venue has acknowledged;
    ``compared`` is when our record was last held against its own (0: never), with so many ``differences``.
    """

    venue: str
    words: str
    since: Nanoseconds
    feeds: int
    live: int
    oldest_ms: int | None
    gaps: int
    clock_offset_ns: int
    open_orders: int
    unknown: int
    answers: int
    answer_p50_ms: float | None
    answer_p99_ms: float | None
    compared: Nanoseconds = 0
    differences: int = 0


class FillView(msgspec.Struct, frozen=True):
    """One fill of ours; ``ts`` is the venue's stamp."""

    ts: Nanoseconds
    client_order_id: ClientOrderId
    fill_id: str
    instrument: InstrumentId
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: str

    @classmethod
    def of(cls, event: OrderFilled) -> "FillView":
        """Return the view of a fill as it was recorded."""
        return cls(
            event.ts_exchange, event.client_order_id, event.fill_id, event.instrument, event.side.value, event.quantity,
            event.price, event.fee, event.fee_asset, event.liquidity.value,
        )  # fmt: skip


class LimitView(msgspec.Struct, frozen=True):
    """One limit with its use: ``used`` is the fraction of the bound, or None where it does not apply."""

    name: str
    used: float | None
    value: str
    bound: str
    act: str
    setting: str


class LimitChange(msgspec.Struct, frozen=True):
    """One limit before and after an order, in the limit's own units; ``ok`` is false where the order breaks it.

    ``used`` is the fraction of the bound that would be in use, None where there is no bound.
    """

    name: str
    before: str
    after: str
    bound: str
    used: float | None
    ok: bool
    setting: str


class PreviewView(msgspec.Struct, frozen=True):
    """What an order would do; ``refusals`` are the guardian's own words, empty when it would pass.

    ``maker`` tells which fee is meant. ``margin`` is at the venue's usual leverage; ``leverage`` and ``liquidation``
    are of the position after the order (liquidation: the venue's wallet behind all of its positions, None where no
    price would). ``risk`` is what the attached stop would lose. Money in the reporting currency.
    """

    notional: Decimal | None
    fee: Decimal | None
    margin: Decimal | None
    position_after: Decimal | None
    position_frac: float | None
    gross_frac: float | None
    refusals: tuple[str, ...]
    maker: bool = False
    leverage: float | None = None
    liquidation: Decimal | None = None
    risk: Decimal | None = None
    risk_frac: float | None = None
    equity: Decimal | None = None
    limits: tuple[LimitChange, ...] = ()
    scaled: Decimal | None = None
    """The quantity that the volatility target would leave of it; None where that changes nothing."""


# --- frames -----------------------------------------------------------------------------------------------------------


class Hello(Frame, frozen=True):
    """Open a session; a view-only client cannot command."""

    protocol: int
    name: str
    view_only: bool = False
    stream: bool = True
    terminal: bool = False
    """Whether somebody looks at a screen there: of several terminals one holds control (``core.session.control``)."""
    researcher: bool = False
    """Whether it runs the studies: one of these may be attached (``core.session.research``)."""


class Watch(Frame, frozen=True):
    """Name the instruments whose book and prints this client draws (quotes and marks come for all)."""

    instruments: tuple[InstrumentId, ...]
    depth: int = 20


class Send(Frame, frozen=True):
    """Give a command; answered by ``Answer`` once its outcome is durable."""

    id: int
    command: wire.AnyCommand


class TakeControl(Frame, frozen=True):
    """Take control from whichever terminal has it; answered by ``Answer`` with an ``Outcome``."""

    id: int


class Ask(Frame, frozen=True):
    """Ask a question; answered by ``Answer``."""

    id: int
    question: AskStatus | AskOrders | AskFills | AskBars | AskPreview | AskLimits | AskVenues | AskRecords | _More


class Resync(Frame, frozen=True):
    """Ask for a new snapshot."""


class Welcome(Frame, frozen=True):
    """The engine is here."""

    protocol: int
    version: str
    pid: int
    run: int
    mode: str
    now: Nanoseconds


class Snapshot(Frame, frozen=True):
    """The whole picture; the next update is ``sequence + 1``."""

    sequence: int
    image: StateImage


class Update(Frame, frozen=True):
    """One message of the stream."""

    sequence: int
    message: wire.AnyMessage


class Outcome(msgspec.Struct, frozen=True):
    """What came of a command: the orders it made or touched, and for each refusal the guardian's words.

    ``limit``, ``value``, ``bound`` and ``setting`` tell of the first refusal.
    """

    ok: bool
    orders: tuple[ClientOrderId, ...] = ()
    status: OrderStatus | None = None
    reason: str = ""
    limit: str = ""
    value: str = ""
    bound: str = ""
    setting: str = ""
    alert: str = ""
    """The id of the alert rule that was set."""


class Answer(Frame, frozen=True):
    """Answer a ``Send`` or ``Ask``; ``error`` is a sentence when there is no body."""

    id: int
    body: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: str = ""


class ControlChanged(Frame, frozen=True):
    """Tell a terminal who commands: ``holder`` is empty while control is free, ``terminals`` counts all of them."""

    holder: str
    mine: bool
    terminals: int
    label: str
    """What this terminal is called."""


class Bye(Frame, frozen=True):
    """The engine ends this session, and why."""

    reason: str


ClientFrame = Hello | Watch | Send | Ask | Resync | TakeControl | Publish | Reply
ServerFrame = Welcome | Snapshot | Update | Answer | Bye | ControlChanged | Request
_client_decoder: "msgspec.msgpack.Decoder[Any]" = msgspec.msgpack.Decoder(ClientFrame)
_server_decoder: "msgspec.msgpack.Decoder[Any]" = msgspec.msgpack.Decoder(ServerFrame)
decode_client_frame = _client_decoder.decode
decode_server_frame = _server_decoder.decode

ANSWERS: dict[type[Question], Any] = {
    AskStatus: Status,
    AskOrders: tuple[OrderRecord, ...],
    AskFills: tuple[FillView, ...],
    AskBars: tuple[Bar, ...],
    AskPreview: PreviewView,
    AskLimits: tuple[LimitView, ...],
    AskVenues: tuple[VenueReport, ...],
    AskRecords: Records,
    AskTrials: Trials,
    AskTrial: TrialReport,
    AskEquity: tuple[EquityPoint, ...],
    AskRisk: RiskView,
    AskHistory: tuple[Bar, ...],
}


def message_of(update: Update) -> Message:
    """Return the message of an update, typed."""
    message: Message = update.message
    return message
