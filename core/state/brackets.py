"""What entries with a stop loss or take profits have opened and still hold: the part of the state that is protected.

A bracket begins with the first fill of its entry, for the instruction stands in the entry's own record until then. It
ends when nothing of it is left, or when somebody takes its stop away. What else closes a position (an exit by hand, a
liquidation) takes from the oldest bracket first, and for good: buying back later is not what was protected.
"""

from collections.abc import Container
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from core.domain.events import BracketEnded, OrderAmended, OrderFilled, StopTrailed
from core.domain.identifiers import ClientOrderId, InstrumentId, holding_of
from core.domain.instrument import ZERO
from core.domain.order import Order, OrderRecord, Side, StopLoss, TakeProfit
from core.domain.watch import BracketBegun

STOP, TARGET = "stop_loss", "take_profit"
"""The ``strategy_intent`` of an exit that a bracket has made; its ``parent`` is the entry."""


class Bracket(msgspec.Struct, gc=False, array_like=True):
    """Keep what one entry has opened: ``left`` of it is held, ``taken`` has gone to take profits.

    ``stop.price`` is where the stop stands now: a trailing stop moves it. ``targets`` are ordered, the nearest first.
    """

    entry: ClientOrderId
    instrument: InstrumentId
    side: Side
    stop: StopLoss | None
    targets: tuple[TakeProfit, ...]
    left: Decimal = ZERO
    taken: Decimal = ZERO

    def share(self, count: int) -> Decimal:
        """Return what the first ``count`` targets take together, of what this bracket had and nobody else closed."""
        fraction = sum((target.fraction for target in self.targets[:count]), ZERO)
        return (self.left + self.taken) * fraction

    def waiting(self) -> list[tuple[Decimal, Decimal]]:
        """Return (price, quantity) of the take profits that are still to come, the nearest first."""
        found = []
        for place, target in enumerate(self.targets):
            rest = self.share(place + 1) - max(self.share(place), self.taken)
            if rest > ZERO:
                found.append((target.price, min(rest, self.left)))
        return found

    def is_closer(self, trigger: Decimal) -> bool:
        """Tell whether a stop price is nearer to the market than where the stop stands."""
        return self.stop is not None and (trigger - self.stop.price) * self.side.sign > ZERO

    @property
    def exit_side(self) -> Side:
        """Return the side that closes it."""
        return self.side.opposite


def is_bracketed(order: Order) -> bool:
    """Tell whether an order brings its own exits."""
    return order.stop_loss is not None or bool(order.take_profit)


def _nearest_first(order: Order) -> tuple[TakeProfit, ...]:
    return tuple(sorted(order.take_profit, key=lambda target: target.price * order.side.sign))


