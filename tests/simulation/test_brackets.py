"""Brackets against an exchange that fills whatever rests, answers late, twice and out of order, and against kill -9."""

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.message import Event, Message
from core.domain.order import OrderType, Side, StopLoss, TakeProfit
from core.engine import Engine
from core.ports import Abilities
from core.reconcile.reconcile import missing, reconcile
from core.session import wire
from core.state.state import IMAGE_DECODER
from tests.core.kit import BTC_PERP, MS, PERP, T0, D, opened, order, quote
from tests.simulation.exchange import Exchange, exits

SETTINGS = GuardianSettings(
    duplicate_window_ms=0,
    max_position_frac=100,
    max_sector_frac=100,
    max_gross_frac=100,
    max_net_frac=100,
    max_leverage=100,
    max_order_notional_frac=100,
    max_orders_per_second=100_000,
    stale_after_ms=10_000_000,
    forced_stop_frac=0,  # the watch has machines of its own: this one is about what a bracket does by itself
    protective_stop="off",
)
LOT = D("0.01")
WORKING = frozenset({OrderType.MARKET, OrderType.LIMIT})


class Bracketed(RuleBasedStateMachine):
    """Entries are long, exits are reduce-only: whatever happens, the exchange must never be short."""

    @initialize(amends=st.booleans(), native=st.booleans(), trails=st.booleans())
    def begin(self, amends: bool, native: bool, trails: bool) -> None:
        types = WORKING | ({OrderType.STOP} if native else set()) | ({OrderType.TRAILING_STOP} if trails else set())
        self.abilities = {PERP: Abilities(order_types=frozenset(types), amend=amends, reduce_only=True)}
        self.engine = opened(settings=SETTINGS, abilities=self.abilities, cash="10000000")
        self.exchange = Exchange(amends=amends)
        self.now, self.middle, self.run = T0, 60_000.0, 1
        self.exchange.now = self.now
        self.base, self.journal = wire.encode(self.engine.state.image()), list[Event]()
        self.told = list[Event]()

    def tell(self, message: Message) -> None:
        for effect in self.engine.process(message):
            if isinstance(effect, Approved):
                self.exchange.wire.append(effect)
            elif isinstance(effect, Event):
                self.journal.append(effect)

    # --- what happens -----------------------------------------------------------------------------------------------

    @rule(
        lots=st.integers(2, 9),
        filled=st.integers(0, 9),
        trail=st.booleans(),
        stopped=st.sampled_from([True, True, True, False]),
        parts=st.sampled_from([("0.5", "0.5"), ("1",), (), ("0.3",)]),
    )
    def enter(self, lots: int, filled: int, trail: bool, stopped: bool, parts: tuple[str, ...]) -> None:
        """Enter, and mostly have some of it filled at once."""
        targets = tuple(TakeProfit(D(60_050 + 50 * place), D(part)) for place, part in enumerate(parts))
        stop = StopLoss(D(59_800), D(100) if trail else None) if stopped else None
        wanted = order(BTC_PERP, Side.BUY, str(LOT * lots), "60000", take_profit=targets, stop_loss=stop)
        self.price(0)
        self.tell(c.SubmitOrder(wanted, "test", self.now))
        if not filled:
            return
        self.arrive(len(self.exchange.wire))
        held = next(reversed(self.exchange.orders.values()))
        assert held.order.type is OrderType.LIMIT
        self.exchange.fill(held, min(filled, lots) * LOT)
        while self.exchange.answers:
            self.tell(self.exchange.answers.pop(0))

    @rule(lots=st.integers(1, 5))
    def leave(self, lots: int) -> None:
        """An exit by hand, which the guardian lets through only where no other exit has the position already."""
        self.tell(c.SubmitOrder(order(BTC_PERP, Side.SELL, str(LOT * lots), reduce_only=True), "test", self.now))

    @rule(data=st.data(), whole=st.booleans())
    def fill(self, data: st.DataObject, whole: bool) -> None:
        if found := self.exchange.open():
            held = data.draw(st.sampled_from(found))
            self.exchange.fill(held, held.left if whole else min(held.left, LOT))

    @rule(lots=st.integers(1, 5))
    def force(self, lots: int) -> None:
        if self.exchange.position > 0:
            self.exchange.force(min(LOT * lots, self.exchange.position))

    @rule(count=st.integers(1, 9))
    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.exchange.wire))):
            self.exchange.take()

    @rule(data=st.data(), twice=st.booleans())
    def answer(self, data: st.DataObject, twice: bool) -> None:
        """A fill may overtake everything; the rest comes in order."""
        answers = self.exchange.answers
        if not answers:
            self.arrive(1)
            return
        ready = [one for one in answers if isinstance(one, e.OrderFilled)] + answers[:1]
        one = data.draw(st.sampled_from(ready))
        answers.remove(one)
        self.tell(one)
        if twice and isinstance(one, e.OrderFilled):
            self.tell(one)

    @rule(move=st.sampled_from([60, 110, 40, 0, -150, -210, 300]))
    def price(self, move: int) -> None:
        self.middle = 60_000.0 + move
        self.tell(quote(BTC_PERP, self.middle - 1, self.middle + 1, self.now))

    @rule(last=st.sampled_from([0.0, 59_700.0, 59_900.0, 60_010.0]))
    def refuse(self, last: float) -> None:
        """The exchange's own price goes ahead of what is told: stops that it has met are refused."""
        self.exchange.last = last

    @rule(step=st.sampled_from([100, 1100, 2100]))
    def time(self, step: int) -> None:
        self.now += step * MS
        self.exchange.now = self.now
        self.tell(m.Timer(self.now))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """By hand: an entry, which leaves its protection, or a stop, which ends it."""
        if found := list(self.engine.state.blotter.open):
            self.tell(c.CancelOrder(data.draw(st.sampled_from(found)), "test", self.now))

    @rule(lost=st.booleans(), checkpoint=st.booleans())
    def kill(self, lost: bool, checkpoint: bool) -> None:
        """End without a word; what was on its way may be lost, what was to be told is."""
        if checkpoint:
            self.base, self.journal = wire.encode(self.engine.state.image()), []
        if lost:
            self.exchange.wire.clear()
        self.arrive(len(self.exchange.wire))
        again = Engine(self.engine.guardian, abilities=self.abilities, strict=True)
        again.restore(IMAGE_DECODER.decode(self.base))
        for event in self.journal:
            again.recover(wire.decode_event(wire.encode(event)))
        ours, theirs = self.engine.state, again.state
        assert theirs.brackets.all() == ours.brackets.all()
        assert theirs.blotter.open == ours.blotter.open
        assert theirs.ledger.positions == ours.ledger.positions
        self.engine, self.run = again, self.run + 1
        self.exchange.answers.clear()
        self.now += 1000 * MS
        self.exchange.now = self.now
        self.tell(e.EngineStarted(self.run, "test", "paper", self.now))
        self.tell(m.VenueStatus(PERP, True, "", self.now))
        self.reconcile()

    def reconcile(self) -> None:
        state, snapshot = self.engine.state, self.exchange.snapshot()
        self.now += MS
        asked = self.now
        answers = {id_: self.exchange.report(id_) for id_ in missing(state, snapshot, asked)}
        for event in reconcile(state, snapshot, answers, asked, asked, self.engine.ids.owns):
            self.tell(event)

    @rule()
    def settle(self) -> None:
        """Let everything arrive and be answered; then the exits must fit exactly.

        An amend whose request was lost counts until a look that is asked long behind it, as the runtime does.
        """
        self.tell(quote(BTC_PERP, 59_999.0, 60_001.0, self.now))
        for turn in range(60):
            while self.exchange.wire:
                self.exchange.take()
            while self.exchange.answers:
                self.tell(self.exchange.answers.pop(0))
            self.time(500)
            if not self.exchange.wire and not self.exchange.answers:
                self.time(2000)
            if turn in (20, 40):
                self.reconcile()
        assert not self.exchange.wire
        self.check()

    def check(self) -> None:
        state, position = self.engine.state, self.exchange.position
        brackets = state.brackets.of(BTC_PERP.id)
        assert sum((one.left for one in brackets), D(0)) <= position
        resting = state.blotter.resting_reduction(BTC_PERP.id, Side.SELL)
        assert resting <= position
        for one in brackets:
            ours = [record for record in state.blotter.open.values() if record.order.parent == one.entry]
            covered = sum((record.remaining for record in ours), D(0))
            wanted = one.left if one.stop is not None else D(0)
            assert covered == wanted, (covered, wanted, ours)
            assert all(record.order.trigger == one.stop.price for record in ours if one.stop and not one.stop.trail)
        left_over = [record for record in state.blotter.open.values() if record.order.parent]
        assert {record.order.parent for record in left_over} <= {one.entry for one in brackets}

    def teardown(self) -> None:
        if hasattr(self, "exchange"):
            self.settle()

    # --- what never happens -----------------------------------------------------------------------------------------

    @invariant()
    def never_short(self) -> None:
        if hasattr(self, "exchange"):
            assert self.exchange.position >= 0
            resting = sum((held.left for held in exits(self.exchange.orders)), Decimal(0))
            assert self.exchange.forced or resting <= self.exchange.position

    @invariant()
    def never_asks_for_more_than_is_known_to_be_held(self) -> None:
        if hasattr(self, "engine") and not any(one.client_order_id == "" for one in self.exchange.fills):
            position = self.engine.state.ledger.positions.get(BTC_PERP.id)
            held = position.quantity if position is not None else D(0)
            assert self.engine.state.blotter.resting_reduction(BTC_PERP.id, Side.SELL) <= held


Bracketed.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBracketed = Bracketed.TestCase
