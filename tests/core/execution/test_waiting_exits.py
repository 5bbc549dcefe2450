"""Stops and take profits that wait in the engine: each has its turn, and closes what is left then."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import ClientOrderId
from core.domain.order import OrderStatus, OrderType, Side, StopLoss
from core.engine import Engine
from tests.core.execution.test_exit_ladder import ABLE, WIDE, desk, exits, tick
from tests.core.execution.test_way_out import WAITING, at, differing, sentinel, stopped
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    BTC_USDC,
    PERP,
    PRICES,
    SPOT,
    T0,
    D,
    S,
    accept,
    fill,
    held,
    of,
    opened,
    order,
    quote,
    record_of,
    sent,
    submit,
)


def test_a_stop_that_waits_here_closes_what_is_left_where_a_part_has_gone() -> None:
    engine = desk("1", WAITING)
    stop = stopped(engine)
    engine.process(fill(BTC_PERP, Side.SELL, "0.4", "60000", "part"))
    effects = at(engine, 57_900.0, T0 + S)
    assert [(one.client_order_id, one.quantity) for one in exits(effects)] == [(stop, D("0.6"))]
    assert not of(effects, e.OrderDenied)


def test_a_stop_that_waits_further_away_closes_what_the_nearer_one_has_left() -> None:
    engine = desk("1", WAITING)
    near, far = stopped(engine, "0.5"), stopped(engine, "0.5", 50_000)
    engine.process(fill(BTC_PERP, Side.SELL, "0.4", "60000", "part"))
    assert [(one.client_order_id, one.quantity) for one in exits(at(engine, 57_900.0, T0 + S))] == [(near, D("0.5"))]
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "57900", "near", near))
    assert [(one.client_order_id, one.quantity) for one in exits(at(engine, 49_900.0, T0 + 2 * S))] == []
    left = [(one.client_order_id, one.quantity) for one in exits(at(engine, 49_900.0, T0 + 3 * S))]
    assert left == [(far, D("0.1"))], "a far price is told twice"


def test_one_that_its_venue_refuses_has_cost_the_position_no_other_exit() -> None:
    engine = desk("1", WAITING)
    effects = submit(
        engine, order(BTC_PERP, Side.SELL, "0.5", type=OrderType.TAKE_PROFIT, trigger=D(62_000), reduce_only=True)
    )
    takes = of(effects, e.OrderApproved)[0].order.client_order_id
    stop = stopped(engine, "0.5", 59_000)
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "part"))
    assert [one.client_order_id for one in exits(at(engine, 62_100.0, T0 + S))] == [takes]
    engine.process(e.OrderRejected(takes, "system busy", T0 + S, T0 + S))
    assert [one.client_order_id for one in exits(at(engine, 59_900.0, T0 + 2 * S))] == []
    assert [one.client_order_id for one in exits(at(engine, 58_900.0, T0 + 3 * S))] == [stop]


@pytest.mark.parametrize("triggers", [(58_000, 57_000, 56_000), (56_000, 57_000, 58_000)])
def test_a_gap_through_three_stops_closes_no_more_than_is_held(triggers: tuple[int, ...]) -> None:
    engine = desk("1.5", WAITING)
    ids = [stopped(engine, "0.5", trigger) for trigger in triggers]
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "part"))
    left = [one for second in (1, 2, 3) for one in exits(at(engine, 50_000.0, T0 + second * S))]
    assert [(one.client_order_id, one.quantity) for one in left] == [(ids[0], D("0.5")), (ids[1], D("0.5"))]
    assert all(record_of(engine, one.client_order_id).status is OrderStatus.SUBMITTED for one in left)
    for one in left:
        engine.process(fill(BTC_PERP, Side.SELL, "0.5", "50000", one.client_order_id, one.client_order_id))
    effects = at(engine, 49_900.0, T0 + 4 * S)
    assert [one.order.client_order_id for one in of(effects, e.OrderDenied)] == [ids[2]]
    assert held(engine, BTC_PERP) == 0.0


def test_of_coins_too_a_waiting_sale_takes_none_its_room() -> None:
    engine = opened(instruments=(BTC_SPOT,), settings=WIDE, abilities={SPOT: WAITING}, cash="1000000")
    engine.process(fill(BTC_SPOT, Side.BUY, "1", "60000", "f0"))
    near, _ = (
        of(
            submit(
                engine, order(BTC_SPOT, Side.SELL, "0.5", type=OrderType.STOP, trigger=D(trigger), reduce_only=True)
            ),
            e.OrderApproved,
        )[0].order.client_order_id
        for trigger in (58_000, 50_000)
    )
    engine.process(fill(BTC_SPOT, Side.SELL, "0.5", "60000", "part"))
    left = []
    for second in (1, 2):
        left += exits(list(engine.process(quote(BTC_SPOT, 57_899.9, 57_900.1, T0 + second * S))))
    assert [(one.client_order_id, one.quantity) for one in left] == [(near, D("0.5"))]


def test_a_limit_that_rests_gives_way_to_a_stop_that_is_met() -> None:
    engine = desk("1", WAITING)
    limit = sent(engine, order(BTC_PERP, Side.SELL, "0.5", "62000", reduce_only=True))
    accept(engine, limit)
    stop = stopped(engine, "0.5")
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "part"))
    effects = at(engine, 57_900.0, T0 + S)
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [limit]
    assert not exits(effects)
    engine.process(e.OrderCancelled(limit, "asked", T0 + S, T0 + S))
    assert [one.client_order_id for one in exits(at(engine, 57_800.0, T0 + 2 * S))] == [stop]


def beside_a_limit() -> tuple[Engine, ClientOrderId, ClientOrderId]:
    """Return an engine whose limit leaves 0.6 of what its stop of 1 is for."""
    engine = opened(settings=WIDE, abilities={PERP: WAITING}, cash="1000000")
    engine.process(fill(BTC_PERP, Side.BUY, "1.4", "60000", "f0"))
    limit = sent(engine, order(BTC_PERP, Side.SELL, "0.4", "66000", reduce_only=True))
    accept(engine, limit)
    stop = stopped(engine)
    engine.process(fill(BTC_PERP, Side.SELL, "0.4", "60000", "part"))
    return engine, limit, stop


def test_a_limit_that_leaves_a_stop_only_a_part_gives_way_too() -> None:
    engine, limit, stop = beside_a_limit()
    effects = at(engine, 57_900.0, T0 + S)
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [limit]
    assert not exits(effects)
    assert not exits(at(engine, 57_900.0, T0 + 2 * S)), "its cancel is on its way"
    engine.process(e.OrderCancelled(limit, "asked", T0 + 2 * S, T0 + 2 * S))
    left = exits(at(engine, 57_800.0, T0 + 3 * S))
    assert [(one.client_order_id, one.quantity) for one in left] == [(stop, D(1))]


def test_a_limit_that_its_venue_does_not_cancel_keeps_its_part_and_holds_up_nothing() -> None:
    engine, limit, stop = beside_a_limit()
    at(engine, 57_900.0, T0 + S)
    engine.process(e.CancelRejected(limit, "not now", T0 + S, T0 + S))
    effects = at(engine, 57_900.0, T0 + 3 * S // 2)
    assert [(one.client_order_id, one.quantity) for one in exits(effects)] == [(stop, D("0.6"))]
    (rest,) = of(effects, e.OrderApproved)
    assert (rest.order.quantity, rest.order.trigger) == (D("0.4"), D(58_000)), "the rest waits on"
    engine.process(fill(BTC_PERP, Side.SELL, "0.6", "57900", "out", stop))
    assert of(at(engine, 57_900.0, T0 + 3 * S), e.CancelSubmitted), "it asks again"
    engine.process(e.OrderCancelled(limit, "asked", T0 + 3 * S, T0 + 3 * S))
    assert [one.client_order_id for one in exits(at(engine, 57_900.0, T0 + 4 * S))] == [rest.order.client_order_id]


def test_the_rest_of_a_stop_stands_on_the_steps_of_its_own_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRICES, BTC_USDC.id, 60_000.0)
    coarse = replace(BTC_SPOT, size_step=D("0.001"), min_size=D("0.001"))
    engine = opened(instruments=(coarse, BTC_USDC), settings=WIDE, abilities={SPOT: WAITING}, cash="1000000")
    engine.process(fill(BTC_USDC, Side.BUY, "1.5", "60000", "f0"))
    limit = sent(engine, order(BTC_USDC, Side.SELL, "0.40005", "66000", reduce_only=True))
    accept(engine, limit)
    stop = order(coarse, Side.SELL, "1", type=OrderType.STOP, trigger=D(58_000), reduce_only=True)
    (waiting,) = of(submit(engine, stop), e.OrderApproved)
    engine.process(fill(coarse, Side.SELL, "0.5", "60000", "part"))

    def fallen(halves: int) -> list[Any]:
        now, effects = T0 + halves * S // 2, list[Any]()
        for pair in (coarse, BTC_USDC):
            effects += engine.process(quote(pair, 57_899.9, 57_900.1, now))
        return [*effects, *tick(engine, now)]

    fallen(2)
    engine.process(e.CancelRejected(limit, "not now", T0 + S, T0 + S))
    left = exits(fallen(3))
    assert [(one.client_order_id, str(one.quantity)) for one in left] == [(waiting.order.client_order_id, "0.599")]
    engine.process(fill(coarse, Side.SELL, "0.599", "57900", "out", waiting.order.client_order_id))
    fallen(6)
    engine.process(e.OrderCancelled(limit, "asked", T0 + 3 * S, T0 + 3 * S))
    assert [str(one.quantity) for one in exits(fallen(8))] == ["0.401"]


def test_a_limit_that_was_partly_filled_since_its_refusal_is_asked_again() -> None:
    engine, limit, _ = beside_a_limit()
    at(engine, 57_900.0, T0 + S)
    engine.process(e.CancelRejected(limit, "not now", T0 + S, T0 + S))
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "66000", "more", limit, T0 + S + S // 10))
    effects = at(engine, 57_900.0, T0 + S + S // 5)
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [limit]


def test_the_rest_of_a_brackets_stop_waits_on_beside_a_limit_that_is_not_cancelled() -> None:
    engine = opened(settings=replace(WIDE, forced_stop_frac=0.0), abilities={PERP: WAITING}, cash="1000000")
    entry = sent(engine, order(BTC_PERP, Side.BUY, "1", stop_loss=StopLoss(D(58_000))))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0", entry))
    engine.process(fill(BTC_PERP, Side.BUY, "0.4", "60000", "f1"))
    limit = sent(engine, order(BTC_PERP, Side.SELL, "0.4", "66000", reduce_only=True))
    accept(engine, limit)
    engine.process(fill(BTC_PERP, Side.SELL, "0.4", "60000", "part"))
    at(engine, 57_900.0, T0 + S)
    engine.process(e.CancelRejected(limit, "not now", T0 + S, T0 + S))
    (first,) = exits(at(engine, 57_900.0, T0 + 3 * S // 2))
    engine.process(fill(BTC_PERP, Side.SELL, "0.6", "57900", "out", first.client_order_id, T0 + 3 * S // 2))
    effects = [one for second in (2, 3, 4) for one in at(engine, 57_900.0, T0 + second * S)]
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [limit]
    engine.process(e.OrderCancelled(limit, "asked", T0 + 4 * S, T0 + 4 * S))
    left = [one for second in (5, 6) for one in exits(at(engine, 57_900.0, T0 + second * S))]
    assert [(first.quantity, one.quantity) for one in left] == [(D("0.6"), D("0.4"))]


def test_a_change_that_was_refused_long_ago_is_no_word_on_a_cancel() -> None:
    engine, limit, stop = beside_a_limit()
    engine.process(c.AmendOrder(limit, D("0.3"), origin="me"))
    engine.process(e.AmendRejected(limit, "same price", T0, T0))
    assert of(at(engine, 57_900.0, T0 + 5 * S), e.CancelSubmitted)
    assert record_of(engine, stop).status is OrderStatus.APPROVED


def test_a_limit_that_nobody_knows_anything_of_is_waited_for_a_while_and_left_its_part() -> None:
    engine, limit, stop = beside_a_limit()
    engine.process(c.AmendOrder(limit, D("0.3"), origin="me"))
    engine.process(e.OrderUnknown(limit, "no answer", T0 + S))
    assert not [one for second in range(2, 6) for one in exits(at(engine, 57_900.0, T0 + second * S))]
    left = exits(at(engine, 57_900.0, T0 + 6 * S))
    assert [(one.client_order_id, one.quantity) for one in left] == [(stop, D("0.6"))]


def test_what_is_worth_less_than_an_order_is_nothing_that_a_met_exit_could_close() -> None:
    engine = opened(instruments=(BTC_SPOT,), settings=WIDE, abilities={SPOT: WAITING}, cash="1000000")
    engine.process(fill(BTC_SPOT, Side.BUY, "0.02", "60000", "f0"))
    limit = sent(engine, order(BTC_SPOT, Side.SELL, "0.01", "66000", reduce_only=True))
    accept(engine, limit)
    effects = submit(
        engine, order(BTC_SPOT, Side.SELL, "0.01", type=OrderType.TAKE_PROFIT, trigger=D(62_000), reduce_only=True)
    )
    takes = of(effects, e.OrderApproved)[0].order.client_order_id
    engine.process(fill(BTC_SPOT, Side.SELL, "0.00995", "60000", "part"))
    assert not exits(list(engine.process(quote(BTC_SPOT, 62_499.9, 62_500.1, T0 + S))))
    assert record_of(engine, limit).status is OrderStatus.PENDING_CANCEL
    assert record_of(engine, takes).order.quantity == D("0.01")


def test_a_limit_that_its_venue_does_not_cancel_is_not_asked_about_at_every_price() -> None:
    engine = desk("1", WAITING)
    limit = sent(engine, order(BTC_PERP, Side.SELL, "0.5", "62000", reduce_only=True))
    accept(engine, limit)
    stopped(engine, "0.5")
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "part"))
    cancels = 0
    for tenth in range(25):
        now = T0 + S + tenth * S // 10
        if of(at(engine, 57_900.0, now), e.CancelSubmitted):
            cancels += 1
            engine.process(e.CancelRejected(limit, "not now", now, now))
    assert cancels == 3


def test_a_limit_whose_answer_is_to_come_gives_way_when_it_has_come() -> None:
    engine = opened(settings=WIDE, abilities={PERP: WAITING}, cash="1000000")
    engine.process(fill(BTC_PERP, Side.BUY, "2", "60000", "f0"))
    stop = stopped(engine)
    limit = sent(engine, order(BTC_PERP, Side.SELL, "1", "66000", reduce_only=True))
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "part"))
    assert not exits(at(engine, 57_900.0, T0 + S))
    accept(engine, limit)
    assert of(at(engine, 57_900.0, T0 + 2 * S), e.CancelSubmitted)
    engine.process(e.OrderCancelled(limit, "asked", T0 + 2 * S, T0 + 2 * S))
    left = exits(at(engine, 57_900.0, T0 + 3 * S))
    assert [(one.client_order_id, one.quantity) for one in left] == [(stop, D(1))]


def test_a_take_profit_at_the_venue_gives_way_to_a_stop_that_is_met_here() -> None:
    able = replace(ABLE, order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.TAKE_PROFIT}))
    engine = desk("1", able)
    takes = sent(
        engine, order(BTC_PERP, Side.SELL, "0.5", type=OrderType.TAKE_PROFIT, trigger=D(62_000), reduce_only=True)
    )
    accept(engine, takes)
    stop = stopped(engine, "0.5")
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "part"))
    assert [one.client_order_id for one in of(at(engine, 57_900.0, T0 + S), e.CancelSubmitted)] == [takes]
    engine.process(e.OrderCancelled(takes, "asked", T0 + S, T0 + S))
    assert [one.client_order_id for one in exits(at(engine, 57_900.0, T0 + 2 * S))] == [stop]


def test_coins_worth_less_than_an_order_at_their_stop_are_the_venues_to_refuse_in_words() -> None:
    engine = opened(instruments=(BTC_SPOT,), settings=WIDE, abilities={SPOT: WAITING}, cash="1000000")
    engine.process(fill(BTC_SPOT, Side.BUY, "0.02", "60000", "f0"))
    effects = submit(
        engine, order(BTC_SPOT, Side.SELL, "0.00009", type=OrderType.STOP, trigger=D(58_000), reduce_only=True)
    )
    for second in (1, 2):
        effects += engine.process(quote(BTC_SPOT, 53_999.9 + second, 54_000.1 + second, T0 + second * S))
    assert [one.quantity for one in exits(effects)] == [D("0.00009")]


def test_a_stop_at_the_venue_that_covers_all_is_named_to_a_take_profit_that_waits_here() -> None:
    able = replace(ABLE, order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP}))
    engine = desk("1", able)
    stop = stopped(engine, "0.5")
    accept(engine, stop)
    effects = submit(
        engine, order(BTC_PERP, Side.SELL, "0.5", type=OrderType.TAKE_PROFIT, trigger=D(62_000), reduce_only=True)
    )
    takes = of(effects, e.OrderApproved)[0].order.client_order_id
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "part"))
    (denied,) = of(at(engine, 62_100.0, T0 + S), e.OrderDenied)
    assert denied.order.client_order_id == takes
    assert "they cover all of it: amend or cancel them" in denied.reason
    assert record_of(engine, stop).status is OrderStatus.ACCEPTED


@pytest.mark.parametrize(("theirs", "leaves"), [("0.4", ["0.4"]), ("0", []), ("-0.5", [])])
def test_a_met_stop_closes_what_both_records_say_is_held_and_waits_where_that_is_nothing(
    theirs: str, leaves: list[str]
) -> None:
    engine = desk("1", replace(WAITING, reduce_only=False))
    stop = stopped(engine)
    engine.process(differing("1", theirs))
    left = [one for second in (1, 2, 3) for one in exits(at(engine, 57_900.0, T0 + second * S))]
    assert [str(one.quantity) for one in left] == leaves
    assert record_of(engine, stop).is_open


def test_a_stop_that_is_met_waits_for_an_exit_on_its_way_and_closes_what_that_leaves() -> None:
    engine = desk("1", WAITING)
    stop = stopped(engine)
    engine.process(m.Timer(T0))
    hand = sent(engine, order(BTC_PERP, Side.SELL, "1"))
    assert not exits(at(engine, 57_900.0, T0 + S)) or record_of(engine, stop).order.quantity == D(1)
    engine.process(e.OrderRejected(hand, "no", T0 + S, T0 + S))
    assert record_of(engine, stop).is_open


def test_a_stop_that_waits_here_ends_where_nothing_is_left() -> None:
    engine = desk("1", WAITING)
    stop = stopped(engine)
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "all"))
    assert of(at(engine, 57_900.0, T0 + S), e.OrderDenied)
    assert record_of(engine, stop).status is OrderStatus.DENIED


def test_a_stop_that_is_met_while_the_sentinel_holds_the_lease_leaves_behind_it() -> None:
    engine = desk("1", WAITING)
    stop = stopped(engine)
    engine.process(sentinel("the engine is silent"))
    assert not exits(at(engine, 57_900.0, T0 + S))
    assert record_of(engine, stop).status is OrderStatus.APPROVED
    engine.process(sentinel(""))
    assert [one.client_order_id for one in exits(at(engine, 57_800.0, T0 + 2 * S))] == [stop]


def test_a_stop_that_waits_here_closes_no_more_than_dust() -> None:
    engine = opened(instruments=(BTC_SPOT,), settings=WIDE, abilities={SPOT: WAITING}, cash="1000000")
    engine.process(fill(BTC_SPOT, Side.BUY, "0.00100", "60000", "f0"))
    effects = submit(
        engine, order(BTC_SPOT, Side.SELL, "0.001", type=OrderType.STOP, trigger=D(58_000), reduce_only=True)
    )
    (waiting,) = of(effects, e.OrderApproved)
    engine.process(fill(BTC_SPOT, Side.SELL, "0.000995", "60000", "hand"))
    now = T0 + S
    effects = [*engine.process(quote(BTC_SPOT, 57_899.9, 57_900.1, now)), *tick(engine, now)]
    assert [one.order.client_order_id for one in of(effects, e.OrderDenied)] == [waiting.order.client_order_id]
    assert not exits(effects)
