"""The blotter: each event in each status, what is remembered, and what a restart keeps."""

import itertools
import time
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
import pytest

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, ClientOrderId, FillId, VenueOrderId
from core.domain.message import Event
from core.domain.order import OrderStatus, Side
from core.errors import IllegalTransition
from core.state import blotter as blotter_module
from core.state.blotter import KEPT_SEEN, Blotter, Seen, funding_key, liquidation_key
from core.state.state import State
from tests.core.kit import BTC_PERP, BTC_SPOT, ETH_PERP, PERP, T0, D, fill, opened, order

A = OrderStatus
ID = ClientOrderId("t0r1n1")
ORDER = order(BTC_PERP, Side.BUY, "2", "60000", client_order_id=ID, venue=PERP, operation_id="op-1")
ILLEGAL = "illegal"

EVENTS: dict[str, Event] = {
    "approved": e.OrderApproved(ORDER, PERP, T0),
    "denied": e.OrderDenied(ORDER, "limit", "1", "0", "", "refused", T0),
    "triggered": e.OrderTriggered(ID, D(60000), T0, T0),
    "submitted": e.OrderSubmitted(ORDER, PERP, T0),
    "accepted": e.OrderAccepted(ID, VenueOrderId("v1"), T0, T0),
    "part": fill(BTC_PERP, Side.BUY, "0.5", "60000", "f1", ID),
    "rest": fill(BTC_PERP, Side.BUY, "2", "60000", "f2", ID),
    "rejected": e.OrderRejected(ID, "no", T0, T0),
    "cancelled": e.OrderCancelled(ID, "asked", T0, T0),
    "expired": e.OrderExpired(ID, "time", T0, T0),
    "cancel": e.CancelSubmitted(ID, T0),
    "amend": e.AmendSubmitted(ID, None, D(59000), None, T0),
    "cancel_refused": e.CancelRejected(ID, "too late", T0, T0),
    "amend_refused": e.AmendRejected(ID, "too late", T0, T0),
    "amended": e.OrderAmended(ID, D(3), D(59000), None, T0, T0),
    "unknown": e.OrderUnknown(ID, "link lost", T0),
}
ROADS: dict[OrderStatus, Sequence[str]] = {
    A.APPROVED: ["approved"],
    A.DENIED: ["denied"],
    A.TRIGGERED: ["approved", "triggered"],
    A.SUBMITTED: ["submitted"],
    A.ACCEPTED: ["submitted", "accepted"],
    A.PARTIALLY_FILLED: ["submitted", "part"],
    A.PENDING_CANCEL: ["submitted", "accepted", "cancel"],
    A.PENDING_AMEND: ["submitted", "accepted", "amend"],
    A.UNKNOWN: ["submitted", "unknown"],
    A.FILLED: ["submitted", "rest"],
    A.CANCELLED: ["submitted", "cancelled"],
    A.EXPIRED: ["submitted", "expired"],
    A.REJECTED: ["submitted", "rejected"],
}
SAME = {status: status for status in ROADS}
LIVE = (A.TRIGGERED, A.SUBMITTED, A.ACCEPTED, A.PARTIALLY_FILLED, A.PENDING_CANCEL, A.PENDING_AMEND, A.UNKNOWN)
CLOSED_BY_VENUE = (A.FILLED, A.CANCELLED, A.EXPIRED, A.REJECTED)


def expect(base: object, *changes: tuple[Sequence[OrderStatus], object]) -> dict[OrderStatus, object]:
    """Return what every status becomes: the base, but for the changes."""
    table: dict[OrderStatus, object] = {s: (s if base == "same" else base) for s in ROADS}
    for statuses, after in changes:
        table.update({s: (s if after == "same" else after) for s in statuses})
    return table


def working(status: OrderStatus) -> OrderStatus:
    return A.PARTIALLY_FILLED if status is A.PARTIALLY_FILLED else A.ACCEPTED


