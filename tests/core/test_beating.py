"""The engine beside its sentinel: it beats, it is barred, learns of the sentinel's orders, misses a silent one."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.beating import AGAIN_NS, SILENT_NS, Beating, reconciled
from core.domain import commands as c
from core.domain import events as e
from core.domain.approval import Approved, TradingState
from core.domain.identifiers import ClientOrderId
from core.domain.market import Timer, VenueStatus
from core.domain.order import OrderStatus, OrderType, Side
from core.guardian.closing import Account, Closer
from core.guardian.pulse import EnginePhase, Phase, Pulse, boottime
from store.memory import MemoryJournal
from tests.core.kit import BTC_PERP, PERP, T0, D, held, opened, order
from tests.core.test_runtime import Desk, until

A = OrderStatus


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Give a desk whose engine beats on a page."""
    made = Desk(None, MemoryJournal())
    made.runtime.beating.use(Pulse(tmp_path / "pulse"), "t0")
    yield await made.start()
    await made.runtime.stop("test over")


@pytest.fixture
def page(desk: Desk, tmp_path: Path) -> Pulse:
    return Pulse(tmp_path / "pulse")


# --- the heartbeat ----------------------------------------------------------------------------------------------------


async def test_the_beat_comes_out_of_the_loop_and_tells_where_the_engine_stands(desk: Desk, page: Pulse) -> None:
    before = page.engine()
    await until(lambda: page.engine().stamp > before.stamp and page.engine().looked > before.looked)
    beat = page.engine()
    assert (beat.phase, beat.run, beat.state) == (EnginePhase.RUNNING, desk.engine.state.run, TradingState.ACTIVE)
    assert beat.reconciled
    assert beat.sequence == desk.journal.last > 0


def test_how_late_the_loop_was_stands_on_the_page_and_fades(tmp_path: Path) -> None:
    beating, page = Beating(Desk(None, MemoryJournal()).runtime), Pulse(tmp_path / "late")
    beating.late(1_000_000)  # without a page nobody is told
    beating.use(page, "t0")
    beating.late(50_000_000)
    assert page.engine().late == 50_000_000
    beating.late(3_000_000)
    assert page.engine().late == 40_000_000
    for _ in range(10):
        beating.late(0)
    assert 0 < page.engine().late < 5_000_000
    page.begin()
    assert page.engine().late == 0


