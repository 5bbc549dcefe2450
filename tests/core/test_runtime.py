"""The shell around the engine, on the real journal: durable before the wire, recovery, lost answers, lost disks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from core.clock import LiveClock
from core.config.settings import AlertSettings, GuardianSettings
from core.connection import RETRY_S
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import ClientOrderId, InstrumentId, StrategyId
from core.domain.message import Command, Message
from core.domain.order import Order, OrderStatus, Side
from core.domain.watch import LooserLimitsHeldBack
from core.engine import Engine
from core.errors import VenueError
from core.guardian.guardian import Guardian
from core.guardian.loosening import in_force
from core.recording import settings_before
from core.runtime import CANCELS, Runtime
from core.session import wire
from core.state.markets import KEPT_BARS
from core.state.state import State
from store.journal.format import read_records, reading
from store.journal.journal import SqliteJournal
from store.memory import MemoryJournal, MemoryTickStore
from tests.core.kit import BTC_PERP, PERP, D, held, order
from tests.core.scripted import ScriptedVenue

SETTINGS = GuardianSettings(
    duplicate_window_ms=0, max_position_frac=10, max_sector_frac=10, max_gross_frac=10, stale_after_ms=60_000
)
A = OrderStatus


class Desk:
    """A runtime, its venue and its journal."""

    def __init__(
        self,
        path: Path | None,
        memory: MemoryJournal | None = None,
        venue: ScriptedVenue | None = None,
        settings: GuardianSettings = SETTINGS,
    ) -> None:
        self.clock = LiveClock()
        self.venue = venue or ScriptedVenue(self.clock)
        self.journal = memory or SqliteJournal(path or Path(), reserve_bytes=0)
        self.engine = Engine(Guardian(settings), State(), alerts=AlertSettings() if settings is not SETTINGS else None)
        ticks, venues = MemoryTickStore(), [self.venue]
        self.runtime = Runtime(self.engine, self.journal, ticks, venues, self.clock, checkpoint_every=12)

    async def start(self) -> "Desk":
        await self.runtime.start()
        await until(lambda: self.engine.state.venue(PERP).reconciled)
        self.venue.price(60_000.0)
        await asyncio.sleep(0.2)
        return self

    async def buy(self, quantity: str = "0.01") -> ClientOrderId:
        self.venue.price(60_000.0)
        outcome = await self.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.BUY, quantity)))
        assert outcome.ok, outcome
        return outcome.orders[0]

    async def hold(self, quantity: str = "0.02") -> None:
        """Buy, and wait until it is ours."""
        before, id_ = held(self.engine, BTC_PERP), await self.buy(quantity)
        await until(lambda: self.status(id_) is A.ACCEPTED)
        self.venue.fill(id_)
        await until(lambda: held(self.engine, BTC_PERP) == before + D(quantity))

    def kill(self) -> MemoryJournal:
        """End as by kill -9: nothing more is done or heard; return the journal that is left."""
        assert isinstance(self.journal, MemoryJournal)
        if self.runtime._timer is not None:
            self.runtime._timer.cancel()
        for task in tuple(self.runtime._tasks):
            task.cancel()
        self.engine.process = lambda message: ()  # type: ignore[method-assign]
        return self.journal.crash()

    def status(self, id_: ClientOrderId) -> OrderStatus:
        return self.engine.state.blotter.orders[id_].status


async def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.01)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Give a desk that runs."""
    made = await Desk(tmp_path / "journal.sqlite").start()
    yield made
    await made.runtime.stop("test over")


def events(path: Path) -> list[object]:
    """Read the journal by a connection of its own."""
    with reading(path) as db:
        return [wire.decode_event(record.payload) for record in read_records(db, path, 0)]


