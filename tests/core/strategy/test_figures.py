"""What a trade's rule works out of plain floats; studies compile the same functions."""

import pytest

from core.strategy.figures import (
    CLOSE,
    LONG_ENTRY,
    LONG_EXIT,
    SHORT_ENTRY,
    SHORT_EXIT,
    affordable,
    asked,
    fills_at,
    long_only,
    wanted,
    whole,
)


@pytest.mark.parametrize(
    ("signal", "short", "flat", "long"),
    [
        (0, 0, 0, 0),
        (LONG_ENTRY, 1, 1, 0),
        (SHORT_ENTRY, 0, -1, -1),
        (LONG_EXIT, 0, 0, CLOSE),
        (SHORT_EXIT, CLOSE, 0, 0),
        (LONG_ENTRY | SHORT_EXIT, 1, 1, 0),
        (SHORT_ENTRY | LONG_EXIT, 0, -1, -1),
        (LONG_EXIT | SHORT_EXIT, CLOSE, 0, CLOSE),
        (LONG_ENTRY | LONG_EXIT, 0, 0, 0),
        (SHORT_ENTRY | SHORT_EXIT, 0, 0, 0),
        (LONG_ENTRY | SHORT_ENTRY, 0, 0, 0),
        (LONG_ENTRY | LONG_EXIT | SHORT_ENTRY, 0, -1, -1),
    ],
)
def test_what_a_signal_asks_of_each_position(signal: int, short: int, flat: int, long: int) -> None:
    assert [wanted(quantity, signal) for quantity in (-0.5, 0.0, 0.5)] == [short, flat, long]


def test_what_cannot_be_sold_short_closes_where_a_short_would_open() -> None:
    for signal in range(16):
        for quantity in (0.0, 0.5):
            asks = wanted(quantity, signal)
            outright = (CLOSE if quantity else 0) if asks == -1 else asks
            assert wanted(quantity, long_only(signal)) == outright, (signal, quantity)


def test_an_entry_asks_for_its_notional_or_its_part_of_the_equity() -> None:
    assert asked(300.0, 0.5, 4.0, 0.0, 1_000.0) == 300.0
    assert asked(0.0, 0.5, 4.0, 0.0, 1_000.0) == 2_000.0
    assert asked(0.0, 0.5, 4.0, 1_500.0, 1_000.0) == 1_500.0
    assert asked(300.0, 0.5, 4.0, 200.0, 1_000.0) == 200.0


def test_what_is_free_pays_margin_and_fee_at_the_worse_price() -> None:
    for side in (1, -1):
        notional = affordable(100.0, 10.0, 0.01, 0.001, side)
        value = notional * (1.0 + side * 0.01)
        assert value / 10.0 + value * 0.001 == pytest.approx(100.0)


def test_a_size_is_whole_steps_or_none() -> None:
    assert whole(0.2999, 0.1, 50.0, 0.0) == pytest.approx(0.2)
    assert whole(0.3 - 1e-12, 0.1, 50.0, 0.0) == pytest.approx(0.3), "the last digit loses no step"
    assert whole(0.2999, 0.0, 50.0, 0.0) == 0.2999
    assert whole(0.2, 0.1, 50.0, 10.0) == 0.2
    assert whole(0.2, 0.1, 49.9, 10.0) == 0.0
    assert whole(0.05, 0.1, 50.0, 0.0) == 0.0


def test_a_level_that_the_open_is_beyond_fills_at_the_open() -> None:
    assert [fills_at(opened, 100.0, 1) for opened in (99.0, 101.0)] == [100.0, 101.0]
    assert [fills_at(opened, 100.0, -1) for opened in (99.0, 101.0)] == [99.0, 100.0]