AFTER: dict[str, dict[OrderStatus, object]] = {
    "submitted": expect(ILLEGAL, ((A.APPROVED, A.TRIGGERED), A.SUBMITTED)),
    "accepted": expect("same", ((A.SUBMITTED, A.UNKNOWN, A.TRIGGERED), A.ACCEPTED)),
    "part": expect(
        A.PARTIALLY_FILLED,
        ((*CLOSED_BY_VENUE, A.PENDING_CANCEL, A.PENDING_AMEND), "same"),
        ((A.APPROVED, A.DENIED), ILLEGAL),
    ),
    "rest": expect(A.FILLED, ((A.APPROVED, A.DENIED), ILLEGAL)),
    "rejected": expect(ILLEGAL, ((A.TRIGGERED, A.SUBMITTED, A.UNKNOWN, A.PENDING_CANCEL, A.PENDING_AMEND), A.REJECTED)),
    "triggered": expect(
        ILLEGAL,
        ((A.APPROVED, *LIVE), A.TRIGGERED),
        ((A.PARTIALLY_FILLED, A.FILLED, A.CANCELLED, A.EXPIRED), "same"),  # what came of it was told by a snapshot
    ),
    "cancelled": expect(
        A.CANCELLED, ((A.FILLED,), "same"), ((A.DENIED, A.REJECTED, A.EXPIRED), ILLEGAL), ((A.CANCELLED,), "same")
    ),
    "expired": expect(A.EXPIRED, ((A.FILLED, A.EXPIRED), "same"), ((A.DENIED, A.REJECTED, A.CANCELLED), ILLEGAL)),
    "cancel": expect(A.PENDING_CANCEL, ((*CLOSED_BY_VENUE, A.DENIED), "same"), ((A.APPROVED,), ILLEGAL)),
    "amend": expect(A.PENDING_AMEND, ((*CLOSED_BY_VENUE, A.DENIED), "same"), ((A.APPROVED,), ILLEGAL)),
    "cancel_refused": expect("same", ((A.PENDING_CANCEL, A.PENDING_AMEND), A.ACCEPTED)),
    "amend_refused": expect("same", ((A.PENDING_CANCEL, A.PENDING_AMEND), A.ACCEPTED)),
    "amended": expect(
        A.ACCEPTED,
        ((*CLOSED_BY_VENUE, A.DENIED), "same"),
        ((A.PARTIALLY_FILLED,), A.PARTIALLY_FILLED),
        ((A.APPROVED,), "same"),  # it waits in the engine, which changes it alone
    ),
    "unknown": expect(A.UNKNOWN, ((*CLOSED_BY_VENUE, A.DENIED), "same"), ((A.APPROVED,), ILLEGAL)),
    "denied": expect(ILLEGAL, ((A.TRIGGERED,), A.DENIED)),
}


def blank() -> State:
    state = State()
    state.apply(m.InstrumentDefined(BTC_PERP, T0))
    return state


def at(status: OrderStatus) -> State:
    state = blank()
    for name in ROADS[status]:
        state.apply(EVENTS[name])
    assert state.blotter.orders[ID].status is status
    return state


@pytest.mark.parametrize(("event", "before"), list(itertools.product(AFTER, ROADS)))
def test_every_event_in_every_status(event: str, before: OrderStatus) -> None:
    state, wanted, message = at(before), AFTER[event][before], EVENTS[event]
    if event == "part":
        message = fill(BTC_PERP, Side.BUY, "0.5", "60000", "f9", ID)
    if event == "rest":
        message = fill(BTC_PERP, Side.BUY, "2", "60000", "f9", ID)
    if wanted == ILLEGAL:
        with pytest.raises(IllegalTransition):
            state.apply(message)
        wanted = before
    else:
        state.apply(message)
    record = state.blotter.orders[ID]
    assert record.status is wanted
    assert record.is_open == (ID in state.blotter.open)


def test_a_fill_is_counted_even_where_the_life_objects() -> None:
    state = at(A.DENIED)
    with pytest.raises(IllegalTransition):
        state.apply(EVENTS["part"])
    assert state.ledger.positions[BTC_PERP.id].quantity == D("0.5")
    assert state.blotter.knows_fill(BTC_PERP.id, FillId("f1"))


def test_a_late_fill_of_a_cancelled_order_closes_it_as_filled() -> None:
    state = at(A.CANCELLED)
    state.apply(EVENTS["part"])
    state.apply(fill(BTC_PERP, Side.BUY, "1.5", "62000", "f2", ID))
    record = state.blotter.orders[ID]
    assert (record.status, record.filled, record.average_price) == (A.FILLED, D(2), D(61500))


