"""Resting orders: the queue at their price, prints at and through it, the market reaching it; and our own impact."""

from decimal import Decimal

import pytest

from core.domain import events as e
from core.domain.market import Bar, Interval
from core.domain.order import Liquidity, OrderType
from core.domain.order import OrderStatus as S
from tests.venues.matching.pit import ETH, SECOND, USDT, Pit, pit_with_book
from venues.matching.liquidity import KEPT_TAKEN
from venues.matching.settings import MatchingSettings

# --- the queue --------------------------------------------------------------------------------------------------------


def test_prints_at_our_price_reach_us_after_what_stood_there_before() -> None:
    pit = pit_with_book()
    order = pit.buy(3, 59999.8)
    pit.print(59999.8, 1.5, buyer=False)
    assert pit.fills(order) == []
    pit.print(59999.8, 1.5, buyer=False)
    assert pit.fills(order) == [("1", "59999.8")]
    pit.print(59999.8, 5.0, buyer=False)
    assert pit.fills(order) == [("1", "59999.8"), ("2", "59999.8")]
    assert pit.last(e.OrderFilled).liquidity is Liquidity.MAKER


def test_buyers_at_our_bid_do_not_sell_to_us() -> None:
    pit = pit_with_book()
    order = pit.buy(1, 60000.0)
    pit.print(60000.0, 9.0, buyer=True)
    assert pit.fills(order) == []


def test_a_better_price_stands_alone() -> None:
    pit = pit_with_book()
    order = pit.sell(1, 60000.0)
    pit.print(60000.0, 0.4)
    assert pit.fills(order) == [("0.4", "60000")]


def test_a_print_through_our_price_fills_us_first_by_its_size() -> None:
    pit = pit_with_book()
    near, far = pit.buy(1, 59999.8), pit.buy(1, 59999.5)
    pit.print(59999.0, 1.25, buyer=False)
    assert pit.fills(near) == [("1", "59999.8")]
    assert pit.fills(far) == [("0.25", "59999.5")]


def test_two_orders_of_ours_share_a_print_in_the_order_they_came() -> None:
    pit = pit_with_book()
    first, second = pit.buy(1, 60000.0), pit.buy(1, 60000.0)
    pit.print(60000.0, 1.5, buyer=False)
    assert pit.fills(first) == [("1", "60000")]
    assert pit.fills(second) == [("0.5", "60000")]


def test_size_that_leaves_the_level_leaves_in_proportion_ahead_of_us() -> None:
    pit = pit_with_book()
    order = pit.buy(2, 59999.5)  # 5 ahead of us
    pit.delta(bids=((59999.5, 9.0),))  # 4 come behind us
    pit.delta(bids=((59999.5, 4.5),))  # 4.5 of 9 leave: half of the 5 ahead
    pit.print(59999.5, 2.5, buyer=False)
    assert pit.fills(order) == []
    pit.print(59999.5, 0.5, buyer=False)
    assert pit.fills(order) == [("0.5", "59999.5")]


def test_a_decrease_that_prints_explain_is_not_counted_again() -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59999.5)  # 5 ahead
    pit.print(59999.5, 2.0, buyer=False)  # 3 ahead
    pit.delta(bids=((59999.5, 3.0),))
    pit.print(59999.5, 2.5, buyer=False)  # 0.5 ahead
    assert pit.fills(order) == []
    pit.print(59999.5, 1.0, buyer=False)
    assert pit.fills(order) == [("0.5", "59999.5")]


def test_a_level_that_empties_leaves_us_at_the_front() -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59999.5)
    pit.delta(bids=((59999.5, 0.0),))
    pit.print(59999.5, 0.25, buyer=False)
    assert pit.fills(order) == [("0.25", "59999.5")]


def test_behind_a_bare_quote_we_stand_behind_the_quoted_size() -> None:
    pit = Pit()
    pit.quote(60000.0, 60000.1, size=4.0)
    order = pit.buy(1, 60000.0)
    pit.print(60000.0, 4.0, buyer=False)
    assert pit.fills(order) == []
    pit.print(60000.0, 1.0, buyer=False)
    assert pit.fills(order) == [("1", "60000")]


