"""Which of two values of a guardian's setting lets more through."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

LARGER_IS_TIGHTER = frozenset(
    {
        *("min_net_frac", "min_effective_bets", "duplicate_window_ms", "forced_stop_frac", "drawdown_recovery_frac"),
        *("min_liquidation_distance_frac", "max_exits_per_second"),
    }
)
"""Of every other number a smaller one is tighter."""
ZERO_IS_OFF = frozenset({"min_effective_bets", "volatility_target_frac"})
TIGHTEST_FIRST = {"stale_policy": ("exit", "hold"), "protective_stop": ("place", "alert", "brackets", "off")}


def loosens(key: str, old: str, new: str) -> bool:
    """Tell whether a change lets more through; what cannot be compared counts as if it did."""
    before, after = msgspec.json.decode(old), msgspec.json.decode(new)
    if isinstance(before, dict) and isinstance(after, dict):
        return any(
            name not in after or Decimal(str(after[name])) > Decimal(str(bound)) for name, bound in before.items()
        )
    if key == "drawdown_steps":
        return any(_left(after, depth) > _left(before, depth) for depth, _ in [*before, *after])
    order = TIGHTEST_FIRST.get(key, ())
    if before in order and after in order:
        return order.index(after) > order.index(before)
    was, becomes = _number(old), _number(new)
    if was is None or becomes is None:
        return True
    if key in ZERO_IS_OFF and (not was or not becomes):
        return not becomes
    return becomes < was if key in LARGER_IS_TIGHTER else becomes > was


def _left(steps: Sequence[tuple[float, float]], depth: float) -> float:
    """Return the factor that a drawdown ladder leaves at a depth."""
    return min((factor for begins, factor in steps if begins <= depth), default=1.0)


def _number(text: str) -> float | None:
    value: Any = msgspec.json.decode(text)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
