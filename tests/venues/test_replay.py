"""Replay: the venue contract over a tape, pacing, and whole tapes through the engine in one thread."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.clock import LiveClock, ManualClock
from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.commands import AmendOrder, CancelAll, Flatten, SubmitOrder
from core.domain.identifiers import Asset, InstrumentId, StrategyId
from core.domain.market import NO_ID, BookSnapshot, MarkPrice, Quote, Timer, Trade
from core.domain.message import Command, Event, Message
from core.domain.order import Order, OrderStatus, OrderType, Side
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.session import wire
from core.state.state import State
from tests.contracts.venue import Stage, VenueContract
from tests.generate.tapes import generate
from tests.venues.matching.pit import ASKS, BIDS, COIN, COINM, FUTURES, PERP, SECOND, T0
from venues.contracts_table import contracts
from venues.market.opening import open_tape
from venues.market.player import play
from venues.matching.settings import LatencySettings, MatchingSettings
from venues.replay import Replay, ReplayDriver

LOOSE = GuardianSettings(
    max_position_frac=100.0,
    max_sector_frac=100.0,
    max_gross_frac=100.0,
    max_net_frac=100.0,
    min_net_frac=-100.0,
    max_order_notional_frac=100.0,
    duplicate_window_ms=0,
    max_orders_per_second=10_000,
)
SLOW = MatchingSettings(latency=LatencySettings(request_ns=4_000_000, answer_ns=2_000_000, jitter_ns=1_000_000))


# --- as a venue -------------------------------------------------------------------------------------------------------


class LiveTape:
    """A tape that is written while it plays: timers fill its silences."""

    def __init__(self) -> None:
        self.queue: deque[Message] = deque()

    def __iter__(self) -> Iterator[Message]:
        while True:
            yield self.queue.popleft() if self.queue else Timer(LiveClock().now() + 1_000_000)


class ReplayStage(Stage):
    """A replay of a tape that is being written."""

    tape: LiveTape

    async def move(self, bid: Decimal, ask: Decimal) -> None:
        now, key = LiveClock().now(), self.instrument.id
        self.tape.queue.append(Quote(key, float(bid), 50.0, float(ask), 50.0, NO_ID, now, now))
        self.tape.queue.append(Trade(key, float(bid), 0.001, False, NO_ID, now, now))
        count = len(self.of(Trade))
        await self.until(lambda: len(self.of(Trade)) > count, "the print")


class TestReplay(VenueContract):
    """A replay on a live clock."""

    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        tape, heard = LiveTape(), list[Message]()
        listed = contracts(FUTURES)
        stage = ReplayStage(Replay(FUTURES, listed, tape, LiveClock()), listed[0], heard)
        stage.tape = tape
        await stage.venue.start(heard.append)
        yield stage
        await stage.venue.stop()


def quotes(count: int, gap_ns: int, start: int = T0) -> list[Message]:
    return [
        Quote(PERP, 60000.0 + n % 7, 1.0, 60001.0 + n % 7, 1.0, NO_ID, start + n * gap_ns, start + n * gap_ns)
        for n in range(count)
    ]


async def test_a_paced_tape_waits_for_each_message() -> None:
    clock = LiveClock()
    start = clock.now()
    venue = Replay(FUTURES, contracts(FUTURES), quotes(5, 20_000_000, start), clock)
    arrived: list[int] = []
    await venue.start(lambda message: arrived.append(clock.now()) if isinstance(message, Quote) else None)
    await asyncio.wait_for(venue.tape.finished.wait(), 60)
    assert len(arrived) == 5
    assert all(at >= start + n * 20_000_000 for n, at in enumerate(arrived))
    await venue.stop()


async def test_an_unpaced_tape_moves_its_clock_and_lets_others_run() -> None:
    clock = ManualClock(T0)
    venue = Replay(FUTURES, contracts(FUTURES), quotes(2000, SECOND), clock)
    heard: list[Message] = []
    await venue.start(heard.append)
    turns = 0
    async with asyncio.timeout(60):  # paced, it would take half an hour
        while not venue.tape.finished.is_set():
            await asyncio.sleep(0)
            turns += 1
    assert turns > 5
    assert clock.now() == T0 + 1999 * SECOND
    assert sum(isinstance(message, Quote) for message in heard) == venue.tape.played == 2000
    await venue.stop()


# --- through the engine -----------------------------------------------------------------------------------------------


class Flipper:
    """Buy and sell in turn every so many prints, now and then by a limit order that is amended and cancelled."""

    id = StrategyId("flipper")

    def __init__(self, instrument: InstrumentId, every: int, size: str = "0.01") -> None:
        self.instrument, self.every, self.size, self.prints = instrument, every, Decimal(size), 0

    def on_message(self, message: Message, state: State) -> Sequence[Command]:
        if not isinstance(message, Trade):
            return ()
        self.prints += 1
        number, rest = divmod(self.prints, self.every)
        side = Side.BUY if number % 2 else Side.SELL
        if rest == 0:
            return (SubmitOrder(Order(self.instrument, side, self.size), self.id),)
        market = state.markets[self.instrument]
        tick = market.instrument.tick_size
        near = market.instrument.quantise_price(Decimal(repr(market.bid if side is Side.BUY else market.ask)))
        if rest == self.every // 3:
            order = Order(self.instrument, side, self.size, OrderType.LIMIT, near)
            return (SubmitOrder(order, self.id),)
        resting = state.blotter.of(self.instrument)
        if rest == 2 * self.every // 3 and resting and resting[0].status is OrderStatus.ACCEPTED:
            price = resting[0].order.price
            assert price is not None
            return (AmendOrder(resting[0].order.client_order_id, price=price - tick, origin=self.id),)
        if rest == self.every - 1:
            return (CancelAll(self.instrument, self.id),)
        return ()


class Run:
    """One pass of messages through engine and matching, with everything that is compared afterwards."""

    def __init__(
        self,
        messages: Any,
        strategies: Sequence[Any] = (),
        commands: Sequence[Command] = (),
        settings: MatchingSettings | None = None,
        venue: Any = FUTURES,
    ) -> None:
        self.events: list[Event] = []
        currency = Asset("BTC" if venue == COINM else "USDT")
        state = State(currency, "replay")
        self.engine = Engine(Guardian(LOOSE), state, strategies=strategies, strict=True)
        self.driver = ReplayDriver(self.engine, {venue: contracts(venue)}, settings, observe=self._see)
        self.driver.run(messages, commands)
        self.driver.finish(self.engine.state.now + 10 * SECOND)
        self.snapshot = self.driver.matchings[venue].snapshot(0)

    def _see(self, effects: Sequence[Any]) -> None:
        self.events += [effect for effect in effects if isinstance(effect, Event)]

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def digest(self) -> str:
        sha = hashlib.sha256()
        for event in self.events:
            sha.update(wire.encode(event))
        return sha.hexdigest()

    def agree(self) -> None:
        """Check that engine and venue hold the same: positions, wallets, orders, fills."""
        ledger = self.engine.state.ledger
        for report in self.snapshot.positions:
            assert ledger.positions[report.instrument].quantity == report.quantity
        for balance in self.snapshot.balances:
            assert ledger.balances[self.snapshot.venue][balance.asset] == balance.total
        open_here = set(self.engine.state.blotter.open)
        assert {report.client_order_id for report in self.snapshot.open_orders} == open_here
        assert [fill.fill_id for fill in self.of(e.OrderFilled)] == [fill.fill_id for fill in self.snapshot.fills]
        assert self.of(e.IllegalEventSeen) == []


def book(ts: int) -> BookSnapshot:
    return BookSnapshot(PERP, BIDS, ASKS, 1, True, ts, ts)


def order(ts: int, side: Side = Side.BUY, size: str = "0.5", **fields: Any) -> SubmitOrder:
    return SubmitOrder(Order(PERP, side, Decimal(size), **fields), "test", ts)


def test_an_order_meets_the_market_as_it_is_when_the_request_arrives() -> None:
    later = BookSnapshot(PERP, ((60009.0, 5.0),), ((60010.0, 5.0),), 2, True, T0 + 3, T0 + 3)
    instant = Run([book(T0), later], commands=[order(T0 + 1)])
    assert [fill.price for fill in instant.of(e.OrderFilled)] == [Decimal("60000.1")]
    latency = MatchingSettings(latency=LatencySettings(request_ns=5, answer_ns=7))
    slow = Run([book(T0), later], commands=[order(T0 + 1)], settings=latency)
    fill = slow.of(e.OrderFilled)[0]
    assert (fill.price, fill.ts_exchange, fill.ts) == (Decimal(60010), T0 + 6, T0 + 13)
    instant.agree()
    slow.agree()


def test_the_engine_knows_the_tick_when_the_fill_that_it_caused_arrives() -> None:
    seen: list[str] = []

    class Watcher:
        id = StrategyId("watcher")

        def on_message(self, message: Message, state: State) -> Sequence[Command]:
            seen.append(type(message).__name__)
            return ()

    resting = order(T0 + 1, type=OrderType.LIMIT, price=Decimal("59990"))
    through = Trade(PERP, 59980.0, 5.0, False, NO_ID, T0 + 2, T0 + 2)
    Run([book(T0), through], [Watcher()], [resting])
    assert seen[seen.index("Trade") : seen.index("Trade") + 2] == ["Trade", "OrderFilled"]


def test_flatten_ends_flat_at_both_sides() -> None:
    limit = order(T0 + 2, size="1", type=OrderType.LIMIT, price=Decimal("59000"))
    run = Run([book(T0), *quotes(3, SECOND, T0 + SECOND)], commands=[order(T0 + 1), limit, Flatten(ts=T0 + 3)])
    assert run.snapshot.positions[0].quantity == 0
    assert run.snapshot.open_orders == ()
    run.agree()


@pytest.mark.parametrize("settings", [MatchingSettings(), SLOW], ids=["instant", "slow"])
def test_what_the_guardian_closes_ends_with_the_venues_word_and_is_traded_again(settings: MatchingSettings) -> None:
    falling = [Quote(PERP, bid, 50.0, bid + 0.1, 50.0, NO_ID, ts, ts)
               for ts, bid in ((T0 + n * SECOND, 60000.0 - 100.0 * n) for n in range(1, 30))]  # fmt: skip
    later = falling[-1].ts + 5 * SECOND
    again = order(later - SECOND, size="0.1")
    messages = [book(T0), *falling, falling[-1].replace(ts_exchange=later - 2 * SECOND, ts=later - 2 * SECOND)]
    run = Run(messages, commands=[order(T0 + 1, size="1"), again], settings=settings)
    ends = run.of(e.FlattenEnded)
    assert [(end.flat, end.reason) for end in ends] == [(True, "flat, confirmed by the venue")]
    assert run.of(e.OrderDenied) == []
    assert run.snapshot.positions[0].quantity == Decimal("0.1")
    run.agree()


def test_what_the_guardian_denies_never_reaches_the_venue() -> None:
    run = Run([book(T0)], commands=[order(T0 + 1, size="0.0001")])
    assert run.of(e.OrderDenied) or run.of(e.OrderRejected)
    assert run.snapshot.fills == ()
    assert run.snapshot.positions == ()


def test_an_inverse_account_starts_with_coin() -> None:
    now = T0 + 1
    snapshot = BookSnapshot(COIN, ((60000.0, 900.0),), ((60000.1, 900.0),), 1, True, T0, T0)
    command = SubmitOrder(Order(COIN, Side.BUY, Decimal(100)), "test", now)
    run = Run([snapshot], commands=[command], venue=COINM)
    assert run.snapshot.positions[0].quantity == 100
    run.agree()


@pytest.mark.parametrize("settings", [MatchingSettings(), SLOW], ids=["instant", "slow"])
def test_a_generated_tape_gives_the_same_digest_twice_and_both_sides_agree(
    tmp_path: Path, settings: MatchingSettings
) -> None:
    made = generate("usdm", steps=600).write(tmp_path / "tape.xz")
    runs = [Run(play(open_tape(made), T0), [Flipper(PERP, 12)], settings=settings) for _ in range(2)]
    assert runs[0].digest == runs[1].digest
    assert len(runs[0].of(e.OrderFilled)) > 5
    assert len(runs[0].of(e.OrderCancelled)) + len(runs[0].of(e.OrderAmended)) > 1
    runs[0].agree()


@pytest.mark.parametrize("settings", [MatchingSettings(), SLOW], ids=["instant", "slow"])
def test_the_recorded_tape_gives_the_same_digest_twice_and_both_sides_agree(
    recorded_data: Path, settings: MatchingSettings
) -> None:
    path = recorded_data / "l2" / "binance-usdm-btcusdt-20240808.xz"
    runs = [Run(open_tape(path), [Flipper(PERP, 100)], settings=settings) for _ in range(2)]
    assert runs[0].digest == runs[1].digest
    fills = runs[0].of(e.OrderFilled)
    assert len(fills) > 200
    assert {fill.liquidity.value for fill in fills} == {"MAKER", "TAKER"}
    assert all(fill.price % Decimal("0.1") == 0 for fill in fills)
    runs[0].agree()


def test_a_long_silence_costs_few_timers_and_still_pays_its_funding() -> None:
    timers: list[int] = []

    class Clockwatcher:
        id = StrategyId("clockwatcher")

        def on_message(self, message: Message, state: State) -> Sequence[Command]:
            if isinstance(message, Timer):
                timers.append(message.ts)
            return ()

    rate = MarkPrice(PERP, 60000.0, 60000.0, 0.0001, 0, T0, T0)
    after = T0 + 24 * 3600 * SECOND
    run = Run([book(T0), rate, book(after)], [Clockwatcher()], [order(T0 + 1)])
    assert timers == sorted(timers)
    assert 12 <= len([ts for ts in timers if ts <= after]) <= 14
    stamps = [event.ts_exchange for event in run.of(e.FundingPaid)]
    assert stamps == [T0 + hours * 3600 * SECOND for hours in (8, 16, 24)]
    run.agree()
