"""What is owned outright is sold no further than it is held, whatever brought it."""

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset
from core.domain.order import Side, StopLoss
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.state.state import State
from tests.core.guardian.test_guardian import WIDE, only
from tests.core.kit import BTC_PERP, BTC_SPOT, PERP, SPOT, T0, D, accept, denied, fill, order, quote, sent


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


def test_beside_a_brackets_stop_the_advice_is_one_that_works_on_spot() -> None:
    engine = only()
    entry = sent(engine, order(BTC_SPOT, Side.BUY, "0.05", stop_loss=StopLoss(D(59_000))))
    accept(engine, entry)
    engine.process(fill(BTC_SPOT, Side.BUY, "0.05", "60000", "f1", entry))
    reason = denied(engine, order(BTC_SPOT, Side.SELL, "0.02", reduce_only=True)).reason
    assert reason.endswith(
        "; the stop that covers them holds the coins: cancel it, sell, and place it for what is left"
    )
    assert "without reduce-only" not in reason


def test_without_a_price_for_the_wallet_it_is_said_what_has_none() -> None:
    engine = Engine(Guardian(WIDE), State(Asset("EUR")), strict=True)
    for message in (
        e.EngineStarted(1, "test", "paper", T0),
        m.InstrumentDefined(BTC_PERP, T0),
        m.VenueStatus(PERP, True, "", T0),
        e.BalanceSet(PERP, Asset("USDT"), D(50_000), "opening", T0),
        e.VenueReconciled(PERP, T0, T0),
        quote(BTC_PERP, 59_999.0, 60_001.0),
        m.Timer(T0),
    ):
        engine.process(message)
    reason = denied(engine, order(BTC_PERP, Side.BUY, "0.01")).reason
    assert "nothing prices USDT in EUR" in reason