@pytest.mark.parametrize("change", ["cancel", "amend"])
def test_a_refused_change_of_an_unknown_order_leaves_it_unknown(change: str) -> None:
    """The refusal may mean that the venue never had the order: only its answer to a query ends the doubt."""
    state = at(A.UNKNOWN)
    state.apply(EVENTS[change])
    state.apply(EVENTS[f"{change}_refused"])
    assert state.blotter.orders[ID].status is A.UNKNOWN


@pytest.mark.parametrize(("answer", "status"), [("rejected", A.REJECTED), ("accepted", A.ACCEPTED)])
@pytest.mark.parametrize("change", ["cancel", "amend"])
def test_a_refused_change_leaves_the_order_waiting_for_its_own_answer(change: str, answer: str, status: A) -> None:
    """A cancel may overtake its order: "not known" is no word that the order stands."""
    state = at(A.SUBMITTED)
    for name in (change, f"{change}_refused"):
        state.apply(EVENTS[name])
    assert (state.blotter.orders[ID].status, state.blotter.orders[ID].reason) == (A.SUBMITTED, "too late")
    state.apply(EVENTS[answer])
    assert state.blotter.orders[ID].status is status


@pytest.mark.parametrize("news", ["accepted", "part"])
def test_news_from_the_venue_ends_the_doubt_behind_a_pending_cancel(news: str) -> None:
    state = at(A.UNKNOWN)
    for name in ("cancel", news, "cancel_refused"):
        state.apply(EVENTS[name])
    assert state.blotter.orders[ID].status is (A.ACCEPTED if news == "accepted" else A.PARTIALLY_FILLED)


def test_a_partial_fill_meanwhile_shows_after_a_refused_cancel() -> None:
    state = at(A.PENDING_CANCEL)
    state.apply(EVENTS["part"])
    state.apply(EVENTS["cancel_refused"])
    record = state.blotter.orders[ID]
    assert (record.status, record.reason) == (A.PARTIALLY_FILLED, "too late")


def test_an_amend_changes_what_it_names() -> None:
    state = at(A.PENDING_AMEND)
    state.apply(e.OrderAmended(ID, D(3), None, D(58000), T0, T0))
    changed = state.blotter.orders[ID].order
    assert (changed.quantity, changed.price, changed.trigger) == (D(3), D(60000), D(58000))


@pytest.mark.parametrize(("status", "reason"), [(A.PENDING_AMEND, ""), (A.APPROVED, ""), (A.CANCELLED, "too late")])
def test_a_change_that_was_taken_ends_what_was_said_of_one_before(status: A, reason: str) -> None:
    state = at(status)
    state.blotter.orders[ID].reason = "too late"
    state.apply(e.OrderAmended(ID, D(3), None, D(58000), T0, T0))
    assert state.blotter.orders[ID].reason == reason


def test_a_second_submission_record_does_not_open_a_closed_order() -> None:
    state = at(A.FILLED)
    with pytest.raises(IllegalTransition):
        state.apply(EVENTS["submitted"])
    assert not state.blotter.open


@pytest.mark.parametrize("name", ["accepted", "rejected", "cancelled", "cancel", "unknown", "amended", "triggered"])
def test_an_event_for_an_order_nobody_knows_is_an_error(name: str) -> None:
    with pytest.raises(KeyError, match="order t0r1n1 is not known"):
        blank().apply(EVENTS[name])


def test_a_fill_without_an_order_is_remembered() -> None:
    state = blank()
    state.apply(fill(BTC_PERP, Side.SELL, "1", "60000", "liquidation"))
    assert state.blotter.knows_fill(BTC_PERP.id, FillId("liquidation"))
    assert state.ledger.positions[BTC_PERP.id].quantity == D(-1)


