"""Which effects are worth an alert by themselves, and in which words."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from core.config.settings import AlertSettings
from core.domain import configs as d
from core.domain import events as e
from core.domain import watch as w
from core.domain.alerts import AlertKind, Severity
from core.domain.approval import TradingState
from core.domain.differences import BY_SENTINEL, OrderAdopted
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.message import Message
from core.domain.numbers import plain
from core.domain.studies import ConfigStatus
from core.state.exiting import GUARDIAN
from core.state.limits_in_force import change_words
from core.state.state import State

NOWHERE = InstrumentId("")
_CRITICAL, _WARNING, _INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


class Finding(msgspec.Struct, frozen=True):
    """Something worth an alert. ``over`` says that a lasting cause has gone instead."""

    key: str
    kind: AlertKind
    severity: Severity
    text: str
    instrument: InstrumentId = NOWHERE
    rule: str = ""
    lasts: bool = False
    over: bool = False
    parts: frozenset[str] = frozenset()
    """What a lasting cause is made of; a part that joins is told like a repeat."""
    news: bool = False
    """It is told at once, whatever was told of its key a moment ago."""


Describe = Callable[[State, Any], Finding | None]


def _filled(state: State, event: e.OrderFilled) -> Finding:
    """Describe what an order has filled so far; that it is filled is told at once, for nothing follows."""
    side = "bought" if event.side.sign > 0 else "sold"
    record = state.blotter.orders.get(event.client_order_id)
    quantity, price = event.quantity, plain(event.price)
    if record is not None and record.filled > quantity and record.average_price is not None:
        quantity, price = record.filled, f"{plain(round(record.average_price, 6))} on average"
    text = f"{side} {plain(quantity)} {symbol_of(event.instrument)} at {price}"
    if record is not None and record.remaining:
        text += f", {plain(record.remaining)} left"
    elif record is None:
        text += ", of no order of ours"
    key = f"fill:{event.client_order_id or event.instrument}"
    done = record is not None and not record.remaining
    return Finding(key, AlertKind.FILL, _INFO, text, event.instrument, news=done)


def _met(state: State, event: OrderAdopted) -> Finding | None:
    """Describe what the sentinel sent while there was no engine that could have said so."""
    if event.who != BY_SENTINEL:
        return None
    order = state.blotter.orders[event.client_order_id].order
    instrument = order.instrument
    text = f"the sentinel closed in the engine's place: {order.side} {plain(order.quantity)} {symbol_of(instrument)}"
    return Finding(f"sentinel:closed:{instrument}", AlertKind.SENTINEL, _CRITICAL, text, instrument)


def _denied(_: State, event: e.OrderDenied) -> Finding:
    text = f"{symbol_of(event.order.instrument)} order refused: {event.reason.removeprefix('refused: ')}"
    return Finding(
        f"refused:{event.order.instrument}:{event.limit}", AlertKind.REFUSED, _WARNING, text, event.order.instrument
    )


def _rejected(state: State, event: e.OrderRejected) -> Finding:
    record = state.blotter.orders.get(event.client_order_id)
    instrument = record.order.instrument if record is not None else NOWHERE
    venue = record.venue if record is not None else "the venue"
    name = symbol_of(instrument) if instrument else "an order"
    text = f"{name}: {venue} rejected {event.client_order_id}: {event.reason}"
    return Finding(f"rejected:{instrument}", AlertKind.REFUSED, _WARNING, text, instrument)


def _trading_state(_: State, event: e.TradingStateChanged) -> Finding:
    severity = _CRITICAL if event.state is TradingState.HALTED else _WARNING
    text = f"trading is {event.state}: {event.reason}" + (f" ({event.who})" if event.who else "")
    over = event.state is TradingState.ACTIVE
    return Finding("state", AlertKind.STATE, severity, text, lasts=True, over=over)


def _liquidated(_: State, event: e.PositionLiquidated) -> Finding:
    text = f"LIQUIDATED: the venue closed {plain(event.quantity)} {symbol_of(event.instrument)} at {plain(event.price)}"
    return Finding(f"liquidated:{event.instrument}", AlertKind.EXIT, _CRITICAL, text, event.instrument)


def _flatten_started(_: State, event: e.FlattenStarted) -> Finding:
    name = symbol_of(event.instrument)
    if event.origin.startswith(GUARDIAN):
        what = f"reduces {name} to {event.target.normalize():f}" if event.target else f"closes {name}"
        # what the guardian says of its reason follows: heavier, so that it is told at once and not as a repeat
        severity, text = _WARNING, f"the guardian {what}: {event.origin}"
    else:
        severity, text = _INFO, f"{name} is being closed ({event.origin or 'asked for'})"
    return Finding(f"exit:{event.instrument}", AlertKind.EXIT, severity, text, event.instrument, lasts=True)


def _not_done(state: State, instrument: InstrumentId) -> str:
    """Say what a close that is not done has left: a position, or orders alone."""
    market = state.markets.get(instrument)
    held = state.ledger.positions.get(market.holding) if market is not None else None
    return "NOT FLAT" if held is not None and held.quantity else "ORDERS STILL OPEN"


def _flatten_ended(state: State, event: e.FlattenEnded) -> Finding:
    text = f"{_not_done(state, event.instrument)}: {event.reason}"
    return Finding(
        f"exit:{event.instrument}", AlertKind.EXIT, _CRITICAL, text, event.instrument, lasts=True, over=event.flat
    )


def _escalated(state: State, event: w.ExitEscalated) -> Finding:
    text = f"{_not_done(state, event.instrument)}: {event.reason}"
    return Finding(f"exit:{event.instrument}", AlertKind.EXIT, _CRITICAL, text, event.instrument, lasts=True)


def _acted(_: State, event: w.GuardianActed) -> Finding:
    """Describe what the guardian did; an exit's alert is cleared when the exit has ended."""
    text = f"guardian {event.rule.replace('_', ' ')}: {event.reason} ({event.setting})"
    severity = _INFO if event.act == "ease" else _CRITICAL
    if event.act in ("exit", "reduce") and event.instrument:
        return Finding(f"exit:{event.instrument}", AlertKind.EXIT, severity, text, event.instrument, lasts=True)
    return Finding(f"guardian:{event.rule}:{event.instrument}", AlertKind.EXIT, severity, text, event.instrument)


