"""What the command line prints, and how it ends."""

from decimal import Decimal

import pytest

from core.errors import (
    ConfigError,
    InvalidInstrumentId,
    InvalidOrder,
    JournalDamaged,
    NoEngine,
    PromotionRefused,
    TradedeckError,
)
from desk import output
from desk.output import Exit, Refused, UsageFault


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoEngine("x"), Exit.NO_ENGINE),
        (Refused("x"), Exit.REFUSED),
        (PromotionRefused("x"), Exit.REFUSED),
        (UsageFault("x"), Exit.USAGE),
        (InvalidOrder("x"), Exit.USAGE),
        (InvalidInstrumentId("t", "part", "why", "example"), Exit.USAGE),
        (ConfigError("x"), Exit.ERROR),
        (JournalDamaged("x"), Exit.ERROR),
    ],
)
def test_each_error_has_its_exit_code(error: TradedeckError, code: Exit) -> None:
    assert output.exit_code(error) is code


def test_the_exit_codes_are_the_documented_numbers() -> None:
    assert [(code.name, code.value) for code in Exit] == [
        ("OK", 0), ("ERROR", 1), ("USAGE", 2), ("REFUSED", 3), ("NO_ENGINE", 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+5", "100000"),
        ("1E-8", "0.00000001"),
        ("0.123456789123", "0.12345679"),
        ("-0", "0"),
        ("-0.000000001", "0.00000000"),
        ("100.10", "100.10"),
        ("NaN", "NaN"),
    ],
)
def test_money_is_text_without_exponent(value: str, text: str) -> None:
    assert output.money(Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("60000.1", "60000.1"),
        ("60000.10", "60000.1"),
        ("60000.12000000000000000000001", "60000.12"),
        ("66666.66666666666666666666667", "66666.66666667"),
        ("0.000008123456789123", "0.0000081234568"),
    ],
)
def test_an_average_has_no_digits_that_arithmetic_made(value: str, text: str) -> None:
    assert output.average(Decimal(value)) == text


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "n"), [("a", "1"), ("longer", "100")])
    assert capsys.readouterr().out == "name      n\na         1\nlonger  100\n"


@pytest.mark.parametrize(
    ("width", "last"),
    [(0, "0123456789 123456789 123456789"), (80, "0123456789 123456789 123456789"), (24, "0123456789 123456…"),
     (10, "0123456789…")],
)  # fmt: skip
def test_a_last_column_is_cut_to_the_width(width: int, last: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "why"), [("a", "0123456789 123456789 123456789"), ("b", "short")], left=2, width=width)
    assert capsys.readouterr().out.splitlines() == ["name  why", f"a     {last}", "b     short"]


def test_an_error_is_said_on_stderr_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.fail(NoEngine("nobody"), as_json=True) is Exit.NO_ENGINE
    said = capsys.readouterr()
    assert (said.out, said.err) == ('{"error":"nobody"}\n', "tradedeck: nobody\n")


def test_a_refusal_shows_its_answer(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(Refused("no", {"limit": "gross"}), as_json=True)
    assert capsys.readouterr().out == '{"limit":"gross"}\n'
