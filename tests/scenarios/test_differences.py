"""What happens at a venue while nobody looks: others trade, a position is closed by force, money moves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from core.clock import LiveClock
from core.config.settings import GuardianSettings, ReconcileSettings
from core.domain import events as e
from core.domain.approval import Approved
from core.domain.commands import SubmitOrder
from core.domain.differences import DifferenceFound, DifferenceKind, DifferenceResolved, Resolution, ResolveDifference
from core.domain.identifiers import Asset, ClientOrderId
from core.domain.market import Health
from core.domain.message import Event
from core.domain.order import Order, OrderType, Side
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.runtime import Runtime
from core.state.state import State
from desk.paths import Role
from store.journal.journal import SqliteJournal
from store.memory import MemoryTickStore
from tests.scenarios.house import FUTURES, PERP, QUICK, House, agree, until
from tests.venues.market.conftest import start_market
from tests.venues.market.process import BTC, MANUAL, MarketProcess, Trader
from venues.market.venue import MarketVenue

__all__ = ["start_market"]
USDT = Asset("USDT")


async def test_what_others_traded_while_the_engine_was_down_waits_for_a_word(tmp_path: Path) -> None:
    house = House(tmp_path / "home", QUICK)
    try:
        house.start(Role.MARKET, Role.ENGINE)
        await house.ready()
        async with house.session() as client, house.auditor() as auditor:
            assert (await client.send(SubmitOrder(Order(PERP, Side.BUY, Decimal("0.05")), "scenario"))).ok
            await until(lambda: PERP in client.state.ledger.positions, "we hold something")
            mark = client.state.markets[PERP].mark
            house.kill(Role.ENGINE)
            await place(auditor.venues[FUTURES], "x1", Order(PERP, Side.BUY, Decimal("0.02")))
            low = Decimal(round(mark * 0.8))
            await place(auditor.venues[FUTURES], "x2", Order(PERP, Side.BUY, Decimal("0.01"), OrderType.LIMIT, low))
            await asyncio.to_thread(house.start, Role.ENGINE)
            await house.ready()
            found = (await asyncio.to_thread(house.json, "reconcile"))["differences"]
            assert {one["kind"]: (one["ours"], one["theirs"]) for one in found} == {
                "fill": ("0.05", "0.07"),
                "order": ("0", "0.01"),
            }
            assert (await asyncio.to_thread(house.json, "status"))["differences"] == 2
            async with house.session() as after:
                entry = SubmitOrder(Order(PERP, Side.BUY, Decimal("0.01")), "scenario")
                assert (await after.send(entry)).limit == "difference"
                exit_ = SubmitOrder(Order(PERP, Side.SELL, Decimal("0.03"), reduce_only=True), "scenario")
                assert (await after.send(exit_)).ok
                done = await asyncio.to_thread(house.json, "reconcile", "accept", "--all")
                assert [one["resolution"] for one in done["resolved"]] == ["adopted", "adopted"]
                assert (await after.send(entry)).ok
            picture = await agree(house, auditor)
            assert picture.positions[PERP][0] == Decimal("0.05")
            assert await asyncio.to_thread(house.json, "cancel", "--all")
            await until(lambda: not open_at(house), "the adopted order is cancelled with ours")
            assert "agree" in (await asyncio.to_thread(house.run, "reconcile")).stdout
            wordless = await asyncio.to_thread(house.run, "reconcile", "flat", str(PERP))
            assert "the typed word FLAT" in wordless.stderr, wordless
        events = [event for _, event in house.events()]
        assert not [event for event in events if isinstance(event, e.PositionSet)]
        assert all(event.who for event in events if isinstance(event, DifferenceResolved))
    finally:
        house.end()


def open_at(house: House) -> list[Any]:
    orders: list[Any] = house.json("orders")
    return orders


async def place(venue: MarketVenue, key: str, order: Order) -> None:
    """Trade as somebody else in the same account does."""
    named = msgspec.structs.replace(order, client_order_id=ClientOrderId(key))
    await venue.submit(Approved(SubmitOrder(named)))
    async with asyncio.timeout(60):
        while await venue.order(ClientOrderId(key)) is None:  # noqa: ASYNC110 -- the exchange tells the account, not us
            await asyncio.sleep(0.01)


# --- an engine in this process, at a market whose prices are set by hand ----------------------------------------------

BOLD = GuardianSettings(
    max_position_frac=5, max_sector_frac=5, max_order_notional_frac=5, max_gross_frac=5, min_net_frac=-5,
    max_net_frac=5, stale_after_ms=600_000,
)  # fmt: skip


@contextlib.asynccontextmanager
async def engine(market: MarketProcess, every_s: float = 3600.0) -> AsyncIterator[Runtime]:
    """Run an engine on the journal of the market's home for the length of a block."""
    heard: list[Event] = []
    venue = MarketVenue(FUTURES, market.socket, LiveClock(), "engine")
    made = Engine(Guardian(BOLD), State(USDT, "paper"), abilities={FUTURES: venue.abilities})
    runtime = Runtime(
        made,
        SqliteJournal(market.home / "journal", reserve_bytes=0),
        MemoryTickStore(0),
        [venue],
        LiveClock(),
        reconcile=ReconcileSettings(every_s=every_s),
        on_event=heard.append,
    )
    await runtime.start()
    runtime.heard = heard  # type: ignore[attr-defined]
    try:
        await so(lambda: made.state.venue(FUTURES).reconciled)
        yield runtime
    finally:
        await runtime.stop("test")


