"""Limits of the gate that the watch sets: what a drawdown step and a missing stop still let in."""

from core.domain.identifiers import holding_of
from core.domain.numbers import exact
from core.guardian.limits import Breach, Rule, number
from core.guardian.proposal import Proposal


class DrawdownLimit(Rule):
    """While a drawdown step is in force, all positions together stay within what it leaves."""

    name = "drawdown"
    key = "drawdown_steps"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        watched = proposal.state.watched
        if not watched.step or proposal.gross <= watched.most:
            return None
        text = f"drawdown step {watched.step}: gross {number(proposal.gross)} > {number(watched.most)}"
        return Breach(self.name, exact(proposal.gross), exact(watched.most), text, self.key)

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        watched = proposal.state.watched
        return (proposal.gross, watched.most) if watched.step else None


class Closing(Rule):
    """What is being closed or reduced gets nothing added meanwhile."""

    name = "closing"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        closing = proposal.state.exits.closing(proposal.market.holding)
        if closing is None:
            return None
        origin = closing.origin or "asked for"
        text = f"{proposal.order.instrument} is being closed ({origin}): entries denied until it is"
        return Breach(self.name, "closing", "open", text)


class Unprotected(Rule):
    """A position whose stop is missing grows no further."""

    name = "unprotected"
    key = "protective_stop"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        unprotected, holding = proposal.state.watched.unprotected, proposal.market.holding
        bare = next((one for one in unprotected if holding_of(one) == holding), None) if unprotected else None
        if bare is None:
            return None
        text = f"{bare} is UNPROTECTED ({unprotected[bare]}): entries denied"
        return Breach(self.name, "unprotected", "protected", text, self.key)
