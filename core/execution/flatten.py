"""Bringing positions to a target: cancel what stands in the way, exit what is too much; target 0 is flat."""

from collections.abc import Callable, Collection, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec
from msgspec.structs import replace

from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType, Side, TimeInForce
from core.state.exiting import GUARDIAN, Closing
from core.state.markets import Market
from core.state.outright import SPOT_PAIR, is_unsellable, least_order, orders_of, owned
from core.state.state import State

RETRY_NS: Nanoseconds = 1_000_000_000
"""The least time between two exits of one instrument, so that a venue's "no" cannot become a storm."""
ASK_NS: Nanoseconds = 5_000_000_000
"""The least time between two cancels of an order whose outcome is unknown: the venue is asked about it in between."""
MAX_TRIES = 20
"""Exits of one instrument before the trader is told that it does not get flat; the guardian's own never give up.

Only those count that left to a venue that was reconciled: an outage is no answer.
"""
_FAR = Decimal("Infinity")
_LEAVING = frozenset({OrderStatus.PENDING_CANCEL})
CHANGING = frozenset({OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_AMEND})
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
RESTING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


class Pace(msgspec.Struct):
    """How fast closing one instrument goes on: when the last exit left, how many did, and the cancels sent.

    ``resumed`` is a flatten of a run that ended in the middle of it: what it had sent is learnt from the venue first.
    """

    resumed: bool = False
    last: Nanoseconds = 0
    tries: int = 0
    cancelled: dict[ClientOrderId, Nanoseconds] = {}
    reached: Nanoseconds = 0
    """Since when our record has said that the target is reached; the venue has not confirmed it yet."""
    asked: Nanoseconds = 0
    """When the venue was last asked to confirm it."""
    begun: Nanoseconds = 0
    """When this run began to close it."""
    counted: int = 0
    """How many of the tries left to a venue that was reconciled."""
    away: bool = False
    """It was said that the venue is not connected."""
    amended: set[ClientOrderId] = set()
    """What was asked to make room by becoming smaller: where that did not do, it is taken away."""
    failed: int = 0
    """How many tries closed nothing, the last one not yet counted."""
    held: Decimal = ZERO
    """What was held when the last try left."""

    def failed_with(self, held: Decimal) -> int:
        """Return how many tries closed nothing, now that so much is held (unsigned)."""
        return self.failed + (self.tries > 0 and held >= self.held)

    def may_cancel(self, record: OrderRecord, now: Nanoseconds) -> bool:
        """Tell whether a cancel may leave (again), and note that it does."""
        id_ = record.order.client_order_id
        wait = ASK_NS if record.status is OrderStatus.UNKNOWN else RETRY_NS
        if now - self.cancelled.get(id_, -wait) < wait:
            return False
        self.cancelled[id_] = now
        return True


Ours = Callable[[OrderRecord], bool]
"""Tell whether an order is this engine's: others' orders are left alone."""
Step = CancelOrder | AmendOrder | SubmitOrder


class Way(msgspec.Struct, frozen=True):
    """How exits of one instrument go: ``collar`` makes them limits this far through the market, None market orders.

    ``capped``: the venue lets no reduce-only order exceed the position; where it does not, entries that rest on the
    exit's side count as exits until their cancel is confirmed. ``amend``: the venue changes orders in place.
    ``amended``: those that were asked to change already.
    """

    collar: float | None = None
    capped: bool = True
    amend: bool = False
    amended: Collection[ClientOrderId] = ()


MARKET_WAY = Way()


def routes(state: State, market: Market, target: Decimal = ZERO) -> list[Market]:
    """Return the markets through which a holding can be closed, its own first: other pairs of a coin with a price.

    Those that cross are the last: what they bring is another coin.
    """
    if market.kind is not SPOT_PAIR:
        return [market]
    others = (one for one in state.markets.values() if one.holding == market.holding and one is not market)
    found = [one for one in others if one.mark > 0.0 and exit_quantity(state, one, target) > 0]
    return [market, *sorted(found, key=lambda one: state.ledger.rates.crosses(one.instrument))]


