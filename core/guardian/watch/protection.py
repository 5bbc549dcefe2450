"""Protective stops: who must have one, whether it covers what is held, and whether the venue has confirmed it."""

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId, symbol_of
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import OrderRecord, OrderStatus, OrderType, Side
from core.guardian.watch.rule import SECOND_NS, Act, Held, PositionRule, Scene, Use, Verdict, Wake
from core.ports import Abilities
from core.state.markets import Market
from core.state.outright import orders_of
from core.state.state import State

STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
_AT_VENUE = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.TRIGGERED})
FARTHEST = 0.5
"""A stop that the guardian places is at most this part of the entry price away from it."""


def stops_of(state: State, market: Market, exit_side: Side) -> Iterator[OrderRecord]:
    """Yield the open reduce-only stops of one side of a market's holding: of every pair of a coin."""
    for record in orders_of(state, market):
        order = record.order
        if order.side is exit_side and order.reduce_only and order.type in STOPS:
            yield record


def _stands(stop: OrderRecord) -> OrderStatus:
    """Return how a stop stands beside an amend under way: one that nobody has acknowledged does not rest yet."""
    return stop.resume_status if stop.status is OrderStatus.PENDING_AMEND else stop.status


class ProtectiveStop(PositionRule):
    """A position that must have a stop has one that its venue confirms, soon; else entries there are denied."""

    name = "protective_stop"
    key = "protective_stop"
    act = Act.DENY
    wakes = Wake.TIMER

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self.abilities: Mapping[VenueId, Abilities] = {}
        self.asks: set[VenueId] = set()
        """Venues that are to be asked what rests there."""
        self._mode = settings.protective_stop
        self._within = int(settings.protective_stop_within_s * SECOND_NS)
        self._missing_since: dict[InstrumentId, Nanoseconds] = {}
        self._covered: dict[InstrumentId, tuple[Nanoseconds, frozenset[ClientOrderId]]] = {}
        """Since when which stops cover a position that its venue has not confirmed."""
        self._confirmed: dict[InstrumentId, frozenset[ClientOrderId]] = {}
        """The stops that a venue has confirmed: one that took another's place between two looks is not among them."""

    def judge(self, held: Held, scene: Scene) -> Verdict | None:
        """Return that entries are denied or allowed again, or that a stop is to be placed, or None."""
        id_, state = held.instrument, scene.state
        closing = state.exits.flattening.get(id_)
        if self._mode == "off" or closing is not None or not state.venue(held.market.venue).reconciled:
            return None
        missing, known = self._missing(held, scene), state.watched.unprotected
        if not missing:
            self._missing_since.pop(id_, None)
            return self._verdict(Act.EASE, held, 0.0, "protected again") if id_ in known else None
        since = self._missing_since.setdefault(id_, scene.now)
        if scene.now - since >= self._within and known.get(id_) != missing:
            return self._verdict(Act.DENY, held, (scene.now - since) / SECOND_NS, missing)
        return self._place(held, scene) if self._mode == "place" else None

    def _verdict(self, act: Act, held: Held, seconds: float, reason: str) -> Verdict:
        bound = self._within / SECOND_NS
        return Verdict(self.name, self.key, act, seconds, bound, reason, held.instrument)

    def _missing(self, held: Held, scene: Scene) -> str:
        """Return what a position lacks of a stop, empty where it lacks nothing."""
        state, id_ = scene.state, held.instrument
        need, able = self._needed(held, state), self.abilities.get(held.market.venue)
        side = Side.SELL if held.sign > 0 else Side.BUY
        native = able is not None and able.native_stops and OrderType.STOP in able.order_types
        working = _AT_VENUE if native else _AT_VENUE | {OrderStatus.APPROVED}
        stops = [one for one in stops_of(state, held.market, side) if _stands(one) in working]
        covered = sum((one.remaining for one in stops), ZERO)
        if covered < need:
            self._forget_stops(id_)
            return f"stops cover {covered.normalize():f} of {need.normalize():f}"
        ids = frozenset(one.order.client_order_id for one in stops)
        if not need or not native or ids <= self._confirmed.get(id_, frozenset()):
            return ""
        if self._covered.get(id_, (0, None))[1] != ids:
            self._covered[id_] = scene.now, ids
        self.asks.add(held.market.venue)
        return f"{held.market.venue} has not confirmed its stop"

    def _needed(self, held: Held, state: State) -> Decimal:
        """Return how much must be covered: what asked for it, or all."""
        brackets = state.brackets.over(held.market.holding)
        need = held.quantity
        if self._mode == "brackets":
            need = min(need, sum((one.left for one in brackets if one.stop is not None), ZERO))
        instrument = held.market.instrument
        need = instrument.floor_size(need)
        return need if need >= instrument.min_size else ZERO

    def confirmed(self, event: e.VenueReconciled, state: State) -> None:
        """Take a venue's listing: what our record says to rest there rests there."""
        for id_, (since, ids) in tuple(self._covered.items()):
            market = state.markets.get(id_)
            if market is not None and market.venue == event.venue and event.asked >= since:
                self._confirmed[id_] = ids
                del self._covered[id_]

    def forget(self, instrument: InstrumentId) -> None:
        """Forget a position that is held no more."""
        self._missing_since.pop(instrument, None)
        self._forget_stops(instrument)

    def _forget_stops(self, instrument: InstrumentId) -> None:
        self._covered.pop(instrument, None)
        self._confirmed.pop(instrument, None)

    def _place(self, held: Held, scene: Scene) -> Verdict | None:
        """Return where a stop is to be placed for what no bracket covers: where the largest loss allowed would be."""
        state, instrument = scene.state, held.market.instrument
        side = Side.SELL if held.sign > 0 else Side.BUY
        covered = sum((one.left for one in state.brackets.over(held.market.holding) if one.stop is not None), ZERO)
        stops = stops_of(state, held.market, side)
        covered += sum((one.remaining for one in stops if state.brackets.find(one.order.parent) is None), ZERO)
        quantity = instrument.floor_size(max(held.quantity - covered, ZERO))
        trigger = self._trigger(held, scene.equity)
        if quantity < instrument.min_size or trigger <= ZERO or scene.equity <= 0.0:
            return None
        if (held.price() - float(trigger)) * held.sign <= 0.0:
            return None  # it would be met at once; the loss itself is another rule's
        reason = f"{symbol_of(held.instrument)} had no stop for {quantity.normalize():f}: one is placed at {trigger}"
        bound = self.settings.max_position_loss_frac
        return Verdict(
            self.name, self.key, Act.PLACE, float(quantity), bound, reason, held.instrument, quantity, price=trigger
        )

    def _trigger(self, held: Held, equity: float) -> Decimal:
        lost = self.settings.max_position_loss_frac * equity / held.units if held.units > 0.0 else 0.0
        entry, sign = held.entry_price, held.sign
        if entry <= 0.0:
            return ZERO
        away = (
            abs(1.0 / (1.0 / entry + sign * lost) - entry) if held.inverse and 1.0 / entry + sign * lost > 0 else lost
        )
        price = entry - sign * min(away, FARTHEST * entry)
        rounding = ROUND_CEILING if sign > 0 else ROUND_FLOOR
        return held.market.instrument.quantise_price(Decimal(repr(price)), rounding)

    def use(self, held: Held, scene: Scene) -> Use | None:
        """Return for how long a stop has been missing."""
        since = self._missing_since.get(held.instrument)
        seconds, bound = (scene.now - since) / SECOND_NS if since else 0.0, self._within / SECOND_NS
        return None if self._mode == "off" else Use(seconds, bound, f"{seconds:,.1f} s", f"{bound:,.1f} s")
