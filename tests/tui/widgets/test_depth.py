"""Every price has one row, and rows are found again by their price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.depth import AGGREGATION, Depth, LadderView, natural_step, to_ticks

VIEW = LadderView(
    bids=[(61800.2, 2.507), (61800.0, 0.011), (61799.8, 1.95)],
    asks=[(61800.4, 0.32), (61800.6, 2.51), (61801.0, 0.9)],
    tick=0.2,
    own={61800.6: -0.1, 61799.8: 0.08},
)


def test_rows_stand_around_the_spread() -> None:
    rows = Depth(VIEW).rows(3, 7)
    assert [row.ticks for row in rows] == [309005 - 1, 309003, 309002, 0, 309001, 309000, 308999]
    assert [row.ask for row in rows[:3]] == [0.0, 2.51, 0.32]
    assert rows[3].spread
    assert [row.bid for row in rows[4:]] == [2.507, 0.011, 1.95]
    assert (rows[1].mine, rows[6].mine) == (-0.1, 0.08)


def test_steps_gather_bids_downwards_and_asks_upwards() -> None:
    depth = Depth(VIEW, 5)  # one row is 1.00
    assert depth.bids == {309000: 2.507 + 0.011, 308995: 1.95}
    assert depth.asks == {309005: 0.32 + 2.51 + 0.9}
    assert depth.own == {309005: -0.1, 308995: 0.08}


def test_only_wanted_prices_stand_inside_the_spread() -> None:
    view = LadderView([(100.0, 1)], [(110.0, 1)], 1.0, {103.0: 1.0, 108.0: -1.0})
    rows = Depth(view, 1, cursor=105).rows(3, 8)
    assert [row.ticks for row in rows] == [111, 110, 108, 0, 105, 103, 100, 99]


def test_a_crossed_book_keeps_one_row_for_each_price() -> None:
    depth = Depth(LadderView([(101.0, 1), (100.0, 2)], [(100.0, 3), (102.0, 4)], 1.0))
    rows = depth.rows(2, 5)
    assert depth.crossed
    assert [row.ticks for row in rows] == [103, 102, 0, 101, 100]
    assert (rows[4].bid, rows[4].ask) == (2, 3)


@pytest.mark.parametrize(("bids", "asks"), [([(5.0, 1.0)], []), ([], [(5.0, 1.0)])])
def test_one_side_is_enough(bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> None:
    assert len(Depth(LadderView(bids, asks, 1.0)).rows(2, 5)) == 5


def test_no_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one level"):
        Depth(LadderView([], [], 1.0))


@given(st.integers(1, 40), st.sampled_from([1, 2, 5, 10]), st.integers(-40, 40), st.integers(0, 60))
def test_a_row_is_found_by_its_price(gap: int, step: int, distance: int, cursor: int) -> None:
    view = LadderView([(1000.0, 1), (990.0, 2)], [(1000.0 + gap, 1)], 1.0, {1000.0 + gap // 2: 1.0})
    depth = Depth(view, step, cursor=1000 + cursor // step * step)
    price = depth.price_at(distance)
    if price is None:
        assert distance == 0
    else:
        assert depth.distance_of(price) == distance


@given(st.integers(1, 10**7), st.sampled_from([0.1, 0.01, 0.2, 0.00001, 0.5]))
def test_a_parsed_price_is_a_whole_number_of_ticks(ticks: int, tick: float) -> None:
    assert to_ticks(float(f"{ticks * tick:.8f}"), tick) == ticks


def test_the_first_aggregation_lets_the_best_levels_fit() -> None:
    def view(gap: float) -> LadderView:
        bids = [(1000 - gap * i, 1.0) for i in range(20)]
        return LadderView(bids, [(1000.1 + gap * i, 1.0) for i in range(20)], 0.1)

    assert AGGREGATION[natural_step(view(0.1), 8)] == 1
    assert AGGREGATION[natural_step(view(0.4), 8)] == 2  # 1.6 away: 16 ticks
    assert AGGREGATION[natural_step(view(50.0), 8)] == 250  # 200 away: 2 000 ticks
    assert natural_step(view(1e9), 8) == len(AGGREGATION) - 1
    assert natural_step(LadderView([], [], 0.1), 8) == 0
