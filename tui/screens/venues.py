"""The venues screen: how every connection does, and how old, whole and in time every feed is."""

from textual.app import ComposeResult

from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.market import Health
from core.session.protocol import VenueReport
from core.state.markets import Market
from tui import views
from tui.feed import ACCOUNT, LINK, Dirty
from tui.format import age, number
from tui.grid import Cell, Column, Grid, Row
from tui.screens.base import DeckScreen

VENUE_COLUMNS = (
    Column("venue", "venue", 15, best=18),
    Column("state", "state", 10, best=30),
    Column("compared", "record", 12, best=13),
    Column("since", "up for", 6, align="right", drop=3),
    Column("feeds", "feeds", 5, align="right"),
    Column("oldest", "oldest", 6, align="right"),
    Column("gaps", "gaps", 4, align="right", drop=1),
    Column("clock", "clock ms", 8, align="right", drop=2),
    Column("p50", "ack p50", 7, align="right"),
    Column("p99", "ack p99", 7, align="right"),
    Column("answers", "of", 4, align="right", drop=4),
    Column("orders", "open", 4, align="right", drop=5),
    Column("unknown", "unknown", 7, align="right", drop=6),
)
FEED_COLUMNS = (
    Column("instrument", "instrument", 10, best=14),
    Column("venue", "venue", 15, best=18, drop=2),
    Column("health", "health", 8, best=10),
    Column("age", "age", 6, align="right"),
    Column("gaps", "gaps", 4, align="right"),
    Column("clock", "clock ms", 8, align="right", drop=1),
    Column("spread", "spread bp", 9, align="right", drop=3),
    Column("reason", "what is wrong", 13, flex=1),
)


def venue_row(report: VenueReport, now: int) -> Row:
    """Build the row of one venue connection."""
    ready = report.words == "ready"
    oldest = None if report.oldest_ms is None else report.oldest_ms / 1e3
    return Row(
        report.venue,
        (
            report.venue,
            Cell(report.words, "ok" if ready else "bad"),
            Cell(_compared(report, now), "bad" if report.differences else "", report.compared),
            age((now - report.since) / 1e9 if report.since else None),
            Cell(f"{report.live}/{report.feeds}", "" if report.live == report.feeds else "warn"),
            Cell(age(oldest), "stale" if oldest is None or oldest > 1 else "", oldest),
            Cell(str(report.gaps), "warn" if report.gaps else "", report.gaps),
            Cell(number(report.clock_offset_ns / 1e6, 1, sign=True), "", report.clock_offset_ns),
            _milliseconds(report.answer_p50_ms),
            _milliseconds(report.answer_p99_ms),
            str(report.answers),
            str(report.open_orders),
            Cell(str(report.unknown), "bad" if report.unknown else "", report.unknown),
        ),
    )


def _compared(report: VenueReport, now: int) -> str:
    """Say how our record and the venue's stand to each other, and since when that is known."""
    if not report.compared:
        return "–"
    return f"{f'{report.differences} differ' if report.differences else 'agrees'} {age((now - report.compared) / 1e9)}"


def _milliseconds(value: float | None) -> Cell:
    return Cell("–" if value is None else f"{value:.1f} ms", "", value)


def feed_row(market: Market, now: int) -> Row:
    """Build the row of one feed."""
    seen = market.age(now)
    middle = (market.bid + market.ask) / 2
    spread = (market.ask - market.bid) / middle * 1e4 if market.bid and market.ask else None
    good = market.health in (Health.LIVE, Health.PARTIAL)
    return Row(
        market.instrument.id,
        (
            symbol_of(market.instrument.id),
            market.venue,
            Cell(market.health.value, "ok" if good else "bad"),
            Cell(age(None if seen is None else seen / 1e9), "", seen),
            Cell(str(market.gaps), "warn" if market.gaps else "", market.gaps),
            Cell(number(market.clock_offset_ns / 1e6, 1, sign=True), "", market.clock_offset_ns),
            Cell("–" if spread is None else f"{spread:.2f}", "", spread),
            market.reason,
        ),
        stale=views.is_stale(market, now),
    )


class VenuesScreen(DeckScreen):
    """Show every connection and every feed."""

    CSS_PATH = "venues.tcss"
    AUTO_FOCUS = "#feeds"
    NAME = "venues"
    TAB_ORDER = ("venues", "feeds")

    def body(self) -> ComposeResult:
        """Place the connections above the feeds."""
        self.venues = Grid(VENUE_COLUMNS, "venues", "", empty="no venue is connected yet", id="venues")
        self.feeds = Grid(
            FEED_COLUMNS, "feeds", "{grid.choose} in depth · {grid.filter} filter", empty="no feed yet", id="feeds"
        )
        yield self.venues
        yield self.feeds

    @property
    def instrument(self) -> InstrumentId | None:
        """The instrument under the cursor of the feeds."""
        key = self.feeds.cursor
        return None if key is None else InstrumentId(key)

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed."""
        if not (slow or dirty.topics & {ACCOUNT, LINK}):
            return
        state = self.feed.state
        self.venues.set_rows(venue_row(report, now) for report in self.feed.venues)
        self.feeds.set_rows(feed_row(market, now) for market in views.in_order(state.markets))
        live = sum(market.health in (Health.LIVE, Health.PARTIAL) for market in state.markets.values())
        self.feeds.set_title(f"feeds  {live} of {len(state.markets)} live")

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        """Show the chosen instrument in depth."""
        if event.grid is self.feeds and event.key is not None:
            self.post_message(self.InDepth(InstrumentId(event.key)))
