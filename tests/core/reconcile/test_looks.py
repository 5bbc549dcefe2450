"""Looks at a venue while both run: what may still travel, what others trade, and looks that fail."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from core.config.settings import ReconcileSettings
from core.connection import VenueLink
from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.commands import SetTradingState
from core.domain.differences import DifferenceKind, OrderAdopted
from core.domain.identifiers import Asset, ClientOrderId, FillId, VenueOrderId
from core.domain.message import Message
from core.domain.order import OrderStatus, Side
from core.domain.reports import BalanceReport, OrderReport, VenueSnapshot
from core.errors import VenueError
from core.reconcile import looks as looks_module
from core.session import views
from tests.core.kit import BTC_PERP, ETH_PERP, PERP, D, fill, held, order
from tests.core.test_runtime import Desk, desk, events, until

__all__ = ["desk"]
A = OrderStatus


def link_of(desk: Desk) -> VenueLink:
    return desk.runtime.links[PERP]


def kinds(desk: Desk) -> list[DifferenceKind]:
    return [one.kind for one in desk.engine.state.differences.standing.values()]


async def test_an_order_still_on_its_way_is_not_taken_for_lost(desk: Desk) -> None:
    """The venue does not know it, and then it rests: the acknowledgement settles it, and nothing is sent again."""
    desk.venue.gate.clear()
    id_ = await desk.buy()
    await link_of(desk).looks.look(frozenset())
    assert desk.status(id_) is A.UNKNOWN
    assert "asked again" in desk.engine.state.blotter.orders[id_].reason
    desk.venue.gate.set()
    await until(lambda: desk.status(id_) is A.ACCEPTED)
    await link_of(desk).looks.look(frozenset())
    assert (desk.status(id_), desk.venue.submitted) == (A.ACCEPTED, [id_])


async def test_an_order_that_is_unknown_twice_never_arrived(desk: Desk) -> None:
    desk.venue.gate.clear()
    id_ = await desk.buy()
    for _ in range(2):
        await link_of(desk).looks.look(frozenset())
    assert desk.status(id_) is A.REJECTED


async def test_what_fills_between_the_snapshot_and_the_question_is_looked_at_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue had it neither open nor filled, then filled: the fill is in the next snapshot, and nothing is odd."""
    desk.venue.gate.clear()
    id_, ask = await desk.buy(), desk.venue.order
    desk.venue.deaf = True

    async def filled_meanwhile(client_order_id: ClientOrderId) -> OrderReport | None:
        if not desk.venue.gate.is_set():
            desk.venue.gate.set()
            await until(lambda: client_order_id in desk.venue.submitted)
            desk.venue.fill(client_order_id)
        return await ask(client_order_id)

    monkeypatch.setattr(desk.venue, "order", filled_meanwhile)
    assert not await link_of(desk).looks.look(frozenset())
    assert desk.status(id_) is A.UNKNOWN
    await link_of(desk).looks.look(frozenset())
    assert (desk.status(id_), held(desk.engine, BTC_PERP)) == (A.FILLED, D("0.01"))
    assert not [one for one in events(tmp_path / "journal.sqlite") if isinstance(one, e.IllegalEventSeen)]


async def test_a_comparison_says_nothing_of_an_order_just_sent(desk: Desk) -> None:
    desk.venue.gate.clear()
    id_ = await desk.buy()
    for _ in range(3):
        await link_of(desk).compare()
    assert desk.status(id_) is A.SUBMITTED
    desk.venue.gate.set()


