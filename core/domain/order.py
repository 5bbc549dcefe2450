"""Orders: one schema for every venue, and the legal life of an order."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from core.domain.identifiers import ClientOrderId, InstrumentId, StrategyId, VenueId, VenueOrderId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.errors import IllegalTransition


class Operation(StrEnum):
    """What an order does; it decides the road."""

    TRADE = "trade"
    SUPPLY = "supply"
    BORROW = "borrow"
    REPAY = "repay"
    STAKE = "stake"
    WITHDRAW = "withdraw"
    SWAP = "swap"
    TRANSFER = "transfer"
    BET = "bet"


class Side(StrEnum):
    """The direction of an order."""

    sign: int
    """+1 where the position grows, -1 where it shrinks; an attribute, for every fill asks it."""

    BUY = "BUY"
    SELL = "SELL"
    SUPPLY = "SUPPLY"
    BORROW = "BORROW"
    REPAY = "REPAY"
    STAKE = "STAKE"
    WITHDRAW = "WITHDRAW"
    BACK = "BACK"
    LAY = "LAY"

    @property
    def opposite(self) -> "Side":
        """Return the side that closes this one."""
        return _OPPOSITES[self]


for _side in (Side.BUY, Side.SUPPLY, Side.REPAY, Side.STAKE, Side.BACK):
    _side.sign = 1
for _side in (Side.SELL, Side.BORROW, Side.WITHDRAW, Side.LAY):
    _side.sign = -1
_OPPOSITES = {
    Side.BUY: Side.SELL,
    Side.SELL: Side.BUY,
    Side.BACK: Side.LAY,
    Side.LAY: Side.BACK,
    Side.SUPPLY: Side.WITHDRAW,
    Side.WITHDRAW: Side.SUPPLY,
    Side.BORROW: Side.REPAY,
    Side.REPAY: Side.BORROW,
    Side.STAKE: Side.WITHDRAW,
}


class OrderType(StrEnum):
    """How the price of an order is found."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"
    TAKE_PROFIT = "TAKE_PROFIT"


CONDITIONAL = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP, OrderType.TAKE_PROFIT})
"""Types that wait for a trigger."""
WOULD_TRIGGER = "would trigger at once"
"""How the reason begins with which a venue refuses an order, or a change of one, whose trigger the price has met."""


class TimeInForce(StrEnum):
    """How long an order lives."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"
    DAY = "DAY"


class Urgency(StrEnum):
    """How much slippage speed is worth."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class TakeProfit(msgspec.Struct, frozen=True, array_like=True):
    """Take a fraction of the position at a price."""

    price: Decimal
    fraction: Decimal


class StopLoss(msgspec.Struct, frozen=True, array_like=True):
    """Leave the position at a price; ``trail`` is the distance it follows at, in price units."""

    price: Decimal
    trail: Decimal | None = None


class Order(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """State one instruction to a venue; the same schema for every operation.

    ``quantity`` is in the instrument's units, or the stake of a bet. ``price`` is the limit (or the odds of a bet),
    ``trigger`` the stop or take-profit price, ``trail`` the distance of a trailing stop in price units,
    ``expires`` the end of a GTD order (ns, UTC). ``client_order_id`` is empty until the engine has made one.
    """

    instrument: InstrumentId
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    trigger: Decimal | None = None
    trail: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    expires: Nanoseconds = 0
    client_order_id: ClientOrderId = ClientOrderId("")
    operation_id: str = ""
    operation: Operation = Operation.TRADE
    venue: VenueId = VenueId("")
    strategy_id: StrategyId = StrategyId("")
    strategy_intent: str = ""
    parent: ClientOrderId = ClientOrderId("")
    take_profit: tuple[TakeProfit, ...] = ()
    stop_loss: StopLoss | None = None
    max_slippage_bps: int | None = None
    urgency: Urgency = Urgency.MEDIUM
    smart_execution: bool = False
    priority: int = 0
    atomic_group_id: str = ""
    sequence_in_group: int = 0
    selection: str = ""
    source_venue: VenueId = VenueId("")
    target_venue: VenueId = VenueId("")
    source_token: str = ""
    target_token: str = ""
    contract_address: str = ""
    function_name: str = ""
    function_params: dict[str, str] | None = None
    expected_deltas: dict[InstrumentId, Decimal] | None = None
    metadata: dict[str, str] | None = None

    @property
    def odds(self) -> Decimal | None:
        """Return the odds of a bet, which stand in ``price``."""
        return self.price if self.operation is Operation.BET else None


class Liquidity(StrEnum):
    """Whether a fill took liquidity or gave it."""

    MAKER = "MAKER"
    TAKER = "TAKER"


class OrderStatus(StrEnum):
    """Where an order stands in its life."""

    INITIALIZED = "INITIALIZED"
    APPROVED = "APPROVED"
    """Passed the guardian; an emulated stop waits here in the engine."""
    DENIED = "DENIED"
    TRIGGERED = "TRIGGERED"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_AMEND = "PENDING_AMEND"
    UNKNOWN = "UNKNOWN"
    """The outcome of a request is not known; left only by the venue's answer."""
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


_S = OrderStatus
CLOSED = frozenset({_S.DENIED, _S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.REJECTED})
"""Nothing more is expected; a late fill still applies."""
_LIVE = frozenset(
    {
        _S.ACCEPTED,
        _S.TRIGGERED,
        _S.PARTIALLY_FILLED,
        _S.FILLED,
        _S.CANCELLED,
        _S.EXPIRED,
        _S.PENDING_CANCEL,
        _S.PENDING_AMEND,
        _S.UNKNOWN,
    }
)
_LATE_FILL = frozenset({_S.FILLED})
TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.INITIALIZED: frozenset({_S.APPROVED, _S.DENIED}),
    _S.APPROVED: frozenset({_S.SUBMITTED, _S.TRIGGERED, _S.CANCELLED, _S.EXPIRED}),
    _S.TRIGGERED: _LIVE | {_S.SUBMITTED, _S.DENIED, _S.REJECTED},
    _S.SUBMITTED: _LIVE | {_S.REJECTED},
    _S.UNKNOWN: _LIVE | {_S.REJECTED},
    _S.ACCEPTED: _LIVE,
    _S.PARTIALLY_FILLED: _LIVE,
    _S.PENDING_CANCEL: _LIVE | {_S.REJECTED},  # asked before the venue has answered the order itself
    _S.PENDING_AMEND: _LIVE | {_S.REJECTED},
    _S.DENIED: frozenset(),
    _S.FILLED: _LATE_FILL,
    _S.CANCELLED: _LATE_FILL,
    _S.EXPIRED: _LATE_FILL,
    _S.REJECTED: _LATE_FILL,
}
"""The legal life: docs/architecture.md shows it, a test goes through every pair."""


