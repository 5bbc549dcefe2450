"""What a strategy in one instrument keeps over a restart: what it wants, and how it stands against its study's rule."""

import msgspec

from core.domain.market import Bar
from core.domain.message import Nanoseconds
from core.state.configs import Account, LiveTrade
from core.strategy.rule import RuleTrade, Shadow

KEPT = 3
"""Trades of either side that may wait for their counterpart."""


class Mind(msgspec.Struct, array_like=True):
    """What must outlive the engine: the rule's own account, what is wanted, and how both sides stand so far.

    ``goal`` is the side to hold, 0 flat, None where nothing is wanted; ``bar`` the start of the bar that said so.
    ``best`` is the best price since the live entry, ``level`` where the stop was last put by the strategy.
    """

    shadow: Shadow
    begun: Nanoseconds = 0
    """When the account began that this is of."""
    version: int = 0
    """The config's version that it was decided by."""
    decided: Nanoseconds = 0
    """The start of the last bar that was decided on."""
    goal: int | None = None
    bar: Nanoseconds = 0
    until: Nanoseconds = 0
    tries: int = 0
    best: float = 0.0
    level: float = 0.0
    seen: int = 0
    """Closed live trades taken note of."""
    live: list[LiveTrade] = []
    rule: list[RuleTrade] = []
    matched: int = 0
    missed: int = 0
    extra: int = 0
    entry_bps: float = 0.0
    """The sum over matched entries."""
    profit: float = 0.0
    """Live less rule, in the quote asset."""

    def compare(self, account: Account, bar: Bar, interval_ns: Nanoseconds) -> bool:
        """Hold live trades that are over by a bar against the rule's, entry by entry; tell whether any was judged."""
        fresh = account.closed - self.seen
        if fresh > 0:
            self.live += account.trades[-fresh:]
            self.seen = account.closed
        before = (self.matched, self.missed, self.extra)
        opened, side = account.opened // interval_ns * interval_ns, sign(float(account.quantity))
        open_live = (opened, side) if account.quantity else None
        open_rule = (self.shadow.opened, sign(self.shadow.quantity)) if self.shadow.quantity else None
        theirs = {(one.opened, one.side): one for one in self.rule}
        for live in list(self.live):
            key = (live.opened // interval_ns * interval_ns, live.side)
            rule = theirs.pop(key, None)
            if rule is not None:
                self.live.remove(live)
                self.rule.remove(rule)
                self._match(live, rule)
            elif key != open_rule and live.closed // interval_ns * interval_ns <= bar.start:
                self.live.remove(live)
                self.extra += 1
                self.profit += float(live.profit - live.funding)
        for key, rule in theirs.items():
            if key != open_live:
                self.rule.remove(rule)
                self.missed += 1
                self.profit -= rule.profit
        del self.live[:-KEPT], self.rule[:-KEPT]
        return (self.matched, self.missed, self.extra) != before

    def _match(self, live: LiveTrade, rule: RuleTrade) -> None:
        self.matched += 1
        self.entry_bps += live.side * (float(live.entry) / rule.entry - 1.0) * 1e4
        self.profit += float(live.profit - live.funding) - rule.profit


def sign(value: float) -> int:
    """Return the side of a quantity, 0 for nothing."""
    return (value > 0.0) - (value < 0.0)
