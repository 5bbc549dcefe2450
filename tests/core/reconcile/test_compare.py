"""What still differs is told when two looks agree, and never off a look that is older than a booking."""

import msgspec
import pytest

from core.domain import events as e
from core.domain.differences import Difference, DifferenceFound, DifferenceKind, DifferenceResolved, Resolution
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueOrderId
from core.domain.message import Event, Nanoseconds
from core.domain.order import CLOSED, OrderStatus, Side
from core.domain.reports import BalanceReport, OrderReport, PositionReport, VenueSnapshot
from core.reconcile.compare import IDLE_NS, Comparison, gap_key
from core.state.state import State
from tests.core.kit import BTC_PERP, PERP, T0, D, S, fill
from tests.core.state.test_blotter import ID, ORDER, at, blank

USDT = Asset("USDT")
TOLERANCE = 0.0001


def seen(
    *orders: OrderReport, position: str | None = None, total: str | None = None, ts: Nanoseconds = T0 + S
) -> VenueSnapshot:
    positions = () if position is None else (PositionReport(BTC_PERP.id, D(position), D(61000), None, D(0), ts),)
    balances = () if total is None else (BalanceReport(USDT, D(total), D(total)),)
    return VenueSnapshot(PERP, ts, orders, (), positions, balances)


def holding(quantity: str = "2") -> State:
    state = blank()
    state.apply(e.BalanceSet(PERP, USDT, D(50_000), "opening", T0))
    if quantity != "0":
        state.apply(fill(BTC_PERP, Side.BUY, quantity, "60000", "f0", ts=T0))
    return state


def told(state: State, comparison: Comparison, snapshot: VenueSnapshot) -> list[Event]:
    """Look once and have the state take what is told, numbered as the engine does."""
    found = []
    for event in comparison.look(state, snapshot, T0 + 2 * S):
        if isinstance(event, DifferenceFound):
            known = state.differences.known(gap_key(event))
            event = event.replace(number=known.number if known else state.differences.numbered + 1)  # noqa: PLW2901
        state.apply(event)
        found.append(event)
    return found


def standing(state: State) -> list[tuple[DifferenceKind, str, str]]:
    return [(one.kind, str(one.ours), str(one.theirs)) for one in state.differences.standing.values()]


def only(state: State) -> Difference:
    return next(iter(state.differences.standing.values()))


@pytest.mark.parametrize("theirs", ["0", "1", "-2", "3"])
def test_a_position_is_told_when_seen_twice(theirs: str) -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    assert told(state, comparison, seen(position=theirs)) == []
    first = comparison.settled
    assert len(told(state, comparison, seen(position=theirs))) == 1
    assert (first, comparison.settled) == (False, True)
    assert standing(state) == [(DifferenceKind.POSITION, "2", theirs)]
    assert told(state, comparison, seen(position=theirs)) == []  # told once
    assert comparison.settled


@pytest.mark.parametrize(("long", "short"), [("2", "0"), ("0", "2"), ("3", "-1"), ("0", "0")])
def test_two_legs_of_one_instrument_are_a_difference_whatever_they_add_up_to(long: str, short: str) -> None:
    """In hedge mode our one record of a position would be wrong with the next order."""
    state, comparison = holding(), Comparison(TOLERANCE)
    legs = tuple(PositionReport(BTC_PERP.id, D(size), D(61000), None, D(0), T0 + S) for size in (long, short))
    for _ in range(2):
        told(state, comparison, VenueSnapshot(PERP, T0 + S, (), (), legs, ()))
    assert standing(state) == [(DifferenceKind.POSITION, "2", str(D(long) + D(short)))]
    assert f"two legs, {long} and {short} (hedge mode)" in only(state).what
    assert state.differences.blocking(state.markets[BTC_PERP.id]) is not None
    told(state, comparison, seen(position="2"))
    assert standing(state) == [], "one-way mode"


def test_a_difference_that_was_a_race_is_never_told() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    assert told(state, comparison, seen(position="1")) == []
    assert told(state, comparison, seen(position="2")) == []
    assert told(state, comparison, seen(position="1")) == []
    assert told(state, comparison, seen(position="3")) == []  # another one is not the same seen twice
    assert standing(state) == []


def test_a_fill_between_two_looks_makes_the_second_the_first() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    assert told(state, comparison, seen(position="1")) == []
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", ts=T0 + 5))
    assert told(state, comparison, seen(position="2")) == []
    assert len(told(state, comparison, seen(position="2"))) == 1


def test_a_look_older_than_the_newest_booking_proves_nothing() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", ts=T0 + S + 1))
    for _ in range(3):
        assert told(state, comparison, seen(position="2", total="1")) == []
        assert not comparison.settled
    later = seen(position="3", ts=T0 + 2 * S)
    assert told(state, comparison, later) == []
    assert comparison.settled


def test_a_lost_link_begins_anew() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    told(state, comparison, seen(position="1"))
    comparison.forget()
    assert told(state, comparison, seen(position="1")) == []


def test_what_agrees_again_is_over_and_what_changes_keeps_its_number() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    for _ in range(2):
        told(state, comparison, seen(position="1"))
    since = only(state).since
    for _ in range(2):
        told(state, comparison, seen(position="0"))
    assert (only(state).number, only(state).gap, only(state).since) == (1, D(-2), since)
    (over,) = told(state, comparison, seen(position="2"))
    assert isinstance(over, DifferenceResolved)
    assert over.resolution is Resolution.AGREES
    assert standing(state) == []


def test_both_moving_by_our_own_fills_is_the_same_difference() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    for _ in range(2):
        told(state, comparison, seen(position="3"))
    state.apply(fill(BTC_PERP, Side.SELL, "1", "60000", "f1", ts=T0 + 5))
    assert told(state, comparison, seen(position="2")) == []
    assert comparison.settled


