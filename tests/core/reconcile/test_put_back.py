"""What a venue tells of runs that the journal has forgotten."""

from typing import Any

import pytest

from core.domain import events as e
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.market import InstrumentDefined
from core.domain.order import OrderStatus, Side
from core.domain.reports import OrderReport, VenueSnapshot
from core.execution.ids import OrderIds
from core.reconcile.put_back import of_forgotten_runs
from core.state.state import State
from tests.core.kit import BTC_PERP, ETH_PERP, PERP, T0, D, S, fill, opened, order

IDS = OrderIds("t0", "tbb")
LATER, KNOWN = ClientOrderId("t0r2taan1"), ClientOrderId("t0r1tbbn1")


def seen(*ids: str, fills: Any = ()) -> VenueSnapshot:
    resting = order(BTC_PERP, Side.BUY, "0.1", "50000")
    reports = tuple(
        OrderReport(ClientOrderId(id_), VenueOrderId("v"), resting, OrderStatus.ACCEPTED, D(0), None, T0) for id_ in ids
    )
    return VenueSnapshot(PERP, T0 + S, reports, tuple(fills), (), ())


def sold(id_: ClientOrderId, at: int = T0 + S) -> e.OrderFilled:
    return fill(BTC_PERP, Side.SELL, "0.1", "60000", "f9", id_, at)


def test_an_open_order_and_a_fill_of_a_forgotten_run_are_told() -> None:
    state = opened().state
    assert not list(of_forgotten_runs(state, seen(KNOWN, "somebody"), IDS))
    assert list(of_forgotten_runs(state, seen(LATER), IDS)) == [LATER]
    assert list(of_forgotten_runs(state, seen(fills=[sold(LATER)]), IDS)) == [LATER]
    assert not list(of_forgotten_runs(state, seen(fills=[sold(KNOWN)]), IDS))


def test_one_of_an_instrument_that_nobody_knows_is_passed_over_for_nothing_could_answer_it() -> None:
    state = opened(instruments=(ETH_PERP,)).state
    assert not list(of_forgotten_runs(state, seen(LATER, fills=[sold(LATER)]), IDS))


def test_each_is_told_once() -> None:
    engine = opened()
    engine.process(sold(LATER))
    engine.process(
        e.OrderFound(
            order(BTC_PERP, Side.BUY, "0.1", "50000", client_order_id=LATER), PERP, VenueOrderId("v"), D(0), T0
        )
    )
    assert not list(of_forgotten_runs(engine.state, seen(LATER, fills=[sold(LATER)]), IDS))


@pytest.mark.parametrize(("state", "told"), [(State(), [LATER]), (opened().state, [])], ids=["first look", "later"])
def test_what_was_filled_before_the_first_look_counts_at_it_alone(state: State, told: list[ClientOrderId]) -> None:
    state.run = 1
    state.apply(InstrumentDefined(BTC_PERP, T0))
    assert list(of_forgotten_runs(state, seen(fills=[sold(LATER, T0 - S)]), IDS)) == told