def steps(state: State, market: Market, closing: Closing, ours: Ours, way: Way = MARKET_WAY) -> Iterator[Step]:
    """Yield what brings an instrument closer to its target now: cancels first, then an exit of what no other closes.

    Resting exits count until their cancel is confirmed, so two exits never exceed the position. Where a part is to be
    left, what rests to reduce it stays, as far as it leaves room for the exit; the stop of the part itself does not,
    and closes it until its cancel is confirmed. Orders of every pair of a coin count.
    """
    resting, stops = orders_of(state, market), stops_of_part(state, market, closing, ours)
    if closing.target:
        yield from _make_room(state, market, closing, ours, way)
        resting = [record for record in resting if not record.order.reduce_only or record in stops]
    for record in resting:
        if record.status not in _LEAVING and not is_on_its_way(record, state.now) and ours(record):
            yield CancelOrder(record.order.client_order_id, closing.origin)
    kept = sum((one.may_fill for one in stops if one.status is not OrderStatus.APPROVED), ZERO)
    room = exit_quantity(state, market, closing.target, kept, capped=way.capped)
    if room > 0:
        yield SubmitOrder(exit_order(state, market, room, closing, way), closing.origin)


def stops_of_part(state: State, market: Market, closing: Closing, ours: Ours) -> list[OrderRecord]:
    """Return the stops of the bracket whose part is being closed: left alone they would close another part."""
    if not (closing.entry and closing.target):
        return []
    return [
        record
        for record in orders_of(state, market)
        if record.order.reduce_only
        and not is_immediate(record.order)
        and record.order.parent == closing.entry
        and ours(record)
    ]


def _make_room(state: State, market: Market, closing: Closing, ours: Ours, way: Way) -> Iterator[Step]:
    """Yield changes of what rests to reduce the position, where it stands in the way of an exit of a part."""
    going = stops_of_part(state, market, closing, ours)  # these give way first: another stop protects what is left
    blocked = _blocked(state, market, closing.target) - sum((one.may_fill for one in going), ZERO)
    for record in _nearest_first(orders_of(state, market)):
        if blocked <= ZERO:
            return
        if not record.order.reduce_only or is_immediate(record.order) or not ours(record) or record in going:
            continue
        blocked -= record.may_fill
        if record.status in CHANGING or _is_asked_about(record, state.now):
            continue
        own = state.markets[record.order.instrument].instrument  # another pair of the coin has a step of its own
        stays = own.floor_size(-blocked)  # coins in a wallet stand on no step
        if stays >= own.min_size and _is_amendable(record, way):
            yield AmendOrder(record.order.client_order_id, record.filled + stays, origin=closing.origin)
        else:
            yield CancelOrder(record.order.client_order_id, closing.origin)


def exit_order(state: State, market: Market, quantity: Decimal, closing: Closing, way: Way) -> Order:
    """Return an exit: a limit through the market as far as the collar, or a market order where no price is known."""
    order = Order(
        market.instrument.id,
        Side.SELL if state.ledger.positions[market.holding].quantity > 0 else Side.BUY,
        quantity,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
        strategy_intent=GUARDIAN if closing.guarded else "flatten",
        parent=closing.entry,
    )
    return at_once(order, market, way.collar)


def at_once(order: Order, market: Market, collar: float | None) -> Order:
    """Return a market order as a limit this far through the market that ends at once.

    As it is without a collar, or where no price is known.
    """
    price = _collared(market, order.side, collar) if collar is not None else None
    if price is None:
        return order
    ends = TimeInForce.FOK if order.time_in_force is TimeInForce.FOK else TimeInForce.IOC
    return replace(order, type=OrderType.LIMIT, price=price, time_in_force=ends)


def _collared(market: Market, side: Side, collar: float) -> Decimal | None:
    """Return the price a collar through the side that the exit meets, the last one known; None where there is none."""
    touch = market.closes_at(-side.sign) or market.last
    if touch <= 0.0:
        return None
    rounding = ROUND_FLOOR if side is Side.SELL else ROUND_CEILING
    price = market.instrument.quantise_price(Decimal(repr(touch * (1.0 + side.sign * collar))), rounding)
    return price if price > ZERO else None


def exit_quantity(
    state: State, market: Market, target: Decimal = ZERO, kept: Decimal = ZERO, *, capped: bool = True
) -> Decimal:
    """Return what an exit may still close: the position above the target less what closes it already, on the size step.

    ``kept`` of what is above the target rests to be closed by other orders.
    0 for dust. Never more than the position less every resting exit. Where a difference stands, the position is what
    both our record and the venue hold.
    """
    instrument = market.instrument
    signed = exitable(state, market)
    if not signed:
        return ZERO
    held, side = abs(signed), Side.SELL if signed > 0 else Side.BUY
    room = held - state.blotter.resting_reduction(instrument.id, side)
    if target:
        room = min(room, held - target - kept - _on_their_way(state, market, side))
    if not capped:
        room -= _against(state, market, side)
    quantity = instrument.floor_size(max(room, ZERO))
    if is_unsellable(market, quantity):
        return ZERO
    if instrument.max_size is not None:
        quantity = min(quantity, instrument.max_size)
    return quantity


