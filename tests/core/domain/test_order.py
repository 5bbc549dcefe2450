"""The legal life of an order, pair by pair, as the specification words it."""

import itertools

import pytest

from core.domain.identifiers import ClientOrderId
from core.domain.order import CLOSED, TRANSITIONS, Operation, OrderStatus, Side, check_transition
from core.errors import IllegalTransition
from tests.core.kit import BTC_PERP, order

A = OrderStatus
REPORTABLE = {
    A.ACCEPTED,
    A.TRIGGERED,
    A.PARTIALLY_FILLED,
    A.FILLED,
    A.CANCELLED,
    A.EXPIRED,
    A.PENDING_CANCEL,
    A.PENDING_AMEND,
    A.UNKNOWN,
}
LEGAL = {
    A.INITIALIZED: {A.APPROVED, A.DENIED},
    A.APPROVED: {A.SUBMITTED, A.TRIGGERED, A.CANCELLED, A.EXPIRED},
    A.DENIED: set(),
    A.TRIGGERED: REPORTABLE | {A.SUBMITTED, A.DENIED, A.REJECTED},
    A.SUBMITTED: REPORTABLE | {A.REJECTED},
    A.UNKNOWN: REPORTABLE | {A.REJECTED},
    A.ACCEPTED: REPORTABLE,
    A.PARTIALLY_FILLED: REPORTABLE,
    A.PENDING_CANCEL: REPORTABLE | {A.REJECTED},
    A.PENDING_AMEND: REPORTABLE | {A.REJECTED},
    A.FILLED: {A.FILLED},
    A.CANCELLED: {A.FILLED},
    A.EXPIRED: {A.FILLED},
    A.REJECTED: {A.FILLED},
}
"""Written out again from the specification, so that a change of the table in the code is noticed."""


@pytest.mark.parametrize(("before", "after"), list(itertools.product(OrderStatus, OrderStatus)))
def test_every_pair(before: OrderStatus, after: OrderStatus) -> None:
    if after in LEGAL[before]:
        check_transition(ClientOrderId("x"), before, after)
        return
    with pytest.raises(IllegalTransition, match=f"order x: {before} cannot become {after}; legal: ") as caught:
        check_transition(ClientOrderId("x"), before, after)
    assert str(caught.value).endswith("legal: " + (", ".join(sorted(LEGAL[before])) or "nothing"))


def test_the_table_names_every_status() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)
    assert {status for status in OrderStatus if not TRANSITIONS[status] - {A.FILLED}} == CLOSED


@pytest.mark.parametrize("side", list(Side))
def test_every_side_has_a_sign_and_its_opposite_undoes_it(side: Side) -> None:
    assert side.opposite.sign == -side.sign


def test_the_price_of_a_bet_is_its_odds() -> None:
    bet = order(BTC_PERP, Side.BACK, "1", "2.5", operation=Operation.BET)
    assert bet.odds == bet.price
    assert order(BTC_PERP, Side.BUY, "1", "2.5").odds is None
