"""Money at the venue: fees, balances, margin, reduce-only, funding, liquidation, and reports of all that."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.domain import events as e
from core.domain.order import OrderStatus as S
from core.domain.order import OrderType, Side
from core.domain.position import Position
from core.errors import VenueError
from tests.venues.matching.pit import (
    BTC,
    ETH,
    PERP,
    SECOND,
    SPOT,
    USDT,
    Pit,
    pit_with_book,
)
from venues.contracts_table import contracts
from venues.matching.settings import MarginMode, MatchingSettings

EIGHT_HOURS = 8 * 3600 * SECOND
ISOLATED = MatchingSettings(margin=MarginMode.ISOLATED, leverage=10)


# --- fees and balances ------------------------------------------------------------------------------------------------


def test_takers_and_makers_pay_their_own_fee_from_the_wallet() -> None:
    pit = pit_with_book()
    pit.buy(1)
    taker = Decimal("60000.1") * Decimal("0.0005")
    assert pit.last(e.OrderFilled).fee == taker
    pit.sell(1, 60100.0)
    pit.print(60100.0, 1.0)
    maker = Decimal("60100") * Decimal("0.0002")
    assert pit.last(e.OrderFilled).fee == maker
    assert pit.wallet().total == 100_000 - taker - maker + Decimal("99.9")
    assert pit.wallet().free == pit.wallet().total
    assert pit.held() == 0


def test_spot_takes_fees_in_what_is_received() -> None:
    pit = Pit(SPOT)
    pit.book(((60000.0, 5.0),), ((60010.0, 5.0),))
    pit.buy(1)
    assert (pit.last(e.OrderFilled).fee, pit.last(e.OrderFilled).fee_asset) == (Decimal("0.001"), BTC)
    assert pit.wallet(BTC).total == Decimal("0.999")
    assert pit.wallet().total == 100_000 - 60010
    pit.sell("0.5")
    assert (pit.last(e.OrderFilled).fee, pit.last(e.OrderFilled).fee_asset) == (Decimal(30), USDT)
    assert pit.wallet().total == 100_000 - 60010 + 30000 - 30


def test_spot_fees_may_be_taken_in_the_quote_asset() -> None:
    pit = Pit(SPOT, settings=MatchingSettings(spot_fee_in_quote=True), balances={USDT: "60010"})
    pit.book(((60000.0, 5.0),), ((60010.0, 5.0),))
    refused = pit.buy(1)
    assert "needs 60070.01 USDT" in pit.reason(refused)
    pit.buy("0.5")
    assert pit.wallet(BTC).total == Decimal("0.5")
    assert pit.wallet().total == 60010 - Decimal("30005") - Decimal("30.005")


def test_spot_cannot_be_sold_short_nor_bought_beyond_the_wallet() -> None:
    pit = Pit(SPOT, balances={USDT: "1000", BTC: "0.01"})
    pit.book(((60000.0, 5.0),), ((60010.0, 5.0),))
    assert "insufficient balance: needs 0.02 BTC, free is 0.01" in pit.reason(pit.sell("0.02"))
    assert "insufficient balance: needs 1200.2 USDT, free is 1000" in pit.reason(pit.buy("0.02"))
    assert pit.status(pit.sell("0.01")) is S.FILLED


def test_resting_spot_orders_set_their_cost_aside_and_give_it_back() -> None:
    pit = Pit(SPOT, balances={USDT: "1000", BTC: "0.01"})
    pit.book(((60000.0, 5.0),), ((60010.0, 5.0),))
    bid, ask = pit.buy("0.01", 50000), pit.sell("0.01", 70000)
    assert [pit.wallet().free, pit.wallet(BTC).free] == [500, 0]
    assert "insufficient" in pit.reason(pit.buy("0.011", 50000))
    assert "insufficient" in pit.reason(pit.sell("0.001", 71000))
    pit.amend(bid, price=40000)
    assert pit.wallet().free == 600
    pit.amend(bid, quantity="0.03")
    assert "insufficient" in pit.last(e.AmendRejected).reason
    assert pit.wallet().free == 600
    pit.cancel(bid)
    pit.cancel(ask)
    assert [pit.wallet().free, pit.wallet(BTC).free] == [1000, Decimal("0.01")]


def test_a_spot_stop_sets_aside_what_it_will_sell() -> None:
    pit = Pit(SPOT, balances={BTC: "1"})
    pit.book(((60000.0, 5.0),), ((60010.0, 5.0),))
    pit.print(60005.0, 1.0)
    stop = pit.sell(1, type=OrderType.STOP, trigger=Decimal(59000))
    assert pit.wallet(BTC).free == 0
    assert "insufficient" in pit.reason(pit.sell("0.5"))
    pit.print(59000.0, 1.0)
    assert pit.status(stop) is S.FILLED
    assert pit.wallet(BTC).total == 0


def test_reduce_only_on_spot_sells_what_there_is() -> None:
    pit = Pit(SPOT, balances={USDT: "1000", BTC: "0.0105555"})
    pit.book(((60000.0, 5.0),), ((60010.0, 5.0),))
    assert "reduce-only" in pit.reason(pit.buy("0.001", reduce_only=True))
    order = pit.sell(1, reduce_only=True)
    assert pit.fills(order) == [("0.01055", "60000")]
    assert pit.status(order) is S.CANCELLED


# --- margin -----------------------------------------------------------------------------------------------------------


def test_margin_limits_what_may_be_opened_and_closing_is_always_allowed() -> None:
    pit = pit_with_book(balances={USDT: "3100"})
    assert "insufficient margin" in pit.reason(pit.buy("1.1"))
    assert pit.status(pit.buy(1)) is S.FILLED
    assert "insufficient margin" in pit.reason(pit.buy("0.1", 59000))
    assert pit.status(pit.sell("0.9")) is S.FILLED
    assert pit.status(pit.sell("0.1", 60100)) is S.ACCEPTED


def test_resting_orders_need_margin_on_their_worse_side_only() -> None:
    pit = pit_with_book(balances={USDT: "6000"})
    pit.buy(1, 59000)
    assert pit.wallet().free == 6000 - 2950
    pit.sell(1, 61000)
    assert pit.wallet().free == 6000 - 3050
    assert "insufficient margin" in pit.reason(pit.sell(1, 61000))


def test_open_profit_counts_for_new_orders_and_open_loss_against_them() -> None:
    pit = pit_with_book(balances={USDT: "10000"})
    pit.buy(1)
    pit.mark(61000.1)
    fee = pit.last(e.OrderFilled).fee
    assert pit.wallet().free == 10000 - fee + 1000 - Decimal("61000.1") / 20
    pit.mark(59000.1)
    assert pit.wallet().free == 10000 - fee - 1000 - Decimal("59000.1") / 20


def test_leverage_beyond_the_bracket_is_refused() -> None:
    pit = Pit(balances={USDT: "100000000"}, settings=MatchingSettings(leverage=100))
    pit.quote(60000.0, 60000.1, size=5000.0)
    assert pit.status(pit.buy(9)) is S.FILLED
    assert "leverage 100x is not allowed" in pit.reason(pit.buy(5))
    assert pit.status(pit.sell(9)) is S.FILLED


def test_leverage_may_differ_by_instrument() -> None:
    pit = Pit(settings=MatchingSettings(leverage=10, leverages={ETH: 2}))
    pit.quote(3000.0, 3000.01, instrument=ETH, size=50.0)
    pit.buy(1, instrument=ETH)
    report = pit.position(ETH)
    assert report is not None
    assert report.margin == Decimal("3000.005") / 2


# --- reduce-only ------------------------------------------------------------------------------------------------------


def test_reduce_only_is_clamped_and_its_rest_cancelled() -> None:
    pit = pit_with_book()
    pit.buy(1)
    order = pit.sell(3, reduce_only=True)
    assert sum(Decimal(size) for size, _ in pit.fills(order)) == 1
    assert pit.words(order) == ["OrderAccepted", "OrderFilled", "OrderCancelled"]
    assert pit.held() == 0
    assert "reduce-only" in pit.reason(pit.sell(1, reduce_only=True))
    assert "reduce-only" in pit.reason(pit.buy(1, 59000, reduce_only=True))


def test_several_resting_reduce_only_orders_never_flip() -> None:
    pit = pit_with_book()
    pit.buy(1)
    orders = [pit.sell(1, price, reduce_only=True) for price in (60100.0, 60200.0, 60300.0)]
    pit.print(60400.0, 1.7)
    assert pit.held() == 0
    assert pit.fills(orders[0]) == [("1", "60100")]
    assert [pit.status(order) for order in orders] == [S.FILLED, S.CANCELLED, S.CANCELLED]


def test_a_reduce_only_stop_needs_a_position_and_goes_with_it() -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    stop: dict[str, Any] = {"type": OrderType.STOP, "trigger": Decimal(59000), "reduce_only": True}
    assert "no position" in pit.reason(pit.sell(1, **stop))
    pit.buy(1)
    order = pit.sell(1, **stop)
    pit.sell(1)
    assert pit.status(order) is S.CANCELLED


# --- reports ----------------------------------------------------------------------------------------------------------


def test_a_snapshot_names_flat_positions_and_fills_since() -> None:
    pit = pit_with_book()
    assert pit.matching.snapshot(0).positions == ()
    pit.buy(1)
    middle = pit.now + 1
    pit.sell(1)
    resting = pit.buy(1, 59000)
    snapshot = pit.matching.snapshot(middle)
    assert [fill.side for fill in snapshot.fills] == [Side.SELL]
    assert [report.client_order_id for report in snapshot.open_orders] == [resting]
    assert [(report.instrument, report.quantity) for report in snapshot.positions] == [(PERP, Decimal(0))]
    assert [fill.side for fill in pit.matching.snapshot(0).fills] == [Side.BUY, Side.SELL]


def test_closed_orders_are_kept_up_to_a_number() -> None:
    pit = pit_with_book(settings=MatchingSettings(kept_orders=3))
    orders = [pit.buy("0.01", 59000) for _ in range(5)]
    for order in orders:
        pit.cancel(order)
    assert [pit.matching.order(order) is None for order in orders] == [True, True, False, False, False]


def test_the_venues_position_is_the_core_position_of_the_same_fills() -> None:
    pit = pit_with_book()
    pit.buy(2)
    pit.sell("2.5")
    pit.buy("0.1")
    position = Position.of(contracts(pit.matching.venue)[0])
    for fill in pit.of(e.OrderFilled):
        position.apply_fill(fill.side, fill.quantity, fill.price, fill.ts)
    report = pit.position()
    assert report is not None
    assert (report.quantity, report.entry_price) == (position.quantity, position.entry_price)


def test_an_image_that_is_no_image_is_refused() -> None:
    pit = pit_with_book()
    with pytest.raises(VenueError, match="cannot be read"):
        pit.matching.restore(b"\x00 nonsense")
    image = msgspec.msgpack.decode(pit.matching.image())
    image[0] = 99
    with pytest.raises(VenueError, match="format 99"):
        pit.matching.restore(msgspec.msgpack.encode(image))
    with pytest.raises(VenueError, match="does not list"):
        Pit(SPOT).matching.restore(pit.matching.image())


def test_a_light_image_leaves_the_market_out_and_keeps_the_place_in_the_queue() -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59999.5)
    pit.print(59999.5, 4.0, buyer=False)
    light = pit.matching.image(market=False)
    other = Pit()
    other.matching.restore(light)
    assert len(light) < len(pit.matching.image())
    other.now = pit.now
    other.book(((59999.9, 1.0), (59999.5, 6.0)), ((60000.1, 1.0),))
    other.print(59999.5, 1.25, buyer=False)
    assert other.fills(order) == [("0.25", "59999.5")]
