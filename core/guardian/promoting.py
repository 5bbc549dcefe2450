"""What the guardian says of a config before a strategy may run by it: its largest positions against the limits."""

from collections.abc import Sequence

from core.config.settings import GuardianSettings
from core.domain.identifiers import Asset
from core.domain.numbers import exact
from core.guardian.limits import Breach, number
from core.state.state import State
from core.strategy.rule import Terms


def config_breach(
    settings: GuardianSettings,
    state: State,
    terms: Terms,
    capital: float,
    bases: Sequence[Asset],
    *,
    shares: bool = False,
) -> Breach | None:
    """Return the first limit that a config's positions would break if all of them were open, or None.

    ``bases`` are the underlyings of its instruments, ``capital`` is that of each, or of the wallet that all share: the
    margin of all positions comes out of that. What others hold is judged with each order, not here: it comes and goes.
    """
    if terms.leverage > settings.max_leverage:
        text = f"leverage {terms.leverage:g}x > {settings.max_leverage:g}x"
        return Breach("max_leverage", exact(terms.leverage), exact(settings.max_leverage), text, "max_leverage")
    equity = state.equity
    if equity <= 0.0:
        return Breach("max_position", exact(equity), "0", "equity is not positive: no strategy begins")
    size = terms.notional or terms.fraction * capital * terms.leverage
    size = min(size, terms.max_size) if terms.max_size > 0.0 else size
    margin = capital * terms.leverage if shares else float("inf")
    together = min(size * max((bases.count(base) for base in bases), default=0), margin)
    judged = (
        ("max_order_notional", "max_order_notional_frac", size, "one entry"),
        ("max_position", "max_position_frac", size, "one position"),
        ("max_sector", "max_sector_frac", together, "one underlying"),
        ("max_gross", "max_gross_frac", min(size * len(bases), margin), "all positions"),
    )
    for name, key, value, what in judged:
        bound = getattr(settings, key) * equity
        if value > bound:
            text = f"{what} of up to {number(value)} > {name} {number(bound)}; lower leverage or max_size"
            return Breach(name, exact(value), exact(bound), text, key)
    return None
