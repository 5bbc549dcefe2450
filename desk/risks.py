"""What ``tradedeck risk`` says: tables for people, JSON for programs."""

from typing import Any

import msgspec

from core.domain.risk import RiskView, StressResult, VarTest
from desk.output import UsageFault, grouped, money, table, write


def with_garch(view: RiskView) -> RiskView:
    """Return a view with the figures of a fitted GARCH beside the others.

    Raises:
        UsageFault: the package is not installed, or there is nothing it could be fitted to.
    """
    from core.risk.report import garch_figures

    try:
        found = garch_figures(view)
    except ImportError:
        raise UsageFault("--garch needs the package arch: pip install 'tradedeck[research]'") from None
    except ValueError as error:
        raise UsageFault(f"--garch: {error}") from None
    return msgspec.structs.replace(view, figures=(*view.figures, found))


def as_json(view: RiskView) -> dict[str, Any]:
    """Return the whole answer for programs (docs/guide/json.md)."""
    return {
        "ts_ns": view.ts,
        "equity": money(view.equity),
        "basis": view.basis,
        "returns": view.returns,
        "missing": list(view.missing),
        "effective_bets": view.effective_bets,
        "torsion_bets": view.torsion_bets,
        "value_at_risk": [
            {
                "method": one.method,
                "var_95": money(one.var_95),
                "es_95": money(one.es_95),
                "var_99": money(one.var_99),
                "es_99": money(one.es_99),
                "note": one.note,
            }
            for one in view.figures
        ],
        "tests": [msgspec.structs.asdict(one) for one in view.tests],
        "scenarios": [
            {
                "scenario": one.scenario,
                "loss": money(one.loss),
                "loss_frac": None if one.loss_frac is None else one.loss_frac + 0.0,  # no minus zero
                "breaches": list(one.breaches),
                "liquidated": list(one.liquidated),
            }
            for one in view.scenarios
        ],
    }


def show(view: RiskView) -> None:
    """Print the whole answer for people; a scenario's loss is negative, as on the risk screen."""
    bets = f"  effective bets {view.effective_bets:.2f}" if view.effective_bets else ""
    write(f"equity {grouped(view.equity)}{bets}  from {view.basis}")
    if view.missing:
        write(f"without enough history, and not in value at risk: {', '.join(view.missing)}")
    if view.figures:
        write()
        table(
            ("one day", "VaR 95%", "ES 95%", "VaR 99%", "ES 99%"),
            (
                (one.method + ("*" if one.note else ""), *map(grouped, (one.var_95, one.es_95, one.var_99, one.es_99)))
                for one in view.figures
            ),
        )
        for one in view.figures:
            if one.note:
                write(f"* {one.method}: {one.note}")
    write()
    for test in view.tests:
        write(test_words(test))
    write()
    table(
        ("scenario", "loss", "% equity", "would break"),
        ((one.scenario, _lost(grouped(one.loss)), _share(one.loss_frac), consequence(one)) for one in view.scenarios),
    )


def test_words(test: VarTest) -> str:
    """Return how the forecasts at one level have done."""
    head = f"forecasts at {test.level:.0%}: {test.verdict} ({test.hits} losses beyond in {test.days} days"
    if test.kupiec_p is None or test.independence_p is None:
        return head + ")"
    return f"{head}; Kupiec p {test.kupiec_p:.3f}, Christoffersen p {test.independence_p:.3f})"


def consequence(result: StressResult) -> str:
    """Return what else a scenario does: accounts that are liquidated first."""
    gone = [f"LIQUIDATES {account}" for account in result.liquidated]
    return ", ".join([*gone, *result.breaches]) or "-"


def _share(frac: float | None) -> str:
    return "-" if frac is None else _lost(f"{frac:.1%}")


def _lost(text: str) -> str:
    """Return a written loss as the equity sees it, as on the risk screen; what is written as nothing has no sign."""
    if not text.strip("-0.%"):
        return text.removeprefix("-")
    return text[1:] if text.startswith("-") else f"-{text}"