@pytest.mark.parametrize(
    ("change", "fills"),
    [({"quantity": 0.5}, [("0.5", "59999.5")]), ({"quantity": 3}, []), ({}, [("1", "59999.5")])],
)
def test_a_smaller_size_keeps_the_place_a_larger_one_loses_it(
    change: dict[str, float], fills: list[tuple[str, str]]
) -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59999.5)
    pit.print(59999.5, 5.0, buyer=False)  # now we are first
    pit.delta(bids=((59999.5, 6.0),))  # six more behind us
    if change:
        pit.amend(order, **change)
    pit.print(59999.5, 1.0, buyer=False)
    assert pit.fills(order) == fills


def test_a_new_price_loses_the_place_even_when_it_comes_back() -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59999.5)
    pit.print(59999.5, 5.0, buyer=False)
    pit.amend(order, price=59999.4)
    pit.amend(order, price=59999.5)
    pit.print(59999.5, 1.0, buyer=False)
    assert pit.fills(order) == []


# --- the market reaches us --------------------------------------------------------------------------------------------


def test_an_offer_at_or_below_our_bid_fills_us_at_our_price() -> None:
    pit = pit_with_book()
    order = pit.buy(4, 60000.0)
    pit.delta(asks=((59999.95, 1.5), (60000.0, 1.0)))
    assert pit.fills(order) == [("2.5", "60000")]
    pit.delta(bids=((59000.0, 1.0),))
    assert len(pit.fills(order)) == 1  # what we took there stays taken
    pit.delta(asks=((60000.0, 1.0),))
    assert pit.fills(order) == [("2.5", "60000"), ("1", "60000")]
    assert pit.of(e.OrderFilled)[0].fee == Decimal("2.5") * 60000 * Decimal("0.0002")


def test_a_quote_reaches_us_too() -> None:
    pit = Pit()
    pit.quote(60000.0, 60000.1)
    order = pit.sell(1, 60005.0)
    pit.quote(60005.0, 60005.1, size=0.25)
    assert pit.fills(order) == [("0.25", "60005")]
    pit.quote(60005.0, 60005.1, size=0.25)
    assert pit.fills(order) == [("0.25", "60005")]
    pit.quote(60005.0, 60005.1, size=0.5)
    assert pit.fills(order) == [("0.25", "60005"), ("0.5", "60005")]


# --- our own impact ---------------------------------------------------------------------------------------------------


def test_what_we_took_is_gone_until_the_feed_names_the_level() -> None:
    pit = pit_with_book(balances={USDT: "1000000"})
    assert pit.fills(pit.buy("0.6")) == [("0.6", "60000.1")]
    assert pit.fills(pit.buy("0.6")) == [("0.4", "60000.1"), ("0.2", "60000.2")]
    pit.delta(asks=((60000.1, 1.0),))
    assert pit.fills(pit.buy("1.5")) == [("1", "60000.1"), ("0.5", "60000.2")]


def test_a_repeated_quote_is_no_refresh_but_another_size_is() -> None:
    pit = Pit()
    pit.quote(60000.0, 60000.1, size=1.0)
    pit.buy(1)
    pit.quote(60000.0, 60000.1, size=1.0)
    assert pit.fills(pit.buy(1)) == [("1", "60000.2")]
    pit.quote(60000.0, 60000.1, size=1.5)
    assert pit.fills(pit.buy(1)) == [("1", "60000.1")]


def test_impact_is_forgotten_after_its_time() -> None:
    pit = pit_with_book(settings=MatchingSettings(impact_ns=10 * SECOND))
    pit.buy(1)
    pit.step(10 * SECOND)
    pit.delta(bids=((59000.0, 1.0),))
    assert pit.fills(pit.buy(1)) == [("1", "60000.1")]


