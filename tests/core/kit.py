"""Instruments, messages and engines that the tests of the core share; every value stands for itself."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import (
    Asset,
    ClientOrderId,
    FillId,
    InstrumentId,
    VenueId,
    VenueOrderId,
)
from core.domain.instrument import Instrument
from core.domain.message import Nanoseconds
from core.domain.order import Liquidity, Order, OrderRecord, OrderType, Side
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.outbox import Effect
from core.state.state import State

T0: Nanoseconds = 1_700_000_000_000_000_000
S: Nanoseconds = 1_000_000_000
MS: Nanoseconds = 1_000_000
SPOT = VenueId("BINANCE-SPOT")
PERP = VenueId("BINANCE-FUTURES")
COINM = VenueId("BINANCE-COINM")


def D(text: str | int) -> Decimal:  # noqa: N802 -- reads as the literal it stands for
    """Return a decimal."""
    return Decimal(text)


BTC_SPOT = Instrument(
    id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
    raw_symbol="BTCUSDT",
    base=Asset("BTC"),
    quote=Asset("USDT"),
    settle=Asset("USDT"),
    tick_size=D("0.01"),
    size_step=D("0.00001"),
    min_size=D("0.00001"),
    min_notional=D(5),
    taker_fee=D("0.001"),
    maker_fee=D("0.001"),
)
BTC_USDC = msgspec.structs.replace(
    BTC_SPOT,
    id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDC"),
    raw_symbol="BTCUSDC",
    quote=Asset("USDC"),
    settle=Asset("USDC"),
)
"""The same coins by another pair."""
ETH_SPOT = msgspec.structs.replace(
    BTC_SPOT, id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:ETH-USDT"), raw_symbol="ETHUSDT", base=Asset("ETH")
)
ETH_BTC = msgspec.structs.replace(
    ETH_SPOT,
    id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:ETH-BTC"),
    raw_symbol="ETHBTC",
    quote=Asset("BTC"),
    settle=Asset("BTC"),
    tick_size=D("0.00001"),
    min_notional=D("0.0001"),
)
"""One coin for the other: it moves coins, and no price of it is one in dollars."""
BTC_PERP = Instrument(
    id=InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"),
    raw_symbol="BTCUSDT",
    base=Asset("BTC"),
    quote=Asset("USDT"),
    settle=Asset("USDT"),
    tick_size=D("0.1"),
    size_step=D("0.001"),
    min_size=D("0.001"),
    min_notional=D(100),
    max_size=D(1000),
    taker_fee=D("0.0005"),
    maker_fee=D("0.0002"),
)
ETH_PERP = Instrument(
    id=InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN"),
    raw_symbol="ETHUSDT",
    base=Asset("ETH"),
    quote=Asset("USDT"),
    settle=Asset("USDT"),
    tick_size=D("0.01"),
    size_step=D("0.001"),
    min_size=D("0.001"),
    min_notional=D(20),
)
BTC_COINM = Instrument(
    id=InstrumentId("BINANCE-COINM:PERPETUAL:BTC-USD@INV"),
    raw_symbol="BTCUSD_PERP",
    base=Asset("BTC"),
    quote=Asset("USD"),
    settle=Asset("BTC"),
    tick_size=D("0.1"),
    size_step=D(1),
    min_size=D(1),
    contract_size=D(100),
    inverse=True,
)
ALL = (BTC_SPOT, BTC_PERP, ETH_PERP, BTC_COINM)
PRICES = {BTC_SPOT.id: 60_000.0, BTC_PERP.id: 60_000.0, ETH_PERP.id: 3_000.0, BTC_COINM.id: 60_000.0}

_update_id = iter(range(1, 10**9))


def quote(instrument: Instrument, bid: float, ask: float, ts: Nanoseconds = T0, **changes: Any) -> m.Quote:
    """Return a quote of one unit on each side."""
    return m.Quote(instrument.id, bid, 1.0, ask, 1.0, next(_update_id), ts, ts).replace(**changes)


def fill(
    instrument: Instrument, side: Side, quantity: str, price: str, id_: str, order: str = "", ts: Nanoseconds = T0
) -> e.OrderFilled:
    """Return a fill without a fee."""
    return e.OrderFilled(
        ClientOrderId(order),
        FillId(id_),
        instrument.id,
        side,
        D(quantity),
        D(price),
        D(0),
        instrument.settle,
        Liquidity.TAKER,
        VenueOrderId(""),
        ts,
        ts,
    )


def opened(
    *,
    strict: bool = True,
    instruments: Sequence[Instrument] = (BTC_SPOT, BTC_PERP, ETH_PERP),
    settings: GuardianSettings | None = None,
    cash: str = "50000",
    **engine: Any,
) -> Engine:
    """Return an engine whose venues are connected and reconciled, with prices and 50 000 USDT at each."""
    made = Engine(Guardian(settings or GuardianSettings()), State(), strict=strict, **engine)
    made.process(e.EngineStarted(1, "test", "paper", T0))
    for instrument in instruments:
        made.process(m.InstrumentDefined(instrument, T0))
    for venue in dict.fromkeys(instrument.venue for instrument in instruments):
        made.process(m.VenueStatus(venue, True, "", T0))
        made.process(e.BalanceSet(venue, Asset("USDT"), D(cash), "opening", T0))
        made.process(e.VenueReconciled(venue, T0, T0))
    for instrument in instruments:
        price = PRICES[instrument.id]
        tick = float(instrument.tick_size)
        made.process(quote(instrument, price - tick, price + tick))
    made.process(m.Timer(T0))
    return made


def order(instrument: Instrument, side: Side, quantity: str, price: str | None = None, **changes: Any) -> Order:
    """Return a limit order, or a market order where no price is given."""
    kind = changes.pop("type", OrderType.MARKET if price is None else OrderType.LIMIT)
    return Order(instrument.id, side, D(quantity), kind, None if price is None else D(price), **changes)


def submit(engine: Engine, wanted: Order, ts: Nanoseconds | None = None) -> list[Effect]:
    """Give an order to the engine and return what came of it."""
    return list(engine.process(c.SubmitOrder(wanted, "test", engine.state.now if ts is None else ts)))


def of(effects: Sequence[Effect], kind: type) -> list[Any]:
    """Return the effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(engine: Engine, wanted: Order, ts: Nanoseconds | None = None) -> ClientOrderId:
    """Give an order that must pass and return its id."""
    effects = submit(engine, wanted, ts)
    submitted = of(effects, e.OrderSubmitted)
    assert submitted, effects
    id_: ClientOrderId = submitted[0].order.client_order_id
    return id_


READABLE = re.compile(r"-?\d+(\.\d+)?|-?[A-Za-z][\w:@.,-]*")


def denied(engine: Engine, wanted: Order, ts: Nanoseconds | None = None) -> e.OrderDenied:
    """Give an order that must be refused and return the refusal."""
    effects = submit(engine, wanted, ts)
    refusals = of(effects, e.OrderDenied)
    assert refusals, effects
    refusal: e.OrderDenied = refusals[0]
    for seen in (refusal.value, refusal.bound):  # for programs: a plain decimal or one word, whatever the limit
        assert READABLE.fullmatch(seen), f"{refusal.limit}: {seen}"
    return refusal


def accept(engine: Engine, id_: ClientOrderId, ts: Nanoseconds = T0) -> None:
    """Have the venue acknowledge an order."""
    engine.process(e.OrderAccepted(id_, VenueOrderId(f"v{id_}"), ts, ts))


def record_of(engine: Engine, id_: ClientOrderId) -> OrderRecord:
    """Return where an order stands."""
    return engine.state.blotter.orders[id_]


def held(engine: Engine, instrument: Instrument) -> Decimal:
    """Return the signed position."""
    position = engine.state.ledger.positions.get(instrument.holding)
    return position.quantity if position is not None else D(0)
