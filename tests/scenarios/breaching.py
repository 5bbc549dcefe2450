"""Positions that breach a limit again and again, on real processes under faults: how soon is the exit at the socket?

Prices are set by hand in a real market process. Four positions are bought, then a tick takes each beyond what it may
lose. The engine says how long its exit took from the tick's arrival to the hand-over to the socket, by its own clock.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Self

import msgspec

from core.domain import events as e
from core.domain import watch as w
from core.domain.commands import SubmitOrder
from core.domain.differences import DifferenceFound
from core.domain.identifiers import InstrumentId
from core.domain.market import NO_ID, Quote
from core.domain.message import Event, Nanoseconds
from core.domain.order import Order, Side
from core.session import protocol as p
from core.session.client import Client
from desk.paths import Role
from store.journal.tools import check
from tests.scenarios.house import FUTURES, PATIENCE_S, PERP, Auditor, House
from tests.scenarios.small_disk import fill
from tests.venues.market.process import MarketProcess

HIGH: dict[InstrumentId, float] = {
    PERP: 60_000.0,
    InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN"): 3_000.0,
    InstrumentId("BINANCE-FUTURES:PERPETUAL:XRP-USDT@LIN"): 0.5,
    InstrumentId("BINANCE-FUTURES:PERPETUAL:LTC-USDT@LIN"): 80.0,
}
"""Where each is bought."""
FALL = 0.01
SIZE = Decimal(6_000)
"""What each position is worth (USDT); it loses 60 by the fall, of an equity of ten million."""
EQUITY = 10_000_000
SETTINGS = """
[guardian]
max_position_loss_frac = 0.000003
max_orders_per_second = 1000
max_exits_per_second = 1000
duplicate_window_ms = 0
stale_after_ms = 60000
engine_silent_after_ms = 20000
sentinel_grace_ms = 3000

