"""Exits: an instrument is brought to a target until it is there, over restarts of the engine too.

What a trader closes goes at the market; where a venue takes no market orders, by limits that end at once. What the
guardian closes goes by a ladder: such a limit through the market, then market orders, then those of the coin's other
pairs in turn, and behind its time a human is called while it goes on; it ends when the venue has said explicitly that
nothing is held.
"""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from core.domain import commands as c
from core.domain import events as e
from core.domain import watch as w
from core.domain.identifiers import ClientOrderId, InstrumentId, holding_of
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.numbers import plain
from core.execution import flatten
from core.execution.flatten import Pace, Way
from core.execution.orders import GRACE_NS, Orders
from core.outbox import Confirm, Outbox
from core.state.exiting import GUARDIAN, Closing
from core.state.markets import Market
from core.state.outright import SPOT_PAIR, is_unsellable, moved, orders_of, there
from core.state.state import State

SECOND_NS: Nanoseconds = 1_000_000_000
ESCALATE_NS: Nanoseconds = 30_000_000_000
"""An exit of the guardian's that is not confirmed by then calls a human; it goes on."""
SLOW_NS: Nanoseconds = 5_000_000_000
"""The time between two tries of an exit that a human was called for."""
CONFIRM_NS: Nanoseconds = 2_000_000_000
"""The time between two questions to a venue whether it holds nothing any more."""


WIDER = (0.25, 0.5, 1.0)
"""How much of the collar the first exit uses, the next, and all behind, where the venue takes no market orders."""
OWN_TRIES = 2
"""Exits through a market that may close nothing, before another pair of the same coin is tried in turn."""
NOBODY = ClientOrderId("")


