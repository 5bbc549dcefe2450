"""Closing positions: what is asked again, and how often."""

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.order import OrderStatus, OrderType, Side
from core.execution import flatten, triggers
from core.execution.flatten import Way
from core.state.exiting import Closing
from core.state.markets import Market
from tests.core.guardian.test_guardian import WIDE
from tests.core.kit import (
    ALL,
    BTC_COINM,
    BTC_PERP,
    BTC_SPOT,
    ETH_PERP,
    T0,
    D,
    S,
    accept,
    fill,
    of,
    opened,
    order,
    record_of,
    sent,
)

MS = 1_000_000


def test_a_refused_cancel_is_not_sent_again_at_once() -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    engine.process(e.OrderUnknown(id_, "the link was lost", T0))
    effects = engine.process(c.Flatten(BTC_PERP.id, "test", T0))
    assert len(of(list(effects), e.CancelSubmitted)) == 1
    again = 0
    for step in range(1, 1000):  # a venue that refuses each cancel within a millisecond, for a second
        now = T0 + step * MS
        if record_of(engine, id_).status is OrderStatus.PENDING_CANCEL:
            effects = engine.process(e.CancelRejected(id_, "not sent: not connected", now, now))
            again += len(of(list(effects), e.CancelSubmitted))
        engine.process(m.Timer(now))
    assert again == 0


def test_an_unknown_order_is_left_alone_long_enough_to_be_asked_about() -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    engine.process(e.OrderUnknown(id_, "the link was lost", T0))
    engine.process(c.Flatten(BTC_PERP.id, "test", T0))
    engine.process(e.CancelRejected(id_, "not sent", T0 + MS, T0 + MS))
    for now in range(T0 + S, T0 + 5 * S, S // 10):
        assert not of(list(engine.process(m.Timer(now))), e.CancelSubmitted)
    assert record_of(engine, id_).updated == T0 + MS  # the venue's answer about it is newer than this
    later = [of(list(engine.process(m.Timer(now))), e.CancelSubmitted) for now in range(T0 + 5 * S, T0 + 7 * S, S)]
    assert sum(map(len, later)) == 1


def test_a_known_order_whose_cancel_was_refused_is_cancelled_again_after_a_second() -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "58000"))
    engine.process(e.OrderAccepted(id_, "v1", T0, T0))  # type: ignore[arg-type]
    engine.process(c.Flatten(BTC_PERP.id, "test", T0))
    engine.process(e.CancelRejected(id_, "busy", T0 + MS, T0 + MS))
    assert not of(list(engine.process(m.Timer(T0 + S // 2))), e.CancelSubmitted)
    assert of(list(engine.process(m.Timer(T0 + S))), e.CancelSubmitted)


def test_what_makes_room_for_a_part_is_neither_an_entry_nor_what_is_changing_already() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "in"))
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    resting = [
        sent(engine, order(BTC_PERP, Side.SELL, "0.04", price, reduce_only=True)) for price in ("61000", "62000")
    ]
    for id_ in (entry, *resting):
        accept(engine, id_)
    market, closing = engine.state.markets[BTC_PERP.id], Closing("guardian test", T0, D("0.02"))

    def room() -> list[str]:
        made = flatten._make_room(engine.state, market, closing, lambda _: True, Way())
        return [step.client_order_id for step in made if not isinstance(step, c.SubmitOrder)]

    assert room() == resting, "0.08 are to be sold, and both stand in the way"
    engine.process(c.CancelOrder(resting[0], "test", T0))
    assert room() == resting[1:], "the first one's cancel is on its way"


def test_where_there_is_no_touch_a_trigger_is_met_by_the_mark() -> None:
    """A bid of 0 is no price: it would else be below every stop of a long."""
    market = Market(BTC_PERP)
    stop = order(BTC_PERP, Side.SELL, "0.1", type=OrderType.STOP, trigger=D(58_000))
    assert not triggers.met(stop, market)
    market.mark = 58_001.0
    assert not triggers.met(stop, market)
    market.mark = 57_999.0
    assert triggers.met(stop, market)
    market.bid, market.ask = 57_000.0, 57_000.1
    assert triggers.met(stop, market)
    assert not triggers.met(order(BTC_PERP, Side.SELL, "0.1"), market), "one without a trigger waits for none"


def test_what_rests_is_closed_in_the_order_of_its_orders_in_every_process() -> None:
    engine = opened(instruments=ALL, cash="1000000", settings=WIDE)
    pairs = (ETH_PERP, BTC_COINM, BTC_PERP, BTC_SPOT)
    for pair in pairs:
        price = {ETH_PERP.id: "2900"}.get(pair.id, "59000")
        accept(engine, sent(engine, order(pair, Side.BUY, "1" if pair is BTC_COINM else "0.1", price)))
    assert engine._exits.at_risk() == [pair.id for pair in pairs]
