"""Orders against the book: every type and time in force, refusals, duplicates, changes, the way there and back."""

from decimal import Decimal
from typing import Any

import pytest

from core.domain import events as e
from core.domain.commands import SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.order import Operation, Order, OrderType, Side
from core.domain.order import OrderStatus as S
from core.domain.order import TimeInForce as T
from tests.venues.matching.pit import PERP, SECOND, T0, USDT, Pit, pit_with_book, waiting
from venues.matching.matching import DAY_NS, NEVER
from venues.matching.settings import LatencySettings, MatchingSettings

# --- market and limit -------------------------------------------------------------------------------------------------


def test_a_market_order_walks_the_book_best_price_first() -> None:
    pit = pit_with_book()
    order = pit.buy("4.5")
    assert pit.words(order) == ["OrderAccepted", "OrderFilled", "OrderFilled", "OrderFilled"]
    assert pit.fills(order) == [("1", "60000.1"), ("2", "60000.2"), ("1.5", "60000.5")]
    assert pit.status(order) is S.FILLED
    report = pit.matching.order(order)
    assert report is not None
    assert report.average_price == (
        Decimal("60000.1") + 2 * Decimal("60000.2") + Decimal("1.5") * Decimal("60000.5")
    ) / Decimal("4.5")


def test_the_rest_of_a_market_order_beyond_the_book_is_cancelled() -> None:
    pit = pit_with_book(balances={USDT: "10000000"})
    order = pit.sell(20)
    assert sum(Decimal(size) for size, _ in pit.fills(order)) == 18
    assert pit.words(order)[-1] == "OrderCancelled"
    assert "liquidity" in pit.reason(order)


def test_a_market_order_without_any_market_is_refused() -> None:
    pit = Pit()
    order = pit.buy(1)
    assert pit.words(order) == ["OrderRejected"]
    assert "no liquidity" in pit.reason(order)


@pytest.mark.parametrize(
    ("tif", "expected", "last"),
    [
        (T.GTC, S.PARTIALLY_FILLED, "OrderFilled"),
        (T.DAY, S.PARTIALLY_FILLED, "OrderFilled"),
        (T.GTD, S.PARTIALLY_FILLED, "OrderFilled"),
        (T.IOC, S.EXPIRED, "OrderExpired"),
        (T.FOK, S.EXPIRED, "OrderExpired"),
    ],
)
def test_a_limit_order_larger_than_the_offers_up_to_its_price(tif: T, expected: S, last: str) -> None:
    pit = pit_with_book()
    order = pit.buy(5, 60000.2, time_in_force=tif, expires=T0 + DAY_NS)
    assert pit.fills(order) == ([] if tif is T.FOK else [("1", "60000.1"), ("2", "60000.2")])
    assert pit.status(order) is expected
    assert pit.words(order)[-1] == last


@pytest.mark.parametrize("tif", list(T))
def test_a_limit_order_that_the_book_covers_fills_whole_in_every_time_in_force(tif: T) -> None:
    pit = pit_with_book()
    order = pit.sell(3, 59999.8, time_in_force=tif, expires=T0 + DAY_NS)
    assert pit.fills(order) == [("1", "59999.9"), ("2", "59999.8")]
    assert pit.status(order) is S.FILLED


@pytest.mark.parametrize("tif", list(T))
def test_a_market_order_fills_in_every_time_in_force(tif: T) -> None:
    pit = pit_with_book()
    order = pit.buy(1, time_in_force=tif, expires=T0 + DAY_NS)
    assert pit.fills(order) == [("1", "60000.1")]


@pytest.mark.parametrize("tif", [T.IOC, T.FOK])
def test_an_immediate_order_away_from_the_market_expires_untouched(tif: T) -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59000, time_in_force=tif)
    assert pit.words(order) == ["OrderAccepted", "OrderExpired"]


def test_gtd_ends_at_its_time_and_day_at_the_end_of_the_utc_day() -> None:
    pit = pit_with_book()
    timed = pit.buy(1, 59000, time_in_force=T.GTD, expires=pit.now + 10 * SECOND)
    day = pit.buy(1, 59000, time_in_force=T.DAY)
    pit.wait(9 * SECOND)
    assert pit.status(timed) is S.ACCEPTED
    pit.wait(SECOND)
    assert pit.status(timed) is S.EXPIRED
    pit.wait(T0 + DAY_NS - 1 - pit.now)
    assert pit.status(day) is S.ACCEPTED
    pit.wait(1)
    assert pit.status(day) is S.EXPIRED
    assert pit.last(e.OrderExpired).ts_exchange == T0 + DAY_NS
    assert pit.matching.next_due == NEVER


def test_data_let_time_pass_before_they_are_looked_at() -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59000, time_in_force=T.GTD, expires=pit.now + 5)
    pit.step(10)
    pit.book(((58000.0, 1.0),), ((58000.1, 1.0),))
    assert pit.words(order) == ["OrderAccepted", "OrderExpired"]


