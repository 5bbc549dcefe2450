"""What margin does by itself: funding at its stamps, forced closing on the mark price, stops without margin."""

from decimal import Decimal

import msgspec
import pytest

from core import margin
from core.domain import events as e
from core.domain.order import OrderStatus as S
from core.domain.order import OrderType, Side
from tests.venues.matching.pit import (
    BTC,
    COIN,
    COINM,
    ETH,
    FUTURES,
    PERP,
    SECOND,
    T0,
    USDT,
    Pit,
    pit_with_book,
)
from venues.contracts_table import contracts
from venues.matching.settings import MarginMode, MatchingSettings, TriggerPrice

EIGHT_HOURS = 8 * 3600 * SECOND
ISOLATED = MatchingSettings(margin=MarginMode.ISOLATED, leverage=10)


# --- funding ----------------------------------------------------------------------------------------------------------


def test_funding_is_paid_at_the_stamp_by_who_holds_then() -> None:
    pit = pit_with_book()
    pit.buy(1)
    pit.mark(60000.0, rate=0.0001)
    before = pit.wallet().total
    pit.wait(T0 + EIGHT_HOURS - 1 - pit.now)
    assert pit.of(e.FundingPaid) == []
    pit.wait(1)
    paid = pit.last(e.FundingPaid)
    assert (paid.amount, paid.rate, paid.asset) == (Decimal(-6), Decimal("0.0001"), USDT)
    assert paid.ts_exchange == T0 + EIGHT_HOURS
    assert pit.wallet().total == before - 6
    pit.sell(1)
    pit.wait(EIGHT_HOURS)
    assert len(pit.of(e.FundingPaid)) == 1


def test_every_stamp_in_a_silence_is_paid_and_shorts_receive() -> None:
    pit = pit_with_book()
    pit.sell(1)
    pit.mark(60000.0, rate=0.0002)
    pit.wait(3 * EIGHT_HOURS)
    stamps = [event.ts_exchange for event in pit.of(e.FundingPaid)]
    assert stamps == [T0 + EIGHT_HOURS, T0 + 2 * EIGHT_HOURS, T0 + 3 * EIGHT_HOURS]
    assert {event.amount for event in pit.of(e.FundingPaid)} == {Decimal(12)}
    assert len({event.funding_id for event in pit.of(e.FundingPaid)}) == 3


def test_the_feeds_own_stamp_counts_and_without_a_rate_nothing_is_paid() -> None:
    pit = pit_with_book()
    pit.buy(1)
    pit.mark(60000.0, rate=0.0, following=T0 + 3600 * SECOND)
    pit.wait(3600 * SECOND)
    assert pit.of(e.FundingPaid) == []
    pit.mark(60000.0, rate=0.001, following=T0 + 2 * 3600 * SECOND)
    pit.wait(3600 * SECOND)
    assert pit.last(e.FundingPaid).ts_exchange == T0 + 2 * 3600 * SECOND


# --- liquidation ------------------------------------------------------------------------------------------------------


def test_a_position_is_liquidated_at_the_mark_its_report_named_and_not_before() -> None:
    pit = pit_with_book(balances={USDT: "4000"})
    pit.buy(1)
    pit.buy("0.01", 50000)
    stop = pit.sell(1, type=OrderType.STOP, trigger=Decimal(50000), reduce_only=True)
    report = pit.position()
    assert report is not None
    assert report.liquidation_price is not None
    price = report.liquidation_price
    assert 55000 < price < 57000
    pit.mark(float(price) + 0.01)
    assert pit.of(e.PositionLiquidated) == []
    pit.mark(float(price) - 0.01)
    forced, fill = pit.last(e.PositionLiquidated), pit.last(e.OrderFilled)
    assert [fill.client_order_id, fill.side, fill.quantity, fill.fee] == ["", Side.SELL, 1, 0]
    assert [forced.quantity, forced.price, forced.instrument] == [1, fill.price, PERP]
    assert abs(forced.price - price) < Decimal("0.1")
    assert pit.held() == 0
    assert pit.status(stop) is S.CANCELLED
    assert pit.matching.snapshot(0).open_orders == ()
    value = Decimal("60000.1")
    expected = 4000 - value * Decimal("0.0005") + forced.price - value - forced.fee
    assert pit.wallet().total == expected
    assert forced.fee <= forced.price * Decimal("0.0125")
    assert pit.wallet().total >= 0


def test_a_gap_beyond_bankruptcy_costs_the_wallet_and_no_more() -> None:
    pit = pit_with_book(balances={USDT: "4000"})
    pit.sell(1)
    pit.mark(90000.0)
    assert pit.held() == 0
    assert 0 <= pit.wallet().total < Decimal("0.2")
    assert pit.last(e.PositionLiquidated).price < 64000


def test_what_was_paid_since_the_last_look_no_longer_stands_behind_a_position() -> None:
    pit = pit_with_book(balances={USDT: "4000"})
    pit.buy(1)
    pit.mark(60000.0, rate=0.05)
    pit.wait(EIGHT_HOURS)
    assert pit.last(e.FundingPaid).amount == -3000
    assert pit.held() == 1
    pit.mark(59000.0)
    assert pit.held() == 0


