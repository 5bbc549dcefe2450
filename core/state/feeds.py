"""How far each feed can be trusted: what its data show, what its venue says of it, and whether the venue is there."""

from core.domain.identifiers import InstrumentId
from core.domain.market import FeedReport, Health
from core.domain.message import Nanoseconds
from core.outbox import Outbox, Resync
from core.state.contact import VenueView
from core.state.mark import FUTURE_NS, STUCK, UNMARKED
from core.state.markets import Market

SECOND_NS: Nanoseconds = 1_000_000_000
RESYNC_NS: Nanoseconds = 5 * SECOND_NS
"""A book that has not come by then is asked for again."""
_SOUND = frozenset({Health.LIVE, Health.PARTIAL})
_MILD = _SOUND | {Health.STALE}
"""Data that are merely old say less than a venue whose word is that the feed is broken."""


class Feeds:
    """Judge feeds and say what changed."""

    def __init__(self) -> None:
        self._claims: dict[InstrumentId, FeedReport] = {}
        self._bad: dict[InstrumentId, int] = {}

    def claim(self, report: FeedReport) -> None:
        """Remember what a venue says of a feed."""
        self._claims[report.instrument] = report

    def judge(self, market: Market, venue: VenueView, now: Nanoseconds) -> FeedReport | None:
        """Return the report of a feed where it differs from the last one: the worst of data, claim and connection."""
        health, reason = market.judge(now)
        if health in _SOUND:
            health, reason = self._doubts(market, now) or (health, reason)
        gaps, offset = market.gaps, market.clock_offset_ns
        claim = self._claims.get(market.instrument.id)
        if claim is not None:
            gaps, offset = max(gaps, claim.gaps), claim.clock_offset_ns
            if health in _MILD and claim.health not in _SOUND:
                health, reason = claim.health, claim.reason
        if market.ahead:
            offset = market.ahead // SECOND_NS * SECOND_NS
            reason = f"{market.venue}'s clock is {offset // SECOND_NS} s ahead of ours"
            health, reason = Health.DOWN, f"{reason} (limit {FUTURE_NS // SECOND_NS} s): its data are not used"
        elif claim is None and market.clock_offset_ns > FUTURE_NS - SECOND_NS:
            offset = 0
        if not venue.connected:
            health, reason = Health.DOWN, venue.reason
        if (health, gaps, offset) == (market.health, market.feed_gaps, market.clock_offset_ns):
            return None
        return FeedReport(market.instrument.id, health, gaps, offset, reason, now)

    def _doubts(self, market: Market, now: Nanoseconds) -> tuple[Health, str] | None:
        """Return what is wrong with data that keep coming: a stamp that stands still, updates dropped, no mark."""
        id_ = market.instrument.id
        if market.stuck:
            return Health.DOWN, STUCK
        dropped = market.bad - self._bad.get(id_, 0)
        self._bad[id_] = market.bad
        if dropped:
            return Health.PARTIAL, "senseless updates were dropped"
        return (Health.PARTIAL, UNMARKED) if market.is_unmarked(now) else None


class FeedDesk:
    """Publish what becomes of feeds, and have broken books sent again."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox, self._feeds = outbox, Feeds()
        self.resyncing: dict[InstrumentId, Nanoseconds] = {}
        """Books asked for again, and when."""
        self._crossed: dict[InstrumentId, Nanoseconds] = {}
        """Since when books cross themselves, or when they were asked for again for it."""

    def claim(self, report: FeedReport) -> None:
        """Take what a venue says of a feed."""
        self._feeds.claim(report)
        market = self._outbox.state.markets.get(report.instrument)
        if market is not None:
            self._judge(market, report.ts)

    def _judge(self, market: Market, now: Nanoseconds) -> None:
        report = self._feeds.judge(market, self._outbox.state.venue(market.venue), now)
        if report is not None:
            self._outbox.publish(report)

    def resync(self, market: Market, now: Nanoseconds) -> None:
        """Ask for a book again; entries there are denied from this moment."""
        self.resyncing[market.instrument.id] = now
        self._outbox.put(Resync(market.instrument.id))
        self._judge(market, now)

    def _uncross(self, market: Market, now: Nanoseconds) -> None:
        """Ask again for a book that has crossed itself for a while: a level was lost, and no gap tells of it."""
        id_ = market.instrument.id
        if not market.is_crossed:
            self._crossed.pop(id_, None)
        elif now - self._crossed.setdefault(id_, now) >= RESYNC_NS and id_ not in self.resyncing:
            self._crossed[id_] = now
            self.resync(market, now)

    def timer(self, now: Nanoseconds) -> None:
        """Judge every feed, and ask again for the books that have not come."""
        markets = self._outbox.state.markets
        for market in markets.values():
            self._judge(market, now)
            self._uncross(market, now)
        for instrument, asked in list(self.resyncing.items()):
            if now - asked >= RESYNC_NS:
                self.resync(markets[instrument], now)