def test_post_only_rests_or_is_refused() -> None:
    pit = pit_with_book()
    taking = pit.buy(1, 60000.1, post_only=True)
    assert pit.words(taking) == ["OrderRejected"]
    assert "would take at 60000.1" in pit.reason(taking)
    assert pit.words(pit.buy(1, 60000.0, post_only=True)) == ["OrderAccepted"]


# --- triggers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "short_of", "at"),
    [
        (Side.BUY, OrderType.STOP, 60010.0, 60009.9, 60010.0),
        (Side.SELL, OrderType.STOP, 59990.0, 59990.1, 59990.0),
        (Side.BUY, OrderType.TAKE_PROFIT, 59990.0, 59990.1, 59990.0),
        (Side.SELL, OrderType.TAKE_PROFIT, 60010.0, 60009.9, 60010.0),
    ],
)
def test_a_waiting_order_wakes_at_its_trigger_and_not_before(
    side: Side, kind: OrderType, trigger: float, short_of: float, at: float
) -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.send(side, 1, **waiting(kind, trigger))
    pit.print(short_of, 0.1)
    assert pit.words(order) == ["OrderAccepted"]
    pit.print(at, 0.1)
    assert pit.words(order) == ["OrderAccepted", "OrderTriggered", "OrderFilled"]
    assert pit.last(e.OrderTriggered).price == Decimal(str(trigger))
    assert pit.status(order) is S.FILLED


@pytest.mark.parametrize(
    ("side", "kind", "trigger"),
    [
        (Side.BUY, OrderType.STOP, 59000.0),
        (Side.SELL, OrderType.STOP, 60000.0),
        (Side.BUY, OrderType.TAKE_PROFIT, 60000.0),
        (Side.SELL, OrderType.TAKE_PROFIT, 59000.0),
    ],
)
def test_an_order_whose_trigger_is_met_already_is_refused(side: Side, kind: OrderType, trigger: float) -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.send(side, 1, **waiting(kind, trigger))
    assert pit.words(order) == ["OrderRejected"]
    met = f"would trigger at once: the price 60000 has met the trigger {trigger} already"
    assert pit.reason(order) == met
    if kind is OrderType.STOP:
        assert pit.reason(pit.send(side, 1, 60000.0, **waiting(OrderType.STOP_LIMIT, trigger))) == met
        assert pit.reason(pit.send(side, 1, trail=Decimal(5), **waiting(OrderType.TRAILING_STOP, trigger))) == met


def test_a_stop_that_the_price_overtakes_on_its_way_gets_the_same_answer() -> None:
    pit = pit_with_book(settings=MatchingSettings(latency=LatencySettings(request_ns=SECOND)))
    pit.print(60000.0, 1.0)
    order = pit.sell(1, **waiting(OrderType.STOP, 59990.0))
    pit.print(59980.0, 1.0)
    pit.wait(2 * SECOND)
    assert pit.words(order) == ["OrderRejected"]
    assert pit.reason(order) == "would trigger at once: the price 59980 has met the trigger 59990.0 already"


def test_a_stop_cannot_be_moved_to_where_it_would_trigger() -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.sell(1, **waiting(OrderType.STOP, 59000.0))
    pit.amend(order, trigger=60000.0)
    assert pit.words(order) == ["OrderAccepted", "AmendRejected"]
    assert pit.last(e.AmendRejected).reason.startswith("would trigger at once: the price 60000 has met")
    pit.amend(order, trigger=59999.9)
    assert pit.last(e.OrderAmended).trigger == Decimal("59999.9")


def test_without_prints_the_side_to_be_taken_wakes_a_stop() -> None:
    pit = Pit()
    pit.quote(60000.0, 60000.1)
    order = pit.sell(1, **waiting(OrderType.STOP, 59999.0))
    pit.quote(59999.1, 59999.2)
    assert pit.words(order) == ["OrderAccepted"]
    pit.quote(59999.0, 59999.1)
    assert pit.fills(order) == [("1", "59999")]


def test_a_stop_limit_rests_at_its_price_once_awake() -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.buy(1, 59990.0, **waiting(OrderType.STOP_LIMIT, 60005.0))
    pit.print(60005.0, 0.1)
    assert pit.words(order) == ["OrderAccepted", "OrderTriggered"]
    pit.print(59989.0, 5.0, buyer=False)
    assert pit.fills(order) == [("1", "59990")]


def test_a_take_profit_with_a_price_is_a_limit_once_awake() -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.sell(2, 60011.0, **waiting(OrderType.TAKE_PROFIT, 60010.0))
    pit.print(60010.0, 0.1)
    assert pit.status(order) is S.TRIGGERED
    pit.print(60011.5, 1.5)
    assert pit.fills(order) == [("1.5", "60011")]


