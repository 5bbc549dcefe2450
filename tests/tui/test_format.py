"""Numbers, ages and alignment as they stand on a screen."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import format as f


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (61800.3, 2, "61 800.30"),
        (0.6012, 5, "0.601 20"),
        (Decimal("0.6012"), 4, "0.6012"),
        (1234567.5, 1, "1 234 567.5"),
        (-0.001, 2, "0.00"),
        (0, 3, "0.000"),
        (Decimal("100412.18"), 2, "100 412.18"),
        (5, 0, "5"),
        (None, 2, "–"),
        (math.nan, 2, "–"),
        (math.inf, 2, "–"),
        (Decimal("NaN"), 2, "–"),
        (0.00001234, 8, "0.000 012 34"),
    ],
)
def test_a_number_is_grouped_at_its_precision(value: f.Number | None, decimals: int, text: str) -> None:
    assert f.number(value, decimals) == text


@pytest.mark.parametrize(("value", "text"), [(412.18, "+412.18"), (-3, "-3.00"), (0.001, "0.00"), (None, "–")])
def test_a_signed_number_shows_its_sign_except_for_zero(value: float | None, text: str) -> None:
    assert f.signed(value) == text


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=8), st.integers(0, 8))
def test_grouping_loses_no_digit(value: Decimal, decimals: int) -> None:
    text = f.number(value, decimals).replace(" ", "")
    assert abs(Decimal(text) - value) <= Decimal(10) ** -decimals / 2


@pytest.mark.parametrize(
    ("value", "sign", "name"), [(1, "▲", "gain"), (-1, "▼", "loss"), (0, " ", ""), (None, " ", "")]
)
def test_gain_and_loss_differ_by_arrow_and_class(value: float | None, sign: str, name: str) -> None:
    assert (f.arrow(value), f.gain_class(value)) == (sign, name)


def test_shares_are_written_as_percent_and_basis_points() -> None:
    assert f.percent(0.0041, sign=True) == "+0.41%"
    assert f.percent(Decimal("-0.0031")) == "-0.31%"
    assert f.basis_points(0.2 / 61800) == "0.03 bp"
    assert f.percent(None) == f.basis_points(math.nan) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0.2s"), (9.94, "9.9s"), (9.96, "9s"), (59, "59s"), (60, "1m"), (720, "12m"), (7200, "2h"), (200000, "2d"),
     (None, "–"), (-1, "0.0s")],
)  # fmt: skip
def test_an_age_has_one_unit(seconds: float | None, text: str) -> None:
    assert f.age(seconds) == text


def test_short_times_are_milliseconds() -> None:
    assert f.milliseconds(0.004) == "4ms"
    assert f.milliseconds(1.44) == "1.4s"


@pytest.mark.parametrize(("step", "count"), [(0.1, 1), (0.001, 3), (5, 0), (Decimal("0.10"), 1), (1e-5, 5), (100, 0)])
def test_decimals_come_from_the_tick(step: f.Number, count: int) -> None:
    assert f.decimals_of(step) == count


def test_points_stand_under_each_other() -> None:
    texts = f.align_points(["61 800.30", "0.601 20", "60", "–"])
    assert texts == ["61 800.30    ", "     0.601 20", "    60       ", "     –       "]


def test_wide_characters_count_twice_when_fitting() -> None:
    assert f.fit("日本", 6) == "日本  "
    assert f.fit("日本語", 5) == "日本…"
    assert f.width_of(f.fit("日本語", 4)) == 4
    assert f.fit("abc", 6, "right") == "   abc"
    assert f.fit("abc", 2) == "a…"
    assert f.fit("abc", 0) == ""
    assert f.fit("ab", 5, "centre") == " ab  "


def test_a_clock_is_utc_unless_asked() -> None:
    assert f.clock(1_763_733_127_000_000_000) == "13:52:07"
    assert f.clock(0, pattern="%H:%M") == "00:00"


def test_large_sizes_are_compact() -> None:
    assert [f.compact(v) for v in (3.14159, 950, 12_400, 3_100_000, 2e9, None)] == [
        "3.14", "950", "12.4k", "3.1M", "2.0G", "–",
    ]  # fmt: skip
