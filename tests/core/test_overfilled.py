"""What a venue fills beyond an order's quantity: booked, for the position is what it is, and told."""

import pytest

from core.config.settings import AlertSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.alerts import AlertRaised
from core.domain.approval import Approved
from core.domain.order import Side
from tests.core.kit import BTC_PERP, T0, D, accept, fill, held, of, opened, order, sent


def test_what_fills_beyond_its_order_is_booked_and_told() -> None:
    engine = opened(alerts=AlertSettings())
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.010"))
    effects = engine.process(fill(BTC_PERP, Side.BUY, "0.03", "60000", "f1", id_))
    assert [type(effect) for effect in effects if not isinstance(effect, Approved)] == [
        e.OrderFilled,
        e.IllegalEventSeen,
    ]
    (told,) = of(effects, e.IllegalEventSeen)
    what = "OrderFilled: 0.03 of 0.01 are filled, the position counts all of it"
    assert (told.client_order_id, told.what, held(engine, BTC_PERP)) == (id_, what, D("0.03"))
    assert f"a venue tells what does not fit: {what}" in [
        one.text for one in of(engine.process(m.Timer(T0 + 1)), AlertRaised)
    ]


@pytest.mark.parametrize(("asked", "odd"), [("0.03", False), ("0.02", True)])
def test_what_fills_within_an_amend_on_its_way_is_not(asked: str, odd: bool) -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    accept(engine, id_)
    engine.process(c.AmendOrder(id_, D(asked), None, None, "test", T0))
    effects = engine.process(fill(BTC_PERP, Side.BUY, "0.03", "59000", "f1", id_))
    assert bool(of(effects, e.IllegalEventSeen)) is odd
