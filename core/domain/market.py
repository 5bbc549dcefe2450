"""Market data: what venues publish. Prices and sizes are float64 exactly as parsed; stamps are ns, UTC."""

from enum import StrEnum

from core.domain.identifiers import InstrumentId, VenueId
from core.domain.instrument import Instrument
from core.domain.message import Data, Event, Nanoseconds

Level = tuple[float, float]
"""(price, size); size 0 in a delta removes the level."""
Levels = tuple[Level, ...]
NO_ID = -1
"""The venue gives no such sequence id."""


class Interval(StrEnum):
    """The length of a bar."""

    M1 = "1m"
    M15 = "15m"
    H1 = "1h"

    @property
    def ns(self) -> Nanoseconds:
        """Return the length in nanoseconds."""
        return _INTERVAL_NS[self]


_MINUTE_NS = 60_000_000_000
_INTERVAL_NS = {Interval.M1: _MINUTE_NS, Interval.M15: 15 * _MINUTE_NS, Interval.H1: 60 * _MINUTE_NS}


class Feed(StrEnum):
    """What can be subscribed to."""

    QUOTE = "quote"
    TRADE = "trade"
    BOOK = "book"
    MARK = "mark"


class Health(StrEnum):
    """How far a feed can be trusted."""

    LIVE = "live"
    PARTIAL = "partial"
    """Deltas without a snapshot: the levels seen so far, the top from quotes."""
    STALE = "stale"
    GAP = "gap"
    CROSSED = "crossed"
    DOWN = "down"


class Quote(Data, frozen=True):
    """Best bid and ask."""

    instrument: InstrumentId
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    update_id: int
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class Trade(Data, frozen=True):
    """A public print; ``buyer`` tells whether the buyer was the aggressor."""

    instrument: InstrumentId
    price: float
    size: float
    buyer: bool
    trade_id: int
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class BookDelta(Data, frozen=True):
    """Changed levels of a book; ``prev_id`` is the ``last_id`` of the delta before, or NO_ID."""

    instrument: InstrumentId
    bids: Levels
    asks: Levels
    first_id: int
    last_id: int
    prev_id: int
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class BookSnapshot(Data, frozen=True):
    """Levels of a book at one update id, best first; ``complete`` is false for a conflated view of the top."""

    instrument: InstrumentId
    bids: Levels
    asks: Levels
    last_id: int
    complete: bool
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class MarkPrice(Data, frozen=True):
    """The venue's mark and index price; ``funding_rate`` is a fraction per interval."""

    instrument: InstrumentId
    mark: float
    index: float
    funding_rate: float
    next_funding: Nanoseconds
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class Bar(Data, frozen=True):
    """One bar, labelled by its start. ``closed`` is false while it grows; ``revision`` counts late corrections.

    A bar without a trade has ``trades`` 0, volume 0 and all prices at the last close.
    """

    instrument: InstrumentId
    interval: Interval
    start: Nanoseconds
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int
    closed: bool
    revision: int
    ts: Nanoseconds

    @property
    def empty(self) -> bool:
        """Tell whether nothing traded."""
        return self.trades == 0


class InstrumentDefined(Event, frozen=True):
    """A venue lists this instrument with these contract data; journalled, for no fill has a meaning without them."""

    instrument: Instrument
    ts: Nanoseconds


class FeedReport(Data, frozen=True):
    """What a venue connection says of one feed; ``gaps`` counts since connect, offset is venue clock minus ours."""

    instrument: InstrumentId
    health: Health
    gaps: int
    clock_offset_ns: int
    reason: str
    ts: Nanoseconds


class VenueStatus(Data, frozen=True):
    """A venue connection came up or went down."""

    venue: VenueId
    connected: bool
    reason: str
    ts: Nanoseconds


class VenueCompared(Data, frozen=True):
    """Our record was compared with a venue's; ``differences`` of it stand. It was not where there is ``trouble``."""

    venue: VenueId
    differences: int
    ts: Nanoseconds
    trouble: str = ""


class StoreStatus(Data, frozen=True):
    """The journal can be written, or why not (empty when all is well)."""

    trouble: str
    ts: Nanoseconds


class SentinelStatus(Data, frozen=True):
    """How the sentinel stands, as the engine sees it; without one ``seen`` is 0.

    ``holds`` is why it holds the lease, empty while the engine may send. ``seen`` is its last heartbeat (ns, UTC).
    """

    armed: bool
    holds: str
    seen: Nanoseconds
    did: str
    drill: str
    """When the drill was last run and what it measured, in words."""
    ts: Nanoseconds
    trouble: str = ""
    """Why none could be started in the place of one that fell silent."""


class Timer(Data, frozen=True):
    """Time passes; wakes everything that no price wakes."""

    ts: Nanoseconds


class LastPrice(Data, frozen=True):
    """The newest print's price, for clients that do not watch the prints themselves, and the price of a day before.

    A client has no minutes of a day ago: without ``day_open`` its change over the day would be that of its start.
    """

    instrument: InstrumentId
    price: float
    ts_exchange: Nanoseconds
    ts: Nanoseconds
    day_open: float = 0.0


class AccountMarked(Data, frozen=True):
    """The account at marked prices, in the reporting currency; the engine's own message to its clients."""

    equity: float
    unrealised: float
    gross: float
    net: float
    ts: Nanoseconds