def test_a_trailing_stop_follows_the_price_and_never_retreats() -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.sell(1, type=OrderType.TRAILING_STOP, trail=Decimal(50))
    for price, trigger in ((60000.0, "59950"), (60100.0, "60050"), (60060.0, "60050"), (60080.0, "60050")):
        pit.print(price, 0.1)
        report = pit.matching.order(order)
        assert report is not None
        assert report.order.trigger == Decimal(trigger)
    pit.print(60050.0, 0.1)
    assert pit.words(order) == ["OrderAccepted", "OrderTriggered", "OrderFilled"]


def test_a_trailing_buy_stop_starts_at_its_trigger() -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.buy(1, type=OrderType.TRAILING_STOP, trail=Decimal(50), trigger=Decimal(60020))
    pit.print(59990.0, 0.1)
    pit.print(59960.0, 0.1)
    pit.print(60009.9, 0.1)
    assert pit.status(order) is S.ACCEPTED
    pit.print(60010.0, 0.1)
    assert pit.status(order) is S.FILLED


@pytest.mark.parametrize("tif", [T.IOC, T.FOK])
def test_time_in_force_holds_after_the_trigger(tif: T) -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.buy(5, 60000.2, time_in_force=tif, **waiting(OrderType.STOP_LIMIT, 60001.0))
    pit.print(60001.0, 0.1)
    assert pit.status(order) is S.EXPIRED
    assert len(pit.fills(order)) == (2 if tif is T.IOC else 0)


def test_a_waiting_order_expires_without_having_been_woken() -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.buy(1, time_in_force=T.DAY, **waiting(OrderType.STOP, 61000.0))
    pit.wait(DAY_NS)
    assert pit.words(order) == ["OrderAccepted", "OrderExpired"]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"quantity": Decimal("0.0015")}, "lot 0.001"),
        ({"quantity": Decimal("0")}, "above 0"),
        ({"quantity": Decimal("-1")}, "above 0"),
        ({"quantity": Decimal("NaN")}, "above 0"),
        ({"quantity": Decimal("0.0001")}, "minimum size 0.001"),
        ({"quantity": Decimal("1001")}, "maximum size 1000"),
        ({"quantity": Decimal("0.001")}, "below the minimum 100 USDT"),
        ({"price": Decimal("60000.05")}, "tick 0.10"),
        ({"price": Decimal("-1")}, "above 0"),
        ({"price": None}, "needs a price"),
        ({"type": OrderType.MARKET}, "takes no price"),
        ({"type": OrderType.STOP_LIMIT}, "needs a trigger"),
        ({"type": OrderType.STOP_LIMIT, "trigger": Decimal("60000.01")}, "trigger 60000.01 is not a multiple"),
        ({"trigger": Decimal(60000)}, "takes no trigger"),
        ({"type": OrderType.TRAILING_STOP, "price": None}, "needs trail"),
        ({"time_in_force": T.GTD}, "needs expires"),
        ({"time_in_force": T.GTD, "expires": T0}, "in the future"),
        ({"post_only": True, "time_in_force": T.IOC}, "post-only"),
        ({"operation": Operation.SWAP}, "only BUY and SELL trades"),
        ({"instrument": InstrumentId("BINANCE-FUTURES:PERPETUAL:DOGE-USDT@LIN")}, "not listed"),
    ],
)
def test_a_senseless_order_is_refused_in_clear_words(fields: dict[str, Any], words: str) -> None:
    pit = pit_with_book()
    good = {
        "instrument": PERP,
        "side": Side.BUY,
        "quantity": Decimal(1),
        "type": OrderType.LIMIT,
        "price": Decimal(59000),
    }
    order = Order(**{**good, **fields, "client_order_id": ClientOrderId("x")})
    pit.matching.submit(SubmitOrder(order), pit.step())
    assert pit.words(order.client_order_id) == ["OrderRejected"]
    assert words in pit.reason(order.client_order_id)


def test_a_small_order_may_still_reduce() -> None:
    pit = pit_with_book()
    pit.buy(1)
    order = pit.sell("0.001", reduce_only=True)
    assert pit.status(order) is S.FILLED


def test_the_same_client_order_id_is_never_a_second_order() -> None:
    pit = pit_with_book()
    pit.buy(1, 59000, name="rests")
    pit.buy(1, name="filled")
    pit.buy(1, 60000.1, name="gone", time_in_force=T.FOK)
    pit.buy("0.0015", name="refused")
    before = pit.matching.snapshot(0)
    pit.events.clear()
    for name in ("rests", "filled", "gone", "refused"):
        pit.buy(7, name=name)
    assert [type(event).__name__ for event in pit.events] == [
        "OrderAccepted",
        "OrderFilled",
        "OrderExpired",
        "OrderRejected",
    ]
    after = pit.matching.snapshot(0)
    assert (after.fills, after.open_orders, after.positions[0].quantity) == (
        before.fills,
        before.open_orders,
        Decimal(1),
    )
    assert pit.events[1].replace(ts=before.fills[0].ts) == before.fills[0]
