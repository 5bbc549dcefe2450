"""The market process over a real socket: sessions, accounts, feeds, and kill -9."""

import asyncio
import random
import signal
import socket
import stat
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import LiveClock
from core.config.settings import EngineSettings, Settings
from core.domain.events import (
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
)
from core.domain.market import BookDelta, BookSnapshot, Feed, FeedReport, Health, Interval, MarkPrice, Quote, Trade
from core.domain.order import OrderStatus, Side
from core.errors import VenueError
from core.session import wire
from core.state.book import Book, Sync
from desk.paths import Home
from desk.wiring import market_venues
from tests.generate.tapes import generate
from tests.venues.market.process import BTC, BTC_SPOT, COINM, ETH, FUTURES, SPOT, MarketProcess, Trader
from venues.market import protocol as p
from venues.market.venue import MarketVenue

Start = Callable[..., MarketProcess]


async def test_two_sessions_of_one_account_hear_the_same_and_the_other_account_nothing(manual: MarketProcess) -> None:
    async with Trader(manual) as one, Trader(manual) as two, Trader(manual, SPOT) as spot:
        await one.prices(100.0, 100.1)
        await one.submit("a", "2")
        await two.until(lambda: two.of(OrderFilled, "a"))
        await one.until(lambda: one.of(OrderFilled, "a"))
        stamped = [
            [m.replace(ts=0) for m in trader.of(OrderAccepted) + trader.of(OrderFilled)] for trader in (one, two)
        ]
        assert stamped[0] == stamped[1]
        assert len(stamped[0]) == 2
        await two.cancel("a")
        await spot.venue.snapshot(0)
        assert not spot.of(OrderAccepted)


async def test_the_start_balances_are_100_000_together(manual: MarketProcess) -> None:
    totals = []
    for venue in (FUTURES, SPOT):
        async with Trader(manual, venue) as trader:
            (balance,) = (await trader.venue.snapshot(0)).balances
            totals.append((balance.asset, balance.total))
    assert totals == [("USDT", Decimal(50_000)), ("USDT", Decimal(50_000))]


async def test_orders_rest_move_end_and_are_refused(manual: MarketProcess) -> None:
    async with Trader(manual) as trader:
        await trader.prices(100.0, 100.1)
        await trader.submit("rest", "2", price="99.0")
        await trader.until(lambda: trader.of(OrderAccepted, "rest"))
        await trader.amend("rest", "98.0")
        await trader.until(lambda: trader.of(OrderAmended, "rest"))
        report = await trader.venue.order("rest")  # type: ignore[arg-type]
        assert report is not None
        assert (report.status, report.order.price) == (OrderStatus.ACCEPTED, Decimal("98.0"))
        await trader.cancel("rest")
        await trader.until(lambda: trader.of(OrderCancelled, "rest"))
        await trader.submit("bad", "0.00000001")
        await trader.until(lambda: trader.of(OrderRejected, "bad"))
        assert await trader.venue.order("never") is None  # type: ignore[arg-type]


async def test_orders_fill_while_nobody_is_connected(manual: MarketProcess) -> None:
    async with Trader(manual) as trader:
        await trader.prices(100.0, 100.1)
        await trader.submit("rest", "2", price="99.0")
        await trader.until(lambda: trader.of(OrderAccepted, "rest"))
    async with Trader(manual, SPOT) as other:
        await other.prices(98.0, 98.1)
    async with Trader(manual) as trader:
        found = await trader.venue.snapshot(0)
        assert [(f.client_order_id, f.quantity, f.price) for f in found.fills] == [
            ("rest", Decimal(2), Decimal("99.0"))
        ]
        assert found.positions[0].quantity == 2


