"""A simulated exchange: the real matching rules, and a network that loses, delays, doubles and reorders.

``Exchange`` is the far side and outlives the engine. ``SimVenue`` (in ``link``) is the near side, one for every life;
it keeps to the port as ``venues.market.venue`` does: not linked is ``VenueError``, no answer in time or a lost link is
``OrderUnknown``, a gap in what is said of orders ends the link. A request that is late at the exchange is not carried
out (exchanges call it the receive window), so that what it said it never had does not appear after all.
"""

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import Asset, ClientOrderId, VenueId
from core.domain.instrument import Instrument
from core.domain.message import Message, Nanoseconds
from core.domain.order import Operation, Order, OrderType, Side, TimeInForce
from core.domain.reports import VenueSnapshot
from core.ports import Abilities
from tests.core.kit import BTC_SPOT, ETH_BTC, ETH_SPOT
from tests.simulation.machine import MS, Machine
from tests.simulation.plan import Plan
from venues.matching.matching import Matching
from venues.matching.settings import MatchingSettings

if TYPE_CHECKING:
    from tests.simulation.link import Link

Request = SubmitOrder | AmendOrder | CancelOrder
USDT = Asset("USDT")
ENGINE, SENTINEL = "engine", "sentinel"
"""Who has a session here: each a line of its own."""
STRANGE = "web"
"""How the ids of orders begin that somebody else sends."""
NEVER: Nanoseconds = 1 << 62
LEAST = 50
"""Money that comes or goes is more than the tolerance of a wallet's comparison."""
_WORKING = frozenset({OrderType.MARKET, OrderType.LIMIT})


class Watcher(Protocol):
    """Who is told what the exchange does and what reaches it."""

    def began(self, approved: Approved[Any]) -> None:
        """A request is handed to the venue's connection."""
        ...

    def left(self, approved: Approved[Any]) -> None:
        """A request leaves the engine."""
        ...

    def happened(self, venue: VenueId, event: Message) -> None:
        """The exchange did something."""
        ...

    def handed(self, snapshot: VenueSnapshot) -> None:
        """A snapshot has reached the engine."""
        ...