def test_ids_are_counted_for_each_instrument() -> None:
    """Some venues number the trades of each symbol from 1: the second is no repeat of the first."""
    state = opened().state
    for instrument in (BTC_PERP, ETH_PERP):
        for _ in range(2):
            state.apply(fill(instrument, Side.BUY, "1", "3000", "1001"))
            state.apply(e.FundingPaid(instrument.id, Asset("USDT"), D(-1), D(0), D(0), FillId("1001"), T0, T0))
            state.apply(e.PositionLiquidated(instrument.id, D(1), D(1), D(5), Asset("USDT"), T0, T0, FillId("1001")))
    assert [state.ledger.positions[one.id].quantity for one in (BTC_PERP, ETH_PERP)] == [D(1), D(1)]
    assert state.ledger.balances[PERP][Asset("USDT")] == D(50_000) - 2 * D(6)


def test_a_checkpoint_of_before_knows_its_ids_under_the_venue() -> None:
    state = opened().state
    for instrument in (BTC_PERP, ETH_PERP):
        state.apply(fill(instrument, Side.BUY, "1", "3000", "1001"))
    image = msgspec.structs.replace(state.image(), fills=(f"{PERP}|7", f"{PERP}|funding|8", f"{PERP}|liquidation|9"))
    again = State.from_image(image).blotter
    assert again.knows_fill(BTC_PERP.id, FillId("7"))
    assert again.fills.knows(funding_key(ETH_PERP.id, FillId("8")))
    assert again.fills.knows(liquidation_key(BTC_PERP.id, FillId("9")))
    assert not again.knows_fill(BTC_PERP.id, FillId("8"))
    now = State.from_image(state.image()).blotter
    assert now.knows_fill(ETH_PERP.id, FillId("1001"))
    assert not now.knows_fill(BTC_SPOT.id, FillId("1001"))


def test_a_found_order_is_open_with_what_it_has_filled() -> None:
    state = blank()
    state.apply(e.OrderFound(ORDER, PERP, VenueOrderId("v7"), D("0.5"), T0))
    record = state.blotter.open[ID]
    assert (record.status, record.filled, record.remaining, record.venue_order_id) == (
        A.ACCEPTED,
        D("0.5"),
        D("1.5"),
        "v7",
    )


def test_resting_exits_are_summed_by_side_and_one_may_be_left_out() -> None:
    state = blank()
    for number, (side, reduce_only) in enumerate(
        [(Side.SELL, True), (Side.SELL, True), (Side.BUY, True), (Side.SELL, False)], start=1
    ):
        wanted = order(BTC_PERP, side, "2", "70000", reduce_only=reduce_only, client_order_id=f"o{number}")
        state.apply(e.OrderSubmitted(wanted, PERP, T0))
    state.apply(fill(BTC_PERP, Side.SELL, "0.5", "70000", "f", "o1"))
    blotter = state.blotter
    assert blotter.resting_reduction(BTC_PERP.id, Side.SELL) == D("3.5")
    assert blotter.resting_reduction(BTC_PERP.id, Side.SELL, ClientOrderId("o2")) == D("1.5")
    assert [record.order.client_order_id for record in blotter.of(BTC_PERP.id)] == ["o1", "o2", "o3", "o4"]


def closed_orders(blotter: Blotter, count: int) -> None:
    for number in range(count):
        one = order(BTC_PERP, Side.BUY, "1", client_order_id=f"o{number}")
        blotter.submitted(e.OrderSubmitted(one, PERP, T0))
        blotter.ended(e.OrderCancelled(ClientOrderId(f"o{number}"), "", T0, T0))


def test_closed_orders_and_seen_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blotter_module, "KEPT_CLOSED", 10)
    monkeypatch.setattr(blotter_module, "KEPT_SEEN", 3)
    blotter = Blotter()
    closed_orders(blotter, 25)
    assert list(blotter.orders) == [f"o{number}" for number in range(15, 25)]
    seen = Seen()
    for key in ("a", "b", "a", "c", "d"):
        seen.add(key)
    assert list(seen) == ["b", "c", "d"]
    assert "a" not in seen


def test_an_image_brings_back_open_and_closed() -> None:
    before: Callable[[Blotter], tuple[list[str], list[str]]] = lambda b: (list(b.orders), list(b.open))  # noqa: E731
    blotter = Blotter()
    closed_orders(blotter, 3)
    blotter.submitted(e.OrderSubmitted(ORDER, PERP, T0))
    again = Blotter()
    again.restore(tuple(blotter.orders.values()), tuple(blotter.operations), ("x|1",))
    assert before(again) == before(blotter)
    assert "op-1" in again.operations
    assert again.knows_fill(BTC_PERP.id, FillId("1")) is False
    assert "x|1" in again.fills


