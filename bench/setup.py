"""What the engine benchmarks share: one linear perpetual, a ready engine, a guardian with raised limits."""

from collections.abc import Sequence
from decimal import Decimal

from core.config.settings import AlertSettings, GuardianSettings
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import InstrumentId, VenueId
from core.domain.instrument import Instrument
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.strategy.base import Strategy
from venues.contracts_table import contracts

INSTRUMENT = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
VENUE = VenueId("BINANCE-FUTURES")


def contract() -> Instrument:
    """Return the contract that is traded."""
    return next(item for item in contracts(VENUE) if item.id == INSTRUMENT)


def raised_guardian() -> Guardian:
    """Return a guardian that evaluates every limit and refuses nothing a benchmark does."""
    settings = GuardianSettings(
        max_position_frac=1e6,
        max_sector_frac=1e6,
        max_leverage=1e6,
        max_gross_frac=1e6,
        effective_bets_above_gross_frac=1e6,
        max_net_frac=1e6,
        min_net_frac=-1e6,
        max_order_notional_frac=1e6,
        price_collar_frac=1e6,
        duplicate_window_ms=0,
        max_orders_per_second=1_000_000,
        max_open_orders=1_000_000,
        stale_after_ms=1_000_000_000,
    )
    return Guardian(settings)


def ready_engine(guardian: Guardian, now: int, strategies: Sequence[Strategy] = ()) -> Engine:
    """Return an engine that is connected, reconciled and funded."""
    engine = Engine(guardian, strategies=strategies, strict=True, alerts=AlertSettings())
    instrument = contract()
    for message in (
        m.VenueStatus(VENUE, True, "", now),
        m.InstrumentDefined(instrument, now),
        m.FeedReport(INSTRUMENT, m.Health.LIVE, 0, 0, "", now),
        e.BalanceSet(VENUE, instrument.settle, Decimal(20_000_000), "opening", now),
        e.VenueReconciled(VENUE, now, now),
    ):
        engine.process(message)
    return engine
