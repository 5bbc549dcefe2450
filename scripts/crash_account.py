"""An account that is long five times its equity on a crash day: with the guardian, and with nobody who watches.

With: the real engine, guardian and matching, on the clock of the path. Without: the matching alone.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain import watch as w
from core.domain.approval import TradingState
from core.domain.commands import SubmitOrder
from core.domain.identifiers import Asset, InstrumentId, StrategyId, VenueId
from core.domain.instrument import Instrument
from core.domain.market import Quote
from core.domain.message import Command, Message, Nanoseconds
from core.domain.order import Order, Side
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.state.state import State
from scripts.crash_path import Day, gaps, quotes
from venues.matching.matching import Matching
from venues.matching.settings import SECOND, TYPICAL_LATENCY, MatchingSettings
from venues.replay import ReplayDriver

VENUE = VenueId("BINANCE-FUTURES")
USDT = Asset("USDT")
EQUITY = Decimal(10_000)
"""What an account begins with (USDT), unless another is named."""
LEVERAGE = 5.0
MATCHING = MatchingSettings(latency=TYPICAL_LATENCY)
SIZES = GuardianSettings(
    max_position_frac=100.0,
    max_sector_frac=100.0,
    max_gross_frac=100.0,
    max_net_frac=100.0,
    max_order_notional_frac=100.0,
    min_effective_bets=0.0,
)
"""Size limits out of the way, everything that limits a loss at its default."""


class Kind(StrEnum):
    """How the account trades."""

    ONCE = "once"
    """It buys at the day's open and holds."""
    AGAIN = "again"
    """It buys again whatever the guardian has closed, for as long as it is let."""


class Holder:
    """Want to be long so many times the equity, in equal parts, whatever happens."""

    id = StrategyId("holder")

    def __init__(self, instruments: Sequence[Instrument], kind: Kind) -> None:
        self._listed = {item.id: item for item in instruments}
        self._part, self._kind = LEVERAGE / len(instruments), kind
        self._bought: set[InstrumentId] = set()

    def on_message(self, message: Message, state: State) -> Iterable[Command]:
        """Buy what is not held, at a quote; while it is being closed or trading is halted nothing would pass."""
        if type(message) is not Quote or message.instrument not in self._listed:
            return ()
        id_, listed = message.instrument, self._listed[message.instrument]
        position = state.ledger.positions.get(id_)
        idle = not (position is not None and position.quantity) and not state.blotter.of(id_)
        stopped = id_ in state.exits.flattening or state.trading_state is not TradingState.ACTIVE
        if not idle or stopped or not state.day_started or (self._kind is Kind.ONCE and id_ in self._bought):
            return ()
        quantity = listed.floor_size(Decimal(repr(state.ledger.equity * self._part / message.ask)))
        if quantity < listed.min_size:
            return ()
        self._bought.add(id_)
        return (SubmitOrder(Order(id_, Side.BUY, quantity, strategy_id=self.id), self.id),)


class Exit(msgspec.Struct, frozen=True):
    """What the guardian closed: why, when it was decided, and how long until nothing of it was held (ns)."""

    rule: str
    instrument: InstrumentId
    ts: Nanoseconds
    took: Nanoseconds


class Outcome(msgspec.Struct, frozen=True):
    """What became of the account; losses and gaps as fractions of what it began with."""

    loss: float
    gap: float
    """What was lost between a close and the next open, while held."""
    rules: tuple[str, ...]
    exits: tuple[Exit, ...]
    halted: bool
    flat: bool
    liquidated: Nanoseconds = 0


