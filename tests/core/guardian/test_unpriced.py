"""What no rate values is neither entered nor overlooked, and what lacks its stop grows by no pair."""

import pytest
from msgspec.structs import replace

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.identifiers import Asset, InstrumentId
from core.domain.order import Side
from tests.core.kit import BTC_PERP, BTC_SPOT, BTC_USDC, PERP, PRICES, T0, D, denied, fill, opened, order


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