def test_the_average_price_weighs_fills_by_size() -> None:
    state = at(A.SUBMITTED)
    state.apply(fill(BTC_PERP, Side.BUY, "0.5", "60000", "a", ID))
    state.apply(fill(BTC_PERP, Side.BUY, "1", "63000", "b", ID))
    assert state.blotter.orders[ID].average_price == Decimal(62000)


def test_the_newest_keys_are_remembered_in_their_order_and_given_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.state.blotter.KEPT_SEEN", 3)
    seen = Seen("ab")
    for key in ("a", "c", "d", "a", "e"):  # a is known already, then forgotten, then new
        seen.add(key)
    assert tuple(seen) == ("d", "a", "e")
    assert tuple(Seen(seen)) == ("d", "a", "e")
    seen = Seen(seen)
    seen.add("f")
    assert tuple(seen) == ("a", "e", "f")


def test_a_checkpoint_takes_what_was_seen_as_fast_as_a_plain_dict() -> None:
    seen = Seen(f"{number}" for number in range(KEPT_SEEN))
    for number in range(KEPT_SEEN // 2):
        seen.add(f"more {number}")

    def least(keys: dict[str, None]) -> float:
        times = []
        for _ in range(20):
            before = time.thread_time()
            tuple(keys)
            times.append(time.thread_time() - before)
        return min(times)

    assert least(seen) < 5 * least(dict.fromkeys(seen))  # an OrderedDict takes fifteen times as long


def test_a_change_told_again_does_not_undo_a_newer() -> None:
    """A stream may repeat itself, or let an older change come behind a newer one."""
    state = at(A.ACCEPTED)
    first, second = (e.OrderAmended(ID, D(quantity), None, None, T0 + quantity, T0 + 9) for quantity in (3, 4))
    for event in (first, second, first):
        state.apply(event)
    assert state.blotter.orders[ID].order.quantity == 4


def test_a_word_that_there_was_nothing_to_change_makes_no_older_change_stale() -> None:
    """It was told first: the values are the older one's, or the engine would ask for them for ever."""
    state = at(A.ACCEPTED)
    state.apply(e.AmendSubmitted(ID, D(3), None, None, T0))
    state.apply(e.OrderAmended(ID, None, None, None, T0 + 5, T0 + 9))
    state.apply(e.OrderAmended(ID, D(3), None, None, T0 + 4, T0 + 9))
    assert (state.blotter.orders[ID].order.quantity, state.blotter.orders[ID].status) == (D(3), A.ACCEPTED)


def test_a_change_down_to_what_is_filled_already_closes_the_order() -> None:
    """The fill was told before the change: nothing is left of the order, at the venue and here."""
    state = at(A.ACCEPTED)
    state.apply(e.AmendSubmitted(ID, D("1.5"), None, None, T0))
    state.apply(fill(BTC_PERP, Side.BUY, "1.5", "60000", "f1", ID))
    assert state.blotter.orders[ID].status is A.PENDING_AMEND
    state.apply(e.OrderAmended(ID, D("1.5"), None, None, T0, T0))
    assert state.blotter.orders[ID].status is A.FILLED
    assert ID not in state.blotter.open


def test_the_no_to_a_cancel_says_nothing_of_a_change_on_its_way() -> None:
    """The venue may hold the larger quantity already: what reduces must not count on the smaller."""
    state = at(A.SUBMITTED)
    state.apply(e.AmendSubmitted(ID, D(3), None, None, T0))
    state.apply(e.CancelSubmitted(ID, T0))
    state.apply(e.CancelRejected(ID, "not known yet", T0, T0))
    record = state.blotter.orders[ID]
    assert (record.status, record.may_fill) == (A.SUBMITTED, D(3))
    state.apply(EVENTS["accepted"])
    assert record.may_fill == D(3)
    state.apply(EVENTS["amend_refused"])
    assert (record.status, record.may_fill) == (A.ACCEPTED, D(2))
