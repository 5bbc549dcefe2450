"""Where our record and the venue's differ, nothing is entered until the trader has said which is right."""

from core.guardian.limits import Breach, Rule
from core.guardian.proposal import Proposal


class Differing(Rule):
    """Entries wait for the trader's word on differences; what can only reduce passes, sized by what both sides hold."""

    name = "difference"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        differences = proposal.state.differences
        if not differences.standing or proposal.order.reduce_only:
            return None
        market = proposal.market
        if proposal.reduces and not differences.gap(market):
            return None
        one = differences.blocking(market)
        if one is None:
            if not proposal.reduces or abs(differences.both(market, proposal.position)) >= proposal.order.quantity:
                return None
            text = (
                f"{market.venue} holds less of {market.instrument.id} than our record, which is kept: use reduce-only"
            )
            return Breach(self.name, "kept", "none", text)
        about = one.instrument or one.asset
        text = (
            f"{one.kind} of {about} differs: ours {one.ours.normalize():f}, {one.venue} reports "
            f"{one.theirs.normalize():f}; entries denied until tradedeck reconcile accept {one.number} (or keep)"
        )
        return Breach(self.name, one.kind.value, "none", text)