def test_a_kept_difference_is_told_again_only_when_it_changes() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    for _ in range(2):
        told(state, comparison, seen(position="1"))
    state.apply(DifferenceResolved(1, Resolution.KEPT, "ada", "", "", T0))
    assert told(state, comparison, seen(position="1")) == []
    assert (only(state).kept, state.differences.waiting) == ("ada", [])
    for _ in range(2):
        told(state, comparison, seen(position="0"))
    assert (only(state).number, only(state).kept) == (1, "")


def test_a_missing_report_is_not_flat() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    for _ in range(3):
        assert told(state, comparison, seen()) == []
    assert comparison.settled


def test_what_nobody_defined_is_passed_over() -> None:
    comparison = Comparison(TOLERANCE)
    for _ in range(2):
        assert told(State(), comparison, seen(position="2")) == []


@pytest.mark.parametrize(
    ("total", "differs"),
    [("50000", False), ("50005", False), ("50005.1", True), ("49995", False), ("49994", True), ("0", True)],
)
def test_a_wallet_may_be_off_by_what_is_tolerated(total: str, differs: bool) -> None:
    state, comparison = holding("0"), Comparison(TOLERANCE)
    for _ in range(2):
        told(state, comparison, seen(total=total))
    assert bool(standing(state)) is differs
    assert state.ledger.balances[PERP][USDT] == D(50_000)


def test_dust_is_no_difference_without_tolerance() -> None:
    state, comparison = blank(), Comparison(0.0)
    for _ in range(2):
        told(state, comparison, seen(total="0.00000001"))
    assert standing(state) == []
    for _ in range(2):
        told(state, comparison, seen(total="0.00000002"))
    assert standing(state) == [(DifferenceKind.BALANCE, "0", "2E-8")]


def report(id_: str = "x77", filled: str = "0") -> OrderReport:
    return OrderReport(ClientOrderId(id_), VenueOrderId("v1"), ORDER, OrderStatus.ACCEPTED, D(filled), None, T0)


def test_an_order_of_others_is_told_and_stays_the_same_while_it_fills() -> None:
    state, comparison = blank(), Comparison(TOLERANCE)
    assert told(state, comparison, seen(report())) == []  # it is not in the blotter yet: reconciliation brings it there
    named = msgspec.structs.replace(ORDER, client_order_id=ClientOrderId("x77"))
    state.apply(e.OrderFound(named, PERP, VenueOrderId("v1"), D(0), T0))
    for _ in range(2):
        told(state, comparison, seen(report()))
    assert standing(state) == [(DifferenceKind.ORDER, "0", "2")]
    assert "take it for ours" in only(state).what
    assert told(state, comparison, seen(report(filled="1"))) == []
    told(state, comparison, seen())
    assert standing(state) == []


def test_our_own_open_order_is_no_difference() -> None:
    state, comparison = at(OrderStatus.ACCEPTED), Comparison(TOLERANCE)
    for _ in range(2):
        assert told(state, comparison, seen(report(ID))) == []


@pytest.mark.parametrize("closed", sorted(CLOSED))
def test_an_order_that_our_record_takes_for_closed_and_rests_is_told(closed: OrderStatus) -> None:
    state, comparison = at(closed), Comparison(TOLERANCE)
    told(state, comparison, seen(report(ID)))
    told(state, comparison, seen(report(ID)))
    assert only(state).client_order_id == ID
    assert f"our record says {closed}: cancel it" in only(state).what


def test_a_fill_of_others_waits_for_a_word_whatever_both_report() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    none, kind = Asset(""), DifferenceKind.FILL
    event = DifferenceFound(1, kind, PERP, BTC_PERP.id, none, ClientOrderId(""), D(0), D(2), D(1), "", T0)
    state.apply(event)
    for _ in range(3):
        assert told(state, comparison, seen(position="2")) == []
    assert only(state).instrument == InstrumentId(BTC_PERP.id)


def test_what_differs_is_told_in_plain_numbers() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    state.apply(e.BalanceSet(PERP, USDT, D("49975.34153596"), "opening", T0))
    for total in ("50000.00000000000000000000", "49900.00"):
        for _ in range(2):
            told(state, comparison, seen(position="1.500", total=total))
    whats = [one.what for one in state.differences.standing.values()]
    assert whats == [
        "no fill explains it: take the venue's 1.5 at 61000",
        "no booking explains -75.34153596 USDT: take the venue's 49900",
    ]
    state = holding("0")
    state.apply(e.BalanceSet(PERP, USDT, D("49975.34153596"), "opening", T0))
    for _ in range(2):
        told(state, comparison, seen(total="50000.00000000000000000000"))
    assert only(state).what == "no booking explains +24.65846404 USDT: take the venue's 50000"


def test_looks_that_compare_nothing_for_long_are_told() -> None:
    state, comparison = holding(), Comparison(TOLERANCE)
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", ts=T0 + S + 1))
    stale, began = seen(position="2"), T0 + 2 * S
    for now in (began, began + IDLE_NS - 1):
        assert comparison.look(state, stale, now) == []
        assert comparison.trouble(now) == ""
    comparison.look(state, stale, began + IDLE_NS)
    told_ = comparison.trouble(began + IDLE_NS)
    assert told_.startswith("nothing was comparable for 30 s, every answer is older than the newest booking")
    comparison.look(state, seen(position="3", ts=T0 + 2 * S), began + IDLE_NS)
    assert comparison.trouble(began + 2 * IDLE_NS) == ""
    comparison.look(state, stale, began + 3 * IDLE_NS)
    comparison.forget()
    assert comparison.trouble(began + 5 * IDLE_NS) == ""
