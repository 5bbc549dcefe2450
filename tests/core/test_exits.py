"""Exits never wait for a disk, and a flatten outlives the engine that began it."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId
from core.domain.message import Event
from core.domain.order import Order, OrderStatus, OrderType, Side
from core.engine import Engine
from core.errors import StoreError
from core.guardian.guardian import Guardian
from core.session import protocol as p
from core.session import wire
from store.memory import MemoryJournal
from tests.core.kit import BTC_PERP, PERP, T0, D, S, fill, held, of, opened, order, sent
from tests.core.test_runtime import Desk, until

A = OrderStatus


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """Give a desk that holds 0.02, whose journal is in memory and may be silent for as long as it likes."""
    monkeypatch.setattr("core.recording.STUCK_S", 1e6)
    made = await Desk(None, MemoryJournal()).start()
    await made.hold("0.02")
    yield made
    memory = made.journal
    assert isinstance(memory, MemoryJournal)
    memory.failure, memory.held, memory._closed = None, False, False
    memory.release()
    await made.runtime.stop("test over")


def memory_of(desk: Desk) -> MemoryJournal:
    assert isinstance(desk.journal, MemoryJournal)
    return desk.journal


def recorded(journal: MemoryJournal) -> list[Event]:
    return [wire.decode_event(record.payload) for record in journal.read()]


def flatten(desk: Desk) -> "asyncio.Task[p.Outcome]":
    return asyncio.ensure_future(asyncio.wait_for(desk.runtime.command(c.Flatten(BTC_PERP.id)), 20))


# --- exits never wait -------------------------------------------------------------------------------------------------


async def test_an_exit_leaves_while_the_journal_still_writes(desk: Desk) -> None:
    memory_of(desk).held = True
    asked = flatten(desk)
    await until(lambda: len(desk.venue.submitted) == 2)
    assert not [event for event in recorded(memory_of(desk)) if isinstance(event, e.FlattenStarted)]
    assert not asked.done(), "the answer still waits until it is durable"
    memory_of(desk).held = False
    memory_of(desk).release()
    assert (await asked).orders == (desk.venue.submitted[-1],)


async def test_an_exits_record_is_written_while_its_send_still_waits(desk: Desk) -> None:
    desk.venue.gate.clear()
    outcome = await flatten(desk)
    assert outcome.ok
    assert len(desk.venue.submitted) == 1, "the venue has not taken the exit yet"
    submitted = [event for event in recorded(memory_of(desk)) if isinstance(event, e.OrderSubmitted)]
    assert submitted[-1].order.client_order_id == outcome.orders[0]
    desk.venue.gate.set()
    await until(lambda: desk.venue.submitted[-1] == outcome.orders[0])


async def test_the_cancels_of_a_flatten_do_not_wait_either(desk: Desk) -> None:
    entry = (await desk.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01", "59000")))).orders[0]
    await until(lambda: desk.status(entry) is A.ACCEPTED)
    memory_of(desk).held = True
    asked = flatten(desk)
    await until(lambda: desk.venue.cancelled == [entry])
    memory_of(desk).held = False
    memory_of(desk).release()
    await asked


@pytest.mark.parametrize("together", [False, True])
async def test_a_cancel_never_overtakes_its_order(desk: Desk, together: bool) -> None:
    """An order that still waits for its record when a flatten comes is kept back: it never leaves."""
    memory_of(desk).held = True
    entry = asyncio.ensure_future(desk.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01", "59000"))))
    await asyncio.sleep(0 if together else 0.1)
    asked = flatten(desk)
    await until(lambda: len(desk.venue.submitted) == 2)
    memory_of(desk).held = False
    memory_of(desk).release()
    kept, outcome = (await asyncio.wait_for(entry, 20)).orders[0], await asked
    await until(lambda: desk.status(kept) is A.CANCELLED)
    assert kept not in desk.venue.submitted
    assert desk.venue.cancelled == []
    desk.venue.fill(next(id_ for id_ in outcome.orders if id_ in desk.venue.submitted))
    await until(lambda: not desk.engine.state.exits.flattening)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_cancel_does_not_overtake_its_order_where_the_disk_hangs(desk: Desk, answers: bool) -> None:
    """A cancel leaves without its record then; the order that still waits for its own is kept back, and says so."""
    memory_of(desk).held = True
    waiting = desk.runtime.recording._waiting
    asked: list[asyncio.Task[p.Outcome]] = []
    for price in ("58000", "59000"):
        wanted = c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01", price))
        asked.append(asyncio.ensure_future(desk.runtime.command(wanted)))
        await until(lambda: len(waiting) == len(asked))
    kept = ClientOrderId(max(desk.engine.state.blotter.open))
    waiting[0].since = -1e9
    cancelled = await asyncio.wait_for(desk.runtime.command(c.CancelOrder(kept)), 20)
    assert cancelled.ok
    await until(lambda: desk.status(kept) is A.CANCELLED)
    if not answers:
        waiting[1].since = -1e9
        outcome = await asyncio.wait_for(asked[1], 20)
        assert not outcome.ok
        assert outcome.reason.startswith("not recorded")
    memory_of(desk).held = False
    memory_of(desk).release()
    assert (await asyncio.wait_for(asked[1], 20)).orders == (kept,)
    await until(lambda: not waiting)
    assert kept not in desk.venue.submitted
    assert desk.venue.cancelled == []


def tighten(desk: Desk) -> None:
    """Have the guardian close what loses a hundredth of a per cent of equity."""
    watch = desk.engine.guardian.watch
    watch.settings = msgspec.structs.replace(watch.settings, max_position_loss_frac=0.0001)
    for rule in watch.positions:
        rule.settings = watch.settings


@pytest.mark.parametrize("broken", [False, True])
async def test_an_exit_of_the_guardians_waits_for_no_journal(desk: Desk, broken: bool) -> None:
    """Silent or broken: the exit leaves, is marked where its record is not durable, and ends with the venue's word."""
    tighten(desk)
    memory = memory_of(desk)
    memory.held, memory.failure = not broken, StoreError("no space left") if broken else None
    desk.venue.price(59_000.0)
    await until(lambda: len(desk.venue.submitted) == 2)
    exit_ = desk.venue.submitted[-1]
    sent_ = desk.engine.state.blotter.orders[exit_].order
    assert (sent_.type, sent_.quantity, sent_.reduce_only) == (OrderType.LIMIT, D("0.02"), True)
    if broken:
        await until(lambda: exit_ in desk.engine.state.exits.unjournalled)
    desk.venue.fill(exit_, "59000")
    await until(lambda: not desk.engine.state.exits.flattening)
    assert desk.venue.position == 0
    memory.held, memory.failure = False, None
    memory.release()
    await until(lambda: ended(memory) == [(True, "flat, confirmed by the venue")])