async def test_a_restarted_engine_does_not_say_reconciled_for_the_run_before(
    desk: Desk, page: Pulse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.hold("0.02")
    desk.runtime.recording.checkpoint()
    said: list[bool] = []
    again = Desk(None, desk.kill())
    monkeypatch.setattr(again.venue, "start", _nobody)  # the venue does not answer
    pulse = Pulse(tmp_path / "again")
    monkeypatch.setattr(pulse, "beat", lambda *_, reconciled: said.append(reconciled))
    again.runtime.beating.use(pulse, "t0")
    await again.runtime.start()
    assert again.engine.state.venue(PERP).reconciled, "as the run before left it, until the start is applied"
    await until(lambda: len(said) >= 2)
    assert not any(said)
    await again.runtime.stop("test over")


async def test_a_page_that_is_taken_away_under_a_running_engine_is_there_again(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "pulse").unlink()
    await until((tmp_path / "pulse").exists)
    page = Pulse(tmp_path / "pulse")
    before = page.engine()
    assert before.phase is EnginePhase.RUNNING
    await until(lambda: page.engine().stamp > before.stamp)


async def _nobody(emit: object) -> None:
    """Connect to nothing."""


async def test_a_loop_that_hangs_does_not_beat(desk: Desk, page: Pulse) -> None:
    await until(lambda: page.engine().phase is EnginePhase.RUNNING)
    before = page.engine().stamp
    time.sleep(0.3)  # noqa: ASYNC251  a loop that hangs
    assert page.engine().stamp == before


async def test_a_guardian_that_fails_is_not_hidden_by_a_loop_that_beats(
    desk: Desk, page: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: page.engine().phase is EnginePhase.RUNNING)

    def fails(timer: Timer) -> None:
        raise ValueError("planted")

    monkeypatch.setitem(desk.engine._handlers, Timer, fails)
    patched = page.engine().stamp
    await until(lambda: page.engine().stamp > patched)  # this beat tells of the last look there was
    before = page.engine()
    await until(lambda: page.engine().stamp > before.stamp + 300_000_000)
    assert page.engine().looked == before.looked


def test_reconciled_means_every_venue_with_risk() -> None:
    state = opened().state
    assert reconciled(state)
    state.apply(VenueStatus(PERP, False, "gone", T0))
    assert all(name == PERP or view.reconciled for name, view in state.venues.items())
    assert reconciled(state), "nothing is held there, and nobody is connected"
    state.apply(VenueStatus(PERP, True, "", T0))
    assert not reconciled(state), "it is being compared"
    state.apply(VenueStatus(PERP, False, "gone", T0))
    state.apply(e.OrderSubmitted(order(BTC_PERP, Side.BUY, "1", client_order_id=ClientOrderId("t0r1n1")), PERP, T0))
    assert not reconciled(state), "an order may rest there"
    for name in list(state.venues):
        state.apply(VenueStatus(name, False, "gone", T0))
    assert not reconciled(state)


# --- the lease --------------------------------------------------------------------------------------------------------


async def test_nothing_leaves_while_the_lease_is_held_not_even_what_was_approved(desk: Desk, page: Pulse) -> None:
    page.take()
    outcome = await desk.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01")))
    id_ = outcome.orders[0] if outcome.orders else None
    assert outcome.ok, "the guardian has not heard of it yet: the wire must hold it back"
    assert id_ is not None
    await until(lambda: desk.status(id_) is A.REJECTED)
    assert "the sentinel holds the lease" in desk.engine.state.blotter.orders[id_].reason
    assert desk.venue.submitted == []


async def test_the_guardian_says_so_as_soon_as_it_has_heard(desk: Desk, page: Pulse) -> None:
    page.watching(Phase.AWAITING, "the engine is dead")
    page.take()
    await until(lambda: desk.engine.state.guard.holds != "")
    outcome = await desk.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01")))
    assert not outcome.ok
    assert outcome.limit == "sentinel"
    assert "holds the lease (the engine is dead)" in outcome.reason


async def test_a_flatten_waits_for_the_lease_and_then_goes_on(desk: Desk, page: Pulse) -> None:
    await desk.hold("0.02")
    before = len(desk.venue.submitted)
    page.take()
    await until(lambda: desk.engine.state.guard.holds != "")
    await desk.runtime.command(c.Flatten(BTC_PERP.id))
    await asyncio.sleep(0.3)
    assert len(desk.venue.submitted) == before
    assert BTC_PERP.id in desk.engine.state.exits.flattening
    denied = [item for item in desk.engine.state.blotter.orders.values() if item.status is A.DENIED]
    assert not denied, "it does not try, and so does not give up"
    page.release()
    await until(lambda: len(desk.venue.submitted) == before + 1)


async def test_cancels_wait_too(desk: Desk, page: Pulse) -> None:
    desk.venue.price(60_000.0)
    outcome = await desk.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01", "59000")))
    (id_,) = outcome.orders
    await until(lambda: desk.status(id_) is A.ACCEPTED)
    page.take()
    await desk.runtime.command(c.CancelOrder(id_))
    await until(lambda: desk.status(id_) is A.ACCEPTED)
    assert desk.venue.cancelled == []


# --- the sentinel's orders --------------------------------------------------------------------------------------------


async def sentinel_sells(desk: Desk, quantity: str) -> ClientOrderId:
    """Have the venue take and fill an order of the sentinel's."""
    closer = Closer("t0", 1)
    accounts = [Account(PERP, (BTC_PERP,), await desk.venue.snapshot(0))]
    ((_, approved),) = closer.look(accounts, {}, boottime())
    assert isinstance(approved, Approved)
    assert isinstance(approved.command, c.SubmitOrder)
    await desk.venue.submit(approved)
    id_ = approved.command.order.client_order_id
    desk.venue.fill(id_)
    assert approved.command.order.quantity == D(quantity)
    return id_


async def test_the_sentinels_orders_come_into_the_blotter_with_their_fills(desk: Desk) -> None:
    await desk.hold("0.02")
    id_ = await sentinel_sells(desk, "0.02")
    await until(lambda: desk.engine.state.blotter.orders.get(id_) is not None and desk.status(id_) is A.FILLED)
    record = desk.engine.state.blotter.orders[id_]
    assert (record.order.type, record.order.side, record.filled) == (OrderType.MARKET, Side.SELL, D("0.02"))
    assert record.order.strategy_intent == "sentinel flatten"
    assert held(desk.engine, BTC_PERP) == 0
    assert desk.engine.state.illegal == 0


async def test_what_the_sentinel_did_while_the_link_was_down_is_learnt_by_reconciling(desk: Desk) -> None:
    await desk.hold("0.02")
    desk.venue.link(up=False)
    desk.venue.deaf = True
    await until(lambda: not desk.engine.state.venue(PERP).connected)
    id_ = await sentinel_sells(desk, "0.02")
    desk.venue.deaf = False
    desk.venue.link(up=True)
    await until(lambda: desk.engine.state.venue(PERP).reconciled)
    assert desk.status(id_) is A.FILLED
    assert held(desk.engine, BTC_PERP) == 0


# --- a silent sentinel ------------------------------------------------------------------------------------------------


class Silence:
    """Count restarts, at times of our own."""

    def __init__(self, desk: Desk, page: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
        self.beating, self.page, self.restarts = Beating(desk.runtime), page, 0
        self.beating.use(page, "t0")
        self.beating.restart = self._count
        self.beating.looked()
        self.now = boottime()
        monkeypatch.setattr("core.beating.boottime", lambda: self.now)

    def _count(self) -> None:
        self.restarts += 1

    def after(self, ns: int) -> int:
        self.now += ns
        self.beating.tick()
        return self.restarts


@pytest.fixture
def silence(desk: Desk, page: Pulse, monkeypatch: pytest.MonkeyPatch) -> Silence:
    return Silence(desk, page, monkeypatch)


async def test_a_sentinel_that_fell_silent_is_replaced_and_not_again_at_once(silence: Silence) -> None:
    silence.page.watching(Phase.WATCHING, "watches")
    assert silence.after(SILENT_NS // 2) == 0
    assert silence.after(SILENT_NS) == 1
    assert silence.after(AGAIN_NS // 2) == 1
    assert silence.after(AGAIN_NS) == 2


async def test_one_that_ended_in_order_or_was_never_there_is_not_missed(silence: Silence) -> None:
    assert silence.after(10 * SILENT_NS) == 0
    silence.page.watching(Phase.ENDED, "")
    assert silence.after(10 * SILENT_NS) == 0
    silence.page.take()
    assert silence.after(AGAIN_NS) == 1, "a lease that nobody would release"


async def test_a_silent_sentinel_is_told_with_its_age(desk: Desk, page: Pulse) -> None:
    page.watching(Phase.WATCHING, "watches")
    await until(lambda: desk.engine.state.guard.status is not None and desk.engine.state.guard.status.armed)
    status = desk.engine.state.guard.status
    assert status is not None
    assert 0 <= desk.clock.now() - status.seen < 60 * 10**9
    desk.runtime.beating.trouble = lambda: "config.toml:3 is wrong"
    assert status.trouble == "", "while one beats nothing is wrong"
    page.watching(Phase.ENDED, "watches")
    await until(lambda: desk.engine.state.guard.status is not None and desk.engine.state.guard.status.seen == 0)
    ended = desk.engine.state.guard.status
    assert ended is not None
    assert ended.trouble == "config.toml:3 is wrong"