async def test_an_order_is_in_the_journal_before_it_is_on_the_wire(desk: Desk) -> None:
    seen: list[bool] = []

    def look(wanted: Order) -> None:
        found = [event for event in events(desk.journal.path) if isinstance(event, e.OrderSubmitted)]  # type: ignore[union-attr]
        seen.append(wanted.client_order_id in {event.order.client_order_id for event in found})

    desk.venue.on_submit = look
    for _ in range(5):
        await desk.buy()
    await until(lambda: len(seen) == 5)
    assert all(seen)


@pytest.mark.parametrize("orders", [1, 9])
async def test_after_a_kill_the_next_engine_has_the_same_state(tmp_path: Path, orders: int) -> None:
    """With few records from the journal alone, with more from a checkpoint and its tail."""
    first = await Desk(None, MemoryJournal()).start()
    for _ in range(orders):
        id_ = await first.buy()
        await until(lambda id_=id_: first.status(id_) is A.ACCEPTED)  # type: ignore[misc]
        first.venue.fill(id_)
    await until(lambda: held(first.engine, BTC_PERP) == D("0.01") * orders)
    memory = first.journal
    assert isinstance(memory, MemoryJournal)
    assert (memory.last_checkpoint() is not None) == (orders == 9)
    left = memory.crash()
    again = Engine()
    Runtime(again, left, MemoryTickStore(), [], LiveClock()).recover()
    ours, theirs = first.engine.state, again.state
    assert theirs.ledger.positions == ours.ledger.positions
    assert theirs.ledger.balances == ours.ledger.balances
    assert theirs.blotter.orders == ours.blotter.orders
    assert set(theirs.markets) == set(ours.markets)
    assert (theirs.day_start, theirs.peak, theirs.illegal) == (ours.day_start, ours.peak, 0)
    first.journal._closed = False
    await first.runtime.stop("test over")


async def test_a_lost_answer_is_asked_for_and_never_sent_again(desk: Desk) -> None:
    desk.venue.deaf = True
    id_ = await desk.buy()
    await until(lambda: desk.status(id_) is A.UNKNOWN)
    desk.venue.fill(id_)
    desk.venue.deaf = False
    await until(lambda: desk.status(id_) is A.FILLED)
    assert desk.venue.submitted == [id_]
    assert held(desk.engine, BTC_PERP) == D("0.01")


async def test_a_reconnect_is_followed_by_a_reconciliation(desk: Desk) -> None:
    id_ = await desk.buy()
    await until(lambda: desk.status(id_) is A.ACCEPTED)
    desk.venue.link(up=False)
    desk.venue.deaf = True
    desk.venue.fill(id_)
    desk.venue.deaf = False
    before = len(desk.venue.snapshots)
    desk.venue.link(up=True)
    await until(lambda: len(desk.venue.snapshots) > before and desk.engine.state.venue(PERP).reconciled)
    assert (desk.status(id_), held(desk.engine, BTC_PERP)) == (A.FILLED, D("0.01"))


async def test_what_certainly_did_not_leave_is_rejected_and_what_may_have_is_unknown(desk: Desk) -> None:
    desk.venue.broken = VenueError("away")
    refused = await desk.buy()
    await until(lambda: desk.status(refused) is A.REJECTED)
    desk.venue.broken = OSError("broken pipe")
    doubtful = await desk.buy("0.02")
    await until(lambda: desk.status(doubtful) is A.UNKNOWN)
    desk.venue.broken = None
    await until(lambda: desk.status(doubtful) is A.REJECTED)
    assert "never reached the venue" in desk.engine.state.blotter.orders[doubtful].reason


async def test_a_venue_that_fails_oddly_is_tried_again(tmp_path: Path) -> None:
    made = Desk(tmp_path / "journal.sqlite")
    made.venue.broken = LookupError("odd")
    await made.runtime.start()
    await asyncio.sleep(0.2)
    assert not made.engine.state.venue(PERP).reconciled
    made.venue.broken = None
    await until(lambda: made.engine.state.venue(PERP).reconciled)
    await made.runtime.stop("test over")


