"""Answers to clients: questions about the state, the journal and, where the engine lacks it, the venue's history."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from core.connection import VenueLink
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import InstrumentId, VenueId
from core.domain.message import Nanoseconds
from core.domain.risk import RiskView
from core.engine import Engine
from core.errors import TradedeckError
from core.forecasting import RiskDesk
from core.ports import Clock, Journal
from core.session import protocol as p
from core.session import views, wire
from core.session.frames import HISTORY_BARS, AskEquity, AskHistory, AskRisk
from core.session.preview import preview
from core.session.records import records_of

HOUR_NS: Nanoseconds = 3_600 * 1_000_000_000
HISTORY_HOURS = 740
"""Hours of history that risk asks for: nearly all that a market keeps."""
AHEAD_NS: Nanoseconds = 3_600 * 1_000_000_000
"""How far a venue's clock may be ahead of ours for its fills to be found by time."""


class Answers:
    """Answer questions; reads everything, changes nothing."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        links: Mapping[VenueId, VenueLink],
        clock: Clock,
        vitals: Callable[[], tuple[int, int, tuple[int, int, int]]],
        risk: RiskDesk | None = None,
    ) -> None:
        self._engine, self._journal, self._links, self._clock, self._vitals = engine, journal, links, clock, vitals
        self._risk = risk or RiskDesk(engine)
        self._history_asked: dict[InstrumentId, Nanoseconds] = {}

    def growing(self, instrument: InstrumentId) -> list[m.Bar]:
        """Return the bars of an instrument that are growing now."""
        builder = self._engine.bars.get(instrument)
        if builder is None:
            return []
        now = self._clock.now()
        return [bar for interval in m.Interval if (bar := builder.growing(interval, now)) is not None]

    async def answer(self, question: p.Question) -> object:
        """Answer a client's question."""
        state, now = self._engine.state, self._clock.now()
        answer: object
        if isinstance(question, p.AskStatus):
            answer = views.status(state, now, state.store_trouble or "ok", *self._vitals())
        elif isinstance(question, p.AskOrders):
            answer = views.orders(state, question.open_only, question.limit)
        elif isinstance(question, p.AskPreview):
            answer = preview(state, self._engine.guardian, question.order, now)
        elif isinstance(question, p.AskLimits):
            answer = views.limits(state, self._engine.guardian, now)
        elif isinstance(question, p.AskVenues):
            answer = views.venues(state, now)
        elif isinstance(question, AskEquity):
            answer = state.curve.points(hours=question.hours)
        elif isinstance(question, AskRisk):
            answer = await self._risk_view(question, now)
        elif isinstance(question, p.AskBars):
            answer = await self._bars(question)
        elif isinstance(question, AskHistory):
            answer = await self._history(question)
        elif isinstance(question, p.AskRecords):
            answer = await asyncio.get_running_loop().run_in_executor(None, records_of, self._journal, question)
        elif isinstance(question, p.AskFills):
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(None, fills_of, self._journal, question.since, question.limit)
        else:
            raise TradedeckError(f"the engine has no answer to {type(question).__name__}")
        return answer

    async def _risk_view(self, question: AskRisk, now: Nanoseconds) -> RiskView:
        """Have the venue's history of what is held, then say what it risks."""
        for position in self._engine.state.ledger.positions.values():
            market = self._engine.state.ledger.mark_of(position.instrument) if position.quantity else None
            if market is not None and now - self._history_asked.get(market.instrument.id, 0) >= HOUR_NS:
                self._history_asked[market.instrument.id] = now
                start = (now // HOUR_NS - HISTORY_HOURS) * HOUR_NS
                await self._bars(p.AskBars(market.instrument.id, m.Interval.H1, start, now))
        return await self._risk.view(self._clock.now(), with_profits=question.with_profits)

    async def _bars(self, question: p.AskBars) -> Sequence[m.Bar]:
        market = self._engine.state.markets.get(question.instrument)
        if market is None:
            raise TradedeckError(f"instrument {question.instrument} is not known here")
        kept = market.bars[question.interval]
        if not kept or min(kept) > question.start:
            link = self._links.get(market.instrument.venue)
            if link is not None:
                await link.backfill(question)
        return tuple(bar for start, bar in sorted(kept.items()) if question.start <= start < question.end)

    async def _history(self, question: AskHistory) -> Sequence[m.Bar]:
        """Hand on what the venue says; what it cannot say is its error, in its words."""
        market = self._engine.state.markets.get(question.instrument)
        if market is None:
            raise TradedeckError(f"instrument {question.instrument} is not known here")
        if question.end - question.start > HISTORY_BARS * question.interval.ns:
            raise TradedeckError(f"at most {HISTORY_BARS} bars can be asked for at once")
        link = self._links.get(market.instrument.venue)
        if link is None:
            raise TradedeckError(f"{market.instrument.venue} has no session here")
        span = (question.interval, question.start, question.end)
        return tuple(await link.venue.history(question.instrument, *span))


def fills_of(journal: Journal, since: int, limit: int) -> tuple[p.FillView, ...]:
    """Return our newest fills since a time, oldest first, read from the journal.

    Only the records from then on are read. ``since`` counts by the venue's stamp, the journal goes by ours: a fill may
    come late, but a venue's clock is at most ``AHEAD_NS`` before ours.
    """
    found: deque[p.FillView] = deque(maxlen=limit)
    after = journal.first_since(since - AHEAD_NS) - 1 if since > 0 else 0
    for record in journal.read(after):
        if wire.is_kind(record.payload, e.OrderFilled):
            event = wire.recorded(record)
            if isinstance(event, e.OrderFilled) and event.ts_exchange >= since:
                found.append(p.FillView.of(event))
    return tuple(found)
