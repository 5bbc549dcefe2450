"""Exits against an exchange that caps nothing, refuses, answers late, twice and out of order, and against kill -9.

Two exiters at least are at work: the guardian by its rules, and a hand that closes parts and flattens.
"""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.message import Event, Message
from core.domain.order import OrderStatus, OrderType, Side, StopLoss, TimeInForce
from core.engine import Engine
from core.outbox import Confirm
from core.ports import Abilities
from core.reconcile.reconcile import missing, reconcile
from core.session import wire
from core.state.state import IMAGE_DECODER
from tests.core.guardian.watch.kit import QUIET
from tests.core.kit import BTC_PERP, MS, PERP, T0, D, opened, order, quote
from tests.simulation.exchange import Exchange

LOT = D("0.1")
SETTINGS = QUIET.__class__(
    **{
        **{name: getattr(QUIET, name) for name in QUIET.__struct_fields__},
        "max_position_loss_frac": 0.02,
        "drawdown_steps": ((0.01, 0.5), (0.03, 0.25)),
        "drawdown_recovery_frac": 0.005,
        "forced_stop_frac": 0.001,
        "max_orders_per_second": 100_000,
    }
)


class Exiting(RuleBasedStateMachine):
    """Entries go one way and exits are reduce-only: whatever happens, the exchange must never hold the other way."""

    entry = Side.BUY

    @initialize(amends=st.booleans())
    def begin(self, amends: bool) -> None:
        self.abilities = {
            PERP: Abilities(
                order_types=frozenset(OrderType), time_in_force=frozenset(TimeInForce), amend=amends, native_stops=True
            )
        }
        self.engine = opened(settings=SETTINGS, abilities=self.abilities, instruments=(BTC_PERP,), cash="500000")
        self.exchange = Exchange(amends=amends)
        self.now, self.middle, self.run = T0, 60_000.0, 1
        self.asked = False
        self.base, self.journal = wire.encode(self.engine.state.image()), list[Event]()

    def tell(self, message: Message) -> None:
        for effect in self.engine.process(message):
            if isinstance(effect, Approved):
                self.exchange.wire.append(effect)
            elif isinstance(effect, Confirm):
                self.asked = True
            elif isinstance(effect, Event):
                self.journal.append(effect)

    # --- what happens -----------------------------------------------------------------------------------------------

    @rule(lots=st.integers(1, 20), stopped=st.booleans(), filled=st.integers(0, 20))
    def enter(self, lots: int, stopped: bool, filled: int) -> None:
        stop = StopLoss(D(int(self.middle) - 900 * self.entry.sign)) if stopped else None
        before = len(self.exchange.orders)
        price = str(D(int(self.middle)))
        self.tell(c.SubmitOrder(order(BTC_PERP, self.entry, str(LOT * lots), price, stop_loss=stop), "test", self.now))
        self.arrive(len(self.exchange.wire))
        found = [held for held in list(self.exchange.orders.values())[before:] if held.order.side is self.entry]
        for held in found[:1]:
            if filled and held.status is OrderStatus.ACCEPTED:
                self.exchange.fill(held, min(filled * LOT, held.left))

    @rule(lots=st.integers(1, 9))
    def leave(self, lots: int) -> None:
        """A hand closes a part, at a limit that rests or at the market."""
        side = Side.SELL if self.entry is Side.BUY else Side.BUY
        self.tell(c.SubmitOrder(order(BTC_PERP, side, str(LOT * lots), reduce_only=True), "test", self.now))

    @rule()
    def flatten(self) -> None:
        self.tell(c.Flatten(BTC_PERP.id, "test", self.now))

    @rule(parts=st.integers(0, 3))
    def bring(self, parts: int) -> None:
        """The guardian brings what is held to a part of it."""
        position = self.engine.state.ledger.positions.get(BTC_PERP.id)
        if position is not None and position.quantity:
            target = BTC_PERP.floor_size(abs(position.quantity) * parts / 4)
            self.engine._exits.bring(BTC_PERP.id, target, "guardian test")
            for effect in self.engine.decided():
                if isinstance(effect, Approved):
                    self.exchange.wire.append(effect)
                elif isinstance(effect, Event):
                    self.journal.append(effect)

    @rule(move=st.sampled_from([-2500, -1200, -700, -100, 0, 400, 1500]))
    def price(self, move: int) -> None:
        self.middle = max(40_000.0, min(70_000.0, self.middle + move * self.entry.sign))
        self.tell(quote(BTC_PERP, self.middle - 1, self.middle + 1, self.now))

    @rule(depth=st.sampled_from([None, D(0), D("0.1"), D("0.5")]))
    def thin(self, depth: Decimal | None) -> None:
        """What ends at once finds so much from now on."""
        self.exchange.depth = depth

    @rule(count=st.integers(1, 3))
    def refuse(self, count: int) -> None:
        self.exchange.refuses = count

    @rule(data=st.data(), whole=st.booleans())
    def fill(self, data: st.DataObject, whole: bool) -> None:
        """Something that rests fills: an entry behind an exit, a stop beside one."""
        if found := self.exchange.open():
            held = data.draw(st.sampled_from(found))
            self.exchange.fill(held, held.left if whole else min(held.left, LOT))

    @rule(count=st.integers(1, 9))
    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.exchange.wire))):
            self.exchange.take()

    @rule()
    def lose(self) -> None:
        """A request never arrives, and nobody knows."""
        if self.exchange.wire:
            lost = self.exchange.wire.pop(0).command
            if isinstance(lost, c.SubmitOrder):
                self.tell(e.OrderUnknown(lost.order.client_order_id, "no answer", self.now))
            else:
                self.tell(e.OrderUnknown(lost.client_order_id, "no answer", self.now))  # type: ignore[attr-defined]

    @rule(data=st.data(), twice=st.booleans(), late=st.booleans())
    def answer(self, data: st.DataObject, twice: bool, late: bool) -> None:
        """A fill may overtake everything and come twice; one of an entry may come behind its end; the rest in order."""
        answers = self.exchange.answers
        if answers:
            ready = [one for one in answers if isinstance(one, e.OrderFilled)] + answers[:1]
            ahead = list(itertools.takewhile(self._is_entry, answers))
            if late and len(ahead) < len(answers):
                ready = [answers[len(ahead)]]
            one = data.draw(st.sampled_from(ready))
            answers.remove(one)
            self.tell(one)
            if twice and isinstance(one, e.OrderFilled):
                self.tell(one)

    @rule()
    def fill_behind_a_flatten(self) -> None:
        """An entry that a flatten cancels fills before the cancel arrives, and that is heard of last."""
        resting = [held for held in self.exchange.open() if held.order.side is self.entry and held.left > LOT]
        if not resting:
            return
        while self.exchange.answers:
            self.tell(self.exchange.answers.pop(0))
        self.flatten()
        self.exchange.fill(resting[0], LOT)
        self.arrive(len(self.exchange.wire))
        said = [one for one in self.exchange.answers if not self._is_entry(one)]
        self.exchange.answers[:] = filter(self._is_entry, self.exchange.answers)
        for one in said:
            self.tell(one)
        self.time(1100)

    def _is_entry(self, event: Event) -> bool:
        """Tell whether an event is the fill of an entry."""
        return isinstance(event, e.OrderFilled) and event.side is self.entry

    @rule(step=st.sampled_from([100, 1100, 5100]))
    def time(self, step: int) -> None:
        self.now += step * MS
        self.exchange.now = self.now
        self.tell(m.Timer(self.now))

    @rule()
    def reconcile(self) -> None:
        """The venue says what there is; what it has said before comes first, as on one connection."""
        while self.exchange.answers:
            self.tell(self.exchange.answers.pop(0))
        state, snapshot = self.engine.state, self.exchange.snapshot()
        self.now += MS
        self.exchange.now = asked = self.now
        answers = {id_: self.exchange.report(id_) for id_ in missing(state, snapshot, asked)}
        travelling = {
            one.command.order.client_order_id for one in self.exchange.wire if isinstance(one.command, c.SubmitOrder)
        }
        answers = {id_: report for id_, report in answers.items() if id_ not in travelling}
        for event in reconcile(state, snapshot, answers, asked, asked, self.engine.ids.owns):
            self.tell(event)
        self.asked = False

    @rule(lost=st.booleans(), checkpoint=st.booleans())
    def kill(self, lost: bool, checkpoint: bool) -> None:
        if checkpoint:
            self.base, self.journal = wire.encode(self.engine.state.image()), []
        if lost:
            self.exchange.wire.clear()
        self.arrive(len(self.exchange.wire))
        again = Engine(self.engine.guardian.__class__(SETTINGS), abilities=self.abilities, strict=True)
        again.restore(IMAGE_DECODER.decode(self.base))
        for event in self.journal:
            again.recover(wire.decode_event(wire.encode(event)))
        assert again.state.exits == self.engine.state.exits
        assert again.state.watched == self.engine.state.watched
        self.engine, self.run = again, self.run + 1
        self.exchange.answers.clear()
        self.now += 1000 * MS
        self.exchange.now = self.now
        self.tell(e.EngineStarted(self.run, "test", "paper", self.now))
        self.tell(m.VenueStatus(PERP, True, "", self.now))
        self.reconcile()
        self.price(0)

    @rule()
    def settle(self) -> None:
        """Let everything arrive and be answered: what is being closed ends, and what it was to leave is left."""
        self.exchange.depth, self.exchange.refuses = None, 0
        targets: dict[Any, Decimal] = {}
        for _ in range(60):
            targets |= {id_: one.target for id_, one in self.engine.state.exits.flattening.items()}
            while self.exchange.wire:
                self.exchange.take()
            while self.exchange.answers:
                self.tell(self.exchange.answers.pop(0))
            self.time(1100)
            if self.asked or any(one.status is OrderStatus.UNKNOWN for one in self.engine.state.blotter.open.values()):
                self.reconcile()
        assert not self.engine.state.exits.flattening, self.engine.state.exits.flattening
        if BTC_PERP.id in targets:
            assert self.held <= targets[BTC_PERP.id]
        flat = self.engine.state.exits.flattened.get(BTC_PERP.id, 0)
        orders = self.engine.state.blotter.orders.values()
        if flat and all(one.created <= flat for one in orders if one.order.side is self.entry):
            assert not self.held, "a fill behind the end was left open"

    @property
    def held(self) -> Decimal:
        """Return what the exchange holds in the direction of the entries."""
        return self.exchange.position * self.entry.sign

    # --- what must always be ----------------------------------------------------------------------------------------

    @invariant()
    def no_exit_has_turned_the_position(self) -> None:
        if hasattr(self, "exchange"):
            assert self.held >= 0

    @invariant()
    def no_exits_together_exceed_the_position(self) -> None:
        """What is on its way counts, whoever sent it."""
        if hasattr(self, "exchange"):
            travelling = [one.command.order for one in self.exchange.wire if isinstance(one.command, c.SubmitOrder)]
            reducing = sum((one.quantity for one in travelling if one.reduce_only), D(0))
            reducing += sum((held.left for held in self.exchange.open() if held.order.reduce_only), D(0))
            assert reducing <= self.held


class ExitingShort(Exiting):
    """The same with short entries."""

    entry = Side.SELL


@pytest.mark.parametrize("machine", [Exiting, ExitingShort], ids=["long", "short"])
def test_a_fill_behind_the_end_of_a_flatten_is_closed_again(machine: type[Exiting]) -> None:
    made = machine()
    made.begin(amends=True)
    made.price(0)
    made.enter(lots=5, stopped=False, filled=0)
    while made.exchange.answers:
        made.tell(made.exchange.answers.pop(0))
    made.fill_behind_a_flatten()
    assert BTC_PERP.id in made.engine.state.exits.flattened, "it is over"
    assert made.held == LOT
    made.settle()
    assert not made.held


Exiting.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestExiting = Exiting.TestCase
ExitingShort.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestExitingShort = ExitingShort.TestCase