class Watched:
    """Play days through engine and guardian, and see what they do."""

    def __init__(
        self, days: Sequence[Day], kind: Kind, settings: GuardianSettings = SIZES, equity: Decimal = EQUITY
    ) -> None:
        listed = [day.contract for day in days]
        self._days, self._start = days, equity
        self.engine = Engine(Guardian(settings), State(mode="replay"), strategies=[Holder(listed, kind)], strict=True)
        self._driver = ReplayDriver(self.engine, {VENUE: listed}, MATCHING, {VENUE: {USDT: equity}}, self._see)
        self._over = kind is Kind.ONCE
        self._deciding: dict[InstrumentId, tuple[str, Nanoseconds]] = {}
        self._rules: dict[str, None] = {}
        self._exits: list[Exit] = []
        self._liquidated: Nanoseconds = 0

    def run(self) -> Outcome:
        """Play until the days are over, or the guardian lets nothing more in."""
        gapped, marks = 0.0, _jumps(self._days)
        for quote in merged(self._days):
            if not self._driver.played:
                self._driver.open(quote.ts)
            gapped += self._held(quote.instrument) * marks.pop((quote.instrument, quote.ts), 0.0)
            self._driver.step(quote, quote.ts)
            if self._is_over():
                break
        end = self.engine.state.now
        self._driver.finish(end + 10 * SECOND)
        bids = {market.instrument.id: market.bid for market in self.engine.state.markets.values()}
        start, state = float(self._start), self.engine.state
        left = start - _equity(self._driver.matchings[VENUE], bids)
        return Outcome(
            left / start,
            gapped / start,
            tuple(self._rules),
            tuple(self._exits),
            state.trading_state is TradingState.HALTED,
            not any(item.quantity for item in state.ledger.positions.values()),
            self._liquidated,
        )

    def _held(self, instrument: InstrumentId) -> float:
        position = self.engine.state.ledger.positions.get(instrument)
        return float(position.quantity) if position is not None else 0.0

    def _is_over(self) -> bool:
        """Tell whether nothing can happen any more: flat, and nobody buys again."""
        state = self.engine.state
        done = self._over or state.trading_state is TradingState.HALTED
        busy = state.exits.flattening or state.blotter.open
        return bool(done and self._exits and not busy and not any(i.quantity for i in state.ledger.positions.values()))

    def _see(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, e.FlattenStarted):
                self._deciding[effect.instrument] = (effect.origin.removeprefix("guardian "), effect.ts)
            elif isinstance(effect, w.GuardianActed):
                self._rules[effect.rule] = None
            elif isinstance(effect, e.PositionLiquidated):
                self._liquidated = effect.ts
            elif isinstance(effect, e.OrderFilled) and effect.instrument in self._deciding:
                self._filled(effect)

    def _filled(self, fill: e.OrderFilled) -> None:
        if not self._held(fill.instrument):
            rule, since = self._deciding.pop(fill.instrument)
            self._exits.append(Exit(rule, fill.instrument, since, fill.ts - since))


def unwatched(days: Sequence[Day], equity: Decimal = EQUITY) -> Outcome:
    """Buy the same at the open and hold it through the days, with nobody but the exchange's liquidation to end it."""
    listed = [day.contract for day in days]
    events: list[Message] = []
    matching = Matching(VENUE, listed, {USDT: equity}, MATCHING, events.append)
    part, bought = LEVERAGE / len(listed), set[InstrumentId]()
    contracts, bids = {item.id: item for item in listed}, dict[InstrumentId, float]()
    for quote in merged(days):
        matching.on_data(quote)
        bids[quote.instrument] = quote.bid
        if quote.instrument not in bought:
            bought.add(quote.instrument)
            quantity = contracts[quote.instrument].floor_size(Decimal(repr(float(equity) * part / quote.ask)))
            order = Order(quote.instrument, Side.BUY, quantity, client_order_id=quote.instrument)  # type: ignore[arg-type]
            matching.submit(SubmitOrder(order, "crash", quote.ts), quote.ts)
    forced = [event.ts for event in events if isinstance(event, e.PositionLiquidated)]
    loss = 1.0 - _equity(matching, bids) / float(equity)
    return Outcome(loss, 0.0, (), (), False, not _open(matching), forced[0] if forced else 0)


def merged(days: Sequence[Day]) -> Iterator[Quote]:
    """Yield the quotes of several coins together, in the order of time."""
    return heapq.merge(*(quotes(day) for day in days), key=lambda quote: quote.ts)


def _jumps(days: Sequence[Day]) -> dict[tuple[InstrumentId, Nanoseconds], float]:
    """Return what one coin loses at each gap, by instrument and time."""
    return {(day.contract.id, gap.ts): gap.close - gap.open for day in days for gap in gaps(day)}


def _open(matching: Matching) -> bool:
    return any(report.quantity for report in matching.snapshot(0).positions)


def _equity(matching: Matching, bids: Mapping[InstrumentId, float]) -> float:
    """Return what the account is worth by the exchange's own books, what is held at the bid."""
    snapshot = matching.snapshot(0)
    wallet = float(sum((balance.total for balance in snapshot.balances), Decimal(0)))
    held = (item for item in snapshot.positions if item.quantity)
    return wallet + sum(float(item.quantity) * (bids[item.instrument] - float(item.entry_price)) for item in held)
