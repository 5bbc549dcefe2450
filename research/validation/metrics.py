"""What a back-test came to: returns, drawdown, the score and the ratios of the field, from records and from curves.

Fractions are fractions (0.2 is 20 %), drawdowns positive; a figure that does not exist is None, never infinite. Markets
that never close have years of 365 days, counted by the clock; a ratio that is annualised says so in its name.
"""

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from core.errors import ResearchError

Array = NDArray[np.float64]
YEAR_DAYS = 365.0
_NOISE = 1e-12
"""What rounding leaves of a variance that is none, as a fraction of the mean square."""
_LEAST = 1e-100
"""Below this sum of squares higher powers are lost to a float."""


class Objective(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a score counts: below ``least_trades`` there is none, ``least_drawdown`` stands for a smaller one.

    ``least_drawdown`` is above 0: what never fell would otherwise have a score without end.
    Below ``least_days`` nothing is annualised: a good week taken as a year is a number without meaning.
    """

    least_trades: Annotated[int, Meta(ge=0)] = 30
    least_drawdown: Annotated[float, Meta(gt=0)] = 0.01
    least_days: Annotated[float, Meta(ge=0)] = 90.0


class Moments(msgspec.Struct, frozen=True):
    """Sample moments of returns: ``deviation`` with n - 1, ``skew`` and ``kurtosis`` of the population.

    ``kurtosis`` is 3 for the normal distribution. ``deviation`` 0: the returns are all the same, skew 0, kurtosis 3.
    """

    count: int
    mean: float
    deviation: float
    skew: float = 0.0
    kurtosis: float = 3.0

    @property
    def sharpe(self) -> float | None:
        """Return the Sharpe ratio per observation, without a risk-free rate; None without dispersion."""
        return self.mean / self.deviation if self.deviation > 0.0 else None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One back-test at a glance. ``sharpe_daily`` is per day, ``sharpe_365`` annualised by the root of 365."""

    total_return: float | None
    max_drawdown: float | None
    leverage: float
    trades: int
    days: float
    liquidated: bool = False
    score: float | None = None
    cagr: float | None = None
    calmar: float | None = None
    return_over_drawdown: float | None = None
    sharpe_daily: float | None = None
    sharpe_365: float | None = None
    profit_factor: float | None = None
    win_rate: float | None = None
    fees: float = 0.0
    funding: float = 0.0
    moments: Moments | None = None
    why: str = ""
    """Why there is no score; or what was put in the place of a figure."""
    liquidated_at: int = 0
    """When it was liquidated first (ns, UTC: the bar's open), and in what; 0 where it never was."""
    liquidated_in: str = ""


# --- moments ----------------------------------------------------------------------------------------------------------


def moments(returns: Array) -> Moments:
    """Return the moments of returns (n,), taken about their mean."""
    count = int(returns.size)
    mean = float(returns.mean()) if count else 0.0
    away = returns - mean
    powers = [float(np.sum(away**power)) for power in (2, 3, 4)]
    return _moments(count, mean, powers, float(np.sum(returns**2)))


def moments_of_sums(count: int, sum_1: float, sum_2: float, sum_3: float, sum_4: float) -> Moments:
    """Return the moments of returns of which only the sums of their powers were kept."""
    if count <= 0:
        return Moments(0, 0.0, 0.0)
    mean = sum_1 / count
    second = sum_2 - count * mean**2
    third = sum_3 - 3 * mean * sum_2 + 2 * count * mean**3
    fourth = sum_4 - 4 * mean * sum_3 + 6 * mean**2 * sum_2 - 3 * count * mean**4
    return _moments(count, mean, [second, third, fourth], sum_2)


def _moments(count: int, mean: float, about: list[float], square: float) -> Moments:
    second, third, fourth = about
    if count < 2 or not second > max(_NOISE * square, _LEAST):
        return Moments(count, mean, 0.0)
    variance = second / count
    return Moments(
        count, mean, math.sqrt(second / (count - 1)), third / count / variance**1.5, fourth / count / variance**2
    )


# --- single figures ---------------------------------------------------------------------------------------------------


def drawdown(equity: Array) -> float:
    """Return the deepest fall from a running peak as a fraction of it; the first value belongs to the peak."""
    peaks = np.maximum.accumulate(equity)
    return float(np.max(1.0 - equity / peaks))


def growth(total_return: float, days: float) -> float | None:
    """Return the yearly growth (CAGR) of a total return over days by the clock; None where it does not exist."""
    if not (math.isfinite(total_return) and days > 0.0):
        return None
    if total_return <= -1.0:
        return -1.0
    power = math.log1p(total_return) * YEAR_DAYS / days
    return math.expm1(power) if power < 700.0 else None


def score(total_return: float, max_drawdown: float, leverage: float, least_drawdown: float = 0.01) -> float:
    """Return total return / (drawdown × leverage), the drawdown not below ``least_drawdown``: never infinite."""
    return total_return / (max(max_drawdown, least_drawdown) * leverage)


# --- figures of a back-test -------------------------------------------------------------------------------------------


def from_runs(runs: NDArray[np.void], cash: float, days: float, objective: Objective) -> Figures:
    """Return the figures of one parameter set: ``RUN`` (symbols,), a wallet of ``cash`` for each symbol.

    Only the worst drawdown among the wallets is known, and theirs together is never deeper. Daily returns of all
    wallets are pooled and count as the days of one: what spreading risk does for the Sharpe ratio is left out.

    Raises:
        ResearchError: no record, or no cash.
    """
    if not runs.size or not cash > 0.0:
        raise ResearchError(f"figures of {runs.size} records with {cash} of cash: both must be above 0")
    trades, wins = int(runs["trades"].sum()), int(runs["wins"].sum())
    pooled = moments_of_sums(int(runs["days"].sum()), *(float(runs[f"sum_{power}"].sum()) for power in (1, 2, 3, 4)))
    kept = msgspec.structs.replace(pooled, count=int(runs["days"].max()))
    made = _figures(
        float(runs["equity"].mean()) / cash - 1.0,
        float(runs["drawdown"].max()),
        leverage=float(runs["leverage"].max()),
        trades=trades,
        days=days,
        liquidated=bool((runs["liquidated"] >= 0).any()),
        objective=objective,
        of_days=kept,
    )
    lost = float(runs["gross_loss"].sum())
    return msgspec.structs.replace(
        made,
        profit_factor=_finite(float(runs["gross_profit"].sum()) / lost) if lost > 0.0 else None,
        win_rate=wins / trades if trades else None,
        fees=float(runs["fees"].sum()),
        funding=float(runs["funding"].sum()),
    )


def from_equity(
    equity: Array, days: float, *, leverage: float = 1.0, trades: int = 0, objective: Objective | None = None
) -> Figures:
    """Return the figures of an equity curve (n,) over ``days`` by the clock; Sharpe ratios only from daily values.

    Raises:
        ResearchError: an empty curve, or one that does not begin above 0.
    """
    if not equity.size or not equity[0] > 0.0:
        raise ResearchError("an equity curve needs a first value above 0")
    daily = abs(days - (equity.size - 1)) < 1.0 and bool(np.all(equity > 0.0))
    return _figures(
        float(equity[-1] / equity[0]) - 1.0,
        drawdown(equity),
        leverage=leverage,
        trades=trades,
        days=days,
        liquidated=False,
        objective=objective or Objective(),
        of_days=moments(equity[1:] / equity[:-1] - 1.0) if daily else None,
    )


def _figures(
    total: float,
    fall: float,
    *,
    leverage: float,
    trades: int,
    days: float,
    liquidated: bool,
    objective: Objective,
    of_days: Moments | None,
) -> Figures:
    exists = math.isfinite(total) and math.isfinite(fall)
    base = max(fall, objective.least_drawdown) if exists else math.nan
    yearly = growth(total, days) if exists and days >= objective.least_days else None
    daily = of_days.sharpe if of_days is not None else None
    why = _why(liquidated, exists, trades, objective)
    floored = f"drawdown {fall:.4f} taken as {base:g}" if not why and fall < objective.least_drawdown else ""
    return Figures(
        total_return=total if exists else None,
        max_drawdown=fall if exists else None,
        leverage=leverage,
        trades=trades,
        days=days,
        liquidated=liquidated,
        score=None if why else score(total, fall, leverage, objective.least_drawdown),
        cagr=yearly,
        calmar=yearly / base if yearly is not None else None,
        return_over_drawdown=total / base if exists else None,
        sharpe_daily=_finite(daily),
        sharpe_365=_finite(daily * math.sqrt(YEAR_DAYS)) if daily is not None else None,
        moments=of_days,
        why=why or floored,
    )


def _why(liquidated: bool, exists: bool, trades: int, objective: Objective) -> str:
    if liquidated:
        return "liquidated"
    if not exists:
        return "equity is not a number"
    if trades < objective.least_trades:
        return f"{trades} trades, at least {objective.least_trades} needed"
    return ""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
