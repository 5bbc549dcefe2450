"""The oracles: an account of its own beside the engine, and what must hold of it after every step.

The audit sees what the engine is told, what it decides, what leaves it, what becomes durable and what the exchange
does, and shares no code with the engine's own bookkeeping. It notes the first thing that is wrong and
stops the simulation. Which invariant is watched by which oracle stands in docs/reliability.md.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved, TradingState
from core.domain.differences import DifferenceFound, DifferenceKind
from core.domain.identifiers import ClientOrderId, InstrumentId, InstrumentType, VenueId, holding_of, parse_id, venue_of
from core.domain.message import Event, Message, Nanoseconds
from core.domain.order import Order
from core.domain.reports import VenueSnapshot
from core.domain.watch import ExitEscalated
from core.session import wire
from core.state.exiting import GUARDIAN
from tests.core.kit import ETH_BTC
from tests.simulation.guarding import Guarding
from tests.simulation.losses import DAY, POSITION, Losses
from tests.simulation.machine import MS, Machine, S
from tests.simulation.prices import Prices, is_loosened, is_number, is_sound
from tests.simulation.protecting import Protecting
from tests.simulation.shadow import Shadow
from tests.simulation.venue import STRANGE

FLAT_WITHIN: Nanoseconds = 31 * S
"""The limit, and a look at it."""
SENTINELS = "t0s"
"""How the ids of the sentinel's orders begin."""
STALE: Nanoseconds = 2 * S + 600 * MS
"""A price may be so old: the limit, a look at the feeds (100 ms) and a step of prices (320 ms) behind it."""
KEPT = 60
"""Steps shown of a simulation that failed."""


ENTRY_ALONE = "found before it had a price"
"""How the reason of a position begins that is set to its first mark: its quantity stays."""