class Exchange:
    """Hold one account, match its orders, and say what happened on whatever link there is."""

    def __init__(
        self, machine: Machine, venue: VenueId, instruments: Sequence[Instrument], plan: Plan, watcher: Watcher
    ) -> None:
        self.id, self.instruments, self.plan, self.machine, self.watcher = venue, instruments, plan, machine, watcher
        self.rng = random.Random(f"{plan.seed}.{venue}")
        wallets = {one.quote: Decimal(100_000) for one in instruments if one is not ETH_BTC}
        self.matching = Matching(venue, instruments, wallets, MatchingSettings(id_prefix="x"), self._out)
        self.abilities = Abilities(
            order_types=frozenset(OrderType) if plan.native else _WORKING,
            time_in_force=frozenset(TimeInForce),
            feeds=frozenset({m.Feed.QUOTE, m.Feed.TRADE}),
            operations=frozenset({Operation.TRADE}),
            amend=plan.amends,
            post_only=True,
            reduce_only=True,
            native_stops=plan.native,
        )
        self.lines: dict[str, Link] = {}
        self.unreachable_until: Nanoseconds = 0
        self.no_positions_until: Nanoseconds = 0
        self.late_until: Nanoseconds = 0
        self.feed: dict[str, Nanoseconds] = {}
        """What is wrong with the prices that are sent, and until when."""
        self.lose_requests = self.lose_receipts = self.lose_answers = self.reject = 0
        self.strange = random.Random(f"{plan.seed}.{venue}.strange")
        self._strangers = 0
        self.still = False
        """Prices stand."""
        self._prices = {one.id: 60_000.0 if one.base == "BTC" else 3_000.0 for one in instruments}
        self._update = 0
        self._stamp: Nanoseconds = 0
        for one in instruments:
            self._tick(one)

    @property
    def link(self) -> "Link | None":
        """Return the engine's line."""
        return self.lines.get(ENGINE)

    def cut(self, reason: str) -> None:
        """Lose every line."""
        for link in list(self.lines.values()):
            link.drop(reason)

    # --- prices -----------------------------------------------------------------------------------------------------

    def move(self, factor: float) -> None:
        """Move every price at once."""
        for key in self._prices:
            self._prices[key] *= factor
        for one in self.instruments:
            self._quote(one)

    def dearest(self, coin: Asset) -> float:
        """Return the highest price of a coin in dollars."""
        return max(self._prices[one.id] for one in self.instruments if one.base == coin and one is not ETH_BTC)

    def _tick(self, one: Instrument) -> None:
        if not self.still:
            self._prices[one.id] *= 1 + self.rng.gauss(0, 0.0004)
        self._quote(one)
        self.machine.after(self.rng.randrange(80, 320) * MS, lambda: self._tick(one))

    def _quote(self, one: Instrument) -> None:
        now, tick = self.machine.utc, one.tick_size
        if one is ETH_BTC:
            self._prices[one.id] = self._prices[ETH_SPOT.id] / self._prices[BTC_SPOT.id]
        bid = one.quantise_price(Decimal(repr(self._prices[one.id])))
        size = 10.0 if one.base == "BTC" else 200.0
        self._update += 1
        quote = m.Quote(one.id, float(bid), size, float(bid + tick), size, self._update, now, now)
        self.matching.on_data(quote)
        spoilt = self._spoilt(quote)
        said: list[Message] = [spoilt] if spoilt is not None else []
        if self.rng.random() < 0.4:
            trade = m.Trade(one.id, quote.ask, 0.01, True, self._update, now, now)
            self.matching.on_data(trade)
            if spoilt is quote:
                said.append(trade)
        for link in self.lines.values():
            link.show(said)

    def _spoilt(self, quote: m.Quote) -> m.Quote | None:
        now = self.machine.now
        if now < max(self.feed.get("frozen", 0), self.feed.get(quote.instrument, 0)):
            return None
        if now < self.feed.get("stuck", 0):
            return quote.replace(ts_exchange=self._stamp)
        self._stamp = quote.ts_exchange
        if now < self.feed.get("crossed", 0):
            return quote.replace(bid=quote.ask, ask=quote.bid)
        if now < self.feed.get("senseless", 0):
            return quote.replace(bid=self.rng.choice((float("nan"), -1.0, 0.0, float("inf"))))
        return quote

    # --- requests ---------------------------------------------------------------------------------------------------

    def take(self, command: Request) -> None:
        """Carry out a request."""
        now = self.machine.utc
        if isinstance(command, SubmitOrder):
            if self.reject:
                self.reject -= 1
                self._out(e.OrderRejected(command.order.client_order_id, "not today", now, now))
                return
            self.matching.submit(command, now)
        elif isinstance(command, AmendOrder) and self.plan.stiff and self._is_stop(command.client_order_id):
            self._out(e.AmendRejected(command.client_order_id, "cannot be changed", now, now))
        elif isinstance(command, AmendOrder):
            self.matching.amend(command, now)
        else:
            self.matching.cancel(command, now)

    def _is_stop(self, id_: ClientOrderId) -> bool:
        resting = self.matching.snapshot(NEVER).open_orders
        return any(one.client_order_id == id_ and one.order.trigger is not None for one in resting)

    def stranger(self) -> None:
        """Have somebody else trade in this account, with orders of no record of ours; their words come to us too."""
        rng, now = self.strange, self.machine.utc
        one = rng.choice(self.instruments)
        self._strangers += 1
        id_ = ClientOrderId(f"{STRANGE}{self._strangers}")
        side = rng.choice((Side.BUY, Side.SELL))
        low = max(one.min_size, one.ceil_size(one.min_notional * 2 / Decimal(repr(self._prices[one.id]))))
        quantity = low * rng.randrange(1, 6)
        if rng.random() < 0.5:
            order = Order(one.id, side, quantity, client_order_id=id_, venue=self.id)
        else:
            away = Decimal(repr(self._prices[one.id] * (1 - side.sign * 0.03)))
            price = one.quantise_price(away)
            order = Order(one.id, side, quantity, OrderType.LIMIT, price, client_order_id=id_, venue=self.id)
        self.matching.submit(SubmitOrder(order, "web", now), now)

    def swap(self) -> bool:
        """Have somebody trade one coin for the other by hand, as far as it is free; tell whether there was enough."""
        rng, now, price = self.strange, self.machine.utc, Decimal(repr(self._prices[ETH_BTC.id]))
        self.matching.advance(now)
        side, share = rng.choice((Side.BUY, Side.SELL)), Decimal(rng.choice(("0.98", "0.5", "0.1")))
        free = self.matching._account.free(ETH_BTC.base if side is Side.SELL else ETH_BTC.quote) * share
        quantity = ETH_BTC.floor_size(free if side is Side.SELL else free / price)
        if quantity < ETH_BTC.min_size or quantity * price < ETH_BTC.min_notional:
            return False
        self._strangers += 1
        order = Order(
            ETH_BTC.id, side, quantity, client_order_id=ClientOrderId(f"{STRANGE}swap{self._strangers}"), venue=self.id
        )
        self.matching.submit(SubmitOrder(order, "web", now), now)
        return True

    def flow(self, share: float) -> Decimal:
        """Have money come, or go as far as it is free; nothing is said of it."""
        self.matching.advance(self.machine.utc)
        account, of = self.matching._account, Decimal(100_000)
        if share < 0:
            of = max(account.free(USDT), Decimal(0))
        amount = (of * Decimal(repr(share))).quantize(Decimal("0.01"))
        if abs(amount) < LEAST:
            return Decimal(0)
        account.add(USDT, amount)
        return amount

    def _out(self, event: Message) -> None:
        self.watcher.happened(self.id, event)
        for link in list(self.lines.values()):
            link.say(event)

    def snapshot(self, since: Nanoseconds) -> VenueSnapshot:
        """Return what there is; without positions while those are left out."""
        self.matching.advance(self.machine.utc)
        found = self.matching.snapshot(since)
        if self.machine.now < self.no_positions_until:
            found = msgspec.structs.replace(found, positions=())
        return found

    def heal(self) -> None:
        """Be as an exchange should be, and let prices stand: what is compared must not move."""
        self.still = True
        self.unreachable_until = self.no_positions_until = self.late_until = 0
        self.lose_requests = self.lose_receipts = self.lose_answers = self.reject = 0
        self.feed.clear()
        for link in [one for one in self.lines.values() if one.silent]:
            link.drop("the link did not answer")
