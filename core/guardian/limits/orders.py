"""What one order may be: carried out whole, an exit no larger than the position, near the mark, not too large."""

from core.config.settings import GuardianSettings
from core.domain.approval import TradingState
from core.domain.instrument import ZERO
from core.domain.numbers import exact, plain
from core.domain.order import Operation
from core.guardian.limits.base import Breach, Rule, number
from core.guardian.proposal import Proposal, marketable
from core.state.outright import SPOT_PAIR, orders_of, owned, there

_TRADE = Operation.TRADE
_ROUNDING = 1e-12
"""A price right at the collar is within it, however its double is rounded."""


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


class ReduceOnly(Rule):
    """A reduce-only order can never increase or flip a position, resting exits counted."""

    name = "reduce_only"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        order = proposal.order
        if not order.reduce_only:
            return None
        position, market = proposal.position, proposal.market
        if market.kind is SPOT_PAIR:
            position = owned(proposal.state, market, position)
        if not position or (position > 0) == (order.side.sign > 0):
            text = f"reduce-only {order.side} with position {plain(position)}: nothing to reduce; nothing sent"
            return Breach(self.name, plain(order.quantity), "0", text)
        resting = proposal.state.blotter.resting_reduction(
            order.instrument, order.side, proposal.replaces, waiting=not proposal.is_met
        )
        room = abs(position) - resting
        if order.quantity <= room:
            return None
        if _is_no_larger(proposal):
            return None
        text = f"exit {plain(order.quantity)} is larger than position {plain(abs(position))}"
        if resting:
            text += f" less resting exits {plain(resting)}"
        room = max(room, ZERO)
        if resting and room < proposal.market.instrument.min_size:
            text += "; nothing sent; they cover all of it: amend or cancel them, or flatten"
        else:
            text += f"; nothing sent; use {plain(room)}"
        if resting and order.quantity <= abs(position) and _stop_follows(proposal):
            text += _around(proposal)
        return Breach(self.name, plain(order.quantity), plain(room), text)


def _is_no_larger(proposal: Proposal) -> bool:
    """Tell whether this changes an exit that rests into one that closes no more: a stop follows, or becomes smaller.

    One that waited here and is met is no change of itself.
    """
    before = proposal.state.blotter.open.get(proposal.replaces)
    if before is None or not before.order.reduce_only or proposal.is_met:
        return False
    return proposal.order.quantity <= before.remaining


def _around(proposal: Proposal) -> str:
    """Say how a part is closed by hand beside a bracket's stop: where coins are owned, the stop holds them."""
    if proposal.market.kind is SPOT_PAIR:
        return "; the stop that covers them holds the coins: cancel it, sell, and place it for what is left"
    return ", or send it without reduce-only: the stop that covers the position follows what is left of it"


def _stop_follows(proposal: Proposal) -> bool:
    """Tell whether what rests there is a bracket's stop: it follows what a plain order closes, HALTED aside."""
    state, instrument = proposal.state, proposal.order.instrument
    is_bracketed = any(one.stop is not None for one in state.brackets.of(instrument))
    return is_bracketed and state.trading_state is not TradingState.HALTED


class Owned(Rule):
    """What is owned outright is not sold short: a sale is no larger than what is held less what rests to be sold."""

    name = "owned"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        order, market, state = proposal.order, proposal.market, proposal.state
        if market.kind is not SPOT_PAIR or order.side.sign > 0:
            return None
        held = owned(state, market, proposal.position)
        have = max(held, there(state, market))  # coins may lie in the wallet that no fill of ours brought
        others = (one for one in orders_of(state, market) if one.order.client_order_id != proposal.replaces)
        resting = sum((one.may_fill for one in others if one.order.side.sign < 0 and proposal.counts(one)), ZERO)
        room = max(have - resting, ZERO)
        if order.quantity <= room:
            return None
        coin = market.instrument.base
        text = f"{plain(have)} {coin} is held" + (f", of which {plain(resting)} rests to be sold" if resting else "")
        text = f"{text}: a sale of {plain(order.quantity)} would be short; nothing sent"
        text += f"; use {plain(room)}" if room >= market.instrument.min_size else ""
        return Breach(self.name, plain(order.quantity), plain(room), text)


class PriceCollar(Rule):
    """A limit that would trade at once may not be far from the mark, one that waits not far beyond its trigger."""

    name = "price_collar"
    key = "price_collar_frac"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        order, market = proposal.order, proposal.market
        if order.price is None:
            return None
        if order.trigger is not None:  # at its trigger it trades as far as its limit, wherever the mark stands now
            away = (proposal.price / float(order.trigger) - 1.0) * order.side.sign
        elif market.mark and marketable(order, market):
            away = abs(proposal.price / market.mark - 1.0)
        else:
            return None
        bound = self.settings.price_collar_frac
        return self.over(away, bound) if away > bound + _ROUNDING else None


class OrderNotional(Rule):
    """One order, at the dearest of its price, its trigger and the mark, is at most this fraction of equity."""

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
        at = f" at {number(proposal.dearest)}" if proposal.dearest != proposal.price else ""
        text = f"notional {number(proposal.notional)}{at} > max_order_notional {number(bound)}"
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
