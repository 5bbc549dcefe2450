"""Which configs run, and each one's own account in each instrument: a part of the state, changed by events alone.

A strategy's *account* is a sub-ledger: the capital that its study began with, and what its own fills made of it. What
the account of the venue holds may be others' too: a strategy never holds more of it than there is, and one instrument
is one strategy's.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from core.domain import configs as d
from core.domain.events import FundingPaid, OrderFilled, PositionLiquidated
from core.domain.identifiers import ClientOrderId, InstrumentId, InstrumentType, parse_id
from core.domain.instrument import ZERO, Instrument
from core.domain.message import Nanoseconds
from core.domain.order import OrderRecord, Side
from core.domain.studies import Config, ConfigStatus
from core.state.outright import is_dust, is_outright, moved

KEPT_TRADES = 20
"""Closed trades kept of each account; the oldest go first."""
KEPT_WORDS = 50
"""Refusals kept over all strategies."""
SIGNAL, OTHERS, LIQUIDATION, DUST = "signal", "others", "liquidation", "dust"
"""Why a trade ended, beside the intents of a bracket's exits: the strategy's exit, somebody else's, the venue's, or
that what was left of it could not be sold."""


class Running(msgspec.Struct, frozen=True, array_like=True):
    """One config that runs, and since when; one that is history is being ended."""

    config: Config
    since: Nanoseconds

    @property
    def ends(self) -> bool:
        """Tell whether the strategy is being ended."""
        return self.config.status is ConfigStatus.HISTORY


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """One config that waits to be judged, and why."""

    config: Config
    reason: str
    since: Nanoseconds


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """The last refusal of a strategy's config."""

    version: int
    reason: str
    ts: Nanoseconds


