"""How many orders and how fast: the same twice, too many a second, too many at once."""

from collections import deque

from core.config.settings import GuardianSettings
from core.domain.message import Nanoseconds
from core.domain.order import Order
from core.guardian.limits.base import MS_NS, SECOND_NS, Breach, Rule
from core.guardian.proposal import Proposal


class Duplicates(Rule):
    """The same order twice within the window is a mistake."""

    name = "duplicate_window"
    key = "duplicate_window_ms"

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self.window: Nanoseconds = settings.duplicate_window_ms * MS_NS
        self._newest: Nanoseconds = -self.window
        self._recent: deque[tuple[Nanoseconds, Order]] = deque(maxlen=64)

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        if proposal.now - self._newest >= self.window:
            return None
        key = _fingerprint(proposal.order)
        for ts, seen in reversed(self._recent):
            if proposal.now - ts >= self.window:
                return None
            if _fingerprint(seen) == key:
                ms = (proposal.now - ts) // MS_NS
                text = f"the same order was sent {ms} ms ago (window {self.settings.duplicate_window_ms} ms)"
                return Breach(self.name, str(ms), str(self.settings.duplicate_window_ms), text, self.key)
        return None

    def passed(self, order: Order, now: Nanoseconds) -> None:
        """Remember an order that was let through."""
        self._newest = now
        self._recent.append((now, order))


def _fingerprint(order: Order) -> tuple[object, ...]:
    """Return all that makes an order do what it does; a flag changed on purpose is another order."""
    return (
        order.instrument,
        order.side,
        order.quantity,
        order.type,
        order.price,
        order.trigger,
        order.trail,
        order.time_in_force,
        order.post_only,
        order.reduce_only,
        order.strategy_id,
    )


class OrderRate(Rule):
    """No more orders a second than this."""

    name = "max_orders_per_second"
    key = "max_orders_per_second"

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self._bound = settings.max_orders_per_second
        self._sent: deque[Nanoseconds] = deque()

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        if len(self._sent) < self._bound:  # even if none of them has aged
            return None
        return self.at(proposal.now)

    def at(self, now: Nanoseconds) -> Breach | None:
        """Return why one more may not pass at this moment, or None."""
        count = self._count(now) + 1
        return self.over(count, self._bound) if count > self._bound else None

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        count = self._count(proposal.now) + bool(proposal.order.quantity)
        return count, self.settings.max_orders_per_second

    def _count(self, now: Nanoseconds) -> int:
        sent = self._sent
        while sent and now - sent[0] >= SECOND_NS:
            sent.popleft()
        return len(sent)

    def passed(self, now: Nanoseconds) -> None:
        """Count an order that was let through."""
        sent = self._sent
        sent.append(now)
        if now - sent[0] >= SECOND_NS:
            self._count(now)


class AmendRate(OrderRate):
    """No more amends a second than orders, counted apart: a moved ladder takes no entry its place, nor the reverse."""

    name = "max_amends_per_second"


class OpenOrders(Rule):
    """No more open orders than this."""

    name = "max_open_orders"
    key = "max_open_orders"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        working, bound = proposal.state.blotter.open, self.settings.max_open_orders
        if len(working) < bound:
            return None
        count = len(working) + (proposal.replaces not in working)
        return self.over(count, bound) if count > bound else None

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        working = proposal.state.blotter.open
        more = bool(proposal.order.quantity) and proposal.replaces not in working
        return len(working) + more, self.settings.max_open_orders
