"""Exits that an entry brings along: a stop for all of it that has filled, and take profits in parts.

The stop rests: at the venue where it holds stops, else in the engine. Take profits wait in the engine, so that what
rests never exceeds the position: when one is met, the stop is made smaller first, and what it no longer covers is
closed at the market. Everything is worked out anew from the state at each step, so a restart or a lost answer changes
nothing: what is missing is placed, what is too much is taken away, one change of an order at a time.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.instrument import ZERO
from core.domain.message import Event, Nanoseconds
from core.domain.order import WOULD_TRIGGER, Order, OrderRecord, OrderStatus, OrderType, Side, StopLoss, TimeInForce
from core.execution import triggers
from core.execution.flatten import at_once, exit_quantity, sides
from core.execution.orders import BRACKET, Orders
from core.outbox import Outbox
from core.state.brackets import STOP, TARGET, Bracket
from core.state.markets import Market
from core.state.outright import is_unsellable
from core.state.state import State

RETRY_NS: Nanoseconds = 1_000_000_000
"""The least time between two tries of what was refused, so that a "no" cannot become a storm."""
TRAIL_STEPS = 50
"""A trailing stop moves by this part of its distance at least: every move is journalled."""
_ALL = Decimal("Infinity")
_IDLE = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.APPROVED})
_LEAVING = frozenset({OrderStatus.PENDING_CANCEL, OrderStatus.UNKNOWN})
_STOPS = frozenset({OrderType.STOP, OrderType.TRAILING_STOP})
_ENDINGS = (e.OrderRejected, e.OrderDenied, e.OrderExpired, e.OrderCancelled, e.AmendRejected, e.CancelRejected)
_ANSWERS = (*_ENDINGS, e.OrderAccepted, e.OrderAmended)


class Protection:
    """Keep every bracket's exits as large as what it holds; the guardian judges each of them like any order."""

    def __init__(self, outbox: Outbox, orders: Orders) -> None:
        self._outbox, self._orders = outbox, orders
        self.watched: set[InstrumentId] = set()
        """Instruments with a bracket, or with exits that one has left behind."""
        self._later: dict[tuple[ClientOrderId, str], Nanoseconds] = {}
        """When an exit of an entry may be tried again after a "no"."""
        self._sent: dict[tuple[ClientOrderId, str], Nanoseconds] = {}
        """When the last exit of an entry was sent."""
        self._stiff: set[ClientOrderId] = set()
        """Exits whose venue would not amend them."""
        self._taken_away: set[ClientOrderId] = set()
        """Exits that are cancelled to be placed anew."""
        self._hit: set[ClientOrderId] = set()
        """Entries whose stop the price has met, as their venue says: it cannot wait any more."""
        self._asked: set[ClientOrderId] = set()
        """Stops with a change on its way that their bracket has asked for, nobody else."""

    # --- what sets it off -------------------------------------------------------------------------------------------

    def follow(self, event: Event) -> None:
        """Do what an event calls for."""
        state = self._outbox.state
        if isinstance(event, e.VenueReconciled):
            self.watched |= {record.order.instrument for record in state.blotter.open.values() if is_exit(record)}
            self.watched |= state.brackets.by_instrument.keys()
            self.timer()
            return
        self.watched |= state.brackets.by_instrument.keys()
        record = state.blotter.orders.get(getattr(event, "client_order_id", ClientOrderId("")))
        if record is not None and isinstance(event, _ANSWERS) and is_exit(record):
            if isinstance(event, e.OrderAccepted | e.OrderAmended):
                self._stands(event, record.order)
            elif not isinstance(event, e.AmendRejected) or self._concerns(event, record.order):
                self._ended(event, record.order)
        instrument = record.order.instrument if record is not None else getattr(event, "instrument", None)
        if instrument in self.watched:
            self.step(instrument)

    def timer(self) -> None:
        """Look again: what was refused is tried again, what a target had asked for may be over."""
        for instrument in tuple(self.watched):
            self._outbox.guarded(self.step, instrument)

    def moved(self, instrument: InstrumentId) -> None:
        """Take a price: trailing stops follow it, take profits may be met."""
        state = self._outbox.state
        market = state.markets[instrument]
        for bracket in tuple(state.brackets.of(instrument)):
            trailed = self._trail(bracket, market)
            if trailed or (bracket.targets and self._due(bracket, market)):
                self._step(bracket, market)

    def step(self, instrument: InstrumentId) -> None:
        """Bring the exits of an instrument to what its brackets hold."""
        state = self._outbox.state
        brackets = tuple(state.brackets.of(instrument))
        for bracket in brackets:
            self._step(bracket, state.markets[instrument])
        self._clear_orphans(instrument)
        if not brackets and not any(is_exit(record) for record in state.blotter.of(instrument)):
            self.watched.discard(instrument)
        if not self.watched:
            for memory in (self._later, self._sent, self._stiff, self._taken_away, self._hit, self._asked):
                memory.clear()

    # --- one bracket ------------------------------------------------------------------------------------------------

    def _step(self, bracket: Bracket, market: Market) -> None:
        state = self._outbox.state
        if state.exits.closing(market.holding) is not None or not state.venue(market.venue).reconciled:
            return
        leaving = _total(_leaving(state, bracket))
        due = ZERO if leaving else self._due(bracket, market)
        want = market.instrument.floor_size(max(bracket.left - leaving - due, ZERO))
        if bracket.stop is None or want < market.instrument.min_size:
            want = ZERO
        self._fit(bracket, market, want)
        if due and _total(exits(state, bracket, STOP)) <= want:
            self._close(bracket, market, due, TARGET)

    def _due(self, bracket: Bracket, market: Market) -> Decimal:
        """Return what the take profits that are met have not taken yet, as far as it can be closed now."""
        price, sign = market.takes_at(bracket.side.sign), bracket.side.sign
        if not price or self._waits(bracket, TARGET):
            return ZERO
        met = sum(1 for target in bracket.targets if (price - float(target.price)) * sign >= 0.0)
        if not met:
            return ZERO
        share = market.instrument.floor_size(bracket.share(met)) - bracket.taken
        due = min(share, market.instrument.floor_size(bracket.left))
        return due if due >= market.instrument.min_size else ZERO

    def _trail(self, bracket: Bracket, market: Market) -> bool:
        """Move a trailing stop behind the price, by steps that are worth a record."""
        stop, sign = bracket.stop, bracket.side.sign
        price = market.closes_at(sign)
        if stop is None or stop.trail is None or not price:
            return False
        trail = float(stop.trail)
        gained = (price - sign * trail - float(stop.price)) * sign
        if gained < max(market.instrument.tick_size, stop.trail / TRAIL_STEPS):
            return False
        exact = Decimal(repr(price)) - sign * stop.trail
        trigger = market.instrument.quantise_price(exact, ROUND_FLOOR if sign > 0 else ROUND_CEILING)
        if not bracket.is_closer(trigger):
            return False
        self._outbox.record(e.StopTrailed(bracket.entry, trigger, self._outbox.state.now))
        return True

    # --- the stop ---------------------------------------------------------------------------------------------------

    def _fit(self, bracket: Bracket, market: Market, want: Decimal) -> None:
        """Make the stops of a bracket cover ``want``: by one change, and only when no other is on its way."""
        stops = exits(self._outbox.state, bracket, STOP)
        if any(record.status not in _IDLE for record in stops):
            return
        have = _total(stops)
        if have > want:
            self._shrink(bracket, market, stops[-1], have - want)
        elif have < want and not self._waits(bracket, STOP) and (room := self._growth(market, stops, want - have)):
            self._grow(bracket, market, stops, room)
        elif stops:
            self._move(bracket, stops)

    def _growth(self, market: Market, stops: list[OrderRecord], missing: Decimal) -> Decimal:
        """Return how much of what is missing can be covered: by an order of its own only where that is large enough."""
        room = min(exit_quantity(self._outbox.state, market), missing)
        return room if not is_unsellable(market, room) or (stops and self._can_amend(stops[0])) else ZERO

    def _grow(self, bracket: Bracket, market: Market, stops: list[OrderRecord], room: Decimal) -> None:
        if stops and self._can_amend(stops[0]):
            record = stops[0]
            quantity = record.order.quantity + room
            if market.instrument.max_size is None or quantity <= market.instrument.max_size:
                self._amend(record, quantity, self._nearer(bracket, record))
                return
        self._close(bracket, market, room, STOP)

    def _shrink(self, bracket: Bracket, market: Market, record: OrderRecord, excess: Decimal) -> None:
        """Make a stop smaller, or take it away where it cannot be amended; what is then missing is placed anew."""
        rest = record.remaining - excess
        if rest >= market.instrument.min_size and self._can_amend(record):
            self._amend(record, record.order.quantity - excess, self._nearer(bracket, record))
        else:
            self._take_away(record)

    def _take_away(self, record: OrderRecord) -> None:
        if self._later.get((record.order.parent, record.order.strategy_intent), 0) > self._outbox.state.now:
            return  # a venue that would not cancel it is not asked again at once
        self._taken_away.add(record.order.client_order_id)
        self._orders.cancel(c.CancelOrder(record.order.client_order_id, BRACKET))

    def _move(self, bracket: Bracket, stops: list[OrderRecord]) -> None:
        """Bring stops to where a trailing stop stands, unless the venue trails them itself."""
        for record in stops:
            trigger = self._nearer(bracket, record)
            if trigger is not None and self._can_amend(record):
                self._amend(record, None, trigger)
            elif trigger is not None:  # cannot be amended: taken away, and placed anew where it should be
                self._take_away(record)
                return

    def _nearer(self, bracket: Bracket, record: OrderRecord) -> Decimal | None:
        """Return the stop's new trigger where it has to move, None where it stands right or moves by itself."""
        order, stop = record.order, bracket.stop
        if stop is None or stop.trail is None or order.type is not OrderType.STOP or order.trigger is None:
            return None
        return stop.price if (stop.price - order.trigger) * bracket.side.sign > ZERO else None

    def _can_amend(self, record: OrderRecord) -> bool:
        if record.status is OrderStatus.APPROVED:
            return True
        abilities = self._orders.abilities.get(record.venue)
        stiff = record.order.type not in _STOPS or record.order.client_order_id in self._stiff
        return (abilities is None or abilities.amend) and not stiff

    def _amend(self, record: OrderRecord, quantity: Decimal | None, trigger: Decimal | None) -> None:
        self._orders.amend(c.AmendOrder(record.order.client_order_id, quantity, None, trigger, BRACKET))
        if record.status is OrderStatus.PENDING_AMEND:
            self._asked.add(record.order.client_order_id)

    # --- exits ------------------------------------------------------------------------------------------------------

    def _close(self, bracket: Bracket, market: Market, quantity: Decimal, intent: str) -> None:
        """Send an exit: a stop where it can still wait, else at the market, or by a limit through it."""
        state = self._outbox.state
        quantity = min(quantity, exit_quantity(state, market))
        if not quantity:
            return
        order = Order(
            bracket.instrument,
            bracket.exit_side,
            quantity,
            time_in_force=TimeInForce.IOC,
            reduce_only=True,
            strategy_intent=intent,
            parent=bracket.entry,
        )
        stop = self._stop_order(order, bracket.stop, market) if intent == STOP and bracket.stop is not None else None
        if stop is None or bracket.entry in self._hit or triggers.met(stop, market):
            order = at_once(order, market, self._orders.collar(market.venue))
        else:
            order = stop
        self._sent[bracket.entry, intent] = state.now
        self._orders.submit(c.SubmitOrder(order, BRACKET, state.now))
        if isinstance(self._outbox.effects[-1], e.OrderDenied):
            self._later[bracket.entry, intent] = state.now + RETRY_NS

    def _stop_order(self, exit_: Order, stop: StopLoss, market: Market) -> Order:
        abilities = self._orders.abilities.get(market.venue)
        trails = stop.trail is not None and (abilities is None or OrderType.TRAILING_STOP in abilities.order_types)
        return Order(
            exit_.instrument,
            exit_.side,
            exit_.quantity,
            OrderType.TRAILING_STOP if trails else OrderType.STOP,
            trigger=stop.price,
            trail=stop.trail if trails else None,
            reduce_only=True,
            strategy_intent=STOP,
            parent=exit_.parent,
        )

    def _clear_orphans(self, instrument: InstrumentId) -> None:
        """Take away exits whose bracket is over: what they would close is not theirs.

        One that was found at its venue, its entry not on record, stays for what is held beside the brackets: a journal
        was lost or put back, and it protects what was held then.
        """
        state = self._outbox.state
        bare: dict[Side, Decimal] = {}
        for record in state.blotter.of(instrument):
            order = record.order
            if record.foreign or not is_exit(record) or record.status in _LEAVING:
                continue
            if state.brackets.find(order.parent) is not None:
                continue
            if record.found and order.parent not in state.blotter.orders:
                left = bare[order.side] if order.side in bare else self._bare(order)
                if left >= state.markets[instrument].instrument.min_size:
                    bare[order.side] = left - record.may_fill
                    continue
            if self._later.get((order.parent, order.strategy_intent), 0) <= state.now:
                self._orders.cancel(c.CancelOrder(record.order.client_order_id, BRACKET))

    def _bare(self, order: Order) -> Decimal:
        """Return how much is held, by our record or the venue's, that an exit would close and no bracket covers."""
        state = self._outbox.state
        market = state.markets[order.instrument]
        if not state.venue(market.venue).reconciled:
            return _ALL  # what is held there is not known yet
        held = max((abs(one) for one in sides(state, market) if one * order.side.sign < ZERO), default=ZERO)
        return held - sum((one.left for one in state.brackets.over(market.holding) if one.stop is not None), ZERO)

    def _waits(self, bracket: Bracket, intent: str) -> bool:
        return self._later.get((bracket.entry, intent), 0) > self._outbox.state.now

    def _stands(self, event: Event, order: Order) -> None:
        """Believe a stop that its venue holds: whatever was said before, it can wait."""
        if isinstance(event, e.OrderAmended):
            self._asked.discard(order.client_order_id)
        if order.type in _STOPS:
            self._hit.discard(order.parent)

    def _concerns(self, event: e.AmendRejected, order: Order) -> bool:
        """Tell whether a refused change says something of the stop: one that somebody else had asked for leaves it."""
        id_ = order.client_order_id
        if id_ in self._asked:
            self._asked.discard(id_)
            return True
        bracket = self._outbox.state.brackets.find(order.parent)
        if bracket is None or bracket.stop is None or not event.reason.startswith(WOULD_TRIGGER):
            return False
        return triggers.met(replace(order, trigger=bracket.stop.price), self._outbox.state.markets[order.instrument])

    def _ended(self, event: Event, order: Order) -> None:
        """Wait a moment before the next try; a venue that would not amend a stop is not asked to again.

        A stop that its venue refused because the price has met it already is not tried again: the market is, at once.
        """
        id_, key, now = order.client_order_id, (order.parent, order.strategy_intent), self._outbox.state.now
        if isinstance(event, e.AmendRejected | e.OrderRejected) and event.reason.startswith(WOULD_TRIGGER):
            self._hit.add(order.parent)  # nothing protects what it should have: closed at the market, now
        if isinstance(event, e.AmendRejected):
            self._stiff.add(id_)
        elif order.parent in self._hit and order.type in _STOPS:
            return
        elif not isinstance(event, e.OrderCancelled):
            self._later[key] = now + RETRY_NS
        elif id_ not in self._taken_away:  # by the venue: at once, but not again and again
            self._later[key] = self._sent.get(key, 0) + RETRY_NS


def is_exit(record: OrderRecord) -> bool:
    """Tell whether a bracket has made this order."""
    return bool(record.order.parent) and record.order.strategy_intent in (STOP, TARGET)


def _leaving(state: State, bracket: Bracket) -> list[OrderRecord]:
    """Return what closes a bracket's holding now, whoever sent it: take profits, and what gives a late fill back."""
    return [
        record
        for record in state.blotter.open.values()
        if record.order.parent == bracket.entry and record.order.strategy_intent != STOP
    ]


def exits(state: State, bracket: Bracket, intent: str) -> list[OrderRecord]:
    """Return the open exits of a bracket of one kind, oldest first."""
    return [
        record
        for record in state.blotter.open.values()
        if record.order.parent == bracket.entry and record.order.strategy_intent == intent
    ]


def _total(records: list[OrderRecord]) -> Decimal:
    return sum((record.may_fill for record in records), ZERO)
