"""The money that positions show: open profit, what it is of the entry, and what an exit at a price brings."""

import pytest

from core.domain.order import Side
from tests.core.kit import BTC_COINM, BTC_PERP, BTC_SPOT, D, fill, opened
from tui.lines import plain
from tui.views import gain_frac, open_risk, position_detail, profit_of, profit_to


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_an_inverse_contract_counts_in_its_coin(side: Side, sign: int) -> None:
    engine = opened(instruments=(BTC_SPOT, BTC_COINM))
    engine.process(fill(BTC_COINM, side, "10", "50000", "1"))
    state = engine.state
    position, market = state.ledger.positions[BTC_COINM.id], state.markets[BTC_COINM.id]
    assert market.mark == 60_000.0
    assert profit_of(state, position, market) == pytest.approx(sign * 1000 * (1 / 50_000 - 1 / 60_000) * 60_000)
    assert gain_frac(state, position, market) == pytest.approx(sign * (1 - 50_000 / 60_000))
    down = profit_to(state, position, market, D(40_000), D(5))
    assert down == pytest.approx(sign * 500 * (1 / 60_000 - 1 / 40_000) * 60_000)
    assert f"{'+' if sign > 0 else '-'}16.67%" in plain(position_detail(state, BTC_COINM.id, 60)[2])
    assert open_risk(state) == pytest.approx(1000.0)


def test_a_linear_contract_counts_in_its_quote() -> None:
    engine = opened(instruments=(BTC_PERP,))
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "50000", "1"))
    state = engine.state
    position, market = state.ledger.positions[BTC_PERP.id], state.markets[BTC_PERP.id]
    assert gain_frac(state, position, market) == pytest.approx(-0.2)
    assert profit_to(state, position, market, D(40_000), D("0.25")) == pytest.approx(5_000.0)
