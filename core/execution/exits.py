"""Exits: closing goes on until an instrument is flat, over restarts of the engine too."""

from collections.abc import Iterable

from core.domain import commands as c
from core.domain import events as e
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.message import Nanoseconds
from core.execution import flatten
from core.execution.flatten import Pace
from core.execution.orders import Orders
from core.outbox import Outbox
from core.state import State

GRACE_NS: Nanoseconds = 3_000_000_000
"""A resumed flatten waits this long for a connected venue to be reconciled; then it goes on with what is known."""


class Exits:
    """Close what is to be closed; what is being closed stands in the state, how fast it goes stands here."""

    def __init__(self, outbox: Outbox, orders: Orders) -> None:
        self._outbox, self._orders = outbox, orders
        self._paces: dict[InstrumentId, Pace] = {}

    @property
    def state(self) -> State:
        """Return the engine's state."""
        return self._outbox.state

    def flatten(self, command: c.Flatten) -> None:
        """Begin to close a position, or all, the biggest first."""
        instruments: Iterable[InstrumentId] = [command.instrument] if command.instrument else self.at_risk()
        for instrument in instruments:
            if instrument not in self.state.markets:
                reason = f"instrument {instrument} is not known here; tradedeck instruments lists what is"
                self._outbox.put(e.CommandRefused("flatten", ClientOrderId(""), reason, self.state.now))
                continue
            self._begin(instrument, command.origin)
            for bracket in tuple(self.state.brackets.of(instrument)):
                self._orders.unprotect(bracket.entry, "its position is flattened")
            self.step(instrument)

    def _begin(self, instrument: InstrumentId, origin: str) -> None:
        self._paces[instrument] = Pace()
        self._outbox.record(e.FlattenStarted(instrument, origin, self.state.now))

    def at_risk(self) -> list[InstrumentId]:
        """Return the instruments with something open or held, the biggest position first."""
        ledger, ours = self.state.ledger, self._orders.ours
        found = {record.order.instrument: 0.0 for record in self.state.blotter.open.values() if ours(record)}
        for position in ledger.positions.values():
            market = ledger.mark_of(position.instrument) if position.quantity else None
            if market is not None:
                found[market.instrument.id] = abs(ledger.notional(position))
        return sorted(found, key=lambda instrument: -found[instrument])

    def is_flat(self, instrument: InstrumentId) -> bool:
        """Tell whether nothing is held that could be sold and nothing of ours is open."""
        return flatten.is_flat(self.state, instrument, self._orders.ours)

    def go_on(self) -> None:
        """Take the next step of every instrument that is being closed."""
        for instrument in list(self.state.exits.flattening):
            self.step(instrument)

    def step(self, instrument: InstrumentId) -> None:
        """Do what brings an instrument closer to flat; ends by itself."""
        pace = self._paces.get(instrument)
        if pace is None:  # begun by a run that ended before it was flat
            pace = self._paces[instrument] = Pace(resumed=True)
        if pace.resumed and self._awaits_venue(instrument, pace):
            return
        if self.is_flat(instrument):
            self._end(instrument, "flat", flat=True)
            return
        state, now, origin = self.state, self.state.now, self.state.exits.flattening[instrument].origin
        for command in list(flatten.steps(state, state.markets[instrument], origin, self._orders.ours)):
            if isinstance(command, c.CancelOrder):
                if pace.may_cancel(state.blotter.orders[command.client_order_id], now):
                    self._orders.cancel(command, urgent=True)
            elif now - pace.last < flatten.RETRY_NS:
                return
            elif pace.tries >= flatten.MAX_TRIES:
                self._give_up(instrument, pace)
                return
            else:
                pace.last, pace.tries = now, pace.tries + 1
                self._orders.submit(command, urgent=True)

    def _awaits_venue(self, instrument: InstrumentId, pace: Pace) -> bool:
        """Tell whether the venue has yet to say what became of the orders of the run before."""
        venue = self.state.venue(self.state.markets[instrument].venue)
        if not venue.reconciled and (not venue.connected or self.state.now - venue.since < GRACE_NS):
            return True
        pace.resumed = False
        return False

    def _give_up(self, instrument: InstrumentId, pace: Pace) -> None:
        reason = f"{instrument} is not flat after {pace.tries} exits; look at its orders and flatten again"
        self._end(instrument, reason, flat=False)
        self._outbox.put(e.CommandRefused("flatten", ClientOrderId(""), reason, self.state.now))

    def _end(self, instrument: InstrumentId, reason: str, *, flat: bool) -> None:
        self._paces.pop(instrument, None)
        self._outbox.record(e.FlattenEnded(instrument, flat, reason, self.state.now))

    def late_fill(self, fill: e.OrderFilled) -> None:
        """Close again what an order older than the last flatten has opened behind it."""
        flat = self.state.exits.flattened.get(fill.instrument)
        if flat is None or fill.instrument in self.state.exits.flattening:
            return
        record = self.state.blotter.orders.get(fill.client_order_id)
        if record is not None and record.created <= flat and self._orders.ours(record):
            self._begin(fill.instrument, "late fill")
