"""The account at a glance: what ``tradedeck status`` and scripts are told."""

from decimal import Decimal

import msgspec

from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.market import SentinelStatus
from core.domain.message import Nanoseconds
from core.domain.order import OrderRecord
from core.session.strategies import StrategyView


class Status(msgspec.Struct, frozen=True):
    """The account at a glance; money in the reporting currency."""

    mode: str
    state: str
    state_reason: str
    run: int
    now: Nanoseconds
    equity: Decimal
    complete: bool
    day_pnl: Decimal
    realised_pnl: Decimal
    unrealised_pnl: Decimal
    fees: Decimal
    funding: Decimal
    drawdown: float
    gross: Decimal
    net: Decimal
    positions: tuple["PositionView", ...]
    orders: tuple[OrderRecord, ...]
    feeds: tuple["FeedView", ...]
    venues: dict[str, str]
    journal: str
    clients: int
    loop_late_ns: Nanoseconds = 0
    """The worst lateness of the engine's loop since it was last asked for its status."""
    flattening: tuple[InstrumentId, ...] = ()
    """What is being closed now."""
    unjournalled: tuple[ClientOrderId, ...] = ()
    """Exits that left without a record, until the journal can be written again."""
    unfit: int = 0
    """Events since the engine's start, the journal's at recovery among them, that did not fit and were not applied."""
    differences: int = 0
    """Differences between our record and the venues' that wait for a word."""
    loosened: tuple[str, ...] = ()
    """Limits that a change of the settings has loosened by the typed word, and nobody has tightened since."""
    sentinel: SentinelStatus | None = None
    strategies: tuple[StrategyView, ...] = ()
    configs: str = ""
    """Why promotions are not heard of, and what strategies run by meanwhile; empty where all is well."""
    exit_times: tuple[int, Nanoseconds, Nanoseconds] = (0, 0, 0)
    """Exits that left at once in this run; the last's and the worst's time from what woke it to the socket."""
    research: str = ""
    """Why studies or the schedule wait for a researcher that does not come; empty where nothing does."""
    held_back: tuple[str, ...] = ()
    """Limits that the settings would loosen, and that are not in force without the typed word."""
    judged: bool = True
    """Whether what counts from the day's start and the peak is known: nothing that had a price lacks one now."""


class PositionView(msgspec.Struct, frozen=True):
    """One position at its mark; ``unrealised_pnl`` in the reporting currency."""

    instrument: InstrumentId
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealised_pnl: Decimal
    realised_pnl: Decimal
    fees: Decimal
    funding: Decimal
    opened: Nanoseconds


class FeedView(msgspec.Struct, frozen=True):
    """One feed; ``age_ms`` is None before the first update."""

    venue: str
    instrument: InstrumentId
    health: str
    age_ms: int | None
    gaps: int
    clock_offset_ns: int
