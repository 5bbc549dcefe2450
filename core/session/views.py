"""Answers to a client's questions, computed from the state. Pure."""

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from core.domain.identifiers import VenueId, venue_of
from core.domain.instrument import ZERO
from core.domain.market import Health
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType, Side
from core.guardian.guardian import Guardian
from core.session.protocol import LimitView, VenueReport
from core.session.status import FeedView, PositionView, Status
from core.session.strategies import strategies
from core.state.contact import VenueView
from core.state.state import State

CENT = Decimal("0.00000001")
MS: Nanoseconds = 1_000_000


def money(value: float | Decimal) -> Decimal:
    """Return a value in the reporting currency to eight decimals, without trailing zeros."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    plain = exact.quantize(CENT, ROUND_HALF_EVEN).normalize()
    return plain.quantize(Decimal(1)) if plain == plain.to_integral_value() else plain


def status(
    state: State,
    now: Nanoseconds,
    journal: str,
    clients: int,
    loop_late_ns: int = 0,
    exit_times: tuple[int, int, int] = (0, 0, 0),
) -> Status:
    """Return the account at a glance."""
    ledger = state.ledger
    realised, fees, funding = ledger.totals()
    gross, net = ledger.exposure()
    return Status(
        mode=state.mode,
        state=state.trading_state.value,
        state_reason=state.state_reason,
        run=state.run,
        now=now,
        equity=money(ledger.equity),
        complete=not ledger.unvalued,
        day_pnl=money(state.day_profit),
        realised_pnl=money(realised),
        unrealised_pnl=money(ledger.open_profit()),
        fees=money(fees),
        funding=money(funding),
        drawdown=state.drawdown,
        gross=money(gross),
        net=money(net),
        positions=positions(state),
        orders=tuple(_standing(state, record) for record in state.blotter.open.values()),
        feeds=feeds(state, now),
        venues={name: venue_words(view) for name, view in state.venues.items()},
        journal=journal,
        clients=clients,
        loop_late_ns=loop_late_ns,
        flattening=tuple(state.exits.flattening),
        unjournalled=tuple(state.exits.unjournalled),
        unfit=state.illegal,
        differences=len(state.differences.waiting),
        loosened=state.limits.words(),
        held_back=state.limits.held_back_words(),
        sentinel=state.guard.status,
        strategies=strategies(state.configs, state.markets),
        configs=state.studies.trouble,
        exit_times=exit_times,
        research=state.studies.waits,
        judged=not state.capital.unpriced(ledger.unvalued),
    )


def venue_words(view: VenueView) -> str:
    """Return how a venue connection stands, in words."""
    if not view.connected:
        return f"down: {view.reason}"
    if view.trouble:
        return f"not comparable: {view.trouble}"
    return "ready" if view.reconciled else "connected, not reconciled yet"


def positions(state: State) -> tuple[PositionView, ...]:
    """Return the open positions, the biggest first."""
    ledger = state.ledger
    views = []
    for position in ledger.positions.values():
        market = ledger.mark_of(position.instrument)
        if not position.quantity or market is None:
            continue
        rate = ledger.rate(position.settle)
        view = PositionView(
            position.instrument,
            position.quantity,
            position.entry_price,
            money(market.mark),
            money(ledger.unrealised(position, market) * rate),
            money(position.realised),
            money(ledger.rates.fees(position)),
            money(position.funding),
            position.opened,
        )
        views.append((abs(ledger.notional(position)), view))
    return tuple(view for _, view in sorted(views, key=lambda pair: -pair[0]))


def feeds(state: State, now: Nanoseconds) -> tuple[FeedView, ...]:
    """Return every feed with its age and gaps."""
    views = []
    for id_, market in state.markets.items():
        age = market.age(now)
        age_ms = None if age is None else max(age, 0) // MS
        views.append(FeedView(venue_of(id_), id_, market.health.value, age_ms, market.gaps, market.clock_offset_ns))
    return tuple(views)


def venues(state: State, now: Nanoseconds) -> tuple[VenueReport, ...]:
    """Return how every venue connection does."""
    return tuple(_venue(state, name, now) for name in state.venues)


def _venue(state: State, name: VenueId, now: Nanoseconds) -> VenueReport:
    view = state.venues[name]
    markets = [market for market in state.markets.values() if market.venue == name]
    ages = [age for market in markets if (age := market.age(now)) is not None]
    orders = [record for record in state.blotter.orders.values() if record.venue == name]
    answers = sorted(record.answered_in / MS for record in orders if record.answered_in)
    return VenueReport(
        name,
        venue_words(view),
        view.since,
        len(markets),
        sum(market.health in (Health.LIVE, Health.PARTIAL) for market in markets),
        max(ages) // MS if ages else None,
        sum(market.gaps for market in markets),
        max((market.clock_offset_ns for market in markets), key=abs, default=0),
        sum(record.is_open for record in orders),
        sum(record.status is OrderStatus.UNKNOWN for record in orders),
        len(answers),
        _percentile(answers, 0.50),
        _percentile(answers, 0.99),
        view.compared,
        len(state.differences.of(name)),
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile of sorted values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def orders(state: State, open_only: bool, limit: int) -> tuple[OrderRecord, ...]:
    """Return orders, newest first; a stop of a bracket with where it stands now."""
    records = list(state.blotter.open.values() if open_only else state.blotter.orders.values())
    records.sort(key=lambda record: record.created, reverse=True)
    return tuple(_standing(state, record) for record in records[:limit])


def _standing(state: State, record: OrderRecord) -> OrderRecord:
    """Return the record of a trailing stop as far as its bracket has trailed it, wherever it rests."""
    bracket = state.brackets.find(record.order.parent) if record.order.type is OrderType.TRAILING_STOP else None
    if bracket is None or bracket.stop is None:
        return record
    return msgspec.structs.replace(record, trigger_now=bracket.stop.price)


def limits(state: State, guardian: Guardian, now: Nanoseconds) -> tuple[LimitView, ...]:
    """Return every limit with its use, as it stands with the largest position, and every rule of the watch."""
    held = positions(state)
    market = state.ledger.mark_of(held[0].instrument) if held else next(iter(state.markets.values()), None)
    if market is None:
        return ()
    order = Order(market.instrument.id, Side.BUY, ZERO)
    return (*guardian.views(state, market, order, now), *guardian.watch_views(state, now))
