"""The table of ``tradedeck risk`` has the signs of the risk screen; JSON keeps losses positive."""

from decimal import Decimal

import pytest

from core.domain.risk import RiskView, StressResult
from desk import risks
from tui.grid import Cell
from tui.widgets.book_risk import stress_rows

RESULTS = (
    StressResult("fall", Decimal("1234.5"), 0.1234),
    StressResult("gain", Decimal("-50.25"), -0.005),
    StressResult("nothing", Decimal(0), -0.0),
    StressResult("a hair", Decimal("0.001"), 0.00001),
    StressResult("no equity", Decimal(7), None),
)
VIEW = RiskView(7, Decimal(10_000), "no history", 0, (), (), RESULTS)


def figures(text: object) -> str:
    """Return a number without what merely sets it apart, and whether it is missing in one way."""
    return "".join(str(text).split()).replace("–", "-")


def test_a_loss_has_the_sign_of_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    risks.show(VIEW)
    lines = {line.split("  ")[0].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert "-1 234.50" in lines["fall"]
    assert "-12.3%" in lines["fall"]
    for row in stress_rows(RESULTS):
        name, loss, share, _ = (cell.text if isinstance(cell, Cell) else str(cell) for cell in row.cells)
        assert figures(lines[name]) == figures(f"{name}{loss}{share}-")


def test_a_program_reads_losses_as_positive() -> None:
    told = {one["scenario"]: one for one in risks.as_json(VIEW)["scenarios"]}
    assert (Decimal(told["fall"]["loss"]), told["fall"]["loss_frac"]) == (Decimal("1234.5"), 0.1234)
    assert str(told["nothing"]["loss_frac"]) == "0.0"
    assert told["no equity"]["loss_frac"] is None
