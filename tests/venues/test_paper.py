"""Paper: the venue contract over a feed moved by hand, its timers, and a feed that comes and goes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest

from core.clock import LiveClock
from core.domain import events as e
from core.domain.identifiers import InstrumentId
from core.domain.market import NO_ID, Bar, Feed, Interval, Quote, Trade, VenueStatus
from core.domain.message import Message, Nanoseconds
from core.domain.order import OrderStatus, Side, TimeInForce
from core.errors import ConfigError
from core.ports import Emit, Venue
from tests.contracts.venue import Stage, VenueContract
from tests.venues.matching.pit import FUTURES
from venues import VENUES, load
from venues.contracts_table import contracts
from venues.matching.settings import LatencySettings, MatchingSettings
from venues.paper import Paper

SLOW = MatchingSettings(latency=LatencySettings(request_ns=3_000_000, answer_ns=3_000_000))


class HandFeed:
    """A feed that says what the test tells it."""

    def __init__(self) -> None:
        self.emit: Emit | None = None
        self.asked: list[tuple[InstrumentId, Feed]] = []

    async def start(self, emit: Emit) -> None:
        self.emit = emit

    async def stop(self) -> None:
        self.emit = None

    async def subscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        self.asked.append((instrument, feed))

    async def unsubscribe(self, instrument: InstrumentId, feed: Feed) -> None:
        self.asked.remove((instrument, feed))

    async def history(
        self, instrument: InstrumentId, interval: Interval, start: Nanoseconds, end: Nanoseconds
    ) -> Sequence[Bar]:
        first = -(-start // interval.ns) * interval.ns
        return [Bar(instrument, interval, first, 1.0, 2.0, 1.0, 2.0, 3.0, 4, True, 0, end)]

    def say(self, message: Message) -> None:
        assert self.emit is not None
        self.emit(message)


class PaperStage(Stage):
    """A paper account over a feed moved by hand."""

    feed: HandFeed

    async def move(self, bid: Decimal, ask: Decimal) -> None:
        now = LiveClock().now()
        key = self.instrument.id
        self.feed.say(Quote(key, float(bid), 50.0, float(ask), 50.0, NO_ID, now, now))
        self.feed.say(Trade(key, float(bid), 0.001, False, NO_ID, now, now))


async def started(settings: MatchingSettings) -> PaperStage:
    feed = HandFeed()
    listed = contracts(FUTURES)
    heard: list[Message] = []
    venue = Paper(FUTURES, listed, feed, LiveClock(), settings)
    stage = PaperStage(venue, listed[0], heard)
    stage.feed = feed
    await venue.start(heard.append)
    return stage


class TestPaper(VenueContract):
    """An instant paper account."""

    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        stage = await started(MatchingSettings())
        yield stage
        await stage.venue.stop()


class TestSlowPaper(VenueContract):
    """A paper account whose requests and answers travel."""

    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        stage = await started(SLOW)
        yield stage
        await stage.venue.stop()


async def test_the_engine_sees_a_tick_before_the_fill_it_caused() -> None:
    stage = await started(MatchingSettings())
    await stage.open_market()
    order = await stage.limit(Side.BUY, Decimal(59000))
    stage.heard.clear()
    await stage.move(Decimal(58000), Decimal(58010))
    assert [type(message) for message in stage.heard[:2]] == [Quote, e.OrderFilled]
    assert stage.sum_of(order) == stage.size
    await stage.venue.stop()


async def test_an_order_expires_by_the_clock_without_any_data() -> None:
    stage = await started(MatchingSettings())
    await stage.open_market()
    expires = LiveClock().now() + 300_000_000  # still to come when it is sent, also where the machine hesitates
    order = await stage.limit(Side.BUY, Decimal(59000), time_in_force=TimeInForce.GTD, expires=expires)
    await stage.hear(e.OrderExpired, order)
    assert LiveClock().now() >= expires
    assert (await stage.report(order)).status is OrderStatus.EXPIRED
    await stage.venue.stop()


async def test_the_link_of_the_feed_is_the_link_of_the_venue() -> None:
    stage = await started(MatchingSettings())
    assert isinstance(stage.venue, Paper)
    stage.feed.say(VenueStatus(FUTURES, False, "feed lost", LiveClock().now()))
    last = stage.of(VenueStatus)[-1]
    assert (last.venue, last.connected, last.reason) == (FUTURES, False, "feed lost")
    await stage.venue.stop()


async def test_nothing_is_left_running_after_stop() -> None:
    stage = await started(SLOW)
    await stage.open_market()
    before = asyncio.all_tasks()
    await stage.submit(Side.BUY)
    await stage.venue.stop()
    heard = len(stage.heard)
    await asyncio.sleep(0.02)
    assert len(stage.heard) == heard
    assert asyncio.all_tasks() <= before
    assert stage.feed.emit is None


async def test_history_and_subscriptions_are_the_feeds() -> None:
    stage = await started(MatchingSettings())
    key = stage.instrument.id
    await stage.venue.subscribe(key, Feed.TRADE)
    assert stage.feed.asked == [(key, Feed.TRADE)]
    await stage.venue.unsubscribe(key, Feed.TRADE)
    assert stage.feed.asked == []
    bars = await stage.venue.history(key, Interval.M1, 5, 10**12)
    assert [bar.start for bar in bars] == [Interval.M1.ns]
    await stage.venue.stop()


@pytest.mark.parametrize("name", sorted(VENUES))
def test_every_venue_is_loaded_by_its_name(name: str) -> None:
    found = load(name)
    assert found.__name__ == VENUES[name].partition(":")[2]
    assert {attribute for attribute in vars(Venue) if not attribute.startswith("_")} <= set(dir(found)) | {"id"}


def test_an_unknown_venue_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match='"nyse" is not known; expected one of market, paper, replay'):
        load("nyse")