[journal]
reserve_mb = 1
"""
"""Thirty USDT lost of one position are too much; what follows fast is not held up, a starved engine not replaced."""
PAUSE_S = 0.002


class Breach(msgspec.Struct, frozen=True):
    """One breach: when its tick was published (the rig's clock), and how long the exit took inside the engine (ns)."""

    instrument: InstrumentId
    published: Nanoseconds
    exit_ns: Nanoseconds


class Course(msgspec.Struct, frozen=True):
    """How long one breach took outside of the engine (ns): its tick to the engine, and from there to the market."""

    on_the_way: Nanoseconds
    """From the publication of the tick to its arrival in the engine."""
    at_market: Nanoseconds
    """From that arrival until the market process carried the exit out."""


class Rig:
    """Buy, breach, see it flat; again. ``house`` runs an engine on a market whose prices are set here."""

    def __init__(self, house: House, market: MarketProcess, auditor: Auditor, client: Client) -> None:
        self.house, self.market, self.client = house, market, client
        self.auditor, self.breaches = auditor, list[Breach]()
        self._venue = auditor.venues[FUTURES]
        self._filler = house.home.root / "filler"

    @classmethod
    async def make(cls, house: House, market: MarketProcess, auditor: Auditor) -> Self:
        """Give a rig whose engine is connected and has every price."""
        client = await house.client("rig")
        rig = cls(house, market, auditor, client)
        for instrument, bid in HIGH.items():
            await rig.price(instrument, bid)
        await rig.until(rig.is_ready, "the engine trades")
        return rig

    def is_ready(self) -> bool:
        """Tell whether the engine may trade everything."""
        state = self.client.state
        priced = all(state.markets[id_].bid for id_ in HIGH if id_ in state.markets)
        known = HIGH.keys() <= state.markets.keys()
        return known and priced and state.venue(FUTURES).reconciled and not state.guard.holds

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something holds in the engine's picture."""
        end = time.monotonic() + PATIENCE_S
        while not true():
            if self.client.lost or time.monotonic() > end:
                raise AssertionError(f"not so: {what}; {self.house.log(Role.ENGINE)}")
            await asyncio.sleep(PAUSE_S)

    async def price(self, instrument: InstrumentId, bid: float) -> Nanoseconds:
        """Publish a quote and return when."""
        listed = self.client.state.markets.get(instrument)
        tick = float(listed.instrument.tick_size) if listed is not None else bid * 1e-4
        now = self.house.clock.now()
        await self._venue.publish([Quote(instrument, round(bid, 4), 1e6, round(bid + tick, 4), 1e6, NO_ID, now, now)])
        return now

    def held(self, instrument: InstrumentId) -> Decimal:
        """Return our position."""
        position = self.client.state.ledger.positions.get(instrument)
        return position.quantity if position is not None else Decimal(0)

    # --- a round ----------------------------------------------------------------------------------------------------

    async def round(self, count: int, *, full: bool = False) -> None:
        """Buy so many of the instruments and breach each; the disk is full meanwhile where asked for."""
        chosen = list(HIGH)[:count]
        for instrument in chosen:
            await self.buy(instrument)
        if full:
            await self.fill_disk()
        for instrument in chosen:
            await self.breach(instrument)
        if full:
            await self.free_disk()

    async def buy(self, instrument: InstrumentId) -> None:
        """Hold a position at the high price."""
        await self.price(instrument, HIGH[instrument])
        listed = self.client.state.markets[instrument].instrument
        quantity = listed.floor_size(SIZE / Decimal(repr(HIGH[instrument])))
        await self.until(lambda: instrument not in self.client.state.exits.flattening, "the last exit is confirmed")
        outcome = await self.client.send(SubmitOrder(Order(instrument, Side.BUY, quantity), "rig"))
        assert outcome.ok, outcome
        await self.until(lambda: self.held(instrument) == quantity, "it is bought")

    async def breach(self, instrument: InstrumentId) -> None:
        """Let the price fall and see the position closed; what the engine says of its exit is kept."""
        before = (await self.client.ask(p.AskStatus())).exit_times[0]
        published = await self.price(instrument, HIGH[instrument] * (1.0 - FALL))
        await self.until(lambda: not self.held(instrument), "the guardian closes it")
        count, last, _ = (await self.client.ask(p.AskStatus())).exit_times
        assert count == before + 1, f"{count - before} exits for one breach of {instrument}"
        self.breaches.append(Breach(instrument, published, last))

    async def recorded(self) -> None:
        """Wait until the last exit is confirmed and on the disk: an answer tells that all before it is there."""
        await self.until(lambda: not self.client.state.exits.flattening, "the last exit is confirmed")
        nothing = Order(PERP, Side.SELL, Decimal("0.001"), reduce_only=True)
        denied = await self.client.send(SubmitOrder(nothing, "rig"))
        assert not denied.ok, denied

    # --- the disk ---------------------------------------------------------------------------------------------------

    async def fill_disk(self) -> None:
        """Leave no room, not even what the journal kept for exits."""
        fill(self._filler)
        await self.until(lambda: bool(self.client.state.store_trouble), "the trouble is told")
        for _ in range(3):  # what is denied is recorded too: that takes the reserve, and the filler takes what it gave
            denied = await self.client.send(SubmitOrder(Order(PERP, Side.BUY, Decimal("0.001")), "rig"))
            assert not denied.ok, denied
            fill(self._filler)

    async def free_disk(self) -> None:
        """Make room again and see the journal heal."""
        self._filler.unlink()
        state = self.client.state
        await self.until(lambda: not (state.store_trouble or state.exits.unjournalled), "the journal heals")


# --- afterwards -------------------------------------------------------------------------------------------------------


def examine(house: House, breaches: Sequence[Breach], fills: Sequence[e.OrderFilled]) -> list[Course]:
    """Check that each breach ended as it must, in order, and that nothing was lost; the engine has ended.

    ``fills`` are the market's own. Its clock and the engine's are read off the same machine's when they start.
    """
    report = check(house.home.journal)
    assert report.damage is None, report.damage
    events = [event for _, event in house.events()]
    bad = (e.IllegalEventSeen, e.OrderFound, e.PositionSet, DifferenceFound, w.ExitEscalated)
    assert not [event for event in events if isinstance(event, bad)]
    ours = {event.fill_id: event for event in events if isinstance(event, e.OrderFilled)}
    missing = [fill for fill in fills if fill.fill_id not in ours]
    assert not missing, f"the market filled {missing[0]}, which is not recorded"
    courses = []
    for instrument in HIGH:
        mine = [one for one in breaches if one.instrument == instrument]
        found = _in_order(events, instrument, len(mine))
        courses += [Course(began - one.published, at - began) for (began, at), one in zip(found, mine, strict=True)]
        net = sum(fill.side.sign * fill.quantity for fill in ours.values() if fill.instrument == instrument)
        assert net == 0, f"{instrument}: fills add up to {net}"
    return courses


def _in_order(events: Sequence[Event], instrument: InstrumentId, count: int) -> list[tuple[Nanoseconds, Nanoseconds]]:
    """Check the course of every exit: decided, sent, said why, filled, flat by the venue's word.

    Returns when each was decided, and when the market carried it out.
    """
    course, orders = list[tuple[str, Nanoseconds]](), set[str]()
    for event in events:
        if isinstance(event, e.OrderSubmitted) and event.order.instrument == instrument and event.order.reduce_only:
            orders.add(event.order.client_order_id)
            course.append(("sent", event.ts))
        elif isinstance(event, e.OrderFilled) and event.client_order_id in orders:
            if course[-1][0] == "filled":  # the first price held less than the position: the last fill counts
                course.pop()
            course.append(("filled", event.ts_exchange))
        elif isinstance(event, e.FlattenStarted) and event.instrument == instrument:
            course.append(("decided", event.ts))
        elif isinstance(event, w.GuardianActed) and event.instrument == instrument:
            assert event.rule == "max_position_loss", event
            course.append(("told", event.ts))
        elif isinstance(event, e.FlattenEnded) and event.instrument == instrument:
            assert (event.flat, event.reason) == (True, "flat, confirmed by the venue"), event
            course.append(("flat", event.ts))
    names, usual = [name for name, _ in course], ["decided", "sent", "told", "filled", "flat"] * count
    other = next((at for at, pair in enumerate(zip(names, usual, strict=False)) if pair[0] != pair[1]), len(usual))
    assert names == usual, f"{instrument}, behind {other} steps: {names[max(other - 5, 0) : other + 5]}"
    decided = [ts for name, ts in course if name == "decided"]
    return list(zip(decided, (ts for name, ts in course if name == "filled"), strict=True))


def hand_market(house: House, books: Path) -> MarketProcess:
    """Start a market whose prices are set by hand, its books beside the home as a real exchange's would be."""
    books.mkdir(mode=0o700, exist_ok=True)
    wallets = {"BINANCE-SPOT": {"USDT": str(EQUITY // 2)}, "BINANCE-FUTURES": {"USDT": str(EQUITY // 2)}}
    market = MarketProcess(books, manual=list(HIGH), balances=wallets, latency={})
    market.start()
    if not house.home.market_socket.is_symlink():
        house.home.market_socket.symlink_to(market.socket)
    return market