async def test_an_order_by_hand_waits_for_its_record(desk: Desk) -> None:
    memory_of(desk).held = True
    wanted = c.SubmitOrder(order(BTC_PERP, Side.SELL, "0.01", reduce_only=True))
    asked = asyncio.ensure_future(desk.runtime.command(wanted))
    await asyncio.sleep(0.3)
    assert len(desk.venue.submitted) == 1
    memory_of(desk).held = False
    memory_of(desk).release()
    await asked
    await until(lambda: len(desk.venue.submitted) == 2)


async def test_nothing_is_looked_at_between_an_exit_and_its_send(desk: Desk) -> None:
    """A thousand messages wait behind the command in the same turn: the send starts before the first of them."""
    seen: list[int] = []
    moved = before = 0
    process = desk.engine.process

    def counted(message: object) -> object:
        nonlocal moved, before
        moved += 1
        before = moved if isinstance(message, c.Flatten) else before
        return process(message)  # type: ignore[arg-type]

    desk.engine.process = counted  # type: ignore[method-assign, assignment]
    desk.venue.on_submit = lambda _: seen.append(moved)
    asked = asyncio.ensure_future(desk.runtime.command(c.Flatten(BTC_PERP.id)))
    await asyncio.sleep(0)
    for step in range(1000):
        desk.venue.price(60_000.0 + step % 5)
    await asyncio.wait_for(asked, 20)
    await until(lambda: bool(seen))
    assert moved > 1000
    assert seen[0] - before < 10


async def test_without_a_disk_an_exit_is_sent_marked_and_journalled_when_it_can_be(desk: Desk) -> None:
    memory = memory_of(desk)
    memory.failure = OSError("disk full")
    outcome = await flatten(desk)
    assert (outcome.ok, outcome.reason) == (True, "sent, but not recorded yet: disk full")
    exit_ = outcome.orders[0]
    await until(lambda: exit_ in desk.venue.submitted)
    await until(lambda: desk.engine.state.exits.unjournalled == {exit_: "disk full"})
    assert not [event for event in recorded(memory) if isinstance(event, e.FlattenStarted)]
    memory.failure = None
    await until(lambda: not desk.engine.state.exits.unjournalled)
    assert desk.engine.state.store_trouble == ""
    kinds = [
        type(event)
        for event in recorded(memory)
        if isinstance(event, e.ExitUnjournalled) or (isinstance(event, e.OrderSubmitted) and event.order.reduce_only)
    ]
    assert kinds == [e.OrderSubmitted, e.ExitUnjournalled]


