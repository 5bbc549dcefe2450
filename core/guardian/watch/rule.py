"""What every rule of the watch shares: what wakes it, what it sees of a position, and what it decides."""

from collections.abc import Iterator
from decimal import Decimal
from enum import Flag, StrEnum, auto

import msgspec

from core.config.settings import GuardianSettings
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.message import Nanoseconds
from core.domain.position import Position
from core.state.mark import JUMP
from core.state.markets import Market
from core.state.state import State

SECOND_NS: Nanoseconds = 1_000_000_000
_INFINITY = float("inf")
ROUNDING = 1e-9
"""What is right at its bound has reached it, however its double is rounded."""


class Wake(Flag):
    """What wakes a rule. A rule woken by prices alone falls silent with its feed: every rule is asked by the timer."""

    PRICE = auto()
    FILL = auto()
    """A fill, an order's life, a balance."""
    TIMER = auto()


ALWAYS = Wake.PRICE | Wake.FILL | Wake.TIMER


class Act(StrEnum):
    """What the guardian does."""

    EXIT = "exit"
    REDUCE = "reduce"
    HALT = "halt"
    HOLD = "hold"
    """Nothing but an alarm."""
    DENY = "deny"
    """Entries of the instrument are denied, and an alarm."""
    PLACE = "place"
    """A protective stop is placed."""
    EASE = "ease"
    """What was decided is taken back, for its cause has gone."""


class Verdict(msgspec.Struct, frozen=True):
    """What a rule decides: what was seen, its bound, what is to be done about it and why."""

    rule: str
    key: str
    act: Act
    value: float
    bound: float
    reason: str
    instrument: InstrumentId = InstrumentId("")
    target: Decimal = Decimal(0)
    """What may be left of the position (unsigned)."""
    entry: ClientOrderId = ClientOrderId("")
    """The bracket that is closed, where it is one alone."""
    step: int = 0
    """The drawdown step that is entered, or left for."""
    price: Decimal = Decimal(0)
    """Where a stop is to be placed."""


class Use(msgspec.Struct, frozen=True):
    """How much of a rule's bound is used now, for the screen; the highest of all positions."""

    value: float
    bound: float
    text: str
    bound_text: str


class Stop(msgspec.Struct, frozen=True):
    """One stop that covers (a part of) a position; ``near`` is the price from which its exit does not wait.

    ``entry`` names its bracket, or the stop itself where it belongs to none.
    """

    trigger: float
    near: float
    quantity: Decimal
    entry: ClientOrderId