class Audit:
    """Watch one simulation."""

    protecting: Protecting

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.spot: frozenset[VenueId] = frozenset()
        """Where what is held is a wallet, of which fees take their part."""
        self.wrong: list[str] = []
        self.recent: deque[tuple[Nanoseconds, str, object]] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.shadow, self.durable = Shadow(), Shadow()
        self.bounds = (DAY, POSITION)
        """Of the day's loss and of one position's, in this world."""
        self.flows: dict[VenueId, list[float]] = defaultdict(list)
        """What came and went at each exchange beside trading, in order."""
        self.losses = Losses(self.flows)
        self.at_venue: dict[VenueId, dict[str, e.OrderFilled]] = {}
        self.guarding: Guarding | None = None
        """The oracles of the sentinel, where one watches."""
        self.truth: Counter[InstrumentId] = Counter()
        self.wire, self.unjournalled, self.ahead = set[ClientOrderId](), set[ClientOrderId](), set[ClientOrderId]()
        """What has left, and exits and amends of a full disk: the record of these may be lost with the process."""
        self.operations: Counter[str] = Counter()
        self.recorded: set[tuple[str, ClientOrderId]] = set()
        self.opened: set[VenueId] = set()
        """Whose account has been seen, on record."""
        self.failing = self.messy = self.crossing = False
        """The journal has failed in this life; the exchange may say what no order's life allows; coins are swapped."""
        self.disordered: set[VenueId] = set()
        """Where a fill was applied behind a later one: wallet and entry price differ there, their sum does not."""
        self._newest: dict[InstrumentId, int] = {}
        self._since, self._began = dict[InstrumentId, Nanoseconds](), dict[InstrumentId, Nanoseconds]()
        """When what is being closed was begun, in this life or before."""
        self.prices = Prices()
        self._asked: dict[VenueId, list[VenueSnapshot]] = {}
        self._told: dict[InstrumentId, tuple[Nanoseconds, Decimal]] = {}
        """What a venue last said of a position, and when."""
        self._up, self._ready = set[VenueId](), set[VenueId]()
        self._lost: dict[VenueId, Nanoseconds] = {}
        """When the line to a reconciled venue last went."""
        # Orders that were handed to their connection, and those whose cancel was while they were not.
        self.begun, self.early = set[ClientOrderId](), set[ClientOrderId]()
        self._urgent: dict[int, tuple[Nanoseconds, Approved[Any]]] = {}
        """Exits that were decided, and when; kept, so that no other takes their place in memory."""

    def is_ready(self, venues: Iterable[VenueId], lately: Nanoseconds = 0) -> bool:
        """Tell whether the engine has reconciled with all of these, or had until so long ago and lost the line."""
        since = self.machine.now - lately
        return all(venue in self._ready or self._lost.get(venue, -1) > since for venue in venues)

    def fail(self, what: str) -> None:
        """Note what is wrong."""
        self.wrong.append(what)

    def note(self, kind: str, what: object) -> None:
        """Remember a step."""
        self.recent.append((self.machine.now, kind, what))

    # --- what the engine is told and decides ------------------------------------------------------------------------

    def told(self, message: Message) -> None:
        """See a message before the engine takes it."""
        self.losses.hearing.now = getattr(message, "ts", self.losses.hearing.now)
        if isinstance(message, (m.Quote, m.Trade)):
            self.prices.take(message, self.machine.now)
            if isinstance(message, m.Quote) and is_sound(message):
                self.losses.price(message)
            return
        if not isinstance(message, m.Timer):
            self.note("told", message)
        if isinstance(message, m.VenueStatus):
            if message.venue in self._ready:
                self._lost[message.venue] = self.machine.now
            self._ready.discard(message.venue)
            self._asked[message.venue] = []
            (self._up.add if message.connected else self._up.discard)(message.venue)

    def decided(self, message: Message, effects: Sequence[Any]) -> None:
        """See what the engine makes of it."""
        for effect in effects:
            if isinstance(effect, Event):
                if is_loosened(self.shadow.trading, effect, message):
                    self.fail(f"invariant 22: loosened without the word: {effect}, behind {message}")
                self.note("event", effect)
                self._event(effect)
            elif isinstance(effect, Approved):
                self.note("approved", effect)
                self._approved(effect)
                if not is_number(effect.command):
                    self.fail(f"invariant 24: no number to trade by: {effect.command}")
        if isinstance(message, m.Timer):
            self._time()
            undone = self.losses.look(self.shadow.trading, self.shadow.flattening)
            if undone:
                self.fail(undone)
            self.protecting.look()

    def _event(self, event: Event) -> None:
        self._beside(event)
        begun = self.shadow.flattening.get(getattr(event, "instrument", InstrumentId("")))
        wrong = self.shadow.take(event)
        if wrong:
            self.fail(f"invariant 3: {wrong}")
        if isinstance(event, e.FlattenStarted):
            self._since[event.instrument] = self.machine.now
            self._began.setdefault(event.instrument, self.machine.now)
        elif isinstance(event, e.FlattenEnded):
            self._flat(event, begun)
            self._began.pop(event.instrument, None)
        elif isinstance(event, ExitEscalated):
            self._since.pop(event.instrument, None)
        elif isinstance(event, e.VenueReconciled):
            self._reconciled(event)
        elif isinstance(event, e.PositionSet):
            self._position_set(event)
        elif isinstance(event, e.BalanceSet) and event.reason != "opening" and not self._may_differ(event.venue):
            self.fail(f"fills and bookings explain every wallet here, yet {event}")
        elif isinstance(event, DifferenceFound):
            self._difference(event)
        elif isinstance(event, e.ExitUnjournalled):
            self.unjournalled.add(event.client_order_id)
        elif isinstance(event, e.OrderFound) and not self._may_be_found(event.order.client_order_id):
            self.fail(f"invariant 1: the exchange holds an order without a record: {event}")
        elif isinstance(event, e.IllegalEventSeen) and not self._may_be_odd(event.client_order_id):
            self.fail(f"an event that no order's life allows: {event}")

    def _position_set(self, event: e.PositionSet) -> None:
        """See that no position is set but that of coins which came or went for others: to what the wallet has."""
        if not self.crossing or parse_id(event.instrument).type is not InstrumentType.SPOT_ASSET:
            self.fail(f"invariants 5, 19: fills explain every position here, yet {event}")
            return
        has = self.shadow.coins[event.instrument]
        if has < 0 and event.reason.startswith(ENTRY_ALONE):
            return  # not all is told yet: what is held stays as the fills made it
        if event.quantity != max(has, Decimal(0)):
            self.fail(f"invariant 19: {has} are in the wallet, yet {event}")

    def _beside(self, event: Event) -> None:
        """Let those see an event that reckon beside the engine."""
        undone = self.losses.take(event)
        if undone and not (isinstance(event, e.BalanceSet) and event.venue in self.disordered):
            self.fail(undone)
        self.protecting.take(event)
        if isinstance(event, e.OrderFilled):
            self._in_order(event)
        self.counts[type(event).__name__] += 1

    def _may_differ(self, venue: VenueId) -> bool:
        """Tell whether a wallet may differ: by what came or went, or until the position is flat by late fills."""
        return venue in self.disordered or bool(self.flows.get(venue))

    def _may_be_odd(self, order: ClientOrderId) -> bool:
        return self.messy or self._is_strange(order) or order in self.ahead

    def _is_strange(self, order: ClientOrderId) -> bool:
        """Tell whether somebody else sent an order."""
        return order.startswith(STRANGE)

    def _may_be_found(self, order: ClientOrderId) -> bool:
        """Tell whether a venue may hold an order without a record: others', the sentinel's, an exit of a full disk."""
        return order.startswith((STRANGE, SENTINELS)) or order in self.unjournalled

    def _difference(self, event: DifferenceFound) -> None:
        """See that only what somebody else did is not explained, and that it is told as what it is."""
        strange = any(self._is_strange(fill.client_order_id) for fill in self.at_venue.get(event.venue, {}).values())
        if event.kind is DifferenceKind.FILL and strange:
            return
        if event.kind is DifferenceKind.ORDER and self._is_strange(event.client_order_id):
            return
        if event.kind is DifferenceKind.BALANCE and self._may_differ(event.venue):
            return  # told until the position is flat, where the order matters no more, or a word is said
        self.fail(f"invariants 5, 19: fills and bookings explain everything here, yet {event}")

    def _in_order(self, fill: e.OrderFilled) -> None:
        """Note a fill that is applied behind a later one: profit and entry price depend on the order."""
        venue = venue_of(fill.instrument)
        place = list(self.at_venue[venue]).index(str(fill.fill_id))
        newest = self._newest.get(fill.instrument, -1)
        if place < newest:
            self.disordered.add(venue)
        self._newest[fill.instrument] = max(newest, place)

    def _flat(self, event: e.FlattenEnded, begun: e.FlattenStarted | None) -> None:
        if not event.flat:
            self.counts["flatten given up"] += 1
            return
        held = self.shadow.held[event.instrument]
        if venue_of(event.instrument) in self.spot:
            held = 0
        if begun is not None and begun.entry:
            return  # the exits of one bracket: what others hold there is not theirs
        if begun is not None and begun.origin.startswith(GUARDIAN) and not begun.target:
            self._said_flat(event, self._began.get(event.instrument, 0))
        target = begun.target if begun is not None else 0
        if abs(held) > target:
            self.fail(f"invariant 5: called flat with {held} held: {event}")
        for id_, mine in self.shadow.orders.items():
            same = holding_of(mine.order.instrument) == holding_of(event.instrument)
            there = mine.open and same and not self._is_strange(id_)
            if not target and there:
                self.fail(f"invariant 5: called flat with {id_} open: {event}")

    def _said_flat(self, event: e.FlattenEnded, since: Nanoseconds) -> None:
        """See that the venue has said so, where anything was ever held there."""
        at, quantity = self._told.get(event.instrument, (0, Decimal(0)))
        ever = event.instrument in self.shadow.held and venue_of(event.instrument) not in self.spot
        if ever and (at < since or quantity):
            self.fail(f"invariant 10: {event}, and its venue last said {quantity} at {at / S:.4f}, it began at {since}")

    def _reconciled(self, event: e.VenueReconciled) -> None:
        asked = self._asked.get(event.venue)
        if event.venue not in self._up or not asked:
            self.fail(f"invariant 6: {event.venue} is called reconciled and was not asked since it came up")
            return
        self._ready.add(event.venue)
        known = self.shadow.fills
        if not any(all((event.venue, str(one.fill_id)) in known for one in answer.fills) for answer in asked):
            self.fail(f"invariant 20: reconciled without the fills of {asked[0]}")

    def _approved(self, approved: Approved[Any]) -> None:
        command = approved.command
        if approved.urgent:
            self._urgent[id(approved)] = (self.machine.now, approved)
        if not isinstance(command, c.SubmitOrder):
            return
        order: Order = command.order
        held = Decimal(self.shadow.held[order.instrument])
        if order.venue in self.spot:
            held = Decimal(self.shadow.coins[holding_of(order.instrument)])
        if order.reduce_only:
            self._exit(order, held)
            return
        if approved.urgent:
            self.fail(f"invariant 1: urgent and not an exit: {order}")
        shrinks = held * order.side.sign < 0 and order.quantity <= abs(held)
        if not shrinks:
            self._entry(order)

    def _exit(self, order: Order, held: Decimal) -> None:
        out = self.shadow.exits(order.instrument, order.side, order.client_order_id)
        if held * order.side.sign >= 0:
            self.fail(f"invariant 11: an exit of {held} that would enlarge it: {order}")
        elif order.quantity + out > abs(held):
            self.fail(f"invariants 11, 12: exits of {order.quantity} + {out} for a position of {held}: {order}")

    def _entry(self, order: Order) -> None:
        if order.instrument == ETH_BTC.id:
            self.fail(f"an entry over a pair that is quoted in a coin: {order}")
        if order.venue not in self._ready:
            self.fail(f"invariant 6: an entry before {order.venue} is reconciled: {order}")
        if self.shadow.trading is not TradingState.ACTIVE:
            self.fail(f"an entry while {self.shadow.trading}: {order}")
        if order.instrument in self.protecting.told:
            self.fail(f"invariant 16: an entry where a stop is missing: {order}")
        age = self.machine.now - self.prices.good.get(order.instrument, -STALE)
        if age > STALE:
            self.fail(f"invariant 13: an entry on a price of {age / S:.1f} s ago: {order}")

    def _time(self) -> None:
        if self.guarding is not None and self.guarding.leased:
            self._since = dict.fromkeys(self._since, self.machine.now)  # the sentinel closes, and calls by itself
        for instrument, since in self._since.items():
            if instrument in self.shadow.flattening and self.machine.now - since > FLAT_WITHIN:
                self.fail(f"invariant 10: {instrument} neither flat nor escalated after 30 s")
                return

    # --- what leaves and what is durable ----------------------------------------------------------------------------

    def began(self, approved: Approved[Any]) -> None:
        """See a request handed to its connection: an urgent one in the very moment, a cancel behind its order."""
        command = approved.command
        if isinstance(command, c.SubmitOrder):
            self.begun.add(command.order.client_order_id)
            if command.order.client_order_id in self.early:
                self.fail(f"the cancel of {command.order.client_order_id} has overtaken its order")
        elif isinstance(command, c.CancelOrder):
            id_ = command.client_order_id
            mine = self.shadow.orders[id_]
            if mine.open and id_ not in self.begun and id_.startswith(f"t0r{self.shadow.run}t"):
                self.early.add(id_)  # it was given up, or else the cancel has overtaken it
        decided = self._urgent.pop(id(approved), (self.machine.now, None))[0]
        if decided != self.machine.now:
            self.fail(f"invariant 8: an exit waited {(self.machine.now - decided) / S:.4f} s: {command}")

    def left(self, approved: Approved[Any]) -> None:
        """See a request leave."""
        self.note("left", approved)
        if self.guarding is not None:
            self.guarding.engine_leaves(approved)
        command = approved.command
        if isinstance(command, c.SubmitOrder):
            self._order_left(approved, command.order)
            return
        kind = "cancel" if isinstance(command, c.CancelOrder) else "amend"
        id_ = command.client_order_id
        mine = self.shadow.orders.get(id_)
        reduces = kind == "cancel" or (mine is not None and mine.order.reduce_only)
        if (kind, id_) not in self.recorded and not (approved.urgent or (self.failing and reduces)):
            self.fail(f"invariant 1: {kind} of {id_} leaves before its record is durable")
        if kind == "amend" and (self.failing or (kind, id_) not in self.recorded):
            self.ahead.add(id_)

    def _order_left(self, approved: Approved[Any], order: Order) -> None:
        id_ = order.client_order_id
        self.counts["orders"] += 1
        if id_ in self.wire:
            self.fail(f"invariants 2, 3, 4: {id_} is sent twice")
        self.wire.add(id_)
        if order.operation_id:
            self.operations[order.operation_id] += 1
            if self.operations[order.operation_id] > 1:
                self.fail(f"invariant 2: instruction {order.operation_id} is carried out twice, again by {id_}")
        mine = self.durable.orders.get(id_)
        if not self.shadow.orders[id_].open:
            self.fail(f"invariant 4: {id_} leaves after it was called over: {order}")
        if mine is not None and mine.sent:
            return
        self.counts["exits before their record"] += 1
        if not order.reduce_only or not (approved.urgent or self.failing):
            self.fail(f"invariant 1: {id_} leaves before its record is durable: {order}")

    def written(self, payloads: Sequence[bytes]) -> None:
        """See records become durable."""
        for payload in payloads:
            event = wire.decode_event(payload)
            wrong = self.durable.take(event)
            if wrong:
                self.fail(f"invariant 3: in the journal, {wrong}")
            if isinstance(event, (e.CancelSubmitted, e.AmendSubmitted)):
                kind = "cancel" if isinstance(event, e.CancelSubmitted) else "amend"
                self.recorded.add((kind, event.client_order_id))
            elif isinstance(event, e.BalanceSet):
                self.opened.add(event.venue)

    def disk_failed(self) -> None:
        """See a write fail or hang: what reduces leaves without it from now on."""
        self.failing = True

    # --- what the exchange does -------------------------------------------------------------------------------------

    def happened(self, venue: VenueId, event: Message) -> None:
        """See what the exchange does."""
        self.note("venue", event)
        if isinstance(event, e.OrderFilled):
            self.at_venue.setdefault(venue, {})[str(event.fill_id)] = event
            self.truth[event.instrument] += event.quantity * event.side.sign  # type: ignore[assignment]

    def handed(self, snapshot: VenueSnapshot) -> None:
        """See a snapshot reach the engine."""
        self.note("snapshot", snapshot)
        self._asked.setdefault(snapshot.venue, []).append(snapshot)
        self.protecting.handed[snapshot.venue] = self.machine.now
        for report in snapshot.positions:
            self._told[report.instrument] = (self.machine.now, report.quantity)

    # --- lives ------------------------------------------------------------------------------------------------------

    def died(self) -> None:
        """See the process end: what was not durable never was."""
        self.begun.clear()
        self.early.clear()  # what the disk lost of a life, the next one may decide again
        self.note("life", "the process is gone")
        self.shadow, self.durable = self.durable, Shadow()
        self.failing = False
        self._up.clear()
        self._ready.clear()
        self._lost.clear()
        self.protecting.forget()
        self.prices = Prices()  # a stamp that stood still before is the first one that the next life sees

    def recovered(self, events: Sequence[Event], state: Any) -> None:
        """See what a new process has made of the journal; its account must be the audit's."""
        again, self.losses = Shadow(), Losses(self.flows, *self.bounds)
        for event in events:
            again.take(event)
            self.losses.take(event)
            self.protecting.take(event)
        before, self.shadow, self.durable = self.shadow, again, Shadow()
        for event in events:
            self.durable.take(event)
        self._compare("what was durable", before, again)
        now = self.machine.now
        self._since = dict.fromkeys(again.flattening, now)
        ours = {id_ for id_, mine in again.orders.items() if mine.open}
        if ours != set(state.blotter.open):
            self.fail(f"invariant 2: recovered open orders are {sorted(state.blotter.open)}, recorded {sorted(ours)}")
        if state.trading_state is not again.trading:
            self.fail(f"invariant 23: {again.trading} was recorded, the new process is {state.trading_state}")
        if set(state.exits.flattening) != set(again.flattening):
            self.fail(f"invariant 10: closing {sorted(again.flattening)} was forgotten")

    def _compare(self, what: str, before: Shadow, after: Shadow) -> None:
        """Compare what was durable before the end with what the journal gives: a commit cut short may be there."""
        lost = before.orders.keys() - after.orders.keys()
        if lost or before.fills - after.fills or after.run < before.run:
            self.fail(f"invariant 2: {what} is gone: orders {sorted(lost)}, fills {before.fills - after.fills}")
