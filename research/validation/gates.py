"""The gates before promotion, each with its figure, what it had to be, and whether it was passed."""

from collections.abc import Callable

import msgspec

from core.domain.studies import Gate
from research.validation.validate import Bootstrap

NO_LIQUIDATION = "no liquidation"
"""The gate that nobody may pass by."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each gate asks for: fractions, probabilities, counts."""

    least_trades: int = 30
    least_efficiency: float = 0.5
    least_dsr: float = 0.95
    most_pbo: float = 0.2
    least_plateau: float = 0.5
    least_stressed_return: float = 0.0
    """Total return in-sample with twice the slippage must be above this."""
    most_shuffled_drawdown: float = 0.5
    """The drawdown that 95 of 100 other orders of the trades stay below."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a trial; None: the figure does not exist, and a gate without a figure is not passed."""

    liquidated: bool
    trades: int
    efficiency: float | None = None
    dsr: float | None = None
    pbo: float | None = None
    plateau: float | None = None
    stressed_return: float | None = None
    bootstrap: Bootstrap | None = None


def gates(evidence: Evidence, bounds: Bounds) -> tuple[Gate, ...]:
    """Return every gate, passed or not."""
    shuffled = evidence.bootstrap.drawdown_95 if evidence.bootstrap is not None else None
    return (
        Gate(NO_LIQUIDATION, "liquidated" if evidence.liquidated else "none", "none", not evidence.liquidated),
        Gate("trades", str(evidence.trades), f"≥ {bounds.least_trades}", evidence.trades >= bounds.least_trades),
        _least("walk-forward efficiency", evidence.efficiency, bounds.least_efficiency, _figure),
        _least("deflated Sharpe", evidence.dsr, bounds.least_dsr, _figure),
        _most("backtest overfitting", evidence.pbo, bounds.most_pbo, _figure),
        _least("plateau", evidence.plateau, bounds.least_plateau, _figure),
        _above("return at slippage × 2", evidence.stressed_return, bounds.least_stressed_return, _percent),
        _most("drawdown, trades shuffled", shuffled, bounds.most_shuffled_drawdown, _percent),
    )


Words = Callable[[float | None], str]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _least(name: str, value: float | None, bound: float, words: Words) -> Gate:
    return Gate(name, words(value), f"≥ {words(bound)}", value is not None and value >= bound)


def _above(name: str, value: float | None, bound: float, words: Words) -> Gate:
    return Gate(name, words(value), f"> {words(bound)}", value is not None and value > bound)


def _most(name: str, value: float | None, bound: float, words: Words) -> Gate:
    return Gate(name, words(value), f"≤ {words(bound)}", value is not None and value <= bound)
