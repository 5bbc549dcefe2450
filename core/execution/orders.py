"""Orders on their way out: commands become approved orders, cancels and amends."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import CONDITIONAL, Order, OrderRecord, OrderStatus, OrderType
from core.execution import triggers
from core.execution.ids import OrderIds
from core.guardian.guardian import Guardian
from core.outbox import Outbox
from core.ports import Abilities
from core.state.markets import Market
from core.state.state import State

NO_VENUE = VenueId("")
BRACKET = "bracket"
"""The origin of commands by which a bracket keeps its own exits."""
GRACE_NS: Nanoseconds = 3_000_000_000
"""An exit waits this long for a connected venue to be reconciled; then it goes on with what is known."""
_APPROVED = OrderStatus.APPROVED
_BUSY = frozenset({OrderStatus.PENDING_AMEND, OrderStatus.PENDING_CANCEL, OrderStatus.UNKNOWN})


class Orders:
    """Carry out what is wanted of orders; every order passes the guardian, whoever wants it."""

    def __init__(
        self, outbox: Outbox, guardian: Guardian, ids: OrderIds, abilities: Mapping[VenueId, Abilities] | None = None
    ) -> None:
        self.guardian = guardian
        self.abilities = guardian.able.venues = dict(abilities or {})
        self.held: set[InstrumentId] = set()
        """Instruments with an order that waits here for its trigger."""
        self._outbox = outbox
        self._ids = ids

    @property
    def state(self) -> State:
        """Return the engine's state."""
        return self._outbox.state

    def submit(self, command: c.SubmitOrder, *, urgent: bool = False, sized: bool = False) -> None:
        """Give an order its id and let the guardian judge it; what passes is recorded, then sent or held.

        An ``urgent`` exit leaves together with its record instead of behind it. One that is ``sized`` is made
        smaller to the volatility target first.
        """
        outbox = self._outbox
        state = outbox.state
        now, order = state.now, command.order
        venue = order.venue
        if not venue:
            market = state.markets.get(order.instrument)
            venue = market.venue if market is not None else NO_VENUE
        order = replace(order, client_order_id=self.new_id(), venue=venue)
        if sized:
            fitted = self.guardian.size(state, order, now)
            if isinstance(fitted, e.OrderDenied):
                outbox.record(fitted)
                return
            order = fitted
        verdict = self.guardian.check(state, c.SubmitOrder(order, command.origin, now), now, urgent=urgent)
        if not isinstance(verdict, Approved):
            outbox.record(verdict)
            return
        abilities = self.abilities.get(venue)
        if abilities is not None and order.type in CONDITIONAL and order.type not in abilities.order_types:
            outbox.record(e.OrderApproved(order, venue, now))
            self.held.add(order.instrument)
            return
        outbox.record(e.OrderSubmitted(order, venue, now))
        outbox.put(verdict)

    def collar(self, venue: VenueId) -> float | None:
        """Return how far through the market a limit may go that stands for a market order; None where none has to."""
        able = self.abilities.get(venue)
        if able is None or OrderType.MARKET in able.order_types or not able.takes_ioc_limits:
            return None
        return self.guardian.settings.price_collar_frac

    def want(self, command: c.SubmitOrder) -> None:
        """Submit what a strategy wants, at the size that the volatility target allows."""
        self.submit(command, sized=self.guardian.sizing.on)

    def amend(self, command: c.AmendOrder, *, urgent: bool = False) -> None:
        """Change a working order where the venue can and the guardian lets it.

        An ``urgent`` one makes room for an exit: it counts for no rate and leaves together with its record.
        """
        record = self._working(command, "amend")
        if record is None:
            return
        now, waits = self.state.now, record.status is _APPROVED
        abilities = self.abilities.get(record.venue)
        if not waits and abilities is not None and not abilities.amend:
            self._refuse(command, "amend", f"{record.venue} cannot amend orders; cancel and send a new one")
            return
        if record.status in _BUSY:
            self._refuse(command, "amend", f"order is {record.status}; wait for the venue's answer")
            return
        follows = urgent or command.origin == BRACKET
        verdict = self.guardian.check_amend(self.state, command, record, now, follows=follows, urgent=urgent)
        id_, changes = command.client_order_id, (command.quantity, command.price, command.trigger)
        if not isinstance(verdict, Approved):
            self._outbox.put(self.guardian.denied_change("amend", id_, verdict, now))
        elif waits:  # it waits here for its trigger: the venue has never heard of it
            self._outbox.record(e.OrderAmended(id_, *changes, now, now))
        else:
            self._outbox.record(e.AmendSubmitted(id_, *changes, now))
            self._outbox.put(verdict)

    def cancel(self, command: c.CancelOrder, *, urgent: bool = False) -> None:
        """Cancel a working order; one cancel at a time.

        An ``urgent`` one makes room for an exit: it ends no bracket.
        """
        record = self._working(command, "cancel")
        if record is None:
            return
        now = self.state.now
        if record.order.parent and command.origin != BRACKET and not urgent:
            self.unprotect(record.order.parent, f"its {record.order.strategy_intent} was cancelled")
        if record.status is _APPROVED:
            self._outbox.record(e.OrderCancelled(command.client_order_id, "cancelled before its trigger", now, now))
            return
        if record.status is OrderStatus.PENDING_CANCEL:
            return  # one cancel is on its way
        self._outbox.record(e.CancelSubmitted(command.client_order_id, now))
        self._outbox.put(self.guardian.approve_cancel(command, urgent=urgent))

    def unprotect(self, entry: ClientOrderId, reason: str) -> None:
        """End the bracket of an entry: its exits were taken away on purpose, and are not placed again."""
        if self.state.brackets.find(entry) is not None:
            self._outbox.record(e.BracketEnded(entry, reason, self.state.now))

    def _working(self, command: c.AmendOrder | c.CancelOrder, what: str) -> OrderRecord | None:
        record = self.state.blotter.orders.get(command.client_order_id)
        if record is None:
            self._refuse(command, what, f"order {command.client_order_id} is not known; tradedeck orders lists them")
        elif not record.is_open:
            self._refuse(command, what, f"order {command.client_order_id} is {record.status} already")
        else:
            return record
        return None

    def _refuse(self, command: c.AmendOrder | c.CancelOrder, what: str, reason: str) -> None:
        self._outbox.put(e.CommandRefused(what, command.client_order_id, reason, self.state.now))

    def cancel_all(self, command: c.CancelAll) -> None:
        """Cancel every open order, of one instrument or of all."""
        for record in list(self.state.blotter.open.values()):
            if self.ours(record) and (command.instrument is None or record.order.instrument == command.instrument):
                self.cancel(c.CancelOrder(record.order.client_order_id, command.origin))

    def ours(self, record: OrderRecord) -> bool:
        """Tell whether this engine made an order, or adopted it; others' are shown, and touched only one by one."""
        return not record.foreign

    def release(self, instrument: InstrumentId) -> None:
        """Send the waiting orders whose trigger the market has met; the guardian judges them again."""
        market, now = self.state.markets[instrument], self.state.now
        records = triggers.waiting(self.state, instrument)
        if not records:
            self.held.discard(instrument)
        for record in records:
            if self._expired(record) or not triggers.met(record.order, market) or self._awaits_venue(record.order):
                continue
            if not self._has_room(record, market):
                continue
            order = triggers.released(record.order, market, self.collar(market.venue))
            price = Decimal(repr(market.mark))
            self._outbox.record(e.OrderTriggered(order.client_order_id, price, now, now))
            verdict = self.guardian.check(self.state, c.SubmitOrder(order, "trigger", now), now)
            if isinstance(verdict, Approved):
                self._outbox.record(e.OrderSubmitted(order, order.venue, now))
                self._outbox.put(verdict)
            else:
                self._outbox.record(verdict)

    def _has_room(self, record: OrderRecord, market: Market) -> bool:
        """Tell whether an exit that is met has something to close, made as small as what is left for it."""
        room = triggers.room_for(self.state, record, market)
        if room is None:
            return True
        now = self.state.now
        for one in room.in_the_way:
            if not triggers.is_refused(one, now):
                self.cancel(c.CancelOrder(one.order.client_order_id, "trigger", now), urgent=True)
        order = record.order
        if room.left and room.left < order.quantity:
            self._outbox.record(e.OrderAmended(order.client_order_id, room.left, None, None, now, now))
            if room.later >= market.instrument.min_size:  # judged again when its turn comes, as the whole was
                rest = replace(order, client_order_id=self.new_id(), quantity=room.later)
                self._outbox.record(e.OrderApproved(rest, record.venue, now))
        return room.left > ZERO

    def _awaits_venue(self, order: Order) -> bool:
        """Tell whether the sentinel holds the lease, or the venue has yet to say what it holds.

        An exit may have left already, entries are denied.
        """
        if self.state.guard.holds:
            return True
        venue = self.state.venue(order.venue)
        if venue.reconciled:
            return False
        return not order.reduce_only or not venue.connected or self.state.now - venue.since < GRACE_NS

    def expire(self) -> None:
        """End the waiting orders whose time has come: no venue knows of them that could."""
        for instrument in tuple(self.held):
            for record in triggers.waiting(self.state, instrument):
                self._expired(record)

    def _expired(self, record: OrderRecord) -> bool:
        order, now = record.order, self.state.now
        if now < triggers.end_of(record):
            return False
        self._outbox.record(e.OrderExpired(order.client_order_id, "its time came before its trigger", now, now))
        return True

    def hold_waiting(self) -> None:
        """Find the orders that wait here, after a restart."""
        self.held = {
            record.order.instrument for record in self.state.blotter.open.values() if record.status is _APPROVED
        }

    def new_id(self) -> ClientOrderId:
        """Return an id that no order and no bracket has had before."""
        return self._ids.new(self._outbox.state.run)
