"""What a trader is closing already when a rule of the guardian's is broken: it becomes the guardian's."""

from core.domain import commands as c
from core.domain.approval import TradingState
from tests.core.guardian.watch.kit import acted, long, price, timer, watched
from tests.core.kit import BTC_PERP, T0


def test_a_position_that_a_trader_closes_is_the_guardians_once_it_breaks_its_bound() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    engine.process(c.Flatten(BTC_PERP.id, "me", T0))
    effects = [*price(engine, 58_500.0), *price(engine, 57_900.0)]
    assert acted(effects) == [("max_position_loss", "exit")]
    assert engine.state.exits.flattening[BTC_PERP.id].guarded
    assert not acted(price(engine, 57_899.0)), "once"


def test_what_a_trader_closes_is_the_guardians_once_it_halts() -> None:
    engine = long(watched(max_daily_loss_frac=0.02))
    timer(engine, T0)
    engine.process(c.Flatten(BTC_PERP.id, "me", T0))
    effects = [*price(engine, 58_500.0), *price(engine, 57_900.0)]
    assert acted(effects) == [("max_daily_loss", "halt")]
    assert engine.state.trading_state is TradingState.HALTED
    assert engine.state.exits.flattening[BTC_PERP.id].origin == "guardian max_daily_loss"
