"""Numbers are read as people mean them, or not at all."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.numbers import LONGEST, cited, plain_decimal


@pytest.mark.parametrize("text", ["0.001", "1", "007", ".5", "5.", "-1.25", "123456789012345678.000000001"])
def test_plain_digits_are_read_exactly(text: str) -> None:
    assert plain_decimal(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " 1",
        "1 ",
        "1_0",
        "1e3",
        "1E+3",
        "NaN",
        "Infinity",
        "+1",
        "0x10",
        "1,5",
        "１２",
        "٣",
        "1\n",
        "--1",
        ".",
        "-",
    ],
)
def test_every_other_form_is_none(text: str) -> None:
    assert plain_decimal(text) is None


def test_more_digits_than_a_number_can_mean_are_none() -> None:
    assert plain_decimal("9" * LONGEST) is not None
    assert plain_decimal("9" * (LONGEST + 1)) is None


@given(st.text(max_size=60))
def test_what_is_read_is_ascii_and_finite(text: str) -> None:
    found = plain_decimal(text)
    assert found is None or (text.isascii() and found.is_finite() and "_" not in text)


def test_a_long_text_is_cited_by_its_beginning() -> None:
    assert cited("12") == "12"
    assert cited("9" * 400) == "9" * LONGEST + "…"