class Budget:
    """Let so many exits leave in one second, counted apart from everything else: busy entries take them no place."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sent: deque[Nanoseconds] = deque()

    def has_room(self, now: Nanoseconds) -> bool:
        """Tell whether one more may leave now."""
        sent = self._sent
        while sent and now - sent[0] >= SECOND_NS:
            sent.popleft()
        return len(sent) < self._most

    def take(self, now: Nanoseconds) -> None:
        """Count one that leaves."""
        self._sent.append(now)


class Exits:
    """Close what is to be closed; what is being closed stands in the state, how fast it goes stands here."""

    def __init__(self, outbox: Outbox, orders: Orders) -> None:
        self._outbox, self._orders = outbox, orders
        settings = orders.guardian.settings
        self._collar, self._budget = settings.price_collar_frac, Budget(settings.max_exits_per_second)
        self._paces: dict[InstrumentId, Pace] = {}

    @property
    def state(self) -> State:
        """Return the engine's state."""
        return self._outbox.state

    def flatten(self, command: c.Flatten) -> None:
        """Begin to close a position, or all, the biggest first; one that fails holds up no other."""
        instruments: Iterable[InstrumentId] = [command.instrument] if command.instrument else self.at_risk()
        for instrument in instruments:
            if instrument not in self.state.markets:
                reason = f"instrument {instrument} is not known here; tradedeck instruments lists what is"
                self._outbox.put(e.CommandRefused("flatten", ClientOrderId(""), reason, self.state.now))
                continue
            self._begin(instrument, command.origin)
            self._outbox.guarded(self.step, instrument)

    def bring(self, instrument: InstrumentId, target: Decimal, origin: str, entry: ClientOrderId = NOBODY) -> None:
        """Bring a position to ``target`` (unsigned) at most; what closes it already gets the nearer of both.

        What a trader closes becomes the guardian's where the guardian asks for as much or less: it gives up nothing.
        """
        closing = self.state.exits.flattening.get(instrument)
        if closing is not None and closing.target <= target:
            if closing.guarded or not origin.startswith(GUARDIAN):
                return
            target, entry = closing.target, closing.entry
        self._begin(instrument, origin, target, entry)
        self.step(instrument)

    def _begin(
        self, instrument: InstrumentId, origin: str, target: Decimal = ZERO, entry: ClientOrderId = NOBODY
    ) -> None:
        venue = self.state.venue(self.state.markets[instrument].venue)
        guarded = origin.startswith(GUARDIAN)
        self._paces[instrument] = Pace(resumed=guarded and not venue.reconciled, begun=self.state.now)
        self._outbox.record(e.FlattenStarted(instrument, origin, self.state.now, target, entry))
        if not target:
            holding = self.state.markets[instrument].holding
            for bracket in self.state.brackets.over(holding):
                self._orders.unprotect(bracket.entry, "its position is flattened")

    def at_risk(self) -> list[InstrumentId]:
        """Return the instruments with something open or held, the biggest position first.

        An order counts where what it is of is marked: two closings of one coin would each choose a way of their own.
        """
        ledger, ours = self.state.ledger, self._orders.ours
        found: dict[InstrumentId, float] = {}
        for record in self.state.blotter.open.values():  # in their order: no set's, which differs by process
            if ours(record):
                market = ledger.mark_of(holding_of(record.order.instrument))
                found[market.instrument.id if market is not None else record.order.instrument] = 0.0
        for position in ledger.positions.values():
            market = ledger.mark_of(position.instrument) if position.quantity else None
            if market is not None:
                found[market.instrument.id] = abs(ledger.notional(position))
        return sorted(found, key=lambda instrument: -found[instrument])

    def is_flat(self, instrument: InstrumentId) -> bool:
        """Tell whether nothing is held that could be sold and nothing of ours is open."""
        return flatten.is_flat(self.state, instrument, self._orders.ours)

    def go_on(self) -> None:
        """Take the next step of every instrument that is being closed; one that fails holds up no other.

        The one whose last exit left first comes first: what a venue refuses again and again takes no other's turn.
        """
        paces = self._paces
        for instrument in sorted(self.state.exits.flattening, key=lambda one: paces[one].last if one in paces else 0):
            self._outbox.guarded(self.step, instrument)

    def step(self, instrument: InstrumentId) -> None:
        """Do what brings an instrument closer to flat; ends by itself."""
        pace = self._paces.get(instrument)
        if pace is None:  # begun by a run that ended before it was flat
            pace = self._paces[instrument] = Pace(resumed=True, begun=self.state.now)
        state, closing, market = self.state, self.state.exits.flattening[instrument], self.state.markets[instrument]
        waits = pace.resumed and self._awaits_venue(instrument, pace)
        if not waits or state.now - pace.begun >= ESCALATE_NS:
            self._escalate_if_late(instrument, closing, pace)
        if waits or state.guard.holds:
            return  # the venue has yet to answer, or the sentinel closes it meanwhile
        if flatten.is_reached(state, market, closing, self._orders.ours):
            self._reached(instrument, closing, pace)
            return
        pace.reached = 0
        route = self._route(market, closing, pace)
        way = self._way(route, closing, pace)
        commands = list(flatten.steps(state, route, closing, self._orders.ours, way))
        if not commands and not closing.guarded and not any(map(self._orders.ours, orders_of(state, market))):
            self._give_up(instrument, pace, self._obstacle(market))
        for command in commands:
            if isinstance(command, c.SubmitOrder):
                self._exit(instrument, command, closing, pace)
            else:
                self._clear(command, pace)

    def _obstacle(self, market: Market) -> str:
        """Say why a trader's flatten finds nothing that it may do, though it is not flat."""
        own, theirs = flatten.sides(self.state, market)
        if own == theirs:
            has = there(self.state, market)
            if market.kind is SPOT_PAIR and (has < own or own < ZERO):
                return f"{market.venue} has told of {plain(has)} in the wallet: not every fill is known yet"
            return "orders of others stand in the way"
        return f"our record says {plain(own)}, {market.venue} {plain(theirs)}: see tradedeck reconcile"

    def _clear(self, command: c.CancelOrder | c.AmendOrder, pace: Pace) -> None:
        """Take away what stands in the way; what reduces stays for as long as no exit may leave."""
        record, now = self.state.blotter.orders[command.client_order_id], self.state.now
        if record.order.reduce_only and not self._budget.has_room(now):
            return
        if pace.may_cancel(record, now):
            if isinstance(command, c.CancelOrder):
                self._orders.cancel(command, urgent=True)
            else:
                pace.amended.add(command.client_order_id)
                self._orders.amend(command, urgent=True)

    def _exit(self, instrument: InstrumentId, command: c.SubmitOrder, closing: Closing, pace: Pace) -> None:
        """Send an exit when it is time: at once behind the ladder's first step, which ends at once.

        It may go through another pair than the instrument that is closed.
        """
        now = self.state.now
        wait = flatten.RETRY_NS
        if closing.guarded:
            wait = 0 if pace.tries == 1 else SLOW_NS if closing.escalated else wait
        if now - pace.last < wait or not self._budget.has_room(now):
            return
        market = self.state.markets[command.order.instrument]
        venue = self.state.venue(market.venue)
        if not venue.connected:  # it goes on with the link: nothing leaves, so it is no try
            if not pace.away:
                pace.away = True
                self._orders.submit(command, urgent=True)  # the refusal says why, once
            return
        pace.away, held = False, self._held(market)
        if held < pace.held:
            pace.counted = 0  # the last one closed something
        if not closing.guarded and pace.counted >= flatten.MAX_TRIES:
            self._give_up(instrument, pace)
            return
        pace.failed, pace.held = pace.failed_with(held), held
        pace.last, pace.tries, pace.counted = now, pace.tries + 1, pace.counted + venue.reconciled
        self._budget.take(now)
        self._orders.submit(command, urgent=True)

    def _route(self, market: Market, closing: Closing, pace: Pace) -> Market:
        """Choose where the next exit goes: where too many closed nothing, the pairs of the coin have their turn."""
        failed = pace.failed_with(self._held(market))
        if failed < OWN_TRIES:
            return market
        routes = flatten.routes(self.state, market, closing.target)
        return routes[(failed - OWN_TRIES + 1) % len(routes)]

    def _held(self, market: Market) -> Decimal:
        position = self.state.ledger.positions.get(market.holding)
        return abs(position.quantity) if position is not None else ZERO

    def _way(self, market: Market, closing: Closing, pace: Pace) -> Way:
        """Choose the step of the ladder: a collared limit first for what the guardian closes, then market orders.

        Where the venue takes no market orders, all are limits, each further through the market, up to the collar.
        """
        able, collar = self._orders.abilities.get(market.venue), self._orders.collar(market.venue)
        if collar is not None:
            collar *= WIDER[min(pace.tries, len(WIDER) - 1)]
        elif closing.guarded and not pace.tries and (able is None or able.takes_ioc_limits):
            collar = self._collar
        return Way(collar, able is None or able.reduce_only, able is None or able.amend, pace.amended)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _reached(self, instrument: InstrumentId, closing: Closing, pace: Pace) -> None:
        """End where our record says so; a flat of the guardian's only when its venue has said so too."""
        if closing.target:
            self._end(instrument, "reduced", flat=True)
        elif not closing.guarded:
            self._end(instrument, self._flat(instrument), flat=True)
        else:
            now = self.state.now
            pace.reached = pace.reached or now
            if now - pace.asked >= CONFIRM_NS:
                pace.asked = now
                self._outbox.put(Confirm(self.state.markets[instrument].venue))

    def confirmed(self, event: e.VenueReconciled) -> None:
        """End what a venue has said explicitly to be flat, asked since our record said so.

        Venues report what has been held. Where nothing ever was, an answer without it is all that there is to be said.
        """
        positions = self.state.ledger.positions
        for instrument, pace in tuple(self._paces.items()):
            market = self.state.markets[instrument]
            if market.venue != event.venue or instrument not in self.state.exits.flattening:
                continue
            told = market.holding in event.reported or market.holding not in positions
            if told and 0 < pace.reached <= event.asked and self.is_flat(instrument):
                self._end(instrument, f"{self._flat(instrument)}, confirmed by the venue", flat=True)

    def _flat(self, instrument: InstrumentId) -> str:
        """Say that it is flat, and what is left that no order could close."""
        market = self.state.markets[instrument]
        left = self.state.ledger.positions.get(market.holding)
        if left is None or not left.quantity:
            return "flat"
        return f"flat but for dust ({plain(left.quantity)}), which is less than the venue's least order"

    def _escalate_if_late(self, instrument: InstrumentId, closing: Closing, pace: Pace) -> None:
        if closing.escalated or self.state.now - closing.since < ESCALATE_NS:
            return
        seconds = (self.state.now - closing.since) // SECOND_NS
        what = "its venue has not confirmed it flat" if pace.reached else "it is not done"
        asked = f"{instrument}: {seconds} s and {pace.tries} exits since {closing.origin} asked"
        reason = f"{asked}, {what}; it goes on, look at it"
        self._outbox.record(w.ExitEscalated(instrument, reason, self.state.now))

    def _awaits_venue(self, instrument: InstrumentId, pace: Pace) -> bool:
        """Tell whether the venue has yet to say what became of the orders of the run before."""
        venue = self.state.venue(self.state.markets[instrument].venue)
        if not venue.reconciled and (not venue.connected or self.state.now - venue.since < GRACE_NS):
            return True
        pace.resumed = False
        return False

    def _give_up(self, instrument: InstrumentId, pace: Pace, why: str = "") -> None:
        reason = f"{instrument} is not flat after {pace.tries} exits{why and f': {why}'}"
        reason += "; look at its orders and flatten again"
        self._end(instrument, reason, flat=False)
        self._outbox.put(e.CommandRefused("flatten", ClientOrderId(""), reason, self.state.now))

    def _end(self, instrument: InstrumentId, reason: str, *, flat: bool) -> None:
        self._paces.pop(instrument, None)
        self._outbox.record(e.FlattenEnded(instrument, flat, reason, self.state.now))

    def late_fill(self, fill: e.OrderFilled) -> None:
        """Close again what an order older than the last flatten of its holding has opened behind it, and no more.

        One that was adopted since is wanted.
        """
        exits, holding = self.state.exits, holding_of(fill.instrument)
        flat, position = exits.flattened_at(holding), self.state.ledger.positions.get(holding)
        if not flat or position is None or exits.closing(holding) is not None:
            return
        record = self.state.blotter.orders.get(fill.client_order_id)
        if record is None or record.created > flat or not self._orders.ours(record):
            return
        market = self.state.markets[fill.instrument]
        brought = moved(fill, market.instrument)
        if position.quantity * fill.side.sign <= ZERO:
            return
        if is_unsellable(market, max(abs(position.quantity) - brought, ZERO)):
            self._begin(fill.instrument, "late fill")
        else:
            self._give_back(market, brought, fill.client_order_id)

    def _give_back(self, market: Market, brought: Decimal, entry: ClientOrderId) -> None:
        """Close what a late fill has added to a position that is wanted: once, and nothing else is touched."""
        quantity = min(market.instrument.floor_size(brought), flatten.exit_quantity(self.state, market))
        if is_unsellable(market, quantity):
            return
        now = self.state.now
        way = Way(self._orders.collar(market.venue))
        order = flatten.exit_order(self.state, market, quantity, Closing("late fill", now, entry=entry), way)
        self._budget.take(now)
        self._orders.submit(c.SubmitOrder(order, "late fill", now), urgent=True)