def test_the_last_price_and_the_quote_do_not_liquidate_while_a_mark_is_fresh() -> None:
    pit = pit_with_book(balances={USDT: "4000"})
    pit.buy(1)
    pit.mark(60000.0)
    pit.print(50000.0, 1.0, buyer=False)
    pit.quote(50000.0, 50000.1)
    assert pit.held() == 1
    pit.step(11 * SECOND)
    pit.quote(50000.0, 50000.2)
    assert pit.held() == 0


@pytest.mark.parametrize(("fee", "left"), [("0", 1), ("0.0125", 0)])
def test_cross_margin_closes_the_largest_first_and_stops_when_the_rest_is_covered(fee: str, left: int) -> None:
    free_of_fee = tuple(msgspec.structs.replace(one, liquidation_fee=Decimal(fee)) for one in contracts(FUTURES))
    pit = pit_with_book(balances={USDT: "4500"}, instruments=free_of_fee)
    pit.quote(3000.0, 3000.01, instrument=ETH, size=50.0)
    pit.buy(1)
    pit.buy(1, instrument=ETH)
    pit.mark(55790.0)
    assert pit.held() == 1
    pit.mark(55760.0)
    assert [pit.held(), pit.held(ETH)] == [0, left]
    assert pit.of(e.PositionLiquidated)[0].instrument == PERP
    assert len(pit.of(e.PositionLiquidated)) == 2 - left


def test_a_loss_elsewhere_moves_the_liquidation_price_of_a_cross_position() -> None:
    pit = pit_with_book(balances={USDT: "20000"})
    pit.quote(3000.0, 3000.01, instrument=ETH, size=50.0)
    pit.buy(1)
    pit.buy(10, instrument=ETH)
    first = pit.position()
    pit.mark(2500.0, instrument=ETH)
    second = pit.position()
    assert first is not None
    assert second is not None
    assert first.liquidation_price is not None
    assert second.liquidation_price is not None
    assert second.liquidation_price > first.liquidation_price


def test_an_isolated_position_is_liquidated_alone_and_loses_its_own_wallet() -> None:
    pit = pit_with_book(settings=ISOLATED)
    pit.quote(3000.0, 3000.01, instrument=ETH, size=50.0)
    pit.buy(1)
    pit.buy(1, instrument=ETH)
    before = pit.wallet().total
    report = pit.position()
    assert report is not None
    assert report.margin == Decimal("6000.01")
    expected = margin.liquidation_price(
        margin.Contract(contracts(pit.matching.venue)[0].brackets),
        1,
        Decimal(1),
        Decimal("60000.1"),
        margin.Backing(Decimal("6000.01")),
    )
    assert report.liquidation_price == expected
    assert expected is not None
    pit.mark(float(expected) - 1)
    assert [pit.held(), pit.held(ETH)] == [0, 1]
    assert pit.wallet().total == before - Decimal("6000.01")


def test_an_isolated_wallet_shrinks_with_its_position() -> None:
    pit = pit_with_book(settings=ISOLATED)
    pit.buy(1)
    pit.sell("0.25")
    report = pit.position()
    assert report is not None
    assert report.margin == Decimal("6000.01") * Decimal("0.75")
    pit.sell("0.75")
    assert pit.wallet().free == pit.wallet().total
    pit.sell("0.5", 60000.2)
    assert pit.wallet().free == pit.wallet().total - Decimal("3000.01")


def test_an_inverse_position_is_margined_liquidated_and_paid_in_coin() -> None:
    pit = Pit(COINM, balances={BTC: "0.1"})
    pit.book(((60000.0, 9000.0),), ((60000.1, 9000.0),), instrument=COIN)
    order = pit.buy(600)
    fill = pit.last(e.OrderFilled)
    assert pit.status(order) is S.FILLED
    assert fill.fee_asset == BTC
    assert abs(fill.fee - Decimal(600) * 100 / Decimal("60000.1") * Decimal("0.0005")) < Decimal("1e-8")
    report = pit.position()
    assert report is not None
    assert report.liquidation_price is not None
    price = report.liquidation_price
    assert 50000 < price < 60000
    pit.mark(float(price) + 1)
    assert pit.held() == 600
    pit.mark(float(price) - 1)
    assert pit.held() == 0
    assert 0 <= pit.wallet(BTC).total < Decimal("0.01")


def test_a_stop_by_mark_ignores_prints() -> None:
    pit = pit_with_book(settings=MatchingSettings(trigger_by=TriggerPrice.MARK))
    pit.mark(60000.0)
    order = pit.sell(1, type=OrderType.STOP, trigger=Decimal(59500))
    pit.print(59000.0, 1.0)
    assert pit.status(order) is S.ACCEPTED
    pit.mark(59500.0)
    assert pit.status(order) is S.FILLED


def test_a_stop_without_margin_at_its_trigger_is_cancelled() -> None:
    pit = pit_with_book(balances={USDT: "3100"})
    pit.print(60000.0, 1.0)
    order = pit.buy(1, type=OrderType.STOP, trigger=Decimal(60050))
    pit.sell(1)
    pit.buy(1)
    pit.buy("0.5")
    pit.print(60050.0, 0.1)
    assert pit.words(order) == ["OrderAccepted", "OrderTriggered", "OrderCancelled"]
    assert "insufficient margin" in pit.reason(order)
