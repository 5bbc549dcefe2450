"""What is owned outright is sold no further than it is held, whatever brought it."""

from core.domain import commands as c
from core.domain import events as e
from core.domain.identifiers import Asset
from core.domain.order import Side
from tests.core.guardian.test_guardian import only
from tests.core.kit import BTC_PERP, BTC_SPOT, SPOT, T0, D, accept, denied, fill, order, sent


def test_what_is_owned_outright_is_not_sold_short() -> None:
    engine = only()
    sale = order(BTC_SPOT, Side.SELL, "0.05", "60000")
    refusal = denied(engine, sale)
    assert (refusal.limit, refusal.value, refusal.bound) == ("owned", "0.05", "0")
    assert refusal.reason == "0 BTC is held: a sale of 0.05 would be short; nothing sent"
    engine.process(fill(BTC_SPOT, Side.BUY, "0.06", "60000", "f1"))
    resting = sent(engine, sale)
    accept(engine, resting)
    reason = "0.06 BTC is held, of which 0.05 rests to be sold: a sale of 0.02 would be short; nothing sent; use 0.01"
    assert denied(engine, order(BTC_SPOT, Side.SELL, "0.02")).reason == reason
    engine.process(c.AmendOrder(resting, D("0.06"), None, None, "test", T0))  # its own place is free to it
    engine.process(e.OrderAmended(resting, D("0.06"), None, None, T0, T0))
    assert denied(engine, order(BTC_SPOT, Side.SELL, "0.01")).limit == "owned"
    sent(engine, order(BTC_SPOT, Side.BUY, "0.01"))
    sent(engine, order(BTC_PERP, Side.SELL, "0.01"))


def test_coins_that_no_fill_has_brought_can_be_sold() -> None:
    engine = only()
    engine.process(e.BalanceSet(SPOT, Asset("BTC"), D("0.05"), "deposit", T0))
    sent(engine, order(BTC_SPOT, Side.SELL, "0.05"))
    assert denied(engine, order(BTC_SPOT, Side.SELL, "0.01")).limit == "owned"