async def test_a_comparison_that_fails_is_no_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before, troubles = desk.engine.state.venue(PERP).compared, list[str]()
    for error in (VenueError("away"), KeyError("odd")):

        async def fails(since: int, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(desk.venue, "snapshot", fails)
            await link_of(desk).compare()
        troubles.append(views.venue_words(desk.engine.state.venue(PERP)))
    assert desk.engine.state.venue(PERP).compared == before
    assert troubles == ["not comparable: away", "not comparable: KeyError: 'odd'"]
    await link_of(desk).compare()
    assert desk.engine.state.venue(PERP).compared > before
    assert views.venue_words(desk.engine.state.venue(PERP)) == "ready"


async def test_a_link_that_was_lost_meanwhile_makes_a_look_worthless(desk: Desk) -> None:
    desk.engine.state.venue(PERP).connected = False
    await link_of(desk).compare()
    with pytest.raises(VenueError, match="the link changed"):
        await link_of(desk).looks.look(frozenset())
    desk.engine.state.venue(PERP).connected = True


@pytest.mark.parametrize("connected", [True, False])
async def test_a_look_that_fails_is_told_unless_the_link_itself_is_lost(desk: Desk, connected: bool) -> None:
    view = desk.engine.state.venue(PERP)
    view.connected = connected
    link_of(desk).looks.failed("away")
    assert (view.trouble == "away") is connected
    view.connected = True


async def test_it_is_compared_every_so_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await Desk(tmp_path / "journal.sqlite").start()
    link = link_of(made)
    made.runtime.links[PERP] = other = VenueLink(made.venue, made.runtime, ReconcileSettings(every_s=1.0))
    monkeypatch.setattr(looks_module, "LATER_LOOK_S", 0.2)
    looks = len(made.venue.snapshots)
    try:
        await until(lambda: len(made.venue.snapshots) >= looks + 2)
        assert not other.is_due()
        assert not link.is_due()  # its interval is half a minute
    finally:
        await made.runtime.stop("test over")


def say(desk: Desk, *messages: Message) -> None:
    for message in messages:
        link_of(desk).emit(message)


async def test_a_foreign_fill_is_flagged_once_and_a_forced_close_is_not(desk: Desk) -> None:
    state = desk.engine.state
    now = desk.clock.now()
    other = fill(BTC_PERP, Side.BUY, "0.1", "60000", "x1", "x77", now)
    say(desk, other, other)
    await until(lambda: kinds(desk) == [DifferenceKind.FILL])
    say(desk, other)
    forced = fill(BTC_PERP, Side.SELL, "0.1", "60000", "L1", "", now)
    closed = e.PositionLiquidated(BTC_PERP.id, D("0.1"), D(60_000), D(0), BTC_PERP.settle, now, now, FillId("L1"))
    say(desk, closed, forced)
    await until(lambda: held(desk.engine, BTC_PERP) == 0)
    (one,) = state.differences.standing.values()
    assert (one.ours, one.theirs) == (D(0), D("0.1"))


async def test_an_order_of_a_run_that_our_journal_does_not_know_halts_once(desk: Desk) -> None:
    later = ClientOrderId(f"t0r{desk.engine.state.run + 3}taaaan1")
    wanted = order(BTC_PERP, Side.BUY, "0.01", "50000", client_order_id=later)
    desk.venue._orders[later] = (wanted, A.ACCEPTED)
    await link_of(desk).looks.look(frozenset())
    state = desk.engine.state
    assert (state.trading_state, "put back" in state.state_reason) == (TradingState.HALTED, True)
    desk.runtime.take(SetTradingState(TradingState.ACTIVE, "seen", "RESUME", "ada", "test", desk.clock.now()))
    await link_of(desk).looks.look(frozenset())
    assert state.trading_state is TradingState.ACTIVE
    assert not state.blotter.open[later].foreign


async def test_a_fill_from_before_our_first_look_is_not_booked(desk: Desk) -> None:
    old = fill(BTC_PERP, Side.BUY, "0.1", "60000", "x1", "x77", desk.engine.state.venue(PERP).opened - 1)
    say(desk, old)
    unknown = fill(ETH_PERP, Side.BUY, "0.1", "3000", "x2", "x77", desk.clock.now())
    say(desk, unknown)
    await until(lambda: desk.engine.state.illegal > 0)
    assert (held(desk.engine, BTC_PERP), kinds(desk)) == (D(0), [])


async def test_a_fill_of_ours_from_before_our_first_look_is_not_booked_either(desk: Desk) -> None:
    """A journal that was lost: the venue tells again what this home traded under it."""
    opened = desk.engine.state.venue(PERP).opened
    mine, other = (ClientOrderId(f"t0r0n{one}") for one in (1, 2))
    say(desk, fill(BTC_PERP, Side.BUY, "0.1", "60000", "x1", mine, opened - 1))
    say(desk, fill(BTC_PERP, Side.BUY, "0.2", "60000", "x2", other, opened + 1))
    await until(lambda: held(desk.engine, BTC_PERP) != 0)
    assert held(desk.engine, BTC_PERP) == D("0.2")


async def test_a_fill_of_a_found_order_that_may_be_past_is_asked_about_soon(desk: Desk) -> None:
    """Its stamp says so; whether its order's report had counted it, the next look says."""
    opened, id_, looks = desk.engine.state.venue(PERP).opened, ClientOrderId("t0r0n1"), link_of(desk).looks
    kept = order(BTC_PERP, Side.BUY, "0.1", "60000", client_order_id=id_, venue=PERP)
    desk.runtime.take(e.OrderFound(kept, PERP, VenueOrderId("v9"), D(0), desk.clock.now()))
    desk.runtime.take(OrderAdopted(id_, "its id is ours: its record was lost", desk.clock.now()))
    await looks.look(frozenset())
    assert looks.settled
    say(desk, fill(BTC_PERP, Side.BUY, "0.1", "60000", "x1", id_, opened - 1))
    assert not looks.settled


async def test_a_second_look_comes_soon_where_others_trade(desk: Desk) -> None:
    await asyncio.sleep(0)
    link = link_of(desk)
    assert link.looks.comparison.settled
    now = desk.clock.now()
    say(desk, e.OrderCancelled(fill(BTC_PERP, Side.BUY, "1", "1", "f", "x77").client_order_id, "", now, now))
    assert not link.looks.comparison.settled


async def test_what_the_sentinel_sent_and_its_venue_has_ended_is_closed_by_the_look_that_meets_it(desk: Desk) -> None:
    """An IOC of the sentinel's that filled in part: no event of its end will come any more."""
    id_ = ClientOrderId("t0s7n1")
    desk.runtime.beating.sentinels = "t0s"
    await desk.hold("0.02")
    desk.venue.deaf = True
    exit_ = order(BTC_PERP, Side.SELL, "0.02", reduce_only=True, client_order_id=id_, venue=PERP)
    desk.venue._orders[id_] = (exit_, OrderStatus.ACCEPTED)
    desk.venue.fill(id_, quantity="0.01")
    desk.venue._orders[id_] = (exit_, OrderStatus.EXPIRED)
    await link_of(desk).looks.look(frozenset())
    record = desk.engine.state.blotter.orders[id_]
    assert (record.status, record.filled, record.foreign) == (A.CANCELLED, D("0.01"), False)
    assert record.reason == "EXPIRED at the venue"
    assert id_ not in desk.engine.state.blotter.open
    assert held(desk.engine, BTC_PERP) == D("0.01")


async def test_what_is_said_of_an_order_of_the_sentinels_that_its_venue_does_not_know_is_looked_at_soon(
    desk: Desk,
) -> None:
    """A venue's front refused it: no record is made up for it, and nothing counts as not fitting its life."""
    desk.runtime.beating.sentinels = "t0s"
    await asyncio.sleep(0)
    link, now, id_ = link_of(desk), desk.clock.now(), ClientOrderId("t0s7n1")
    assert link.looks.settled
    say(desk, e.OrderRejected(id_, "not today", now, now))
    await until(lambda: not link.looks.settled)
    await asyncio.sleep(0)
    state = desk.engine.state
    assert (state.illegal, id_ in state.blotter.orders) == (0, False)


async def test_one_of_the_sentinels_that_is_met_during_a_look_and_is_over_ends_with_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended before the link was up, so that nobody tells of it, and the look under way asks only of what it knew."""
    id_ = ClientOrderId("t0s7n1")
    desk.runtime.beating.sentinels = "t0s"
    await desk.hold("0.02")
    link, venue, state, now = link_of(desk), desk.venue, desk.engine.state, desk.clock.now()
    exit_ = order(BTC_PERP, Side.SELL, "0.02", reduce_only=True, client_order_id=id_, venue=PERP)
    venue.deaf = True
    venue._orders[id_] = (exit_, OrderStatus.ACCEPTED)
    venue.fill(id_, quantity="0.01")
    venue._orders[id_] = (exit_, OrderStatus.EXPIRED)
    answers, snapshot = asyncio.Event(), venue.snapshot

    async def slow(since: int) -> VenueSnapshot:
        await answers.wait()
        return await snapshot(since)

    monkeypatch.setattr(venue, "snapshot", slow)
    look = asyncio.create_task(link.looks.look(frozenset()))
    await asyncio.sleep(0)
    say(desk, e.OrderAccepted(id_, VenueOrderId("v1"), now, now))
    await until(lambda: id_ in state.blotter.open)
    answers.set()
    assert not await look
    assert id_ in state.blotter.open
    assert await link.looks.look(frozenset())
    assert (state.blotter.orders[id_].filled, id_ in state.blotter.open) == (D("0.01"), False)


async def test_several_orders_are_asked_about_at_once_but_not_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that answers late and knows nothing of many orders keeps reconciliation waiting for each of them."""
    monkeypatch.setattr(looks_module, "ASKED_AT_ONCE", 2)
    desk.venue.gate.clear()
    ids = [await desk.buy() for _ in range(3)]
    asked, waiting, together = list[str](), 0, list[int]()

    async def late(id_: ClientOrderId) -> None:
        nonlocal waiting
        asked.append(id_)
        waiting += 1
        await asyncio.sleep(0.001)
        together.append(waiting)
        await asyncio.sleep(0.001)
        waiting -= 1

    monkeypatch.setattr(desk.venue, "order", late)
    for _ in range(2):
        await link_of(desk).looks.look(frozenset())
    assert (asked, max(together)) == (ids * 2, 2)
    assert {desk.status(id_) for id_ in ids} == {A.REJECTED}


async def test_what_two_looks_agree_on_is_told_and_taken_back_when_it_is_gone(desk: Desk) -> None:
    desk.venue._position = D("0.3")
    await link_of(desk).looks.look(frozenset())
    assert kinds(desk) == [], "one look alone may have been overtaken"
    await link_of(desk).looks.look(frozenset())
    assert kinds(desk) == [DifferenceKind.POSITION]
    desk.venue._position = D(0)
    await link_of(desk).looks.look(frozenset())
    assert kinds(desk) == []


async def test_a_snapshot_with_what_cannot_be_money_is_taken_without_it_and_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, state, venue = link_of(desk), desk.engine.state, desk.venue
    snapshot, before = venue.snapshot, desk.engine.state.equity
    senseless = BalanceReport(Asset("USDT"), D("NaN"), D(0))

    async def odd(since: int) -> VenueSnapshot:
        return msgspec.structs.replace(await snapshot(since), balances=(senseless,))

    monkeypatch.setattr(venue, "snapshot", odd)
    venue._position = D("0.3")
    looks = len(venue.snapshots)
    await link.compare()
    what = "it tells what cannot be, left out here: wallet of USDT: total must be a number within 10^18 of 0 (got NaN)"
    assert views.venue_words(state.venue(PERP)) == f"not comparable: {what}"
    await link.compare()
    assert kinds(desk) == [DifferenceKind.POSITION], "the rest is compared"
    assert state.equity == before
    assert not link.is_due(), "it is not asked again at once"
    assert len(venue.snapshots) == looks + 2
    monkeypatch.setattr(looks_module, "LATER_LOOK_S", 0.0)
    monkeypatch.setattr(link.looks, "_every_ns", 0)
    assert link.is_due()
    monkeypatch.setattr(venue, "snapshot", snapshot)
    link.looks.comparison._idle = 1
    state.venue(PERP).last_booking, booked = desk.clock.now() + 10**12, state.venue(PERP).last_booking
    await link.compare()
    assert views.venue_words(state.venue(PERP)).startswith("not comparable: nothing was comparable for")
    state.venue(PERP).last_booking = booked
    await link.compare()
    assert views.venue_words(state.venue(PERP)) == "ready"
    state.ledger.balances.pop(PERP)
    monkeypatch.setattr(venue, "snapshot", odd)
    with pytest.raises(VenueError, match="wallet of USDT"):
        await link.looks.look(frozenset())
