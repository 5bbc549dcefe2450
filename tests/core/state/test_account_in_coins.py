"""An account in coins, as the COIN-M one of the practice market, that comes, is away, comes back and is emptied."""

import pytest

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, VenueId
from tests.core.kit import BTC_PERP, ETH_PERP, T0, D, S, opened, quote


@pytest.mark.parametrize("priced", [True, False], ids=["its coin has a price", "its coin has none yet"])
def test_an_account_in_coins_that_appears_while_the_engine_runs_is_no_profit_and_no_drawdown_when_it_leaves(
    priced: bool,
) -> None:
    engine, coinm, btc = opened(instruments=(BTC_PERP,)), VenueId("BINANCE-COINM"), Asset("BTC")
    if not priced:  # the account is there before any market of its coin
        engine = opened(instruments=(ETH_PERP,))
    engine.process(m.VenueStatus(coinm, True, "", T0 + S))
    engine.process(e.BalanceSet(coinm, btc, D(1), "opening", T0 + S))
    if not priced:
        engine.process(m.InstrumentDefined(BTC_PERP, T0 + S))
        engine.process(quote(BTC_PERP, 59_999.0, 60_001.0, T0 + S))
    engine.process(m.Timer(T0 + 2 * S))
    base = engine.state.day_start
    assert engine.state.equity == float(base) == float(engine.state.peak)
    assert (engine.state.day_profit, engine.state.drawdown) == (0.0, 0.0)
    # It is away, as with a market that was started on other tapes: what it holds is still ours.
    engine.process(m.VenueStatus(coinm, False, "no account here", T0 + 3 * S))
    engine.process(m.Timer(T0 + 4 * S))
    assert (engine.state.day_profit, engine.state.drawdown, engine.state.equity) == (0.0, 0.0, float(base))
    # It comes back with what it had.
    engine.process(m.VenueStatus(coinm, True, "", T0 + 5 * S))
    engine.process(e.BalanceSet(coinm, btc, D(1), "opening", T0 + 5 * S))
    assert (engine.state.day_start, engine.state.day_profit, engine.state.drawdown) == (base, 0.0, 0.0)
    # Emptied, it takes its value out of what profit and drawdown count from.
    engine.process(e.BalanceSet(coinm, btc, D(0), "withdrawal", T0 + 6 * S))
    engine.process(m.Timer(T0 + 7 * S))
    assert (engine.state.day_profit, engine.state.drawdown) == (0.0, 0.0)
    assert engine.state.day_start == base - D(60_000)
