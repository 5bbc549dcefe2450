"""Series of numbers in one line of blocks."""

import math

from tui.widgets.sparkline import bar, sparkline


def test_extremes_take_the_lowest_and_the_highest_block() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 2], 5) == "   ▁█"
    assert sparkline([3, 3, 3], 3) == "▄▄▄"


def test_missing_values_leave_a_gap() -> None:
    assert sparkline([0, math.nan, 1], 3) == "▁ █"
    assert sparkline([], 4) == sparkline([math.nan], 4) == "    "
    assert sparkline([1], 0) == ""


def test_more_values_than_cells_are_averaged() -> None:
    assert sparkline([0, 0, 7, 7, 3.5, 3.5], 3) == "▁█▅"


def test_a_bar_is_exact_to_an_eighth() -> None:
    assert bar(0.5, 4) == "██"
    assert bar(0.53125, 4) == "██▏"
    assert bar(2, 3) == "███"
    assert bar(-1, 3) == bar(math.nan, 3) == bar(1, 0) == ""