class Held:
    """See one position as the rules need it: floats, made anew when fills, orders or balances change it."""

    __slots__ = (
        "cost",
        "entry_price",
        "fee",
        "high",
        "instrument",
        "inverse",
        "liquidation",
        "low",
        "market",
        "nearest",
        "opened",
        "quantity",
        "sign",
        "size",
        "stops",
        "tick",
        "units",
    )

    def __init__(self, state: State, market: Market, position: Position) -> None:
        self.market = market
        self.instrument = market.instrument.id
        self.quantity = abs(position.quantity)
        self.sign = 1 if position.quantity > 0 else -1
        self.entry_price = float(position.entry_price)
        self.inverse = position.inverse
        self.units = float(self.quantity * position.contract_size) * state.ledger.rate(position.settle)
        self.size, self.tick = float(self.quantity), float(market.instrument.tick_size)
        self.fee = float(market.instrument.taker_fee)
        self.opened = position.opened
        self.stops: tuple[Stop, ...] = ()
        self.nearest = 0.0
        """The nearest price from which an exit does not wait; 0.0 is none."""
        self.liquidation = 0.0
        self.cost = 0.0
        """What closing it would have cost when it was seen anew."""
        self.low = self.high = 0.0
        """No rule has anything to say while bid, ask and mark are between them; set by ``calm``."""

    def calm(self, equity: float, loss_frac: float, liquidation_frac: float) -> None:
        """Work out the prices between which no rule can have anything to say: all that most ticks look at.

        Nearer than the rules' own bounds by a tenth, for equity moves with other prices too until this is done again.
        """
        long, price = self.sign > 0, self.price()
        low, high = price * (1.0 - 0.5 * JUMP), price * (1.0 + 0.5 * JUMP)
        near = self.nearest or (0.0 if long else _INFINITY)
        if self.units > 0.0 and self.entry_price > 0.0:
            losing = self.price_losing(0.9 * loss_frac * max(equity, 0.0))
            near = max(near, losing) if long else min(near, losing)
        if self.liquidation > 0.0:
            close = self.liquidation / (1.0 - self.sign * 1.1 * liquidation_frac)
            near = max(near, close) if long else min(near, close)
        if long:
            self.low, self.high = max(low, near), high
        else:
            self.low, self.high = low, min(high, near)

    def is_calm(self) -> bool:
        """Tell whether no rule that prices or fills wake can have anything to say at the prices of now."""
        market, low, high = self.market, self.low, self.high
        return low < market.bid and market.ask < high and low < market.mark < high

    def price_losing(self, amount: float) -> float:
        """Return the price at which so much is lost (reporting currency); 0.0 or infinity where none is."""
        if not self.inverse:
            return max(self.entry_price - self.sign * amount / self.units, 0.0)
        reciprocal = 1.0 / self.entry_price + self.sign * amount / self.units
        return 1.0 / reciprocal if reciprocal > 0.0 else _INFINITY

    def price(self) -> float:
        """Return what can be had for it now: a long the bid, a short the ask; 0.0 is unknown."""
        return self.market.closes_at(self.sign)

    def closing(self, away: float) -> float:
        """Return what closing costs below the mark (reporting currency): the fee, ``away``, spread and depth.

        ``away`` is how far the price may move before the exit arrives, as a fraction of it. Half the spread and what a
        position larger than the touch takes behind it, a tick a level, count up to as much again: a book that has
        emptied for a moment is no loss.
        """
        market = self.market
        mark, bid, ask = market.mark, market.bid, market.ask
        if mark <= 0.0:
            return 0.0
        slip, size = 0.0, market.bid_size if self.sign > 0 else market.ask_size
        if 0.0 < bid < ask and away:
            behind = self.size / size - 1.0 if 0.0 < size < self.size else 0.0
            slip = min(0.5 * (ask - bid + self.tick * behind) / mark, away)
        return self.units * (1.0 / mark if self.inverse else mark) * (self.fee + away + slip)

    def loss(self, price: float) -> float:
        """Return the open loss at a price, in the reporting currency; a profit is negative."""
        if price <= 0.0 or self.entry_price <= 0.0:
            return 0.0
        if self.inverse:
            return self.units * (1.0 / price - 1.0 / self.entry_price) * self.sign
        return self.units * (self.entry_price - price) * self.sign


class Scene(msgspec.Struct):
    """What every rule sees beside a position: the state, the time, the equity that losses are measured against."""

    state: State
    now: Nanoseconds
    equity: float
    blind: bool
    """The account cannot be valued now: nothing is said of its losses."""
    closing: float = 0.0
    """What closing everything would cost below the marks (reporting currency)."""


class WatchRule:
    """Judge one property of what is held."""

    name = ""
    key = ""
    act = Act.EXIT
    wakes = ALWAYS

    def __init__(self, settings: GuardianSettings) -> None:
        self.settings = settings

    def verdict(self, held: Held, value: float, bound: float, reason: str) -> Verdict:
        """Return that a position is to be closed."""
        return Verdict(self.name, self.key, self.act, value, bound, reason, held.instrument)


class PositionRule(WatchRule):
    """Judge one position."""

    def judge(self, held: Held, scene: Scene) -> Verdict | None:
        """Return what is to be done about a position, or None."""
        raise NotImplementedError

    def use(self, held: Held, scene: Scene) -> Use | None:
        """Return how much of the bound a position uses, or None where it does not apply."""
        raise NotImplementedError


class AccountRule(WatchRule):
    """Judge the account."""

    act = Act.HALT

    def judge(self, scene: Scene) -> Verdict | None:
        """Return what is to be done, or None."""
        raise NotImplementedError

    def floor(self, scene: Scene) -> float:
        """Return the equity at or below which this rule has something to say: all that a price has to look at."""
        raise NotImplementedError

    def uses(self, scene: Scene) -> Iterator[Use]:
        """Yield how much of its bounds is used."""
        raise NotImplementedError