async def test_kill_9_loses_nothing_that_was_said(manual: MarketProcess) -> None:
    async with Trader(manual) as trader:
        await trader.prices(100.0, 100.1)
        await trader.submit("rest", "3", price="99.0")
        await trader.submit("filled", "2")
        await trader.until(lambda: trader.of(OrderFilled, "filled") and trader.of(OrderAccepted, "rest"))
        before = await trader.venue.snapshot(0)
        await trader.outlives(manual)
        after = await trader.venue.snapshot(0)
        assert after.fills == before.fills
        assert [r.client_order_id for r in after.open_orders] == ["rest"]
        assert [(r.instrument, r.quantity, r.entry_price) for r in after.positions] == [
            (r.instrument, r.quantity, r.entry_price) for r in before.positions
        ]
        assert [b.total for b in after.balances] == [b.total for b in before.balances]
        await trader.submit("filled", "2")  # sent again, as after a lost link
        await trader.prices(100.0, 100.1)
        assert len((await trader.venue.snapshot(0)).fills) == 1


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.long) for n in range(3, 28))])
async def test_kill_9_at_random_moments(seed: int, manual: MarketProcess) -> None:
    rng = random.Random(seed)
    async with Trader(manual) as trader:
        for life in range(4):
            await trader.prices(100.0, 100.1)
            for n in range(rng.randint(1, 25)):
                key = f"{life}-{n}"
                if rng.random() < 0.5:
                    await trader.submit(key, "2", rng.choice((Side.BUY, Side.SELL)))
                else:
                    await trader.submit(key, "2", price="90.0")
                if rng.random() < 0.3:
                    await asyncio.sleep(rng.random() * 0.01)
            await asyncio.sleep(rng.random() * 0.05)
            await trader.outlives(manual)
            said = [*trader.of(OrderAccepted), *trader.of(OrderFilled)]
            now = await trader.venue.snapshot(0)
            known = {fill.fill_id: fill for fill in now.fills}
            assert len(known) == len(now.fills)
            for event in said:
                report = await trader.venue.order(event.client_order_id)
                assert report is not None, event
                if isinstance(event, OrderFilled):
                    assert known[event.fill_id].quantity == event.quantity
            sums = sum((f.quantity * f.side.sign for f in now.fills), Decimal(0))
            assert sums == sum((r.quantity for r in now.positions), Decimal(0))


async def test_a_lost_link_comes_back_with_its_feeds(start_market: Start) -> None:
    market = start_market(rate=400)
    async with Trader(market) as trader:
        for feed in Feed:
            await trader.venue.subscribe(BTC, feed)
        kinds = (Quote, Trade, BookDelta, BookSnapshot, MarkPrice)
        await trader.until(lambda: all(trader.of(kind) for kind in kinds))
        price = trader.of(Quote)[-1].bid
        await asyncio.sleep(1.2)
        market.kill()
        trader.got.clear()
        market.start()
        await trader.until(lambda: all(trader.of(kind) for kind in kinds))
        assert [m.connected for m in trader.got if hasattr(m, "connected")][-1] is True
        assert trader.of(Quote)[0].bid == pytest.approx(price, rel=0.003)
        await trader.venue.unsubscribe(BTC, Feed.QUOTE)
        await trader.venue.snapshot(0)
        trader.got.clear()
        await trader.until(lambda: len(trader.of(BookDelta)) > 5)
        assert not trader.of(Quote)


async def test_every_follower_has_the_same_book_without_a_gap(start_market: Start) -> None:
    market = start_market(rate=2000)
    async with Trader(market) as early, Trader(market) as late:
        await early.venue.subscribe(BTC, Feed.BOOK)
        await early.until(lambda: len(early.of(BookDelta)) > 200)
        await late.venue.subscribe(BTC, Feed.BOOK)
        await late.until(lambda: len(late.of(BookDelta)) > 200)
        books = []
        end = late.of(BookDelta)[-1].last_id
        await early.until(lambda: early.of(BookDelta)[-1].last_id >= end)
        for trader in (early, late):
            book = Book()
            for message in trader.got:
                if isinstance(message, BookSnapshot):
                    book.apply_snapshot(message)
                elif isinstance(message, BookDelta) and message.last_id <= end:
                    assert book.apply_delta(message)
            assert (book.sync, book.gaps) == (Sync.SYNCED, 0)
            books.append((book.last_id, book.top(60)))
        assert books[0] == books[1]


