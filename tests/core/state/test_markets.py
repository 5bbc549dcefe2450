"""The live view of a market: what is dropped and counted, what marks it, and how far its feed can be trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import market as m
from core.domain.market import Health, Interval
from core.domain.message import Nanoseconds
from core.domain.order import Side
from core.state.contact import VenueView
from core.state.feeds import Feeds
from core.state.mark import FUTURE_NS, MARK_TTL_NS, STALE_NS
from core.state.markets import DAY_NS, KEPT_BARS, Market, Markets
from tests.core.kit import BTC_PERP, BTC_SPOT, T0, S, denied, of, opened, order, quote, sent

NAN, INF = float("nan"), float("inf")
UP = VenueView(connected=True, reconciled=True)
odd = st.floats(allow_nan=True, allow_infinity=True, width=64)


def trade(
    price: float, ts: Nanoseconds = T0, id_: int = 1, size: float = 1.0, stamp: Nanoseconds | None = None
) -> m.Trade:
    return m.Trade(BTC_PERP.id, price, size, True, id_, ts if stamp is None else stamp, ts)


def delta(bids: m.Levels, asks: m.Levels, first: int, last: int, ts: Nanoseconds = T0) -> m.BookDelta:
    return m.BookDelta(BTC_PERP.id, bids, asks, first, last, m.NO_ID, ts, ts)


def book(bids: m.Levels, asks: m.Levels, last: int = 100, complete: bool = True) -> m.BookSnapshot:
    return m.BookSnapshot(BTC_PERP.id, bids, asks, last, complete, T0, T0)


def test_a_quote_is_taken_and_its_middle_marks() -> None:
    market = Market(BTC_PERP)
    assert market.quote(quote(BTC_PERP, 100.0, 102.0)) == 101.0
    market.mark = 101.0
    assert market.quote(quote(BTC_PERP, 100.0, 102.0)) is None
    assert (market.bid, market.ask, market.bid_size, market.ask_size, market.ts) == (100.0, 102.0, 1.0, 1.0, T0)


@pytest.mark.parametrize(
    ("bid", "ask"),
    [(NAN, 1.0), (1.0, NAN), (0.0, 1.0), (-1.0, 1.0), (1.0, INF), (2.0, 2.0), (3.0, 2.0), (-INF, 1.0), (1.0, 0.0)],
)
def test_a_senseless_quote_is_dropped_and_counted(bid: float, ask: float) -> None:
    market = Market(BTC_PERP)
    assert market.quote(quote(BTC_PERP, bid, ask)) is None
    assert (market.bad, market.bid, market.ts) == (1, 0.0, 0)


@given(odd, odd, odd, odd)
def test_nothing_odd_ever_becomes_the_top(bid: float, ask: float, bid_size: float, ask_size: float) -> None:
    market = Market(BTC_PERP)
    market.quote(quote(BTC_PERP, bid, ask, bid_size=bid_size, ask_size=ask_size))
    assert market.bid == market.ask == 0.0 or (0 < market.bid < market.ask < INF and market.bid_size >= 0)


@pytest.mark.parametrize("stamp", [-1, T0 + FUTURE_NS + 1])
def test_a_quote_from_no_sensible_time_is_dropped(stamp: Nanoseconds) -> None:
    market = Market(BTC_PERP)
    market.quote(quote(BTC_PERP, 1.0, 2.0, ts_exchange=stamp))
    assert (market.bad, market.bid) == (1, 0.0)
    market.quote(quote(BTC_PERP, 1.0, 2.0, ts_exchange=T0 + FUTURE_NS))
    assert (market.bad, market.bid) == (1, 1.0)


def test_an_older_quote_does_not_replace_a_newer_one() -> None:
    market = Market(BTC_PERP)
    older, newer = quote(BTC_PERP, 1.0, 2.0, T0), quote(BTC_PERP, 3.0, 4.0, T0 + 5)
    market.quote(newer)
    market.quote(older)
    assert (market.bid, market.bad) == (3.0, 1)
    market.quote(quote(BTC_PERP, 5.0, 6.0, T0 + 1))  # its update id is newer: the stamps of one venue may jitter
    assert (market.bid, market.bad) == (5.0, 1)


@pytest.mark.parametrize(
    ("price", "size"), [(NAN, 1.0), (INF, 1.0), (0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (1.0, NAN), (1.0, INF)]
)
def test_a_senseless_print_is_dropped_and_no_bar_knows_it(price: float, size: float) -> None:
    engine = opened()
    before = engine.state.markets[BTC_PERP.id].bad
    engine.process(trade(price, size=size))
    engine.process(trade(50.0, T0, stamp=T0 + FUTURE_NS + 1))
    engine.process(trade(50.0, T0, stamp=-1))
    assert engine.state.markets[BTC_PERP.id].bad == before + 3
    assert BTC_PERP.id not in engine.bars


def test_a_print_told_twice_counts_once() -> None:
    engine = opened()
    for id_ in (7, 8, 7, 8):
        engine.process(trade(60_000.0, T0 + id_, id_))
    builder = engine.bars[BTC_PERP.id]
    bar = builder.growing(Interval.M1, T0)
    assert bar is not None
    assert (bar.trades, engine.state.markets[BTC_PERP.id].bad) == (2, 2)


def test_a_late_print_is_kept_but_is_not_the_last_price() -> None:
    market = Market(BTC_PERP)
    market.trade(trade(100.0, T0 + 10, 2))
    market.trade(trade(90.0, T0 + 11, 1, stamp=T0 + 5))
    assert (market.last, len(market.trades), market.ts_exchange) == (100.0, 2, T0 + 10)
    market.trade(trade(95.0, T0 + 12, m.NO_ID))
    market.trade(trade(96.0, T0 + 12, m.NO_ID))
    assert (market.last, market.bad) == (96.0, 0)


def test_prints_mark_only_where_nothing_better_does() -> None:
    market = Market(BTC_PERP)
    assert market.trade(trade(100.0)) == 100.0
    market.quote(quote(BTC_PERP, 10.0, 11.0))
    assert market.trade(trade(101.0, id_=2)) is None


def test_the_venues_mark_wins_until_it_is_old() -> None:
    market = Market(BTC_PERP)
    assert market.mark_price(m.MarkPrice(BTC_PERP.id, 55.0, 54.0, 0.0001, T0 + S, T0, T0)) == 55.0
    market.mark = 55.0
    assert market.mark_price(m.MarkPrice(BTC_PERP.id, 55.0, 54.0, 0.0001, T0 + S, T0, T0)) is None
    assert market.quote(quote(BTC_PERP, 53.3, 53.7, T0 + MARK_TTL_NS)) is None
    assert market.quote(quote(BTC_PERP, 53.3, 53.7, T0 + MARK_TTL_NS + 1)) == 53.5
    for bad in (NAN, INF, 0.0, -1.0):
        assert market.mark_price(m.MarkPrice(BTC_PERP.id, bad, 54.0, 0.0001, 0, T0, T0)) is None
    assert market.bad == 4
    assert (market.index, market.funding_rate) == (54.0, 0.0001)


def test_the_top_comes_from_the_book_only_when_it_is_whole() -> None:
    market = Market(BTC_PERP)
    assert market.delta(delta(((100.0, 1.0),), ((101.0, 1.0),), 1, 2)) is None
    assert market.bid == 0.0
    assert market.snapshot(book(((100.0, 3.0),), ((101.0, 4.0),))) == 100.5
    market.mark = 100.5
    assert (market.bid, market.bid_size, market.ask, market.ask_size) == (100.0, 3.0, 101.0, 4.0)
    assert market.delta(delta(((100.4, 1.0),), (), 101, 102)) == 100.7
    market.mark = 100.7
    assert market.delta(delta(((100.0, 0.0),), (), 103, 103)) is None  # the top did not move
    assert market.delta(delta(((103.0, 1.0),), (), 104, 104)) is None  # crossed
    assert market.bid == 100.4
    assert market.snapshot(book((), ((101.0, 1.0),))) is None
    market.marked = T0
    assert market.snapshot(book(((100.9, 1.0),), ((101.0, 1.0),))) is None  # the venue's own mark stands


def test_bars_are_bounded_and_a_revision_replaces() -> None:
    market = Market(BTC_PERP)
    one = m.Bar(BTC_PERP.id, Interval.M15, 0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, True, 1, 0)
    market.bar(one)
    market.bar(one.replace(revision=0, close=9.0))
    assert market.bars[Interval.M15][0].close == 1.0
    for number in range(KEPT_BARS[Interval.M15] + 5):
        market.bar(one.replace(start=number * Interval.M15.ns))
    assert len(market.bars[Interval.M15]) == KEPT_BARS[Interval.M15]
    assert min(market.bars[Interval.M15]) == 5 * Interval.M15.ns


def test_of_bars_that_come_behind_newer_ones_the_oldest_go_first() -> None:
    market, kept = Market(BTC_PERP), KEPT_BARS[Interval.H1]
    one = m.Bar(BTC_PERP.id, Interval.H1, 0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, True, 0, 0)
    hours = [*range(kept - 5, kept), *range(kept - 5), kept, kept + 1]  # five of now, the history, two more
    for number in hours:
        market.bar(one.replace(start=number * Interval.H1.ns))
    assert sorted(market.bars[Interval.H1]) == [number * Interval.H1.ns for number in range(2, kept + 2)]


def test_the_day_opens_a_day_ago_or_with_the_oldest_known() -> None:
    market = Market(BTC_PERP)
    bar = m.Bar(BTC_PERP.id, Interval.M1, 0, 10.0, 10.0, 10.0, 10.0, 1.0, 1, True, 0, 0)
    market.bar(bar)
    market.bar(bar.replace(start=Interval.M1.ns, open=11.0))
    assert market.day_open == 10.0
    market.bar(bar.replace(start=DAY_NS + Interval.M1.ns, open=30.0))
    assert market.day_open == 11.0


def test_all_markets_tell_the_oldest_feed_and_who_holds() -> None:
    markets = Markets()
    assert markets.oldest(T0) is None
    spot = markets.define(BTC_SPOT)
    markets.define(BTC_PERP).quote(quote(BTC_PERP, 1.0, 2.0, T0))
    spot.quote(quote(BTC_SPOT, 1.0, 2.0, T0 - S))
    assert markets.oldest(T0 + S) == 2 * S
    assert markets.holding(BTC_SPOT.holding) is spot
    assert markets.define(BTC_SPOT) is spot


# --- how far a feed can be trusted ------------------------------------------------------------------------------------


def health(feeds: Feeds, market: Market, now: Nanoseconds, venue: VenueView = UP) -> Health:
    report = feeds.judge(market, venue, now)
    if report is not None:
        market.report(report)
    return market.health


def test_health_follows_the_data() -> None:
    market, feeds = Market(BTC_PERP), Feeds()
    assert health(feeds, market, T0) is Health.STALE
    market.quote(quote(BTC_PERP, 1.0, 2.0))
    assert health(feeds, market, T0 + STALE_NS) is Health.LIVE
    assert health(feeds, market, T0 + STALE_NS + 1) is Health.STALE
    levels = delta(((1.0, 1.0),), ((2.0, 1.0),), 1, 2, T0 + 3 * S)
    market.delta(levels)
    assert health(feeds, market, T0 + 3 * S) is Health.STALE, "levels seen so far keep no dead touch alive"
    market.quote(quote(BTC_PERP, 1.0, 2.0, T0 + 3 * S))
    assert health(feeds, market, T0 + 3 * S) is Health.PARTIAL
    bare = Market(BTC_PERP)
    bare.delta(levels)
    assert health(Feeds(), bare, T0 + 3 * S) is Health.PARTIAL
    market.snapshot(book(((1.0, 1.0),), ((2.0, 1.0),)))
    assert health(feeds, market, T0) is Health.LIVE
    market.delta(delta(((2.5, 1.0),), (), 101, 101))
    assert health(feeds, market, T0) is Health.CROSSED
    market.delta(delta(((2.5, 0.0),), (), 105, 105))
    assert health(feeds, market, T0) is Health.GAP
    assert market.gaps == 1


def test_a_clock_far_ahead_is_said_refuses_entries_and_recovers() -> None:
    engine = opened()
    wanted = order(BTC_PERP, Side.BUY, "0.01")
    mark = engine.state.markets[BTC_PERP.id].mark
    now, stamp = T0 + S, T0 + 91 * S
    for message in (
        quote(BTC_PERP, 70_000.0, 70_001.0, now, ts_exchange=stamp),
        trade(70_000.0, now, stamp=stamp),
        m.MarkPrice(BTC_PERP.id, 70_000.0, 70_000.0, 0.0, 0, stamp, now),
    ):
        engine.process(message)
        market = engine.state.markets[BTC_PERP.id]
        assert (market.mark, market.last, market.ahead) == (mark, 0.0, 90 * S)
    refusal = denied(engine, wanted, now)
    assert "BINANCE-FUTURES's clock is 90 s ahead of ours (limit 60 s): entries denied" in refusal.reason
    reports = of(engine.process(m.Timer(now)), m.FeedReport)
    told = next(report for report in reports if report.instrument == BTC_PERP.id)
    assert (told.health, told.clock_offset_ns) == (Health.DOWN, 90 * S)
    assert told.reason == "BINANCE-FUTURES's clock is 90 s ahead of ours (limit 60 s): its data are not used"
    assert not of(engine.process(m.Timer(now + 1)), m.FeedReport), "it is said once"
    engine.process(quote(BTC_PERP, 60_000.0, 60_000.1, now + 2))
    back = next(one for one in of(engine.process(m.Timer(now + 3)), m.FeedReport) if one.instrument == BTC_PERP.id)
    assert (back.health, back.clock_offset_ns) == (Health.LIVE, 0)
    assert sent(engine, wanted, now + 4)


def test_a_book_keeps_its_sequence_while_the_clock_is_ahead() -> None:
    market = Market(BTC_PERP)
    market.snapshot(book(((100.0, 1.0),), ((101.0, 1.0),)))
    market.delta(delta(((100.5, 1.0),), (), 101, 101).replace(ts_exchange=T0 + FUTURE_NS + 5))
    assert (market.bid, market.ahead, market.bad) == (100.0, FUTURE_NS + 5, 1)
    market.delta(delta((), ((101.0, 2.0),), 102, 102))
    assert (market.bid, market.ahead, market.book.gaps) == (100.5, 0, 0)
    late = book(((90.0, 1.0),), ((91.0, 1.0),), last=200).replace(ts_exchange=T0 + FUTURE_NS + 5)
    assert market.snapshot(late) is None
    assert (market.bid, market.ahead) == (100.5, FUTURE_NS + 5)


def test_health_follows_the_venue() -> None:
    market, feeds = Market(BTC_PERP), Feeds()
    market.quote(quote(BTC_PERP, 1.0, 2.0))
    assert health(feeds, market, T0, VenueView(reason="link lost")) is Health.DOWN
    assert market.reason == "link lost"
    feeds.claim(m.FeedReport(BTC_PERP.id, Health.GAP, 4, 77, "its word", T0))
    assert health(feeds, market, T0) is Health.GAP
    assert (market.reason, market.gaps, market.clock_offset_ns) == ("its word", 4, 77)
    feeds.claim(m.FeedReport(BTC_PERP.id, Health.LIVE, 4, 77, "", T0))
    assert health(feeds, market, T0) is Health.LIVE
    assert feeds.judge(market, UP, T0) is None


@pytest.mark.parametrize("word", [Health.GAP, Health.CROSSED, Health.DOWN])
def test_growing_old_does_not_make_a_broken_feed_better(word: Health) -> None:
    """Stale alone may pass where stale_after_ms is long; what the venue calls broken never may."""
    market, feeds = Market(BTC_PERP), Feeds()
    market.quote(quote(BTC_PERP, 1.0, 2.0))
    feeds.claim(m.FeedReport(BTC_PERP.id, word, 0, 0, "its word", T0))
    assert health(feeds, market, T0) is word
    assert health(feeds, market, T0 + STALE_NS + 1) is word
    assert market.reason == "its word"


def test_dropped_updates_lower_the_health_until_the_next_look() -> None:
    market, feeds = Market(BTC_PERP), Feeds()
    market.quote(quote(BTC_PERP, 1.0, 2.0))
    assert health(feeds, market, T0) is Health.LIVE
    market.quote(quote(BTC_PERP, 3.0, 2.0))
    assert health(feeds, market, T0) is Health.PARTIAL
    assert health(feeds, market, T0) is Health.LIVE


@pytest.mark.parametrize("kind", ["quote", "trade", "delta", "snapshot"])
def test_whatever_comes_under_a_standing_stamp_does_not_count_as_new(kind: str) -> None:
    market = Market(BTC_PERP)
    for number, (seconds, stamp) in enumerate([(0, 0), (2, 0), (3, 0), (4, 4)]):
        ts, at = T0 + seconds * S, T0 + stamp * S
        if kind == "quote":
            market.quote(quote(BTC_PERP, 1.0, 2.0, ts, ts_exchange=at))
        elif kind == "trade":
            market.trade(m.Trade(BTC_PERP.id, 1.5, 1.0, True, number, at, ts))
        elif kind == "delta":
            market.delta(m.BookDelta(BTC_PERP.id, ((1.0, 1.0),), ((2.0, 1.0),), number, number, number - 1, at, ts))
        else:
            market.snapshot(m.BookSnapshot(BTC_PERP.id, ((1.0, 1.0),), ((2.0, 1.0),), number, True, at, ts))
        assert market.ts == ts
        assert market.stuck is (seconds == 3), seconds


def test_a_stamp_that_stands_still_is_no_live_feed() -> None:
    market, feeds = Market(BTC_PERP), Feeds()
    for step in range(5):
        now = T0 + step * S
        market.quote(quote(BTC_PERP, 1.0 + step / 10, 2.0, now, ts_exchange=T0))
        assert health(feeds, market, now) is (Health.LIVE if step < 3 else Health.DOWN)
    assert "stands still" in market.reason
    market.quote(quote(BTC_PERP, 1.0, 2.0, T0 + 5 * S))
    assert health(feeds, market, T0 + 5 * S) is Health.LIVE


def test_a_last_price_that_is_none_is_dropped() -> None:
    market = Market(BTC_PERP)
    market.last_price(m.LastPrice(BTC_PERP.id, 100.0, T0, T0))
    market.last_price(m.LastPrice(BTC_PERP.id, NAN, T0 + 1, T0 + 1))
    market.last_price(m.LastPrice(BTC_PERP.id, 200.0, T0 + 2 * FUTURE_NS, T0))
    assert (market.last, market.bad) == (100.0, 2)
