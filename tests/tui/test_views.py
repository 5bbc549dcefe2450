"""The money that positions show: open profit, what it is of the entry, and what an exit at a price brings."""

import pytest
from msgspec.structs import replace

from core.domain.events import OrderAccepted, OrderSubmitted, StopTrailed
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.order import Order, OrderType, Side, StopLoss
from tests.core.kit import BTC_COINM, BTC_PERP, BTC_SPOT, PERP, T0, D, fill, opened
from tui.lines import plain
from tui.views import gain_frac, open_risk, order_row, order_words, position_detail, profit_of, profit_to


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


def test_a_trailing_stop_stands_where_it_has_come_and_before_that_by_its_distance() -> None:
    engine = opened(instruments=(BTC_PERP,))
    state, market = engine.state, engine.state.markets[BTC_PERP.id]
    first = ClientOrderId("e1")
    entry = Order(BTC_PERP.id, Side.BUY, D("0.1"), client_order_id=first, stop_loss=StopLoss(D(59_000), D(200)))
    trailing = Order(BTC_PERP.id, Side.SELL, D("0.1"), OrderType.TRAILING_STOP, trail=D(150), reduce_only=True)
    alone = replace(trailing, client_order_id=ClientOrderId("s2"))
    stop = replace(trailing, client_order_id=ClientOrderId("s1"), parent=first, trigger=D(59_000), trail=D(200))
    for order in (entry, stop, alone):
        state.apply(OrderSubmitted(order, PERP, T0))
        state.apply(OrderAccepted(order.client_order_id, VenueOrderId("v"), T0, T0))
    state.apply(fill(BTC_PERP, Side.BUY, "0.1", "60000", "1", "e1"))
    state.apply(StopTrailed(entry.client_order_id, D(59_700), T0))

    def shown(id_: str) -> tuple[str, str]:
        record = state.blotter.open[ClientOrderId(id_)]
        return order_row(record, market, state.brackets, T0).text(6), order_words(record, market, state.brackets)

    assert shown("s1")[0] == "59 700.0"
    assert "TRAILING_STOP at 59 700.0" in shown("s1")[1]
    assert shown("s2")[0] == "Δ 150.0"
    assert "TRAILING_STOP behind by 150.0" in shown("s2")[1]