async def test_history_stands_at_first_start_and_after_a_kill(start_market: Start) -> None:
    market = start_market()
    async with Trader(market) as trader:
        now = trader.venue.clock.now()
        before = await trader.venue.history(BTC, Interval.M1, 0, now)
        assert len(before) == 24 * 60
        assert len(await trader.venue.history(BTC, Interval.H1, 0, now)) in (23, 24)
        await trader.outlives(market)
        after = await trader.venue.history(BTC, Interval.M1, 0, now)
        assert list(after)[: len(before)] == list(before)


async def test_a_tape_plays_and_says_that_it_has_ended(start_market: Start, tmp_path: Path) -> None:
    made = generate("usdm", steps=300)
    tape = made.write(tmp_path / "tape.xz")
    market = start_market(tapes=[str(tape)], speed=3.0, latency={})
    async with Trader(market) as trader:
        assert [i.id for i in await trader.venue.instruments()] == [BTC]
        for feed in Feed:
            await trader.venue.subscribe(BTC, feed)
        await trader.until(lambda: trader.of(Trade))
        await trader.submit("a", "0.1")
        await trader.until(lambda: trader.of(OrderFilled, "a"))
        await trader.until(lambda: any(r.health is Health.DOWN for r in trader.of(FeedReport)))
        reports = trader.of(FeedReport)
        assert reports[0].clock_offset_ns == pytest.approx(1_270_000_000, abs=1_000_000)
        assert reports[-1].reason == "tape tape.xz has ended"
        book = Book()
        for message in trader.got:
            if isinstance(message, BookSnapshot):
                book.apply_snapshot(message)
            elif isinstance(message, BookDelta):
                book.apply_delta(message)
        top = (*(book.best_bid or ()), *(book.best_ask or ()))
        assert top == made.truth.tops[max(made.truth.tops)]
        assert (await trader.venue.snapshot(0)).positions[0].quantity == Decimal("0.1")


async def test_a_broken_tape_ends_its_feed_and_not_the_market(start_market: Start, tmp_path: Path) -> None:
    lines = generate("usdm", steps=9000).lines
    broken, whole = tmp_path / "broken", generate("spot", steps=300).write(tmp_path / "whole")
    broken.write_bytes(b"".join([*lines[:20_500], b"garbage\n"]))
    market = start_market(tapes=[str(broken), str(whole)], speed=300.0, loop=True)
    async with Trader(market) as trader, Trader(market, SPOT) as spot:
        await trader.venue.subscribe(BTC, Feed.QUOTE)
        await trader.until(lambda: any(r.health is Health.DOWN for r in trader.of(FeedReport)))
        assert ":20501: " in trader.of(FeedReport)[-1].reason
        await spot.venue.subscribe(BTC_SPOT, Feed.TRADE)
        await spot.until(lambda: spot.of(Trade))


async def test_an_inverse_account_is_opened_when_an_inverse_tape_is_played(start_market: Start, tmp_path: Path) -> None:
    tape = generate("coinm", steps=2000).write(tmp_path / "tape")
    market = start_market(tapes=[str(tape)], latency={})
    async with Trader(market, COINM) as trader:
        (instrument,) = await trader.venue.instruments()
        assert instrument.id == "BINANCE-COINM:PERPETUAL:BTC-USD@INV"
        assert [(b.asset, b.total) for b in (await trader.venue.snapshot(0)).balances] == [("BTC", Decimal(1))]
        await trader.venue.subscribe(instrument.id, Feed.BOOK)
        await trader.until(lambda: trader.of(BookDelta))
        assert not any(snapshot.complete for snapshot in trader.of(BookSnapshot))  # no snapshot on this tape: partial
        await trader.submit("a", "3", instrument=instrument.id)
        await trader.until(lambda: trader.of(OrderFilled, "a"))
        assert trader.of(OrderFilled, "a")[0].fee_asset == "BTC"


def test_a_market_that_cannot_start_says_why(tmp_path: Path, start_market: Start) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"garbage\n")
    process = MarketProcess(tmp_path, tapes=[str(bad)]).spawn()
    assert process.wait(timeout=60) != 0
    assert f"{bad}:1: " in (tmp_path / "log").read_text()


