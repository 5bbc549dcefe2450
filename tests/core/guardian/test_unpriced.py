"""What no rate values is neither entered nor overlooked, and what lacks its stop grows by no pair."""

import pytest
from msgspec.structs import replace

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.identifiers import Asset, FillId, InstrumentId
from core.domain.message import Message
from core.domain.order import Side
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.state.state import State
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    BTC_USDC,
    ETH_PERP,
    PERP,
    PRICES,
    T0,
    D,
    denied,
    fill,
    of,
    opened,
    order,
    quote,
)


@pytest.mark.parametrize("kept", ["0", "1000000"])
def test_what_no_rate_values_is_not_entered(monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    """With a rate of nothing it would be worth nothing, and pass every bound."""
    lira = Asset("TRY")
    pair = replace(BTC_PERP, id=InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-TRY@LIN"), quote=lira, settle=lira)
    monkeypatch.setitem(PRICES, pair.id, 2_400_000.0)
    engine = opened(instruments=(BTC_PERP, pair))
    if kept != "0":
        engine.process(e.BalanceSet(PERP, lira, D(kept), "opening", T0))
    for side in (Side.BUY, Side.SELL):
        no = denied(engine, order(pair, side, "300"))
        assert (no.limit, no.reason.split(":")[0]) == ("valued", "nothing prices TRY in USDT")


def test_a_position_whose_profit_no_rate_values_leaves_the_account_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    euro = Asset("EUR")
    pair = replace(BTC_PERP, id=InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-EUR@LIN"), quote=euro, settle=euro)
    monkeypatch.setitem(PRICES, pair.id, 50_000.0)
    engine = opened(instruments=(BTC_PERP, pair))
    engine.process(fill(pair, Side.BUY, "3", "50000", "f1"))
    assert engine.state.ledger.unvalued == {"EUR"}
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.01")).limit == "valued"


def test_a_missing_stop_denies_entries_by_every_pair_of_the_coin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRICES, BTC_USDC.id, 60_000.0)
    engine = opened(instruments=(BTC_SPOT, BTC_USDC), settings=GuardianSettings(protective_stop="alert"))
    engine.process(fill(BTC_SPOT, Side.BUY, "0.1", "60000", "f1"))
    engine.process(m.Timer(T0))
    engine.process(w.ProtectionChanged(BTC_SPOT.id, "stops cover 0 of 0.1", T0))
    assert denied(engine, order(BTC_USDC, Side.BUY, "0.01")).limit == "unprotected"


def test_before_everything_has_had_a_price_a_loss_is_measured_by_what_is_known() -> None:
    """An equity that nobody knows yet is no equity of nothing: every position would be closed by its first tick."""
    engine = Engine(Guardian(), State(), strict=True)
    for instrument in (BTC_PERP, ETH_PERP):
        engine.process(m.InstrumentDefined(instrument, T0))
    engine.process(m.VenueStatus(PERP, True, "", T0))
    engine.process(e.PositionSet(BTC_PERP.id, D("0.01"), D(60_000), "adopted", T0))
    engine.process(e.PositionSet(ETH_PERP.id, D("0.1"), D(3_000), "adopted", T0))
    effects = list(engine.process(quote(BTC_PERP, 59_990.0, 59_990.1)))
    assert "max_position_loss" not in [one.rule for one in of(effects, w.GuardianActed)], "no wallet is known"
    engine.process(e.BalanceSet(PERP, Asset("USDT"), D(50_000), "opening", T0))
    effects = list(engine.process(quote(BTC_PERP, 59_980.0, 59_980.1)))
    effects += engine.process(m.Timer(T0))
    assert engine.state.ledger.unvalued == {ETH_PERP.id}
    assert not of(effects, w.GuardianActed)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "59980", "f1"))
    effects = list(engine.process(quote(BTC_PERP, 58_800.0, 58_800.1)))
    assert [one.rule for one in of(effects, w.GuardianActed)] == ["max_position_loss"], "1,192 of 50,000"


@pytest.mark.parametrize("what", ["funding", "a forced close"])
def test_a_debt_in_what_nothing_prices_leaves_the_account_judged(what: str) -> None:
    engine, credit = opened(), Asset("BNFCR")
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f1"))
    if what == "funding":
        event: Message = e.FundingPaid(BTC_PERP.id, credit, D("-0.6"), D(0), D(0), FillId("u1"), T0, T0)
    else:
        event = e.PositionLiquidated(BTC_PERP.id, D("0.01"), D(60_000), D("0.6"), credit, T0, T0, FillId("l1"))
    effects = list(engine.process(event))
    assert of(effects, e.CapitalWaits) == [e.CapitalWaits(credit, D(0), T0)]
    assert engine.state.ledger.held(credit) == D("-0.6")
    assert not engine.guardian.watch.revalue(engine.state).blind
