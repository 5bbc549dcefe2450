"""What the whole book may lose, written for the risk screen: value at risk, how it has held, and what bad days cost."""

from collections.abc import Sequence

from core.domain.risk import RiskView, StressResult, VarTest
from tui.format import number, percent
from tui.lines import Line, Pane
from tui.rows import Cell, Column, Row

STRESS_COLUMNS = (
    Column("scenario", "scenario", 20, best=34),
    Column("loss", "loss", 11, best=14, align="right"),
    Column("equity", "% equity", 8, align="right"),
    Column("breaks", "would break", 24, flex=1),
)
SEVERE = 0.10
"""A loss of this fraction of equity is drawn as bad."""


class VarPane(Pane, can_focus=True):
    """A pane that Tab can reach, so that it is seen where there is no room for it."""

    def set_risk(self, view: RiskView | None, trouble: str = "") -> None:
        """Show what the engine answered."""
        self.show(risk_lines(view, self.content_size.width, trouble))
        self.set_title("value at risk, one day", f"from {view.basis}" if view is not None else "")


def risk_lines(view: RiskView | None, width: int, trouble: str = "") -> list[Line]:
    """Write the figures of each method, then how the forecasts at each level have done."""
    if view is None:
        return [((f" {trouble or 'nothing is known yet'}", "warn" if trouble else "dim"),)]
    head = f" {'':<17}{'VaR 95%':>10}{'ES 95%':>10}{'VaR 99%':>10}{'ES 99%':>10}"
    lines: list[Line] = [((head, "head"),)]
    for one in view.figures:
        figures = "".join(f"{number(value):>10}" for value in (one.var_95, one.es_95, one.var_99, one.es_99))
        lines.append(((f" {one.method + ('*' if one.note else ''):<17}", "dim"), (figures, "")))
    if not view.figures:
        lines.append(((" no history yet: nothing can be said", "warn"),))
    lines += [((f" * {one.note}", "dim"),) for one in view.figures if one.note]
    if view.missing:
        lines.append(((f" without history, not counted: {', '.join(view.missing)}"[:width], "warn"),))
    if view.effective_bets is not None:
        torsion = f"   by minimum torsion {view.torsion_bets:.2f}" if view.torsion_bets is not None else ""
        lines.append(((" effective bets ", "dim"), (f"{view.effective_bets:.2f}", ""), (torsion, "dim")))
    for test in view.tests:
        lines += _test_lines(test)
    return lines


def _test_lines(test: VarTest) -> list[Line]:
    style = "ok" if test.verdict == "good" else "dim" if test.kupiec_p is None else "bad"
    seen = f"   {test.hits} losses beyond in {test.days} days"
    lines: list[Line] = [((f" forecasts at {test.level:.0%} ", "dim"), (test.verdict, style), (seen, "dim"))]
    if test.kupiec_p is not None and test.independence_p is not None:
        lines.append(((f"   p by Kupiec {test.kupiec_p:.3f}   by Christoffersen {test.independence_p:.3f}", "dim"),))
    return lines


def stress_rows(results: Sequence[StressResult]) -> list[Row]:
    """Build the rows of the stress table, in the engine's order."""
    return [_stress_row(result) for result in results]


def _stress_row(result: StressResult) -> Row:
    frac, loss = result.loss_frac, float(result.loss)
    style = "bad" if result.liquidated or (frac or 0.0) >= SEVERE else "loss" if loss > 0 else ""
    gone = [f"LIQUIDATES {account}" for account in result.liquidated]
    broken = ", ".join([*gone, *(name.removesuffix("_frac").replace("_", " ") for name in result.breaches)])
    return Row(
        result.scenario,
        (
            result.scenario,
            Cell(number(-result.loss), style, -loss),
            Cell(percent(None if frac is None else -frac, 1), style, -(frac or 0.0)),
            Cell(broken or "–", "bad" if gone else "warn" if broken else "dim"),
        ),
    )