class LiveTrade(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One trade that is over: ``side`` +1 or -1, the times of first and last fill, average prices, money in quote."""

    side: int
    opened: Nanoseconds
    closed: Nanoseconds
    quantity: Decimal
    entry: Decimal
    exit: Decimal
    fees: Decimal
    funding: Decimal
    profit: Decimal
    """After fees and funding."""
    reason: str


class Account(msgspec.Struct, gc=False, array_like=True):
    """What one strategy has in one instrument; money in the quote asset, ``quantity`` signed."""

    strategy_id: str
    instrument: InstrumentId
    capital: Decimal
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    entry: ClientOrderId = ClientOrderId("")
    """The order that opened it, whose bracket its exits belong to."""
    opened: Nanoseconds = 0
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    """Signed from our side."""
    trades: tuple[LiveTrade, ...] = ()
    closed: int = 0
    """Trades closed so far."""
    liquidated: Nanoseconds = 0
    size: Decimal = ZERO
    """The most that the open trade has held, unsigned."""
    gained: Decimal = ZERO
    """What parts of the open trade that are closed have realised."""
    taken: Decimal = ZERO
    """The value of those parts at their prices."""
    open_fees: Decimal = ZERO
    open_funding: Decimal = ZERO
    begun: Nanoseconds = 0

    @property
    def wallet(self) -> Decimal:
        """Return what the account is worth, its open profit left out."""
        return self.capital + self.realised - self.fees + self.funding

    def pay(self, fee: Decimal, funding: Decimal = ZERO) -> None:
        """Book a fee that was paid, and funding that was received."""
        self.fees += fee
        self.funding += funding
        self.open_fees += fee
        self.open_funding += funding

    def open(self, order: ClientOrderId, fill: OrderFilled, more: Decimal) -> None:
        """Book a fill that opens or enlarges, by ``more`` (unsigned): on spot what arrived."""
        if not self.quantity:
            self.entry, self.opened, self.size = order, fill.ts_exchange, ZERO
        held = abs(self.quantity)
        self.entry_price = (held * self.entry_price + more * fill.price) / (held + more)
        self.quantity += fill.side.sign * more
        self.size += more

    def close(self, quantity: Decimal, price: Decimal, size: Decimal, ts: Nanoseconds, reason: str) -> None:
        """Book that ``quantity`` (unsigned) was closed at a price; ``size`` is the base units of one contract."""
        side = 1 if self.quantity > ZERO else -1
        gain = side * quantity * size * (price - self.entry_price)
        self.realised += gain
        self.gained += gain
        self.taken += quantity * price
        self.quantity -= side * quantity
        if not self.quantity:
            self._end(side, ts, reason)

    def write_off(self, ts: Nanoseconds, reason: str) -> None:
        """Give up coins that cannot be sold: what they cost is lost, and they are whoever's the wallet is."""
        lost = self.quantity * self.entry_price
        self.realised -= lost
        self.gained -= lost
        self.size -= self.quantity
        self.quantity = ZERO
        self._end(1, ts, reason)

    def _end(self, side: int, ts: Nanoseconds, reason: str) -> None:
        """Note the trade that is over, and forget it."""
        net = self.gained - self.open_fees + self.open_funding
        average = self.taken / self.size if self.size else ZERO
        costs = (self.open_fees, self.open_funding, net)
        trade = LiveTrade(side, self.opened, ts, self.size, self.entry_price, average, *costs, reason)
        self.trades = (*self.trades, trade)[-KEPT_TRADES:]
        self.closed += 1
        self.entry_price = self.size = self.gained = self.taken = self.open_fees = self.open_funding = ZERO
        self.entry, self.opened = ClientOrderId(""), 0


class ConfigImage(msgspec.Struct, frozen=True, array_like=True):
    """Everything as one value: part of every checkpoint and of a client's first picture."""

    running: tuple[Running, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    refused: dict[str, Refusal] = {}
    accounts: tuple[Account, ...] = ()
    compared: tuple[d.StrategyCompared, ...] = ()
    notes: tuple[d.StrategyNoted, ...] = ()


class ConfigBook:
    """Keep what runs, what waits, what was refused, and the accounts."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}
        self.waiting: dict[str, Waiting] = {}
        self.refused: dict[str, Refusal] = {}
        self.accounts: dict[InstrumentId, Account] = {}
        """By instrument: each is one strategy's. Empty while no config was ever adopted: then no fill is looked at."""
        self.compared: dict[InstrumentId, d.StrategyCompared] = {}
        self.notes: dict[InstrumentId, d.StrategyNoted] = {}
        """What keeps a strategy from trading, by instrument."""

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns configs alone."""
        return {
            d.ConfigAdopted: self.adopted,
            d.ConfigWaits: self.waits,
            d.ConfigRefused: self.refuse,
            d.ConfigEnded: self.ended,
            d.StrategyCompared: self.compare,
            d.StrategyNoted: self.note,
        }

    # --- questions --------------------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Tell whether any config runs or waits."""
        return bool(self.running or self.waiting)

    def runner(self, instrument: InstrumentId) -> str:
        """Return which strategy runs in an instrument, or still holds something of it; empty where none does."""
        for id_, running in self.running.items():
            if instrument in running.config.instruments:
                return id_
        account = self.accounts.get(instrument)
        return account.strategy_id if account is not None and account.quantity else ""

    def of(self, strategy_id: str) -> Iterator[Account]:
        """Yield a strategy's accounts."""
        return (account for account in self.accounts.values() if account.strategy_id == strategy_id)

    # --- configs ----------------------------------------------------------------------------------------------------

    def adopted(self, event: d.ConfigAdopted) -> None:
        """A config runs; accounts of its strategy go on, others begin with the config's capital."""
        config = event.config
        self.waiting.pop(config.strategy_id, None)
        self.refused.pop(config.strategy_id, None)
        before = self.running.get(config.strategy_id)
        self.running[config.strategy_id] = Running(config, event.ts)
        if config.status is ConfigStatus.HISTORY:
            return
        for instrument, capital in zip(config.instruments, config.capitals(), strict=True):
            account = self.accounts.get(instrument)
            goes_on = before is not None and account is not None and account.strategy_id == config.strategy_id
            if not goes_on or (account is not None and account.liquidated):
                self.accounts[instrument] = Account(config.strategy_id, instrument, capital, begun=event.ts)
                self.compared.pop(instrument, None)

    def waits(self, event: d.ConfigWaits) -> None:
        """A config waits."""
        self.waiting[event.config.strategy_id] = Waiting(event.config, event.reason, event.ts)

    def refuse(self, event: d.ConfigRefused) -> None:
        """A config was refused."""
        self.waiting.pop(event.strategy_id, None)
        self.refused.pop(event.strategy_id, None)
        self.refused[event.strategy_id] = Refusal(event.version, event.reason, event.ts)
        if len(self.refused) > KEPT_WORDS:
            del self.refused[next(iter(self.refused))]

    def ended(self, event: d.ConfigEnded) -> None:
        """A strategy runs no more; its accounts stay to be read until another takes the instrument."""
        self.running.pop(event.strategy_id, None)
        self.refused.pop(event.strategy_id, None)
        for account in self.of(event.strategy_id):
            if account.quantity and parse_id(account.instrument).type is InstrumentType.SPOT_PAIR:
                account.write_off(event.ts, DUST)
        self.notes = {id_: note for id_, note in self.notes.items() if note.strategy_id != event.strategy_id}

    def dust(self, event: d.DustLeft) -> None:
        """What an account has left cannot be sold."""
        account = self.accounts.get(event.instrument)
        if account is not None and account.quantity:
            account.write_off(event.ts, DUST)

    def note(self, event: d.StrategyNoted) -> None:
        """Something keeps a strategy from trading, or does no more."""
        if event.text:
            self.notes[event.instrument] = event
        else:
            self.notes.pop(event.instrument, None)

    def compare(self, event: d.StrategyCompared) -> None:
        """Keep how live and study stand."""
        self.compared[event.instrument] = event

    # --- money ------------------------------------------------------------------------------------------------------

    def filled(self, fill: OrderFilled, record: OrderRecord | None, instrument: Instrument, position: Decimal) -> None:
        """Take a fill: a strategy's own, or of anybody else.

        ``position`` is what the venue's account holds after it, on spot the wallet's coins.
        """
        account = self.accounts.get(fill.instrument)
        if account is None:
            return
        if record is not None and self._owns(account, record):
            self._own(account, fill, record, instrument)
        reason = LIQUIDATION if account.liquidated and not fill.client_order_id else OTHERS
        self._clamp(account, position, fill.price, instrument, fill.ts_exchange, reason)

    @staticmethod
    def _own(account: Account, fill: OrderFilled, record: OrderRecord, instrument: Instrument) -> None:
        """Book an account's own fill; a fee in coins counts as money paid and as coins that did not arrive.

        Both are so: bought for ``q * p`` are ``q - fee``, worth ``(q - fee) * p``.
        """
        outright, change = is_outright(instrument), moved(fill, instrument)
        if outright and fill.side is Side.SELL and not account.quantity:
            return  # coins that are not the account's: nothing can be short
        account.pay(_fee(fill, instrument))
        if account.quantity * fill.side.sign >= ZERO:
            account.open(fill.client_order_id, fill, change)
            return
        reason = record.order.strategy_intent or SIGNAL
        closed = min(change, abs(account.quantity))
        account.close(closed, fill.price, instrument.contract_size, fill.ts_exchange, reason)
        rest = account.quantity
        if outright and rest and not record.is_open and is_dust(instrument, rest, float(fill.price)):
            account.write_off(fill.ts_exchange, reason)

    @staticmethod
    def _owns(account: Account, record: OrderRecord) -> bool:
        """Tell whether an order is the account's: its strategy's, or an exit of what its entry opened."""
        order = record.order
        return order.strategy_id == account.strategy_id or bool(order.parent and order.parent == account.entry)

    @staticmethod
    def _clamp(
        account: Account, position: Decimal, price: Decimal, instrument: Instrument, ts: Nanoseconds, reason: str
    ) -> None:
        """Let an account hold no more than there is: what is missing was closed by others, at this price."""
        own = account.quantity
        if not own:
            return
        there = min(abs(position), abs(own)) if position * own > ZERO else ZERO
        if there < abs(own):
            account.close(abs(own) - there, price, instrument.contract_size, ts, reason)

    def held(self, instrument: Instrument, position: Decimal, ts: Nanoseconds) -> None:
        """Take that a position was put to what the venue says: what is missing has gone at no profit."""
        account = self.accounts.get(instrument.id)
        if account is not None:
            self._clamp(account, position, account.entry_price, instrument, ts, OTHERS)

    def paid(self, event: FundingPaid, position: Decimal) -> None:
        """Take funding of a position: the account's part of it is its own."""
        account = self.accounts.get(event.instrument)
        if account is not None and account.quantity and position:
            account.pay(ZERO, event.amount * account.quantity / position)

    def liquidated(self, event: PositionLiquidated) -> None:
        """Take that the venue closed a position by force; its fill comes behind, the fee is shared."""
        account = self.accounts.get(event.instrument)
        if account is not None and account.quantity and event.quantity:
            account.liquidated = event.ts
            account.pay(event.fee * min(abs(account.quantity / event.quantity), Decimal(1)))

    # --- images -----------------------------------------------------------------------------------------------------

    def image(self) -> ConfigImage:
        """Return everything as one value."""
        return ConfigImage(
            tuple(self.running.values()),
            tuple(self.waiting.values()),
            dict(self.refused),
            tuple(replace(account) for account in self.accounts.values()),
            tuple(self.compared.values()),
            tuple(self.notes.values()),
        )

    def restore(self, image: ConfigImage) -> None:
        """Take over what an image holds."""
        self.running = {one.config.strategy_id: one for one in image.running}
        self.waiting = {one.config.strategy_id: one for one in image.waiting}
        self.refused = dict(image.refused)
        self.accounts = {one.instrument: replace(one) for one in image.accounts}
        self.compared = {one.instrument: one for one in image.compared}
        self.notes = {one.instrument: one for one in image.notes}


def _fee(fill: OrderFilled, instrument: Instrument) -> Decimal:
    """Return a fill's fee in the quote asset."""
    return fill.fee * fill.price if fill.fee_asset == instrument.base else fill.fee
