"""What the command line waits for until it says flat."""

from core.domain.order import Side
from desk.exits import held
from tests.core.kit import BTC_PERP, BTC_SPOT, D, accept, fill, opened, order, sent


def test_dust_is_not_waited_for() -> None:
    """Coins worth less than an order, or less than a lot of a contract: the engine calls them flat too."""
    engine = opened()
    engine.process(fill(BTC_SPOT, Side.BUY, "0.00008", "60000", "f0"))
    engine.process(fill(BTC_PERP, Side.SELL, "0.0004", "60000", "f1"))
    assert held(engine.state, None) == []
    engine.process(fill(BTC_SPOT, Side.BUY, "0.001", "60000", "f2"))
    assert held(engine.state, None) == [BTC_SPOT.id]
    accept(engine, sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000")))
    assert held(engine.state, None) == [BTC_SPOT.id, BTC_PERP.id]
    assert held(engine.state, BTC_PERP.id) == [BTC_PERP.id]
    assert engine.state.ledger.positions[BTC_PERP.holding].quantity == D("-0.0004")
