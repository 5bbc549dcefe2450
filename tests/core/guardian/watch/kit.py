"""An engine whose guardian watches by named rules alone, and what it did."""

from typing import Any

import msgspec

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import market as m
from core.domain import watch as w
from core.domain.approval import Approved
from core.domain.message import Nanoseconds
from core.domain.order import Order, OrderType, Side, TimeInForce
from core.engine import Engine
from core.ports import Abilities
from tests.core.kit import BTC_PERP, PERP, SPOT, T0, fill, of, opened, quote

QUIET = GuardianSettings(
    min_effective_bets=0,
    max_position_frac=100,
    max_sector_frac=100,
    max_leverage=100,
    max_gross_frac=100,
    max_net_frac=100,
    min_net_frac=-100,
    max_order_notional_frac=100,
    duplicate_window_ms=0,
    max_position_loss_frac=1,
    max_daily_loss_frac=1,
    drawdown_steps=(),
    min_liquidation_distance_frac=0,
    forced_stop_frac=0,
    max_age_s={},
    stale_act_after_s=1e9,
    stale_after_ms=10**9,
    protective_stop="off",
)
"""No rule of the watch binds."""
ABLE = Abilities(
    order_types=frozenset(OrderType),
    time_in_force=frozenset(TimeInForce),
    amend=True,
    reduce_only=True,
    native_stops=True,
)


def watched(*, able: Abilities = ABLE, cash: str = "50000", strategies: Any = (), **changes: Any) -> Engine:
    """Return an engine on which nothing but the named rules binds; mid 60 000, equity twice the cash."""
    settings = msgspec.structs.replace(QUIET, **changes)
    return opened(settings=settings, abilities={PERP: able, SPOT: able}, cash=cash, strategies=strategies)


def long(engine: Engine, quantity: str = "1", at: str = "60000", ts: Nanoseconds = T0) -> Engine:
    """Hold so much BTC-USDT-PERP."""
    engine.process(fill(BTC_PERP, Side.BUY, quantity, at, f"long{quantity}{ts}", ts=ts))
    return engine


def price(engine: Engine, bid: float, ask: float | None = None, now: Nanoseconds = 0) -> list[Any]:
    """Quote BTC-USDT-PERP a tick wide, and return what came of it."""
    return list(engine.process(quote(BTC_PERP, bid, bid + 0.1 if ask is None else ask, now or engine.state.now)))


def walk(engine: Engine, to: float) -> list[Any]:
    """Move the price there by steps that nobody would call odd, and return what came of all of them."""
    market, effects = engine.state.markets[BTC_PERP.id], list[Any]()
    while abs(to - market.bid) > 0.02 * market.bid:
        effects += price(engine, round(market.bid * (0.98 if to < market.bid else 1.02), 1))
    return effects + price(engine, to)


def timer(engine: Engine, now: Nanoseconds) -> list[Any]:
    """Let the timer come."""
    return list(engine.process(m.Timer(now)))


def acted(effects: list[Any]) -> list[tuple[str, str]]:
    """Return (rule, act) of everything the guardian did."""
    return [(event.rule, event.act) for event in of(effects, w.GuardianActed)]


def exits(effects: list[Any]) -> list[Order]:
    """Return the exits that leave."""
    return [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]