def told(runtime: Runtime, kind: type[Event]) -> list[Any]:
    heard: list[Event] = runtime.heard  # type: ignore[attr-defined]
    return [event for event in heard if isinstance(event, kind)]


async def so(true: Callable[[], object]) -> None:
    await until(lambda: bool(true()), "it is so", 60)


async def short(runtime: Runtime, trader: Trader, quantity: str) -> None:
    """Sell, and wait for the fill."""
    await trader.prices(59_999.0, 60_001.0)
    await so(lambda: runtime.engine.state.markets[BTC].bid)
    outcome = await runtime.command(SubmitOrder(Order(BTC, Side.SELL, Decimal(quantity)), "test"))
    assert outcome.ok, outcome
    await so(lambda: BTC in runtime.engine.state.ledger.positions)


async def test_a_forced_close_while_we_were_away_is_explained(start_market: Callable[..., MarketProcess]) -> None:
    """The venue tells of it, so that nothing differs: the loss is booked, and no word is needed."""
    market = start_market(**MANUAL)
    async with Trader(market) as trader:
        async with engine(market) as runtime:
            await short(runtime, trader, "0.8")
        await trader.prices(129_999.0, 130_001.0)
        await trader.until(lambda: trader.of(e.PositionLiquidated))
        async with engine(market) as runtime:
            state = runtime.engine.state
            assert state.differences.standing == {}
            assert state.ledger.positions[BTC].quantity == 0
            assert len(told(runtime, e.PositionLiquidated)) == 1
            theirs = await trader.venue.snapshot(0)
            assert state.ledger.balances[FUTURES][USDT] == theirs.balances[0].total


async def test_a_position_that_no_fill_explains_is_adopted_and_traded_on(
    start_market: Callable[..., MarketProcess],
) -> None:
    """An account that is not empty when it is seen first: its money is our capital, its positions are asked about."""
    market = start_market(**MANUAL)
    async with Trader(market) as trader:
        await trader.prices(59_999.0, 60_001.0)
        await trader.submit("x1", "0.1")
        await trader.until(lambda: trader.of(e.OrderFilled))
        async with engine(market) as runtime:
            state = runtime.engine.state
            (one,) = state.differences.standing.values()
            assert (one.kind, one.ours, one.theirs) == (DifferenceKind.POSITION, Decimal(0), Decimal("0.1"))
            entry = SubmitOrder(Order(BTC, Side.BUY, Decimal("0.1")), "test")
            assert (await runtime.command(entry)).limit == "difference"
        async with engine(market) as runtime:  # it stands over a restart, and is told once
            state = runtime.engine.state
            assert len(state.differences.standing) == 1
            assert told(runtime, DifferenceFound) == []
            word = ResolveDifference(1, Resolution.ADOPTED, who="ada", origin="test")
            assert (await runtime.command(word)).ok
            assert state.ledger.positions[BTC].quantity == Decimal("0.1")
            await trader.prices(59_999.0, 60_001.0)
            await so(lambda: state.markets[BTC].health is Health.LIVE)
            assert (await runtime.command(entry)).ok


async def test_others_who_trade_beside_a_running_engine_are_noticed(
    start_market: Callable[..., MarketProcess],
) -> None:
    """A fill at once, an order that rests within some seconds; when it is gone, so is the difference."""
    market = start_market(**MANUAL)
    async with Trader(market) as trader, engine(market) as runtime:
        state = runtime.engine.state
        await short(runtime, trader, "0.2")
        assert state.venue(FUTURES).compared
        await trader.submit("x1", "0.1")
        await so(lambda: state.differences.standing)
        assert state.ledger.positions[BTC].quantity == Decimal("-0.1")
        await trader.submit("x2", "0.1", price="50000")
        await so(lambda: len(state.differences.standing) == 2)
        assert state.blotter.open[ClientOrderId("x2")].foreign
        await trader.cancel("x2")
        await so(lambda: ClientOrderId("x2") not in state.blotter.open)
        await so(lambda: [one.kind for one in state.differences.standing.values()] == ["fill"])


async def test_an_engine_that_trades_alone_never_differs(start_market: Callable[..., MarketProcess]) -> None:
    """Compared every second while orders are filled, rest and go: no race becomes an alarm."""
    market = start_market(manual=[BTC])
    async with Trader(market) as trader, engine(market, every_s=1.0) as runtime:
        state = runtime.engine.state
        await short(runtime, trader, "0.1")
        first = state.venue(FUTURES).compared
        for turn in range(60):
            side = Side.BUY if turn % 2 else Side.SELL
            await runtime.command(SubmitOrder(Order(BTC, side, Decimal("0.01")), "test"))
            await asyncio.sleep(0.05)
        await so(lambda: state.venue(FUTURES).compared > first + 2_000_000_000)
        assert told(runtime, DifferenceFound) == []
        assert not told(runtime, e.IllegalEventSeen)
