"""What is said of the whole book's risk. Losses are positive; money is in the reporting currency."""

from decimal import Decimal

import msgspec

from core.domain.message import Event, Nanoseconds


class VarFigures(msgspec.Struct, frozen=True):
    """Value at risk and expected shortfall of one day by one method; ``note`` says where another had to stand in."""

    method: str
    var_95: Decimal
    es_95: Decimal
    var_99: Decimal
    es_99: Decimal
    note: str = ""


class VarTest(msgspec.Struct, frozen=True):
    """How the forecasts at one level have done: days, losses beyond them, and the tests' p values.

    ``kupiec_p`` is of how often, ``independence_p`` of clusters, ``coverage_p`` of both; None where there are too few
    days. ``verdict`` is one of: too few days, good, too many losses, too few losses, losses come in clusters.
    """

    level: float
    days: int
    hits: int
    kupiec_p: float | None
    independence_p: float | None
    coverage_p: float | None
    verdict: str


class StressResult(msgspec.Struct, frozen=True):
    """What one scenario would cost: ``breaches`` are the guardian's settings that would be broken after it."""

    scenario: str
    loss: Decimal
    loss_frac: float | None
    breaches: tuple[str, ...] = ()
    liquidated: tuple[str, ...] = ()
    """Accounts (venue and asset) that would be liquidated; they count as lost whole."""


class RiskView(msgspec.Struct, frozen=True):
    """The whole book's risk. ``basis`` says which returns the figures come from; ``missing`` has no history."""

    ts: Nanoseconds
    equity: Decimal
    basis: str
    returns: int
    figures: tuple[VarFigures, ...]
    tests: tuple[VarTest, ...]
    scenarios: tuple[StressResult, ...]
    missing: tuple[str, ...] = ()
    effective_bets: float | None = None
    """As the guardian counts them: ``(sum |w|)^2 / w'Cw``; None for an empty book."""
    torsion_bets: float | None = None
    """By minimum torsion, of the sample's covariance."""
    profits: tuple[float, ...] = ()
    """The sample itself, where it was asked for: what this book would have made in each step."""
    steps_a_day: float = 1.0


class RiskForecast(Event, frozen=True):
    """What the book of a day's start may lose within that day: value at risk (positive, reporting currency).

    ``day`` is when that day began; the profit or loss that came of it follows from the next ``DayStarted``.
    """

    day: Nanoseconds
    var_95: Decimal
    var_99: Decimal
    method: str
    ts: Nanoseconds