def _protection(_: State, event: w.ProtectionChanged) -> Finding:
    name = symbol_of(event.instrument)
    text = f"{name} is UNPROTECTED: {event.missing}; entries there are denied"
    key = f"unprotected:{event.instrument}"
    return Finding(key, AlertKind.EXIT, _CRITICAL, text, event.instrument, lasts=True, over=not event.missing)


def _unjournalled(_: State, event: e.ExitUnjournalled) -> Finding:
    text = f"exit {event.client_order_id} left without its record: {event.reason}"
    return Finding("unjournalled", AlertKind.STORE, _WARNING, text)


def _settings(_: State, event: e.GuardianSettingsChanged) -> Finding | None:
    looser = [one for one in event.changes if one.loosens]
    if not looser:
        return None
    text = f"limits LOOSENED by {event.who}: {', '.join(map(change_words, looser))} ({event.origin})"
    key = f"loosened:{','.join(one.key for one in looser)}"
    return Finding(key, AlertKind.STATE, _WARNING, text, news=True)


def _held_back(_: State, event: w.LooserLimitsHeldBack) -> Finding:
    looser = ", ".join(map(change_words, event.changes))
    text = f"config.toml loosens {looser}: NOT in force; say the word with tradedeck loosen, then restart"
    return Finding("held back", AlertKind.STATE, _WARNING, text, lasts=True, over=not event.changes)


def _refused(_: State, event: d.ConfigRefused) -> Finding:
    text = f"{event.strategy_id} v{event.version} is not run: {event.reason}"
    return Finding(f"config:{event.strategy_id}", AlertKind.STRATEGY, _WARNING, text)