def test_a_home_has_one_market(manual: MarketProcess) -> None:
    assert manual.spawn().wait(timeout=60) != 0
    assert "held by another market process" in (manual.home / "log").read_text()
    assert manual.end() == 0
    assert not manual.socket.exists()


def test_the_socket_is_ours_alone(manual: MarketProcess) -> None:
    assert stat.S_IMODE(manual.socket.stat().st_mode) == 0o600


def _say(market: MarketProcess, data: bytes) -> list[object]:
    """Send bytes and return the frames that come back until the market closes."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(str(market.socket))
        line.sendall(data)
        reader, frames = wire.FrameReader(), list[object]()
        while got := line.recv(65536):
            frames += [p.decode_market_frame(body) for body in reader.feed(got)]
        return frames


WRONG = [
    (wire.frame(p.AskSnapshot(1, 0)), "the first frame must be Login"),
    (wire.frame(p.Login(FUTURES, "x", protocol=99)), "protocol 99"),
    (wire.frame(p.Login("KRAKEN")), "no account"),  # type: ignore[arg-type]
    (wire.frame(["Nonsense", 1]), "not understood"),
    (b"\xff\xff\xff\xff garbage", "not understood"),
    (b"GET / HTTP/1.1\r\n\r\n", "not understood"),
]


@pytest.mark.parametrize(("data", "why"), WRONG)
async def test_who_does_not_speak_the_protocol_is_told_and_cut(data: bytes, why: str, manual: MarketProcess) -> None:
    (answer,) = await asyncio.to_thread(_say, manual, data)
    assert isinstance(answer, p.Failed)
    assert why in answer.reason
    async with Trader(manual) as trader:
        await trader.venue.snapshot(0)


async def test_a_session_that_does_not_read_is_cut_and_nobody_else_notices(manual: MarketProcess) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(manual.socket))
        deaf.sendall(wire.frame(p.Login(FUTURES, "deaf")) + wire.frame(p.Subscribe(ETH, Feed.BOOK)))
        async with Trader(manual) as trader:
            levels = tuple((float(n), 1.0) for n in range(1, 3000))
            cut = False
            for n in range(2000):
                await trader.venue.publish([BookSnapshot(ETH, levels, (), n, True, 0, 0)])
                if cut := "slow session cut" in (manual.home / "log").read_text():
                    break
            assert cut
            await trader.prices(100.0, 100.1)
            await trader.submit("a", "1")
            await trader.until(lambda: trader.of(OrderFilled, "a"))


async def test_prices_cannot_be_published_where_the_market_makes_them(start_market: Start) -> None:
    async with Trader(start_market()) as trader:
        with pytest.raises(VenueError, match="makes its own prices"):
            await trader.prices(1.0, 2.0)


async def test_a_stop_keeps_everything_too(manual: MarketProcess) -> None:
    async with Trader(manual) as trader:
        await trader.prices(100.0, 100.1)
        await trader.submit("a", "2")
        await trader.until(lambda: trader.of(OrderFilled, "a"))
        await trader.outlives(manual, signal.SIGINT)
        assert (await trader.venue.snapshot(0)).positions[0].quantity == 2


async def test_what_is_at_risk_beside_the_chosen_instruments_is_followed(manual: MarketProcess) -> None:
    settings = Settings(engine=EngineSettings(instruments=(ETH,)))
    chosen = Trader(manual)
    (chosen.venue,) = (
        venue
        for venue in market_venues(Home(manual.home), settings, LiveClock(), "chosen")
        if venue.id == FUTURES and isinstance(venue, MarketVenue)
    )
    async with chosen, Trader(manual) as other:
        assert [item.id for item in await chosen.venue.instruments()] == [ETH]
        await other.prices(100.0, 100.1)
        await other.submit("rest", "2", price="99.0")
        await other.until(lambda: other.of(OrderAccepted, "rest"))
        assert {item.id for item in await chosen.venue.instruments()} == {BTC, ETH}, "an order rests"
        await other.cancel("rest")
        await other.submit("take", "2")
        await other.until(lambda: other.of(OrderFilled, "take"))
        assert {item.id for item in await chosen.venue.instruments()} == {BTC, ETH}, "a position is held"
