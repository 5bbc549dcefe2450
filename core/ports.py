"""The seams: what the core asks of the world. Each has one contract suite in ``tests/contracts``."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.instrument import Instrument
from core.domain.market import Bar, Feed, Interval
from core.domain.message import Message, Nanoseconds
from core.domain.order import Operation, OrderType, TimeInForce
from core.domain.reports import OrderReport, VenueSnapshot

Emit = Callable[[Message], None]
Done = Callable[[BaseException | None], None]


class Clock(Protocol):
    """Tell the time; the only clock anything reads."""

    def now(self) -> Nanoseconds:
        """Return the time in ns, UTC."""
        ...

    def advance(self, to: Nanoseconds) -> None:
        """Tell no time before this from now on; never backwards."""
        ...


class Abilities(msgspec.Struct, frozen=True):
    """What a venue can do by itself; the engine emulates or refuses the rest."""

    order_types: frozenset[OrderType] = frozenset({OrderType.MARKET, OrderType.LIMIT})
    time_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.GTC})
    feeds: frozenset[Feed] = frozenset({Feed.QUOTE})
    operations: frozenset[Operation] = frozenset({Operation.TRADE})
    amend: bool = False
    post_only: bool = False
    reduce_only: bool = False
    hedge_mode: bool = False
    native_stops: bool = False
    dead_man_switch: bool = False

    @property
    def takes_ioc_limits(self) -> bool:
        """Tell whether a limit may end at once: it can stand for a market order."""
        return OrderType.LIMIT in self.order_types and TimeInForce.IOC in self.time_in_force


class Venue(Protocol):
    """One connection to one place of trading; answers come back only through ``emit``.

    A venue's "no" is an OrderRejected event. A lost link is never terminal: submit, amend and cancel raise VenueError
    only when the request certainly did not leave; otherwise they emit OrderUnknown.

    Ids of fills and of funding are unique within an instrument, over restarts too: what is told twice is one. Order ids
    are unique within the venue. Stamps of fills and bookings are the venue's, within seconds of ours.
    """

    id: VenueId
    abilities: Abilities

    async def start(self, emit: Emit) -> None:
        """Connect and stay connected; emits VenueStatus on every change of the link."""
        ...

    async def stop(self) -> None:
        """Close the connection and end every task."""
        ...

    async def instruments(self) -> Sequence[Instrument]:
        """Return what can be traded here."""
        ...

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """Start a feed; repeated calls change nothing."""
        ...

    async def unsubscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        """End a feed."""
        ...

    async def submit(self, order: Approved[SubmitOrder]) -> None:
        """Send an order under its client order id; sending it twice gives one order."""
        ...

    async def amend(self, order: Approved[AmendOrder]) -> None:
        """Change a working order, where ``abilities.amend``."""
        ...

    async def cancel(self, order: Approved[CancelOrder]) -> None:
        """Cancel a working order."""
        ...

    async def order(self, client_order_id: ClientOrderId) -> OrderReport | None:
        """Return one order by client id, closed ones too; None only when the venue says it never had it."""
        ...

    async def snapshot(self, since: Nanoseconds) -> VenueSnapshot:
        """Return open orders, fills since then, positions and balances, all of one moment."""
        ...

    async def history(
        self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[Bar]:
        """Return closed bars with ``start <= bar.start < end``."""
        ...


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One journal record: its sequence (from 1, no gaps) and the encoded event."""

    sequence: int
    payload: bytes


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """The whole ledger after the record ``sequence``."""

    sequence: int
    image: bytes


class Journal(Protocol):
    """Append-only record of what was decided and what happened.

    Nothing overtakes: what could not be written is told to ``done`` once and stays in line; the journal itself writes
    it, first, when that is possible again. A caller never appends it a second time.
    """

    @property
    def complaint(self) -> str:
        """Return why entries must be denied, in one sentence; empty when all is well. Never waits."""
        ...

    @property
    def last(self) -> int:
        """Return the sequence of the last record queued; 0 when there is none."""
        ...

    @property
    def put_back(self) -> bool:
        """Tell whether it was lost, or an old one put in its place, since the last run; until one starts on it."""
        ...

    def start_run(self) -> int:
        """Return a run number never returned before; durable on return."""
        ...

    def append(self, payloads: Sequence[bytes], done: Done) -> int:
        """Queue records as one transaction and return the sequence of the last.

        ``done`` is called once, from any thread, with None when they are durable or with the error.
        Appends become durable in the order of the calls.
        """
        ...

    def checkpoint(self, sequence: int, image: bytes) -> None:
        """Queue a checkpoint of the ledger as it was after ``sequence``; older checkpoints may be dropped."""
        ...

    def last_checkpoint(self) -> Checkpoint | None:
        """Return the newest readable checkpoint."""
        ...

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield durable records with a sequence above ``after``, in order.

        Raises:
            JournalDamaged: naming the first record that cannot be trusted.
        """
        ...

    def first_since(self, ts: Nanoseconds) -> int:
        """Return the first durable sequence whose event is not older than ``ts``; behind the last where there is none.

        Found by bisection: it takes the records' times to rise, as an engine's clock does.

        Raises:
            JournalDamaged: naming the record that cannot be read.
        """
        ...

    def close(self) -> None:
        """Write what is queued and close."""
        ...


class TickStore(Protocol):
    """Takes the market data the engine saw; never waits or raises, and counts what it could not keep."""

    dropped: int

    def append(self, message: Message) -> None:
        """Take a Quote, Trade, BookDelta or BookSnapshot; others are ignored."""
        ...

    def flush(self) -> None:
        """Make what was appended survive kill -9 (written to the operating system)."""
        ...

    def close(self) -> None:
        """Flush and close."""
        ...