def check_transition(order: ClientOrderId, before: OrderStatus, after: OrderStatus) -> None:
    """Raise unless an order may go from one status to the other.

    Raises:
        IllegalTransition: naming the order and what would have been legal.
    """
    if after not in TRANSITIONS[before]:
        legal = ", ".join(sorted(TRANSITIONS[before])) or "nothing"
        raise IllegalTransition(f"order {order}: {before} cannot become {after}; legal: {legal}")


AMEND_LIFE_NS: Nanoseconds = 5_000_000_000
"""An amend that has not arrived this long after it left never will: until then that nothing has changed is no "no"."""


class OrderRecord(msgspec.Struct, gc=False, array_like=True):
    """Keep where one order stands; changed by ``State.apply`` alone."""

    order: Order
    status: OrderStatus
    venue: VenueId
    created: Nanoseconds
    updated: Nanoseconds
    filled: Decimal = ZERO
    average_price: Decimal | None = None
    fees: Decimal = ZERO
    venue_order_id: VenueOrderId = VenueOrderId("")
    reason: str = ""
    resume_status: OrderStatus = OrderStatus.ACCEPTED
    """What a refused cancel or amend falls back to."""
    trigger_now: Decimal | None = None
    """Where a trailing stop stands, in an answer to who asked."""
    asked: Decimal | None = None
    """The quantity that an amend on its way asks for: the venue may hold it already."""
    answered_in: Nanoseconds = 0
    """How long the venue took to acknowledge the order; 0 where it has not, or a fill came first."""
    foreign: bool = False
    """Placed by others: shown and counted, and not touched by what cancels all, until it is adopted."""
    amended: Nanoseconds = 0
    """The exchange's stamp of the last change: one told again, or late, does not undo a newer."""
    found: bool = False
    """Met at its venue: this record did not send it, so that it may have filled before our first look."""
    asked_at: Nanoseconds = 0
    """When the last amend was about to leave, by our clock."""

    @property
    def may_fill(self) -> Decimal:
        """Return the most that may still fill, an amend on its way counted."""
        asked = self.asked
        return self.remaining if asked is None else max(self.order.quantity, asked) - self.filled

    @property
    def stands_at(self) -> Decimal | None:
        """Return the trigger, for a trailing stop how far it has come."""
        return self.trigger_now if self.trigger_now is not None else self.order.trigger

    @property
    def remaining(self) -> Decimal:
        """Return the quantity not yet filled."""
        return max(self.order.quantity - self.filled, ZERO)

    @property
    def is_overfilled(self) -> bool:
        """Tell whether an order that we sent has filled more than was asked for."""
        if self.filled <= self.order.quantity:
            return False
        return self.filled > (self.asked or ZERO) and not self.foreign and self.status is not OrderStatus.DENIED

    @property
    def is_open(self) -> bool:
        """Tell whether the order can still fill without surprise."""
        return self.status not in CLOSED