def test_what_we_took_where_only_quotes_are_shown_is_not_remembered_for_ever() -> None:
    pit = Pit(settings=MatchingSettings(impact_ns=10 * SECOND))
    for n in range(300):
        price = 60000.0 + n
        pit.quote(price, price + 0.1, size=1.0)
        assert pit.fills(pit.buy("0.01"))
        pit.step(SECOND)
    taken = pit.matching._floor.listings[pit.main].liquidity.taken_asks
    assert 10 <= len(taken) <= KEPT_TAKEN + 1


def test_post_only_may_stand_where_we_took_everything() -> None:
    pit = pit_with_book()
    pit.buy(1)
    assert pit.status(pit.buy(1, 60000.1, post_only=True)) is S.ACCEPTED


# --- markets without a book -------------------------------------------------------------------------------------------


def test_a_quote_alone_is_matched_with_levels_assumed_behind_it() -> None:
    pit = Pit()
    pit.quote(60000.0, 60000.1, size=1.0)
    assert pit.fills(pit.buy("2.5")) == [("1", "60000.1"), ("1", "60000.2"), ("0.5", "60000.3")]


def test_prints_alone_are_matched_with_slippage() -> None:
    pit = Pit()
    pit.print(60000.0, 0.1)
    assert pit.fills(pit.buy(2)) == [("2", "60000.1")]
    assert pit.fills(pit.sell(2)) == [("2", "59999.9")]
    resting = pit.buy(1, 59990.0)
    pit.print(59990.0, 0.4, buyer=False)
    assert pit.fills(resting) == [("0.4", "59990")]


def bar(pit: Pit, prices: tuple[float, float, float, float], closed: bool = True) -> None:
    now = pit.step()
    pit.matching.on_data(Bar(pit.main, Interval.M15, now - Interval.M15.ns, *prices, 400.0, 10, closed, 0, now))


def test_bars_alone_fill_only_through_a_price_and_walk_low_before_high_when_they_rise() -> None:
    pit = Pit()
    bar(pit, (60000.0, 60100.0, 59900.0, 60050.0))
    touched, through = pit.buy(1, 59900.0), pit.buy(1, 59900.1)
    stop = pit.sell(1, type=OrderType.STOP, trigger=Decimal("59950"), reduce_only=True, name="stop")
    assert pit.reason(stop).startswith("reduce-only")
    bar(pit, (60050.0, 60100.0, 59900.0, 60060.0), closed=False)
    assert pit.fills(through) == []
    bar(pit, (60050.0, 60100.0, 59900.0, 60060.0))
    assert pit.fills(through) == [("1", "59900.1")]
    assert pit.fills(touched) == []
    assert pit.fills(pit.sell(1)) == [("1", "60059.9")]


def test_a_deep_partial_book_is_topped_by_the_quote() -> None:
    pit = Pit()
    pit.quote(60000.0, 60000.1, size=1.0)
    pit.delta(asks=((59990.0, 9.0), (60000.4, 2.0)))  # the better level is stale: the quote knows
    assert pit.fills(pit.buy("1.5")) == [("1", "60000.1"), ("0.5", "60000.4")]


def test_senseless_data_change_nothing() -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59990.0)
    before = pit.matching.image()
    stamp = pit.now
    for bid, ask in ((0.0, 1.0), (5.0, 4.0), (float("nan"), 60000.0), (60000.0, float("inf"))):
        pit.now = stamp - 1
        pit.quote(bid, ask)
    for price, size in ((0.0, 1.0), (float("nan"), 1.0), (59000.0, 0.0), (float("inf"), 1.0)):
        pit.now = stamp - 1
        pit.print(price, size, buyer=False)
    pit.now = stamp - 1
    pit.mark(float("nan"))
    assert pit.matching.image() == before
    assert pit.fills(order) == []


def test_markets_do_not_touch_each_other() -> None:
    pit = pit_with_book()
    pit.book(((2999.0, 5.0),), ((3000.0, 5.0),), instrument=ETH)
    order = pit.buy(1, 59990.0)
    pit.print(2000.0, 50.0, buyer=False, instrument=ETH)
    assert pit.fills(order) == []
    assert pit.fills(pit.buy(1, instrument=ETH)) == [("1", "3000")]