@pytest.mark.parametrize("loses", [1, 99])
async def test_a_task_that_loses_a_cancel_does_not_hold_up_the_end(
    tmp_path: Path, loses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``asyncio.wait_for`` of Python 3.11 does where the cancel meets the answer; one that loses all is left."""
    made = await Desk(tmp_path / "journal.sqlite").start()
    monkeypatch.setattr("core.runtime.CANCEL_S", 0.05)
    began, lost, release = asyncio.Event(), 0, asyncio.Event()

    async def stubborn() -> None:
        nonlocal lost
        began.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > loses:
                    raise

    made.runtime.spawn(stubborn())
    await began.wait()
    async with asyncio.timeout(60):
        await made.runtime.stop("test over")
    assert lost == min(loses + 1, CANCELS)
    assert isinstance(events(made.journal.path)[-1], e.EngineStopped)  # type: ignore[union-attr]
    release.set()


async def test_without_a_journal_only_exits_leave() -> None:
    memory = MemoryJournal()
    desk = await Desk(None, memory).start()
    entry = await desk.buy("0.02")
    await until(lambda: desk.status(entry) is A.ACCEPTED)
    desk.venue.fill(entry)
    await until(lambda: held(desk.engine, BTC_PERP) == D("0.02"))
    memory.failure = OSError("disk full")
    outcome = await desk.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01")))
    assert not outcome.ok
    assert "disk full" in outcome.reason
    exit_ = await desk.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.SELL, "0.02", reduce_only=True)))
    assert (exit_.ok, exit_.reason) == (True, "sent, but not recorded yet: disk full")
    await until(lambda: exit_.orders[0] in desk.venue.submitted)
    assert desk.venue.submitted == [entry, exit_.orders[0]]
    memory.failure = None
    await until(lambda: desk.engine.state.store_trouble == "")
    await desk.runtime.stop("test over")
    recorded = [wire.decode_event(record.payload) for record in memory.read()]
    submitted = [event.order.client_order_id for event in recorded if isinstance(event, e.OrderSubmitted)]
    assert submitted.count(exit_.orders[0]) == 1


async def test_a_screen_that_fails_holds_up_no_order(desk: Desk) -> None:
    class Failing:
        sessions: tuple[()] = ()

        def publish(self, message: object) -> None:
            raise LookupError("a bug")

        async def stop(self, reason: str) -> None:
            return

    desk.runtime.server = Failing()  # type: ignore[assignment]
    id_ = await desk.buy()
    await until(lambda: desk.status(id_) is A.ACCEPTED)


async def test_a_listener_that_fails_holds_up_no_order(desk: Desk) -> None:
    def fail(event: object) -> None:
        raise LookupError("a bug")

    desk.runtime._on_event = fail
    id_ = await desk.buy()
    await until(lambda: desk.status(id_) is A.ACCEPTED)


async def test_history_is_asked_for_as_far_as_it_is_kept(desk: Desk) -> None:
    await until(lambda: len(desk.venue.asked_history) >= len(KEPT_BARS))
    for instrument, interval, start, end in desk.venue.asked_history[:3]:
        assert (instrument, end - start) == (BTC_PERP.id, KEPT_BARS[interval] * interval.ns)


async def test_a_bad_message_does_not_end_the_engine(desk: Desk) -> None:
    desk.runtime.emit(m.Quote(None, 1.0, 1.0, 2.0, 1.0, 1, None, 1))  # type: ignore[arg-type]
    desk.runtime.emit(m.MarkPrice(BTC_PERP.id, "x", 1.0, 1.0, 1, 1, 1))  # type: ignore[arg-type]
    assert await desk.buy()


async def test_a_book_that_broke_is_subscribed_again(desk: Desk) -> None:
    await until(lambda: len(desk.venue.subscriptions) == 2)
    calls: list[m.Feed] = []
    subscribe = desk.venue.subscribe

    async def noted(instrument: InstrumentId, feed: m.Feed) -> None:
        calls.append(feed)
        await subscribe(instrument, feed)

    desk.venue.subscribe = noted  # type: ignore[method-assign]
    now = desk.clock.now()
    desk.runtime.emit(m.BookSnapshot(BTC_PERP.id, (), (), 100, True, now, now))
    desk.runtime.emit(m.BookDelta(BTC_PERP.id, (), (), 110, 111, m.NO_ID, now, now))
    await until(lambda: calls == [m.Feed.BOOK])
    assert len(desk.venue.subscriptions) == 2


@pytest.mark.parametrize("early", [False, True])
async def test_fills_of_the_time_away_come_before_those_behind_the_reconnect(
    tmp_path: Path, early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.connection.HOLD_NS", 60_000_000_000)  # a machine that stands still lets nothing go early
    desk = await Desk(tmp_path / "journal.sqlite").start()
    first, second = await desk.buy("0.01"), await desk.buy("0.02")
    await until(lambda: {desk.status(first), desk.status(second)} == {A.ACCEPTED})
    desk.venue.link(up=False)
    desk.venue.deaf = True
    desk.venue.fill(first, "60000")  # nobody hears it
    desk.venue.deaf = False
    if early:
        desk.venue.fill(second, "61000")  # overtakes the word that the link is up
    desk.venue.link(up=True)
    if not early:
        desk.venue.fill(second, "61000")  # told at once, before the snapshot was asked for
    await until(lambda: desk.status(first) is desk.status(second) is A.FILLED)
    await asyncio.sleep(0.1)
    await desk.runtime.stop("test over")
    fills = [event.fill_id for event in events(tmp_path / "journal.sqlite") if isinstance(event, e.OrderFilled)]
    assert fills == ["f1", "f2"]
    assert held(desk.engine, BTC_PERP) == D("0.03")


async def test_a_slow_snapshot_does_not_keep_fills_back_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.connection.HOLD_NS", 200_000_000)
    desk = await Desk(tmp_path / "journal.sqlite").start()
    bought = await desk.buy()
    await until(lambda: desk.status(bought) is A.ACCEPTED)
    desk.venue.broken = VenueError("busy")
    desk.venue.link(up=False)
    desk.venue.link(up=True)
    desk.venue.fill(bought)
    await asyncio.sleep(0.1)
    assert desk.status(bought) is A.ACCEPTED
    await asyncio.sleep(0.2)
    desk.venue.price(60_000.0)  # data go on; with the first of them it is too long
    await until(lambda: desk.status(bought) is A.FILLED)
    await desk.runtime.stop("test over")


class Breaking:
    """A strategy that fails behind its own order."""

    id = StrategyId("breaking")

    def on_message(self, message: Message, state: State) -> Iterator[Command]:
        if isinstance(message, m.MarkPrice):
            yield c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01"))
            raise LookupError("a bug")  # noqa: TRY004 -- stands for any bug


async def test_what_a_failing_message_had_decided_is_carried_out_with_it(tmp_path: Path) -> None:
    """Recorded in the state it must reach journal and wire, and never the answer to somebody else's command."""
    desk = Desk(tmp_path / "journal.sqlite")
    engine = Engine(Guardian(SETTINGS), State(), strategies=[Breaking()])
    desk.engine = desk.runtime.engine = engine
    await desk.start()
    now = desk.clock.now()
    desk.runtime.take(m.MarkPrice(BTC_PERP.id, 60_000.0, 60_000.0, 0.0, 0, now, now))
    assert not engine.decided()
    (id_,) = engine.state.blotter.orders
    await until(lambda: desk.venue.submitted == [id_])
    await desk.runtime.stop("test over")
    assert id_ in {
        event.order.client_order_id
        for event in events(tmp_path / "journal.sqlite")
        if isinstance(event, e.OrderSubmitted)
    }


@pytest.mark.parametrize("error", [VenueError("busy"), LookupError("a bug")])
async def test_a_venue_that_cannot_answer_is_not_asked_in_a_storm(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("core.connection.QUERY_AFTER_NS", 0)
    desk.venue.deaf = True
    id_ = await desk.buy()
    asked: list[float] = []

    async def snapshot(since: int) -> None:
        asked.append(asyncio.get_running_loop().time())
        raise error

    monkeypatch.setattr(desk.venue, "snapshot", snapshot)
    await until(lambda: len(asked) >= 3, 30)
    assert min(later - before for before, later in pairwise(asked)) >= RETRY_S * 0.99
    assert desk.status(id_) is A.UNKNOWN


async def test_a_venue_that_fails_to_stop_does_not_keep_the_journal_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await Desk(tmp_path / "journal.sqlite").start()

    async def stop() -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(desk.venue, "stop", stop)
    await desk.runtime.stop("test over")
    assert isinstance(events(tmp_path / "journal.sqlite")[-1], e.EngineStopped)


async def test_a_limit_that_is_loosened_over_a_restart_is_recorded_and_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for settings in (SETTINGS, SETTINGS):  # the first run loosens nothing, and the same again is no change
        desk = await Desk(path, settings=settings).start()
        await desk.runtime.stop("restart")
    told = [event for event in events(path) if isinstance(event, e.GuardianSettingsChanged)]
    assert len(told) == 1
    assert {one.key for one in told[0].changes} == set(GuardianSettings.__struct_fields__)
    assert not any(one.loosens for one in told[0].changes)

    looser = msgspec.structs.replace(SETTINGS, max_position_frac=20.0, max_orders_per_second=5)
    desk = await Desk(path, settings=looser).start()
    await until(lambda: any("LOOSENED" in one.text for one in desk.engine.state.alerts.alerts.values()))
    assert desk.engine.state.limits.words() == ("max_position_frac 10 → 20.0",)
    await desk.runtime.stop("restart")
    change = [event for event in events(path) if isinstance(event, e.GuardianSettingsChanged)][-1]
    assert [(one.key, one.old, one.new, one.loosens) for one in change.changes] == [
        ("max_position_frac", "10", "20.0", True),
        ("max_orders_per_second", "10", "5", False),
    ]
    assert change.who

    desk = await Desk(path, settings=SETTINGS).start()  # one is taken back, the other was tighter in between
    await until(lambda: desk.engine.state.limits.words() == ("max_orders_per_second 5 → 10",))
    await desk.runtime.stop("test over")


async def test_what_is_held_back_is_told_to_be_over_where_the_limit_became_tighter(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    loose, tight = (msgspec.structs.replace(SETTINGS, max_gross_frac=bound) for bound in (20, 5))
    for settings, waiting in ((SETTINGS, ()), (loose, ("max_gross_frac",)), (tight, ())):
        before = {} if settings is SETTINGS else settings_before(SqliteJournal(path, reserve_bytes=0))
        chosen, held_back = in_force(before, settings)
        assert tuple(one.key for one in held_back) == waiting
        made = Desk(path, settings=chosen)
        made.engine.guardian.held_back = held_back
        await made.start()
        await made.runtime.stop("restart")
    told = [one.changes for one in events(path) if isinstance(one, LooserLimitsHeldBack)]
    assert [tuple(change.key for change in changes) for changes in told] == [("max_gross_frac",), ()]


async def test_an_engine_goes_on_behind_its_journal_where_the_system_clock_was_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order would else be asked about, and an exit tried again, only when the hour has passed once more."""
    hour, path = 3_600 * 10**9, tmp_path / "journal.sqlite"
    before = await Desk(path).start()
    last = before.clock.now()
    await before.runtime.stop("test over")
    wall = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall() - hour)
    desk = await Desk(path).start()
    assert desk.clock.now() >= last
    assert desk.engine.state.venue(PERP).since >= last
    await desk.runtime.stop("test over")
