"""A made-up life of the engine: orders, fills in any order and twice, cancels, restarts; checked at every step."""

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import ClientOrderId
from core.domain.message import Event, Message
from core.domain.order import Side
from core.engine import Engine
from core.session import wire
from core.state.state import IMAGE_DECODER
from tests.core.kit import BTC_PERP, ETH_PERP, MS, PERP, T0, D, fill, held, of, opened, order, quote

INSTRUMENTS = (BTC_PERP, ETH_PERP)


class Life(RuleBasedStateMachine):
    """Keep a naive account beside the engine: fills by id, orders by what may still fill."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = opened(strict=False)
        self.journal: list[Event] = []
        self.base = wire.encode(self.engine.state.image())
        self.now = T0
        self.fills: dict[str, e.OrderFilled] = {}
        self.left: dict[ClientOrderId, Decimal] = {}
        self.approved: dict[tuple[str, Side], Decimal] = {}
        self.run = 1

    def tell(self, message: Message) -> list[object]:
        effects = list(self.engine.process(message))
        self.journal += [effect for effect in effects if isinstance(effect, Event)]
        for event in of(effects, e.OrderSubmitted):
            one = event.order
            assert one.client_order_id not in self.left, "a client order id came twice"
            self.left[one.client_order_id] = one.quantity
            key = (one.instrument, one.side)
            self.approved[key] = self.approved.get(key, D(0)) + one.quantity
        return list(effects)

    @rule(which=st.sampled_from(INSTRUMENTS), move=st.integers(-50, 50))
    def price(self, which: "object", move: int) -> None:
        middle = (60_000.0 if which is BTC_PERP else 3_000.0) + move
        self.tell(quote(which, middle - 1, middle + 1, self.now))  # type: ignore[arg-type]

    @rule(step=st.integers(1, 3000))
    def time(self, step: int) -> None:
        self.now += step * MS
        self.price(BTC_PERP, 0)
        self.price(ETH_PERP, 0)
        self.tell(m.Timer(self.now))

    @rule(
        which=st.sampled_from(INSTRUMENTS),
        side=st.sampled_from([Side.BUY, Side.SELL]),
        lots=st.integers(1, 20),
        exit_=st.booleans(),
    )
    def submit(self, which: "object", side: Side, lots: int, exit_: bool) -> None:
        lot = D("0.005") if which is BTC_PERP else D("0.05")
        wanted = order(which, side, str(lot * lots), reduce_only=exit_)  # type: ignore[arg-type]
        self.tell(c.SubmitOrder(wanted, "test", self.now))

    @rule(data=st.data(), twice=st.booleans())
    def fill(self, data: st.DataObject, twice: bool) -> None:
        ready = [id_ for id_, left in self.left.items() if left]
        if not ready:
            return
        id_ = data.draw(st.sampled_from(ready))
        one = self.engine.state.blotter.orders[id_].order
        part = data.draw(st.sampled_from([self.left[id_], min(self.left[id_], D("0.005"))]))
        which = BTC_PERP if one.instrument == BTC_PERP.id else ETH_PERP
        made = fill(which, one.side, str(part), "60000", f"f{len(self.fills)}", id_, self.now)
        self.fills[made.fill_id] = made
        self.left[id_] -= part
        self.tell(made)
        if twice:
            self.tell(made)

    @rule(data=st.data())
    def told_again(self, data: st.DataObject) -> None:
        if self.fills:
            self.tell(self.fills[data.draw(st.sampled_from(sorted(self.fills)))])

    @rule(data=st.data(), confirmed=st.booleans())
    def cancel(self, data: st.DataObject, confirmed: bool) -> None:
        if self.left:
            id_ = data.draw(st.sampled_from(sorted(self.left)))
            self.tell(c.CancelOrder(id_, "test", self.now))
            if confirmed:
                self.tell(e.OrderCancelled(id_, "asked", self.now, self.now))

    @rule()
    def flatten(self) -> None:
        self.tell(c.Flatten(ts=self.now))

    @rule(checkpoint=st.booleans())
    def restart(self, checkpoint: bool) -> None:
        """Start again from an image, or from the last image and the journal behind it, as after a kill."""
        if checkpoint:
            self.base, self.journal = wire.encode(self.engine.state.image()), []
        again = Engine(self.engine.guardian)
        again.restore(IMAGE_DECODER.decode(self.base))
        for event in self.journal:
            again.recover(wire.decode_event(wire.encode(event)))
        before = self.engine.state
        assert again.state.ledger.positions == before.ledger.positions
        assert again.state.ledger.balances == before.ledger.balances
        assert list(again.state.blotter.open) == list(before.blotter.open)
        self.engine, self.run = again, self.run + 1
        self.tell(e.EngineStarted(self.run, "test", "paper", self.now))
        self.tell(m.VenueStatus(PERP, True, "", self.now))
        self.tell(e.VenueReconciled(PERP, self.now, self.now))
        self.time(1)

    @invariant()
    def positions_are_the_fills(self) -> None:
        for which in INSTRUMENTS:
            mine = [one for one in self.fills.values() if one.instrument == which.id]
            assert held(self.engine, which) == sum((one.quantity * one.side.sign for one in mine), D(0))

    @invariant()
    def no_position_is_larger_than_what_was_approved(self) -> None:
        for which in INSTRUMENTS:
            position = held(self.engine, which)
            side = Side.BUY if position > 0 else Side.SELL
            assert abs(position) <= self.approved.get((which.id, side), D(0))

    @invariant()
    def equity_is_what_the_ledger_gives(self) -> None:
        shown = self.engine.state.ledger.equity
        self.engine.state.ledger.revalue()
        assert abs(shown - self.engine.state.ledger.equity) < 1e-6


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase
