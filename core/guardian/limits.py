"""The limits, one small class each, in the order in which they are asked (specs: docs/guide/guardian.md).

A limit answers None, or a ``Breach`` that says value and bound. Orders that can only shrink a position are asked
only by those limits that set ``covers_exits``.
"""

from collections import deque
from decimal import Decimal
from typing import Protocol

import msgspec

from core.config import GuardianSettings
from core.domain.approval import TradingState
from core.domain.market import Health
from core.domain.message import Nanoseconds
from core.domain.numbers import exact, plain
from core.domain.order import Operation, Order
from core.guardian.proposal import Proposal, marketable
from core.markets import FUTURE_NS

_TRADE = Operation.TRADE
_ACTIVE = TradingState.ACTIVE
_UNFIT = frozenset({Health.GAP, Health.CROSSED, Health.DOWN})
SECOND_NS: Nanoseconds = 1_000_000_000
MS_NS: Nanoseconds = 1_000_000
_ROUNDING = 1e-12
"""A price right at the collar is within it, however its double is rounded."""


class Breach(msgspec.Struct, frozen=True):
    """Why an order may not pass: the limit's name, what was seen and what is allowed.

    Programs read ``value`` and ``bound``: plain decimals in the limit's own unit, or one word where the limit compares
    no numbers. The sentence for people is ``reason``.
    """

    limit: str
    value: str
    bound: str
    reason: str
    key: str = ""
    """The setting under [guardian], where there is one."""


class Limit(Protocol):
    """Judge one property of a proposal."""

    name: str
    key: str
    act: str
    covers_exits: bool

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        ...

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        ...

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it."""
        ...


def number(value: float) -> str:
    """Return a number as people write it: thousands apart, no needless decimals."""
    text = f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"
    whole, dot, fraction = text.replace(",", " ").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if dot and fraction else whole


class Rule:
    """Hold the settings and the words that limits share."""

    name = ""
    key = ""
    act = "deny"
    covers_exits = False

    def __init__(self, settings: GuardianSettings) -> None:
        self.settings = settings

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        return None

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it."""
        return number(value)

    def over(self, value: float, bound: float) -> Breach:
        """Return a breach of an upper bound."""
        text = f"{self.name.replace('_', ' ')} {number(value)} > {number(bound)}"
        return Breach(self.name, exact(value), exact(bound), text, self.key)


class TradingStateLimit(Rule):
    """In REDUCING only what shrinks a position passes; in HALTED nothing but reduce-only exits."""

    name = "trading_state"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        now = proposal.state.trading_state
        if now is _ACTIVE:
            return None
        if now is TradingState.REDUCING and proposal.reduces:
            return None
        if now is TradingState.HALTED and proposal.order.reduce_only:
            return None
        allowed = "what shrinks a position" if now is TradingState.REDUCING else "cancels and reduce-only exits"
        why = proposal.state.state_reason
        text = f"trading is {now}: only {allowed}" + (f" ({why})" if why else "")
        return Breach(self.name, now.value, TradingState.ACTIVE.value, text)


class VenueReady(Rule):
    """Entries wait until the venue is connected and reconciled; exits until it is connected."""

    name = "venue"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        name = proposal.market.venue
        venue = proposal.state.venues.get(name)
        if venue is not None and venue.connected and (venue.reconciled or proposal.order.reduce_only):
            return None
        if venue is None or not venue.connected:
            why = venue.reason if venue is not None else "not connected yet"
            return Breach(self.name, "down", "connected", f"{name} is not connected ({why}); nothing was sent")
        return Breach(self.name, "unreconciled", "reconciled", f"{name} is not reconciled yet: entries denied")


class StoresReady(Rule):
    """Entries need a journal that can be written; exits never do."""

    name = "journal"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        trouble = proposal.state.store_trouble
        if not trouble:
            return None
        return Breach(self.name, "failing", "writable", trouble)  # says what is denied