class Brackets:
    """Keep the brackets of every instrument, the oldest first; changed by ``State.apply`` alone."""

    def __init__(self) -> None:
        self.by_instrument: dict[InstrumentId, list[Bracket]] = {}
        """Empty while nothing is protected: then no fill and no price costs more than a look at it."""

    # --- questions --------------------------------------------------------------------------------------------------

    def of(self, instrument: InstrumentId) -> list[Bracket]:
        """Return the brackets of an instrument, the oldest first."""
        return self.by_instrument.get(instrument, [])

    def over(self, holding: InstrumentId) -> list[Bracket]:
        """Return the brackets of what is held: of every pair of a coin, the oldest of each first."""
        return [one for one in self.all() if holding_of(one.instrument) == holding]

    def find(self, entry: ClientOrderId) -> Bracket | None:
        """Return the bracket of an entry order."""
        return next((one for one in self.all() if one.entry == entry), None)

    def all(self) -> list[Bracket]:
        """Return every bracket."""
        return [one for found in self.by_instrument.values() for one in found]

    def restore(self, brackets: tuple[Bracket, ...]) -> None:
        """Take the brackets of an image."""
        for one in brackets:
            self.by_instrument.setdefault(one.instrument, []).append(one)

    # --- events -----------------------------------------------------------------------------------------------------

    def filled(self, event: OrderFilled, order: Order, change: Decimal) -> None:
        """Take a fill of an entry or of an exit of ours, by which what is held changed by ``change`` (unsigned).

        On spot a fee may have come off that.
        """
        if is_bracketed(order):
            self._opened(order, change)
        elif order.parent and (bracket := self.find(order.parent)) is not None:
            bracket.left = max(bracket.left - event.quantity, ZERO)
            if order.strategy_intent == TARGET:
                bracket.taken += event.quantity

    def _opened(self, order: Order, quantity: Decimal) -> None:
        bracket = self.find(order.client_order_id)
        if bracket is None:
            targets = _nearest_first(order)
            bracket = Bracket(order.client_order_id, order.instrument, order.side, order.stop_loss, targets)
            self.by_instrument.setdefault(order.instrument, []).append(bracket)
        bracket.left += quantity

    def held(self, holding: InstrumentId, position: Decimal) -> None:
        """Let brackets hold no more than there is, over all pairs of a coin: what is missing others have closed."""
        found = self.over(holding)
        for one in found:
            if one.side.sign * position <= ZERO:
                one.left = ZERO
        missing = sum((one.left for one in found), ZERO) - abs(position)
        for one in found:
            if missing <= ZERO:
                break
            closed = min(one.left, missing)
            one.left -= closed
            missing -= closed
        for one in found:
            if not one.left:
                self._drop(one.instrument, {one.entry})

    def amended(self, event: OrderAmended, record: OrderRecord | None) -> None:
        """Follow a stop that was moved by hand: from now on it stands there. A trailing stop only ever gets closer."""
        if record is None or event.trigger is None or record.order.strategy_intent != STOP:
            return
        bracket = self.find(record.order.parent)
        if bracket is None or bracket.stop is None:
            return
        if bracket.stop.trail is None or bracket.is_closer(event.trigger):
            bracket.stop = StopLoss(event.trigger, bracket.stop.trail)

    def dust(self, instrument: InstrumentId, min_size: Decimal, working: Container[ClientOrderId]) -> None:
        """Forget what is too small to close, once its entry can fill no more."""
        found = self.of(instrument)
        self._drop(instrument, {one.entry for one in found if one.left < min_size and one.entry not in working})

    def trailed(self, event: StopTrailed) -> None:
        """Move a stop behind the price."""
        bracket = self.find(event.client_order_id)
        if bracket is not None and bracket.stop is not None:
            bracket.stop = StopLoss(event.trigger, bracket.stop.trail)

    def begun(self, event: BracketBegun, record: OrderRecord | None = None) -> None:
        """Protect what nobody protected: by a bracket without an entry order, or one that had no stop yet.

        It may have the id of a stop by hand, the ``record``: that is the bracket's from then on, like any other.
        """
        trail = None
        if record is not None and record.order.reduce_only:
            trail = record.order.trail
            record.order = replace(record.order, parent=event.client_order_id, strategy_intent=STOP)
        stop = StopLoss(event.trigger, trail)
        known = self.find(event.client_order_id)
        if known is not None:
            known.stop = stop
            return
        bracket = Bracket(event.client_order_id, event.instrument, event.side, stop, (), event.quantity)
        self.by_instrument.setdefault(event.instrument, []).append(bracket)

    def ended(self, event: BracketEnded) -> None:
        """Protect this entry's position no more."""
        self.drop(event.client_order_id)

    def drop(self, entry: ClientOrderId) -> None:
        """Forget the bracket of an entry."""
        bracket = self.find(entry)
        if bracket is not None:
            self._drop(bracket.instrument, {bracket.entry})

    def _drop(self, instrument: InstrumentId, entries: set[ClientOrderId]) -> None:
        kept = [one for one in self.of(instrument) if one.entry not in entries]
        if kept:
            self.by_instrument[instrument] = kept
        else:
            self.by_instrument.pop(instrument, None)