def exitable(state: State, market: Market) -> Decimal:
    """Return the signed position, where a difference stands the part of it that both sides hold."""
    position = state.ledger.positions.get(market.holding)
    if position is None:
        return ZERO
    both = state.differences.both(market, position.quantity)
    return owned(state, market, both) if market.kind is SPOT_PAIR else both


def is_on_its_way(record: OrderRecord, now: Nanoseconds) -> bool:
    """Tell whether an order is an exit that ends by itself, and is not overdue."""
    return record.order.reduce_only and is_immediate(record.order) and now - record.created < ASK_NS


def is_immediate(order: Order) -> bool:
    """Tell whether an order ends at once, filled or not."""
    return order.type is OrderType.MARKET or (order.type is OrderType.LIMIT and order.time_in_force in _AT_ONCE)


def _on_their_way(state: State, market: Market, side: Side) -> Decimal:
    """Return what exits that end by themselves may still close."""
    found = (one for one in orders_of(state, market) if one.order.reduce_only and one.order.side is side)
    return sum((one.may_fill for one in found if is_immediate(one.order)), ZERO)


def _against(state: State, market: Market, side: Side) -> Decimal:
    """Return what resting entries of the exit's side may fill before it."""
    found = (one for one in orders_of(state, market) if one.order.side is side and not one.order.reduce_only)
    return sum((one.may_fill for one in found), ZERO)


def _blocked(state: State, market: Market, target: Decimal) -> Decimal:
    """Return how much of what rests to reduce a position stands in the way of bringing it to a target."""
    position = state.ledger.positions.get(market.holding)
    if position is None or not position.quantity:
        return ZERO
    held, side = abs(position.quantity), Side.SELL if position.quantity > 0 else Side.BUY
    wanted = held - target - _on_their_way(state, market, side)
    return wanted - (held - state.blotter.resting_reduction(market.instrument.id, side)) if wanted > ZERO else ZERO


def _nearest_first(records: list[OrderRecord]) -> list[OrderRecord]:
    """Sort what rests so that the trigger nearest to the market comes first: it is the one that would go next."""

    def distance(record: OrderRecord) -> Decimal:
        trigger = record.stands_at
        if trigger is None:
            return _FAR
        return -trigger if record.order.side is Side.SELL else trigger

    return sorted(records, key=distance)


def _is_asked_about(record: OrderRecord, now: Nanoseconds) -> bool:
    """Tell whether a change of an order got lost a moment ago: the next look at the venue tells whether it arrived."""
    return record.status is OrderStatus.UNKNOWN and record.asked is not None and now - record.asked_at < ASK_NS


def _is_amendable(record: OrderRecord, way: Way) -> bool:
    """Tell whether a stop can be made smaller: one that waits here, one at its venue where it was not tried yet."""
    if record.order.client_order_id in way.amended:
        return False
    if record.status is OrderStatus.APPROVED:
        return True
    return way.amend and record.status in RESTING and record.order.type in (OrderType.STOP, OrderType.TRAILING_STOP)


def is_reached(state: State, market: Market, closing: Closing, ours: Ours) -> bool:
    """Tell whether our record says that an instrument is where it is to be brought."""
    if not closing.target:
        return is_flat(state, market.instrument.id, ours)
    if stops_of_part(state, market, closing, ours):
        return False
    if any(one.order.reduce_only and is_immediate(one.order) for one in orders_of(state, market)):
        return False
    position = state.ledger.positions.get(market.holding)
    excess = abs(position.quantity) - closing.target if position is not None else ZERO
    return is_unsellable(market, max(excess, ZERO))


def attainable(market: Market, held: Decimal, target: Decimal, collar: float) -> Decimal:
    """Return the target, this one or a nearer, to which orders that the venue takes can bring what is held (unsigned).

    What leaves is one least order at least, and what would be left and could never be sold leaves too.
    """
    most = max(min(target, held - least_order(market, collar)), ZERO)
    return ZERO if is_unsellable(market, most) else market.instrument.floor_size(most)


def is_flat(state: State, instrument: InstrumentId, ours: Ours) -> bool:
    """Tell whether nothing is held that could be sold and nothing of ours is open.

    Where a difference stands nothing is held only if both our record and the venue say so.
    """
    market = state.markets[instrument]
    if any(ours(record) for record in orders_of(state, market)):
        return False
    return all(is_unsellable(market, quantity) for quantity in sides(state, market))


def sides(state: State, market: Market) -> tuple[Decimal, Decimal]:
    """Return what our record and the venue hold of a market's holding, signed."""
    position = state.ledger.positions.get(market.holding)
    own = position.quantity if position is not None else ZERO
    return own, own + state.differences.gap(market)