class ReduceOnly(Rule):
    """A reduce-only order can never increase or flip a position, resting exits counted."""

    name = "reduce_only"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        order = proposal.order
        if not order.reduce_only:
            return None
        position = proposal.position
        if not position or (position > 0) == (order.side.sign > 0):
            text = f"reduce-only {order.side} with position {position}: nothing to reduce; nothing sent"
            return Breach(self.name, plain(order.quantity), "0", text)
        resting = proposal.state.blotter.resting_reduction(order.instrument, order.side, proposal.replaces)
        room = abs(position) - resting
        if order.quantity <= room:
            return None
        if resting:
            text = f"exit {order.quantity} is larger than position {abs(position)} less resting exits {resting}"
        else:
            text = f"exit {order.quantity} is larger than position {abs(position)}"
        room = max(room, Decimal(0))
        return Breach(self.name, plain(order.quantity), plain(room), f"{text}; nothing sent; use {room}")


class Stale(Rule):
    """Entries need a living feed: fresh, in sequence, not crossed."""

    name = "stale_after"
    key = "stale_after_ms"

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self._bound: Nanoseconds = settings.stale_after_ms * MS_NS

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        market, bound = proposal.market, self._bound
        if market.ts and proposal.now - market.ts <= bound and market.health not in _UNFIT and not market.ahead:
            return None
        age = market.age(proposal.now)
        symbol = market.instrument.id
        if market.ahead:
            seen, allowed = f"{market.ahead / SECOND_NS:.0f} s", f"{FUTURE_NS / SECOND_NS:g} s"
            why = f"{market.venue}'s clock is {seen} ahead of ours (limit {allowed}): entries denied"
            return Breach("clock", str(market.ahead // MS_NS), str(FUTURE_NS // MS_NS), why)
        if age is None:
            return Breach(self.name, "never", str(bound // MS_NS), f"{symbol} has no price yet", self.key)
        if age > bound:
            seen, allowed = f"{age / SECOND_NS:.1f} s", f"{bound / SECOND_NS:g} s"
            text = f"{symbol} price is {seen} old (limit {allowed})"
            return Breach(self.name, str(age // MS_NS), str(bound // MS_NS), text, self.key)
        return Breach(self.name, market.health.value, "live", f"{symbol} feed: {market.health} {market.reason}")


class PriceCollar(Rule):
    """A limit that would trade at once may not be far from the mark."""

    name = "price_collar"
    key = "price_collar_frac"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        order, market = proposal.order, proposal.market
        if order.price is None or not market.mark or not marketable(order, market):
            return None
        away = abs(proposal.price / market.mark - 1.0)
        bound = self.settings.price_collar_frac
        return self.over(away, bound) if away > bound + _ROUNDING else None


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


class OrderNotional(Rule):
    """One order is at most this fraction of equity."""

    name = "max_order_notional"
    key = "max_order_notional_frac"

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self._frac = settings.max_order_notional_frac

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        bound = self._frac * proposal.equity
        if proposal.notional <= bound:
            return None
        text = f"notional {number(proposal.notional)} > max_order_notional {number(bound)}"
        return Breach(self.name, exact(proposal.notional), exact(bound), text, self.key)

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        return proposal.notional, self.settings.max_order_notional_frac * proposal.equity


class OrderQuantity(Rule):
    """One order is at most the instrument's own bound, where one is set."""

    name = "max_order_quantity"
    key = "max_order_quantity"

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self._bounds = settings.max_order_quantity

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        if not self._bounds:
            return None
        bound = self._bounds.get(proposal.order.instrument)
        if bound is None or proposal.order.quantity <= bound:
            return None
        return self.over(float(proposal.order.quantity), float(bound))


class Supported(Rule):
    """What the engine cannot carry out whole is refused, never half done."""

    name = "supported"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        order = proposal.order
        if order.operation is _TRADE and not order.smart_execution and not order.atomic_group_id:
            return None
        what, value = ("smart execution" if order.smart_execution else "an atomic group"), "unsupported"
        if order.operation is not _TRADE:
            what, value = f"operation {order.operation}", order.operation.value
        return Breach(self.name, value, _TRADE.value, f"{what} is not supported yet; nothing sent")