async def test_an_exit_stays_marked_until_its_record_is_durable(desk: Desk) -> None:
    """The disk takes writes again, but has not finished: the mark is not taken away by hope."""
    memory = memory_of(desk)
    memory.failure = OSError("disk full")
    await flatten(desk)
    await until(lambda: bool(desk.engine.state.exits.unjournalled))
    memory.held, memory.failure = True, None
    await asyncio.sleep(0.5)
    assert desk.engine.state.exits.unjournalled
    assert desk.engine.state.store_trouble
    memory.held = False
    memory.release()
    await until(lambda: not desk.engine.state.exits.unjournalled)


async def test_a_disk_that_hangs_counts_as_gone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.recording.STUCK_S", 0.3)
    memory = memory_of(desk)
    memory.held = True
    outcome = await flatten(desk)
    assert outcome.ok
    assert outcome.reason.startswith("sent, but not recorded yet: the journal does not answer")
    await until(lambda: outcome.orders[0] in desk.engine.state.exits.unjournalled)
    desk.venue.fill(outcome.orders[0])
    await until(lambda: held(desk.engine, BTC_PERP) == 0)
    desk.venue.price(60_000.0)
    wanted = c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01"))
    entry = await asyncio.wait_for(desk.runtime.command(wanted), 20)
    assert not entry.ok
    assert "does not answer" in entry.reason
    assert len(desk.venue.submitted) == 2
    memory.held = False
    memory.release()
    await until(lambda: desk.engine.state.store_trouble == "")
    assert not desk.engine.state.exits.unjournalled
    await desk.buy()


async def test_no_id_repeats_after_an_exit_that_no_journal_knows(desk: Desk) -> None:
    memory_of(desk).held = True
    asked = flatten(desk)
    await until(lambda: len(desk.venue.submitted) == 2)
    asked.cancel()
    desk.venue.deaf = True
    desk.venue.fill(desk.venue.submitted[-1])
    left = desk.kill()
    left.held, desk.venue.deaf = False, False
    again = await Desk(None, left, desk.venue).start()
    assert held(again.engine, BTC_PERP) == desk.venue.position == 0, "the fill came with the snapshot"
    first = await again.buy()
    assert first not in desk.venue.submitted[:2]
    assert first.startswith("t0r2")
    assert len(set(desk.venue.submitted)) == len(desk.venue.submitted) == 3
    await again.runtime.stop("test over")


