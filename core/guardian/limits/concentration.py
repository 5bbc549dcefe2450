"""How many independent bets the book is once it is large: more of the same is denied."""

from core.config.settings import GuardianSettings
from core.domain.identifiers import Asset
from core.domain.numbers import exact
from core.guardian.limits.base import Breach, Rule
from core.guardian.proposal import Pending, Proposal, pending_orders
from core.risk.concentration import book_variance, effective_bets
from core.risk.returns import Returns


class EffectiveBets(Rule):
    """A book above a gross exposure is at least so many effective bets; what lowers its risk passes."""

    name = "min_effective_bets"
    key = "min_effective_bets"

    def __init__(self, settings: GuardianSettings, returns: Returns) -> None:
        super().__init__(settings)
        self._bound, self._above = settings.min_effective_bets, settings.effective_bets_above_gross_frac
        self._correlation = returns.correlation

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        if proposal.gross <= self._above * proposal.equity or not self._bound:
            return None
        before, after = _weights(proposal)
        bets = effective_bets(after, self._correlation)
        if bets >= self._bound:
            return None
        if book_variance(after, self._correlation) < book_variance(before, self._correlation):
            return None  # a hedge is not more of the same
        text = (
            f"effective bets {bets:.2f} < {self._bound:g} with gross above {self._above:.0%} of equity: "
            "more of the same is denied"
        )
        return Breach(self.name, exact(bets), exact(self._bound), text, self.key)

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where nothing is held."""
        bets = effective_bets(_weights(proposal)[1], self._correlation)
        return (bets, self._bound) if bets and self._bound else None

    def used(self, proposal: Proposal, value: float, bound: float) -> float | None:
        """Return how far the bound is used; None while gross is below where it is asked."""
        return bound / value if value and proposal.gross > self._above * proposal.equity else None

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it."""
        return f"{value:.2f}"


def _weights(proposal: Proposal) -> tuple[dict[Asset, float], dict[Asset, float]]:
    """Return the signed value of each underlying (before, after) the order, open entry orders filled at their worst."""
    state, ledger, own = proposal.state, proposal.state.ledger, proposal.market
    values = {
        position.instrument: ledger.notional(position) for position in ledger.positions.values() if position.quantity
    }
    pending = pending_orders(state, proposal.replaces) if state.blotter.open else {}
    base = own.instrument.base
    pending.setdefault(own.holding, Pending(base))
    before: dict[Asset, float] = {}
    change = 0.0
    for holding, resting in pending.items():
        held, bought, sold = values.pop(holding, 0.0), resting.bought, resting.sold
        value = _worst(held, bought, sold)
        if holding == own.holding:
            more = proposal.quantity * proposal.unit
            up = proposal.order.side.sign > 0
            change = _worst(held, bought + more * up, sold + more * (not up)) - value
        before[resting.base] = before.get(resting.base, 0.0) + value
    for instrument, value in values.items():
        marked = ledger.mark_of(instrument)
        if marked is not None:
            before[marked.instrument.base] = before.get(marked.instrument.base, 0.0) + value
    return before, {**before, base: before.get(base, 0.0) + change}


def _worst(held: float, buys: float, sells: float) -> float:
    high, low = held + buys, held - sells
    return high if high >= -low else low