def _adopted(_: State, event: d.ConfigAdopted) -> Finding:
    config = event.config
    what = (
        "is being ended"
        if config.status is ConfigStatus.HISTORY
        else f"runs {joined(map(symbol_of, config.instruments))}"
    )
    return Finding(f"config:{config.strategy_id}", AlertKind.STRATEGY, _INFO, f"{config.key} {what}")


def _waits(_: State, event: d.ConfigWaits) -> Finding:
    text = f"{event.config.key} waits: {event.reason}"
    return Finding(f"config:{event.config.strategy_id}", AlertKind.STRATEGY, _INFO, text)


def _noted(_: State, event: d.StrategyNoted) -> Finding:
    text = f"{event.strategy_id} {symbol_of(event.instrument)}: {event.text}"
    key = f"strategy:{event.instrument}"
    return Finding(key, AlertKind.STRATEGY, _WARNING, text, event.instrument, lasts=True, over=not event.text)


def _compared(bound: float, _: State, event: d.StrategyCompared) -> Finding:
    """Tell that a strategy's result is further from its study's than the bound, until it is not."""
    seen = f"{event.profit_bps:+.1f} bps of its capital from its study's rule"
    trades = f"{event.matched} trades alike, {event.missed} missed, {event.extra} extra"
    text = f"{event.strategy_id} {symbol_of(event.instrument)} is {seen} (bound {bound:g}): {trades}"
    key, over = f"diverged:{event.instrument}", abs(event.profit_bps) <= bound
    return Finding(key, AlertKind.STRATEGY, _WARNING, text, event.instrument, lasts=True, over=over)


def _unfit(_: State, event: e.IllegalEventSeen) -> Finding:
    about = event.client_order_id or event.what.partition(":")[0]
    text = f"a venue tells what does not fit: {event.what}"
    return Finding(f"unfit:{about}", AlertKind.DIFFERENCE, _WARNING, text)


ALWAYS: dict[type[Message], Describe] = {
    e.TradingStateChanged: _trading_state,
    e.PositionLiquidated: _liquidated,
    e.IllegalEventSeen: _unfit,
    e.FlattenStarted: _flatten_started,
    e.FlattenEnded: _flatten_ended,
    e.ExitUnjournalled: _unjournalled,
    w.ExitEscalated: _escalated,
    w.GuardianActed: _acted,
    OrderAdopted: _met,
    w.ProtectionChanged: _protection,
    e.GuardianSettingsChanged: _settings,
    w.LooserLimitsHeldBack: _held_back,
    d.ConfigAdopted: _adopted,
    d.ConfigWaits: _waits,
    d.ConfigRefused: _refused,
    d.StrategyNoted: _noted,
}
"""What nobody switches off; muting is for those who must."""


def chosen(settings: AlertSettings) -> dict[type[Message], Describe]:
    """Return how each kind of event is described, of those that the settings want."""
    found = dict(ALWAYS)
    if settings.fills:
        found[e.OrderFilled] = _filled
    if settings.refusals:
        found |= {e.OrderDenied: _denied, e.OrderRejected: _rejected}
    if settings.divergence_bps:
        found[d.StrategyCompared] = partial(_compared, settings.divergence_bps)
    return found


def gap(instrument: InstrumentId, gaps: int, seen: int) -> Finding:
    """Describe missing updates of a feed."""
    more = f"{gaps - seen} update gaps" if gaps - seen > 1 else "an update gap"
    text = f"{symbol_of(instrument)} feed: {more} ({gaps} since connect); the book is asked for again"
    return Finding(f"gap:{instrument}", AlertKind.GAP, _INFO, text, instrument)


def joined(names: Iterable[str], most: int = 3) -> str:
    """Return a list in words, cut where it is long."""
    all_ = list(names)
    more = f" and {len(all_) - most} more" if len(all_) > most else ""
    return ", ".join(all_[:most]) + more
