"""While the sentinel closes the account, the engine keeps still: said here, and looked at again right at the wire."""

from core.guardian.limits import Breach, Rule
from core.guardian.proposal import Proposal


class Lease(Rule):
    """While the sentinel holds the lease nothing leaves, exits neither: two exiters could sell twice."""

    name = "sentinel"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        why = proposal.state.guard.holds
        if not why:
            return None
        return Breach(self.name, "held", "free", f"the sentinel holds the lease ({why}); nothing was sent")
