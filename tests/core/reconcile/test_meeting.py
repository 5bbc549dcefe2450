"""Orders of the sentinel's, as the engine meets them: held back until they are known, and never left open for good."""

from typing import Any, cast

from core.beating import Beating
from core.domain import events as e
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.order import Order, OrderStatus, OrderType, Side
from core.domain.reports import OrderReport, VenueSnapshot
from core.engine import Engine
from core.errors import VenueError
from core.ports import Venue
from core.reconcile.meeting import Asker, Meeting
from tests.core.kit import BTC_PERP, PERP, T0, D, fill, opened

ID = ClientOrderId("t0s7n2")
ORDER = Order(BTC_PERP.id, Side.SELL, D(1), OrderType.MARKET, reduce_only=True, client_order_id=ID, venue=PERP)


class Clock:
    def now(self) -> int:
        return T0


class Asking:
    """What a meeting needs of the runtime, around a real engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.clock = engine, Clock()
        self.beating = Beating(cast("Any", self))
        self.beating.sentinels = "t0s"

    def take(self, message: Any) -> None:
        self.engine.process(message)

    def waiting(self) -> set[ClientOrderId]:
        return set()


class Named:
    id = PERP


def met(*said: e.OrderFilled | e.OrderRejected | e.OrderCancelled) -> Engine:
    """Have the engine meet an order of which its venue has said something already."""
    asking = Asking(opened())
    meeting = Meeting(cast("Venue", Named()), cast("Asker", asking))
    for one in said:
        assert meeting.unmet(one, asking.engine.state) == ID
    assert meeting.first(ID) is (len(said) == 1)
    meeting.take_in([OrderReport(ID, VenueOrderId("v"), ORDER, OrderStatus.REJECTED, D(0), None, T0)])
    for message in meeting.met(ID):
        asking.take(message)
    assert not meeting.met(ID), "told once"
    return asking.engine


def test_one_that_its_venue_refused_does_not_stay_open() -> None:
    record = met(e.OrderRejected(ID, "nothing to reduce", T0, T0)).state.blotter.orders[ID]
    assert (record.status, record.foreign, record.is_open) == (OrderStatus.CANCELLED, False, False)


def test_one_that_was_cancelled_is_over() -> None:
    assert not met(e.OrderCancelled(ID, "gone", T0, T0)).state.blotter.open


def test_of_one_that_was_not_met_fills_alone_are_told() -> None:
    """Its venue never had it, as what a venue's front refuses, or did not answer: no record could take the rest."""
    asking = Asking(opened())
    meeting = Meeting(cast("Venue", Named()), cast("Asker", asking))
    trade = filled(ID)
    said = (e.OrderAccepted(ID, VenueOrderId("v"), T0, T0), trade, e.OrderRejected(ID, "not today", T0, T0))
    for one in (*said, e.OrderCancelled(ID, "gone", T0, T0)):
        assert meeting.unmet(one, asking.engine.state) == ID
    assert meeting.met(ID) == [trade]
    assert not meeting.met(ID), "told once"


def filled(id_: ClientOrderId) -> e.OrderFilled:
    return fill(BTC_PERP, Side.SELL, "0.4", "60000", f"f{id_}", id_)


async def test_one_that_its_venue_cannot_tell_of_keeps_no_other_from_being_met() -> None:
    known, hidden, other = ID, ClientOrderId("t0s7n3"), ClientOrderId("t0r1n1")
    asked = []

    class Telling(Named):
        async def order(self, id_: ClientOrderId) -> OrderReport | None:
            asked.append(id_)
            if id_ == hidden:
                raise VenueError("busy")
            return OrderReport(id_, VenueOrderId("v"), ORDER, OrderStatus.CANCELLED, D("0.4"), None, T0)

    asking = Asking(opened())
    meeting = Meeting(cast("Venue", Telling()), cast("Asker", asking))
    fills = (filled(hidden), filled(known), filled(other), filled(known))
    reports = await meeting.in_snapshot(VenueSnapshot(PERP, T0, (), fills, (), ()))
    assert asked == [hidden, known], "the sentinel's, each once"
    assert [report.client_order_id for report in reports] == [known], "the other is asked for with the next look"


def test_one_that_was_met_meanwhile_is_put_there_once() -> None:
    asking = Asking(opened())
    meeting = Meeting(cast("Venue", Named()), cast("Asker", asking))
    report = OrderReport(ID, VenueOrderId("v"), ORDER, OrderStatus.ACCEPTED, D(0), None, T0)
    meeting.take_in([report, report])
    asking.take(filled(ID))
    meeting.take_in([report])
    record = asking.engine.state.blotter.orders[ID]
    assert (record.filled, record.status) == (D("0.4"), OrderStatus.PARTIALLY_FILLED), "as it stands, not as it began"


def test_one_that_is_met_before_the_first_look_has_filled_what_it_says() -> None:
    """What it has filled is part of the wallets that its account opens with: no fill of it follows."""
    asking = Asking(opened())
    asking.engine.state.ledger.balances.pop(PERP)
    meeting = Meeting(cast("Venue", Named()), cast("Asker", asking))
    meeting.take_in([OrderReport(ID, VenueOrderId("v"), ORDER, OrderStatus.PARTIALLY_FILLED, D("0.4"), None, T0)])
    assert asking.engine.state.blotter.orders[ID].filled == D("0.4")


async def test_at_the_first_look_nobody_is_met() -> None:
    """A home whose journal was lost: what its sentinel did is part of the wallets that it opens with."""
    asking = Asking(opened())
    asking.engine.state.ledger.balances.pop(PERP)
    meeting = Meeting(cast("Venue", Named()), cast("Asker", asking))
    assert await meeting.in_snapshot(VenueSnapshot(PERP, T0, (), (filled(ID),), (), ())) == []


async def test_later_looks_meet_nobody_who_traded_before_the_first() -> None:
    """The same fills are told for long: from the second look on they must stay part of the opening."""
    asking = Asking(opened())
    meeting = Meeting(cast("Venue", Named()), cast("Asker", asking))
    old = fill(BTC_PERP, Side.SELL, "0.4", "60000", "f0", ID, T0 - 1)
    for _ in range(2):
        assert await meeting.in_snapshot(VenueSnapshot(PERP, T0, (), (old,), (), ())) == []
