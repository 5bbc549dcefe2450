"""The JSON contract: what commands print with ``--json``, as described in docs/guide/json.md. Money is a string."""

from decimal import Decimal
from typing import Any

from core.domain.identifiers import symbol_of
from core.domain.instrument import Instrument
from core.domain.numbers import plain
from core.domain.order import Order, OrderRecord
from core.session.protocol import FillView
from core.session.status import FeedView, PositionView, Status
from core.session.strategies import StrategyView
from desk.output import average, money

MS_NS = 1_000_000
Json = dict[str, Any]
FILL_COLUMNS = (
    "ts_ns", "client_order_id", "fill_id", "instrument", "side", "quantity", "price", "fee", "fee_asset", "liquidity",
)  # fmt: skip


def status(view: Status) -> Json:
    """Return the account at a glance."""
    return {
        "mode": view.mode,
        "state": view.state,
        "state_reason": view.state_reason,
        "equity": money(view.equity),
        "equity_complete": view.complete,
        "day_pnl": money(view.day_pnl),
        "realised_pnl": money(view.realised_pnl),
        "unrealised_pnl": money(view.unrealised_pnl),
        "fees": money(view.fees),
        "funding": money(view.funding),
        "drawdown": view.drawdown,
        "gross": money(view.gross),
        "net": money(view.net),
        "positions": [position(item) for item in view.positions],
        "orders": [order(item) for item in view.orders],
        "feeds": [feed(item) for item in view.feeds],
        "venues": view.venues,
        "journal": view.journal,
        "clients": view.clients,
        "run": view.run,
        "now_ns": view.now,
        "flattening": list(view.flattening),
        "unjournalled": list(view.unjournalled),
        "unfit_events": view.unfit,
        "differences": view.differences,
        "loosened": list(view.loosened),
        "held_back": list(view.held_back),
        "loop_late_ms": round(view.loop_late_ns / 1e6, 3),
        "sentinel": sentinel(view),
        "strategies": [strategy(item) for item in view.strategies],
        "configs": view.configs,
        "research": view.research,
        "exits": {
            "count": view.exit_times[0],
            "last_ms": round(view.exit_times[1] / 1e6, 3),
            "worst_ms": round(view.exit_times[2] / 1e6, 3),
        },
    }


def strategy(view: StrategyView) -> Json:
    """Return one live strategy with its accounts."""
    return {
        "strategy_id": view.strategy_id,
        "version": view.version,
        "state": view.state,
        "since_ns": view.since,
        "reason": view.reason,
        "shared_wallet": view.shared,
        "accounts": [
            {
                "instrument": one.instrument,
                "capital": money(one.capital),
                "wallet": money(one.wallet),
                "quantity": plain(one.quantity),
                "entry_price": money(one.entry_price),
                "unrealised_pnl": money(one.unrealised),
                "realised_pnl": money(one.realised),
                "fees": money(one.fees),
                "funding": money(one.funding),
                "trades": one.trades,
                "liquidated_ns": one.liquidated or None,
                "matched": one.matched,
                "missed": one.missed,
                "extra": one.extra,
                "entry_bps": one.entry_bps,
                "profit_bps": one.profit_bps,
                "note": one.note,
            }
            for one in view.accounts
        ],
    }


def sentinel(view: Status) -> Json | None:
    """Return how the sentinel stands; ``age_ms`` is null where none runs."""
    told = view.sentinel
    if told is None:
        return None
    age = max(view.now - told.seen, 0) // MS_NS if told.seen else None
    known = {"armed": told.armed, "holds": told.holds, "age_ms": age, "did": told.did, "drill": told.drill}
    return {**known, "trouble": told.trouble}


def position(view: PositionView) -> Json:
    """Return one position at its mark."""
    return {
        "instrument": view.instrument,
        "quantity": plain(view.quantity),
        "entry_price": money(view.entry_price),
        "mark_price": money(view.mark_price),
        "unrealised_pnl": money(view.unrealised_pnl),
        "realised_pnl": money(view.realised_pnl),
        "fees": money(view.fees),
        "funding": money(view.funding),
        "opened_ns": view.opened,
    }


def order(record: OrderRecord) -> Json:
    """Return one order of ours."""
    item = record.order
    return {
        "client_order_id": item.client_order_id,
        "instrument": item.instrument,
        "side": item.side,
        "type": item.type,
        "quantity": plain(item.quantity),
        "filled": plain(record.filled),
        "price": optional(item.price),
        "trigger": optional(item.trigger),
        "trigger_now": optional(record.stands_at),
        "average_price": None if record.average_price is None else average(record.average_price),
        "status": record.status,
        "time_in_force": item.time_in_force,
        "reduce_only": item.reduce_only,
        "post_only": item.post_only,
        "stop_loss": _stop_loss(item),
        "take_profit": [{"price": plain(part.price), "fraction": plain(part.fraction)} for part in item.take_profit],
        "parent": item.parent,
        "intent": item.strategy_intent,
        "reason": record.reason,
        "created_ns": record.created,
        "updated_ns": record.updated,
    }


def _stop_loss(item: Order) -> Json | None:
    stop = item.stop_loss
    return {"price": plain(stop.price), "trail": optional(stop.trail)} if stop is not None else None


def feed(view: FeedView) -> Json:
    """Return how one feed stands."""
    return {
        "venue": view.venue,
        "instrument": view.instrument,
        "health": view.health,
        "age_ms": view.age_ms,
        "gaps": view.gaps,
        "clock_offset_ms": round(view.clock_offset_ns / MS_NS, 3),
    }


def fill(view: FillView) -> Json:
    """Return one fill of ours."""
    return {
        "ts_ns": view.ts,
        "client_order_id": view.client_order_id,
        "fill_id": view.fill_id,
        "instrument": view.instrument,
        "side": view.side,
        "quantity": plain(view.quantity),
        "price": plain(view.price),
        "fee": plain(view.fee),
        "fee_asset": view.fee_asset,
        "liquidity": view.liquidity,
    }


def instrument(item: Instrument) -> Json:
    """Return one instrument's contract data."""
    return {
        "instrument": item.id,
        "symbol": symbol_of(item.id),
        "venue": item.venue,
        "type": item.type,
        "base": item.base,
        "quote": item.quote,
        "settle": item.settle,
        "tick_size": plain(item.tick_size),
        "size_step": plain(item.size_step),
        "min_size": plain(item.min_size),
        "min_notional": plain(item.min_notional),
        "contract_size": plain(item.contract_size),
        "inverse": item.inverse,
        "maker_fee": plain(item.maker_fee),
        "taker_fee": plain(item.taker_fee),
    }


def optional(value: Decimal | None) -> str | None:
    """Return a price, or null where there is none."""
    return None if value is None else plain(value)
