"""Closing positions: what is asked again, and how often."""

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.order import OrderStatus, Side
from tests.core.kit import BTC_PERP, T0, S, of, opened, order, record_of, sent

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
