"""Events: what was decided and what has happened. These are the records of the journal."""

from decimal import Decimal

import msgspec

from core.domain.approval import TradingState
from core.domain.identifiers import Asset, ClientOrderId, FillId, InstrumentId, StrategyId, VenueId, VenueOrderId
from core.domain.message import Event, Nanoseconds
from core.domain.order import Liquidity, Order, Side


class EngineStarted(Event, frozen=True):
    """The engine runs; the run number is durable before the first order and never repeats."""

    run: int
    version: str
    mode: str
    ts: Nanoseconds


class EngineStopped(Event, frozen=True):
    """The engine ended on purpose."""

    run: int
    reason: str
    ts: Nanoseconds


class OrderDenied(Event, frozen=True):
    """The guardian refused; ``setting`` is file:line of the bound."""

    order: Order
    limit: str
    value: str
    bound: str
    setting: str
    reason: str
    ts: Nanoseconds


class OrderApproved(Event, frozen=True):
    """An order passed the guardian and waits in the engine for its trigger (emulated types only)."""

    order: Order
    venue: VenueId
    ts: Nanoseconds


class OrderSubmitted(Event, frozen=True):
    """The intent to send; durable before the order leaves."""

    order: Order
    venue: VenueId
    ts: Nanoseconds


class OrderAccepted(Event, frozen=True):
    """The venue holds the order."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class OrderRejected(Event, frozen=True):
    """The venue's "no"."""

    client_order_id: ClientOrderId
    reason: str
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class OrderTriggered(Event, frozen=True):
    """A waiting stop, trailing stop or take profit met its price."""

    client_order_id: ClientOrderId
    price: Decimal
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class OrderFilled(Event, frozen=True):
    """A fill of ours; ``fill_id`` makes applying it twice impossible. ``fee`` is in ``fee_asset``, positive is paid.

    An empty ``client_order_id`` is a fill that no order of ours explains (a liquidation, a foreign order).
    """

    client_order_id: ClientOrderId
    fill_id: FillId
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: Asset
    liquidity: Liquidity
    venue_order_id: VenueOrderId
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class OrderCancelled(Event, frozen=True):
    """The order rests no more; what was filled stays filled."""

    client_order_id: ClientOrderId
    reason: str
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class OrderExpired(Event, frozen=True):
    """The order's time in force ended it."""

    client_order_id: ClientOrderId
    reason: str
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class CancelSubmitted(Event, frozen=True):
    """The intent to cancel."""

    client_order_id: ClientOrderId
    ts: Nanoseconds


class CancelRejected(Event, frozen=True):
    """The venue would not cancel; the order stands as before."""

    client_order_id: ClientOrderId
    reason: str
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class AmendSubmitted(Event, frozen=True):
    """The intent to change quantity, price or trigger; None leaves it."""

    client_order_id: ClientOrderId
    quantity: Decimal | None
    price: Decimal | None
    trigger: Decimal | None
    ts: Nanoseconds


class OrderAmended(Event, frozen=True):
    """The venue holds the order with these values; None is unchanged."""

    client_order_id: ClientOrderId
    quantity: Decimal | None
    price: Decimal | None
    trigger: Decimal | None
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class AmendRejected(Event, frozen=True):
    """The venue would not amend; the order stands as before."""

    client_order_id: ClientOrderId
    reason: str
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class CommandRefused(Event, frozen=True):
    """A cancel, amend or other command was not carried out, and why."""

    what: str
    client_order_id: ClientOrderId
    reason: str
    ts: Nanoseconds


class ChangeDenied(Event, frozen=True):
    """The guardian refused to let an order be changed; ``setting`` is file:line of the bound."""

    what: str
    client_order_id: ClientOrderId
    limit: str
    value: str
    bound: str
    setting: str
    reason: str
    ts: Nanoseconds


class ExitUnjournalled(Event, frozen=True):
    """An exit left although the journal could not be written; this record follows the exit's own when it can be."""

    client_order_id: ClientOrderId
    reason: str
    ts: Nanoseconds


class FlattenStarted(Event, frozen=True):
    """An instrument is being closed until no more than ``target`` is held; a restarted engine goes on with it.

    ``target`` is unsigned, 0 is flat. ``entry`` names the bracket, or the stop by hand, that the exits are for alone.
    """

    instrument: InstrumentId
    origin: str
    ts: Nanoseconds
    target: Decimal = Decimal(0)
    entry: ClientOrderId = ClientOrderId("")


class FlattenEnded(Event, frozen=True):
    """The closing of an instrument is over: its target is reached, or would not be and ``reason`` says why."""

    instrument: InstrumentId
    flat: bool
    reason: str
    ts: Nanoseconds


class OrderUnknown(Event, frozen=True):
    """A request's outcome is not known: the link was lost or the venue did not answer."""

    client_order_id: ClientOrderId
    reason: str
    ts: Nanoseconds


