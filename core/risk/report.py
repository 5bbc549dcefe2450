"""The risk of the whole book in one answer. Pure: runs beside the engine on a copy, never on its loop."""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from core.config.settings import GuardianSettings, ScenarioSettings
from core.domain.identifiers import Asset
from core.domain.risk import RiskView, StressResult, VarFigures
from core.risk import stress, var
from core.risk.backtest import judge
from core.risk.book import RiskBook
from core.risk.concentration import effective_bets, minimum_torsion_bets
from core.risk.history import Sample, sample_of
from core.state.forecasts import RiskDay

LEVELS = (0.95, 0.99)
HISTORICAL, CORNISH_FISHER, FILTERED = "historical", "Cornish-Fisher", "filtered (EWMA)"
_CENT = Decimal("0.01")


def report(
    book: RiskBook,
    days: Sequence[RiskDay],
    limits: GuardianSettings,
    scenarios: Mapping[str, ScenarioSettings],
    *,
    with_profits: bool = False,
) -> RiskView:
    """Return value at risk by three methods, how the forecasts have done, and what each scenario would cost."""
    sample = sample_of(book)
    profits = profits_of(book, sample)
    weights = _weights(book)
    return RiskView(
        book.ts,
        money(book.equity),
        sample.basis if len(profits) else "no history yet",
        len(profits),
        figures(profits, sample.steps_a_day) if len(profits) else (),
        tuple(judge(days, level) for level in LEVELS),
        tuple(_stress(book, sample, one, limits) for one in stress.standard(book, sample, scenarios)),
        sample.missing,
        effective_bets(weights, _correlate(sample)) or None,
        _torsion(book, sample),
        tuple(profits.tolist()) if with_profits else (),
        sample.steps_a_day,
    )


def profits_of(book: RiskBook, sample: Sample) -> var.Series:
    """Return what this book would have made in each step (T,)."""
    values = np.array([stress.exposure_of(book, base) for base in sample.bases])
    made: var.Series = sample.returns @ values if len(sample.bases) else np.zeros(0)
    return made


def figures(profits: var.Series, steps_a_day: float) -> tuple[VarFigures, ...]:
    """Return the figures of one day by each method; a step is scaled to a day by the square root of time."""
    scale = steps_a_day**0.5
    deviations = var.ewma_deviations(profits)
    plain = [(var.historical_var(profits, tail), var.historical_es(profits, tail)) for tail in _tails()]
    corrected = [var.cornish_fisher(profits, tail) for tail in _tails()]
    fitted = [var.filtered(profits, deviations, tail) for tail in _tails()]
    usable = [one for one in corrected if one is not None]
    note = "" if len(usable) == len(plain) else "not monotone for this skew and kurtosis: historical shown"
    return (
        _figures(HISTORICAL, plain, scale),
        _figures(CORNISH_FISHER, usable if not note else plain, scale, note),
        _figures(FILTERED, fitted, scale),
    )


def _tails() -> tuple[float, ...]:
    return tuple(round(1.0 - level, 10) for level in LEVELS)


def _figures(method: str, found: Sequence[tuple[float, float]], scale: float, note: str = "") -> VarFigures:
    (var_95, es_95), (var_99, es_99) = [(max(a, 0.0) * scale, max(b, 0.0) * scale) for a, b in found]
    return VarFigures(method, money(var_95), money(es_95), money(var_99), money(es_99), note)


def garch_figures(view: RiskView) -> VarFigures:
    """Return the filtered figures with a GARCH(1, 1) in place of exponential weights; the view has its profits.

    Raises:
        ImportError: the package ``arch`` is not installed.
        ValueError: the fit did not converge.
    """
    profits = np.array(view.profits)
    deviations = var.garch_deviations(profits)
    found = [var.filtered(profits - profits.mean(), deviations, tail) for tail in _tails()]
    return _figures("filtered (GARCH)", found, view.steps_a_day**0.5)


def _stress(book: RiskBook, sample: Sample, scenario: stress.Scenario, limits: GuardianSettings) -> StressResult:
    outcome = stress.apply(book, scenario, sample, limits)
    loss = -outcome.profit
    frac = loss / book.equity if book.equity > 0.0 else None
    return StressResult(scenario.name, money(loss), frac, outcome.breaches, outcome.liquidated)


def _weights(book: RiskBook) -> dict[Asset, float]:
    found: dict[Asset, float] = {}
    for _, base, _, value in book.positions:
        found[base] = found.get(base, 0.0) + value
    return found


def _correlate(sample: Sample) -> Callable[[Asset, Asset], float | None]:
    """Return the sample's own correlations; what is not in the sample is not known."""
    place = {base: at for at, base in enumerate(sample.bases)}
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.atleast_2d(np.corrcoef(sample.returns.T)) if place else np.zeros((0, 0))

    def correlation(one: Asset, other: Asset) -> float | None:
        if one not in place or other not in place:
            return None
        found = float(matrix[place[one], place[other]])
        return found if found == found else None  # noqa: PLR0124  not a number: a price that never moved

    return correlation


def _torsion(book: RiskBook, sample: Sample) -> float | None:
    """Return the effective bets by minimum torsion, None where the sample's covariance does not allow it."""
    values = np.array([stress.exposure_of(book, base) for base in sample.bases])
    if not values.any() or len(sample.returns) <= len(sample.bases):
        return None
    try:
        return minimum_torsion_bets(values, np.atleast_2d(np.cov(sample.returns.T)))[0]
    except np.linalg.LinAlgError:
        return None


def money(value: float) -> Decimal:
    """Return an amount to the cent."""
    return Decimal(repr(float(value))).quantize(_CENT, ROUND_HALF_EVEN)