def test_only_what_reduces_can_be_urgent() -> None:
    engine, guardian = opened(), Guardian()
    entry = guardian.check(engine.state, c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01"), "x", T0), T0, urgent=True)
    assert isinstance(entry, Approved)
    assert not entry.urgent
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    approved = of(list(engine.process(c.Flatten(BTC_PERP.id, ts=T0))), Approved)
    assert [one.urgent for one in approved] == [True]


# --- a flatten outlives its engine ------------------------------------------------------------------------------------


def ended(journal: MemoryJournal) -> list[tuple[bool, str]]:
    return [(event.flat, event.reason) for event in recorded(journal) if isinstance(event, e.FlattenEnded)]


async def in_the_middle(checkpoint: bool) -> tuple[Desk, ClientOrderId, ClientOrderId]:
    """Kill an engine while a cancel is outstanding and the exit is filled in part; nobody heard of the part."""
    desk = await Desk(None, MemoryJournal()).start()
    await desk.hold("0.02")
    entry = (await desk.runtime.command(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01", "59000")))).orders[0]
    await until(lambda: desk.status(entry) is A.ACCEPTED)
    desk.venue.slow_cancels = True
    outcome = await flatten(desk)
    exit_ = next(id_ for id_ in outcome.orders if id_ != entry)
    await until(lambda: desk.venue.cancelled == [entry] and exit_ in desk.venue.submitted)
    if checkpoint:
        desk.runtime.recording.checkpoint()
    desk.venue.deaf = True
    desk.venue.fill(exit_, quantity="0.005")
    desk.venue.expire(exit_)
    desk.venue.fill(entry, "59000", "0.004")
    return desk, entry, exit_


@pytest.mark.parametrize("checkpoint", [False, True])
async def test_a_flatten_goes_on_after_a_kill(checkpoint: bool) -> None:
    first, entry, exit_ = await in_the_middle(checkpoint)
    left = first.kill()
    venue = first.venue
    venue.deaf = venue.slow_cancels = False
    second = await Desk(None, left, venue).start()
    await until(lambda: venue.cancelled.count(entry) >= 2)
    await until(lambda: len(venue.submitted) >= 4)
    last = venue.submitted[-1]
    assert last not in (entry, exit_)
    assert second.engine.state.blotter.orders[last].order.quantity == D("0.019"), "0.02 - 0.005 + 0.004"
    venue.fill(last)
    await until(lambda: not second.engine.state.exits.flattening)
    assert venue.position == held(second.engine, BTC_PERP) == 0
    assert not second.engine.state.blotter.open
    assert ended(left) == [(True, "flat")]
    await second.runtime.stop("test over")


async def test_a_resumed_flatten_sends_nothing_before_the_venue_has_said_what_became_of_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last exit of the killed run left unjournalled and closed everything: a second one would oversell."""
    monkeypatch.setattr("core.execution.exits.GRACE_NS", 600 * S)  # a machine that stands still must not end it
    outcome = await flatten(desk)
    venue = desk.venue
    venue.fill(outcome.orders[0], quantity="0.005")
    venue.expire(outcome.orders[0])
    await until(lambda: desk.status(outcome.orders[0]) is A.EXPIRED)
    memory_of(desk).held = True
    await until(lambda: len(venue.submitted) == 3)
    venue.deaf = True
    venue.fill(venue.submitted[-1])
    left = desk.kill()
    assert venue.position == 0
    left.held = venue.deaf = False
    venue.broken = LookupError("not yet")
    tried: list[ClientOrderId] = []
    venue.on_submit = lambda wanted: tried.append(wanted.client_order_id)
    second = Desk(None, left, venue)
    await second.runtime.start()
    await asyncio.sleep(1.5)
    assert held(second.engine, BTC_PERP) == D("0.015"), "nobody has told of the last exit yet"
    assert not tried
    venue.broken = None
    await until(lambda: not second.engine.state.exits.flattening)
    assert not tried
    assert venue.position == held(second.engine, BTC_PERP) == 0
    await second.runtime.stop("test over")


def test_a_resumed_flatten_does_not_wait_for_a_venue_that_never_reconciles() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    engine.state.apply(e.FlattenStarted(BTC_PERP.id, "test", T0))
    again = Engine(strict=True)
    again.restore(engine.state.image())
    again.process(e.EngineStarted(2, "test", "paper", T0 + S))
    assert not of(again.process(m.Timer(T0 + 9 * S)), e.OrderSubmitted), "no link: nothing can be sent"
    again.process(m.VenueStatus(PERP, True, "", T0 + 10 * S))
    assert not of(again.process(m.Timer(T0 + 12 * S)), e.OrderSubmitted)
    exits = of(again.process(m.Timer(T0 + 14 * S)), e.OrderSubmitted)
    assert [event.order.quantity for event in exits] == [D("0.02")]


def test_a_fill_behind_a_flatten_is_closed_after_a_restart_too() -> None:
    engine = opened()
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    engine.process(c.Flatten(BTC_PERP.id, ts=T0 + S))
    engine.process(e.OrderCancelled(entry, "asked", T0, T0 + S))
    again = Engine(strict=True)
    again.restore(engine.state.image())
    again.process(e.EngineStarted(2, "test", "paper", T0 + S))
    again.process(m.VenueStatus(PERP, True, "", T0 + S))
    late = fill(BTC_PERP, Side.BUY, "0.01", "59000", "f1", entry, T0 + 2 * S)
    effects = list(again.process(late))
    assert [event.origin for event in of(effects, e.FlattenStarted)] == ["late fill"]
    assert again.state.exits.flattening


def words(order_: Order) -> str:
    return f"{order_.side} {order_.quantity}"


def test_the_records_tell_the_whole_flatten() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    records = [effect for effect in engine.process(c.Flatten(BTC_PERP.id, "me", T0)) if isinstance(effect, Event)]
    exit_ = of(records, e.OrderSubmitted)[0].order
    assert (records[0], words(exit_)) == (e.FlattenStarted(BTC_PERP.id, "me", T0), "SELL 0.02")
    done = of(engine.process(fill(BTC_PERP, Side.SELL, "0.02", "60000", "f1", exit_.client_order_id)), e.FlattenEnded)
    assert done == [e.FlattenEnded(BTC_PERP.id, True, "flat", T0)]
    assert engine.state.exits.flattened == {BTC_PERP.id: T0}