class OrderFound(Event, frozen=True):
    """Reconciliation met an open order at the venue that is not in our record (foreign until adopted)."""

    order: Order
    venue: VenueId
    venue_order_id: VenueOrderId
    filled: Decimal
    ts: Nanoseconds


class BalanceSet(Event, frozen=True):
    """A wallet's total; ``reason``: deposit, withdrawal, reconciled, opening (that one with the venue's stamp)."""

    venue: VenueId
    asset: Asset
    total: Decimal
    reason: str
    ts: Nanoseconds
    ts_exchange: Nanoseconds = 0


class CapitalWaits(Event, frozen=True):
    """Capital came (or went, negative) in an asset that nothing prices yet; ``held``: some may have had a price."""

    asset: Asset
    amount: Decimal
    ts: Nanoseconds
    held: bool = False


class CapitalCounted(Event, frozen=True):
    """Waiting capital got its first price; its ``value`` (reporting currency) joins the day's start and the peak."""

    asset: Asset
    amount: Decimal
    value: Decimal
    ts: Nanoseconds


class FundingPaid(Event, frozen=True):
    """Funding of one position; ``amount`` is signed from our side, in ``asset``."""

    instrument: InstrumentId
    asset: Asset
    amount: Decimal
    rate: Decimal
    mark: Decimal
    funding_id: FillId
    ts_exchange: Nanoseconds
    ts: Nanoseconds


class PositionLiquidated(Event, frozen=True):
    """The venue closed a position by force: its fee; its fill, of no order of ours, comes behind as OrderFilled."""

    instrument: InstrumentId
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: Asset
    ts_exchange: Nanoseconds
    ts: Nanoseconds
    fill_id: FillId = FillId("")


class PositionSet(Event, frozen=True):
    """A position was put to what the venue reports: by the trader's word, or a spot position to its wallet."""

    instrument: InstrumentId
    quantity: Decimal
    entry_price: Decimal
    reason: str
    ts: Nanoseconds


class VenueReconciled(Event, frozen=True):
    """Our record was compared with the venue's; what differs stands as differences, the rest may be traded.

    ``asked`` is when the venue was asked (our clock); ``reported`` are what it said explicitly to be flat.
    """

    venue: VenueId
    since: Nanoseconds
    ts: Nanoseconds
    asked: Nanoseconds = 0
    reported: tuple[InstrumentId, ...] = ()


class TradingStateChanged(Event, frozen=True):
    """The guardian lets through more or less; who, from where, why."""

    state: TradingState
    who: str
    origin: str
    reason: str
    ts: Nanoseconds


class DayStarted(Event, frozen=True):
    """The account's day began with this, capital counted in; losses count from ``base`` (0: this)."""

    equity: Decimal
    ts: Nanoseconds
    base: Decimal = Decimal(0)
    gone: Decimal = Decimal(0)  # what was withdrawn, where that was all of it: the base waits for its return


class PeakRaised(Event, frozen=True):
    """The equity peak that drawdown counts from (reporting currency); why, where capital could only be added to it."""

    equity: Decimal
    ts: Nanoseconds
    reason: str = ""


class EquityNoted(Event, frozen=True):
    """What the account was worth when an hour had ended (reporting currency), and its deepest drawdown in that time."""

    equity: Decimal
    drawdown: float
    ts: Nanoseconds


class StopTrailed(Event, frozen=True):
    """A trailing stop followed the price: the stop of the bracket of this entry stands here now."""

    client_order_id: ClientOrderId
    trigger: Decimal
    ts: Nanoseconds


class BracketEnded(Event, frozen=True):
    """What this entry has opened is protected no more, and why: its exits were taken away."""

    client_order_id: ClientOrderId
    reason: str
    ts: Nanoseconds


class StrategyStateSaved(Event, frozen=True):
    """What a strategy wants to know again after a restart (msgpack of its own); the last one counts."""

    strategy_id: StrategyId
    payload: bytes
    ts: Nanoseconds


class IllegalEventSeen(Event, frozen=True):
    """A venue reported what an order's life does not allow; kept, not applied."""

    client_order_id: ClientOrderId
    what: str
    ts: Nanoseconds


class SettingChange(msgspec.Struct, frozen=True, array_like=True):
    """One setting of the guardian's as text, before and now; empty before the first run, and where it is gone."""

    key: str
    old: str
    new: str
    loosens: bool


class GuardianSettingsChanged(Event, frozen=True):
    """Limits are other than the engine last ran with; who, from where, and which are looser by the typed word."""

    changes: tuple[SettingChange, ...]
    who: str
    origin: str
    ts: Nanoseconds
    at_next_start: bool = False  # the word was said while an engine ran: that one still judges by what was
