"""Say what a record of the journal tells: its kind in a word, what it is about, and the rest in a sentence."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from core.domain import alerts as a
from core.domain import configs as s
from core.domain import differences as d
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.message import Message
from core.domain.order import Order
from core.domain.risk import RiskForecast
from core.domain.studies import Config, ConfigStatus
from core.state.limits_in_force import change_words
from tui.format import clock, number, signed
from tui.notices import notice_words
from tui.trading import rule_words

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def kind_of(event: Message) -> str:
    """Give the kind of an event in words: ``order filled``."""
    return _CAPITAL.sub(" ", type(event).__name__).lower()


def subject_of(event: Message) -> str:
    """Give what an event is about: an order's id, an instrument, a venue."""
    order = getattr(event, "order", None)
    if isinstance(order, Order):
        return order.client_order_id
    id_ = getattr(event, "client_order_id", "")
    if id_:
        return str(id_)
    instrument = getattr(event, "instrument", "")
    return symbol_of(InstrumentId(instrument)) if isinstance(instrument, str) and instrument else _venue_of(event)


def _venue_of(event: Message) -> str:
    return str(getattr(event, "venue", ""))


def order_text(order: Order) -> str:
    """Write an order in one line."""
    price = order.price if order.price is not None else order.trigger
    at = f" at {price:f}" if price is not None else ""
    flags = " reduce-only" * order.reduce_only + " post-only" * order.post_only
    quantity = f"{order.quantity.normalize():f}"
    return f"{order.side.value} {quantity} {symbol_of(order.instrument)} {order.type.value}{at}{flags}"


def _amend_text(event: e.AmendSubmitted | e.OrderAmended) -> str:
    """Write what was changed of an order; what stays is not told."""
    values = (("quantity", event.quantity), ("price", event.price), ("trigger", event.trigger))
    return ", ".join(f"{name} {value:f}" for name, value in values if value is not None) or "as it was"


def _settings_text(event: e.GuardianSettingsChanged) -> str:
    """Write every limit that is otherwise than before, the looser ones first."""
    told = sorted(event.changes, key=lambda one: not one.loosens)
    parts = (f"{one.key} {f'{one.old} → ' if one.old else ''}{one.new or 'gone'}" for one in told)
    return f"by {event.who}, {event.origin}: {', '.join(parts)}"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _seen_text(event: a.AlertAcknowledged) -> str:
    return f"seen by {event.who}: alert{'s' * (len(event.numbers) != 1)} {', '.join(map(str, event.numbers))}"


def _muted_text(event: a.AlertsMuted) -> str:
    if event.until <= event.ts:
        return f"{event.kind} alerts speak again, by {event.who}"
    return f"{event.kind} alerts are silent until {clock(event.until, pattern='%d %b %H:%M')} UTC, by {event.who}"


def _resolved_text(event: d.DifferenceResolved) -> str:
    whose = f"by {event.who}, {event.origin}" if event.who else event.origin
    return f"difference {event.number} {event.resolution} ({whose}): {event.reason}"


def _config_text(config: Config) -> str:
    """Write what a strategy runs by from now on, or that it ends."""
    if config.status is ConfigStatus.HISTORY:
        return f"{config.key} is ended: what it holds is closed"
    names = ", ".join(map(symbol_of, config.instruments))
    return f"{config.key} on {names}, leverage {config.leverage:g}: trial {config.trial} of {config.study}"


def _compared_text(event: s.StrategyCompared) -> str:
    """Write how live trades stand against the study's rule."""
    trades = f"{event.matched} trades as its study, {event.missed} missed, {event.extra} extra"
    gaps = f"entries {event.entry_bps:.1f} bps worse, profit {event.profit_bps:+.1f} bps"
    return f"{event.strategy_id}: {trades}; {gaps}"


def _step_text(event: w.DrawdownStepped) -> str:
    if not event.step:
        return "no step of the drawdown ladder is in force any more"
    return f"step {event.step} is in force: at most {_plain(event.factor)} of {number(event.base)} may be held"


def _bracket_text(event: w.BracketBegun) -> str:
    return f"the guardian's stop for {event.side.value} {_plain(event.quantity)}, at {event.trigger:f}"


def _forecast_text(event: RiskForecast) -> str:
    levels = f"{number(event.var_95)} at 95 %, {number(event.var_99)} at 99 %"
    return f"the day may lose {levels} ({event.method})"


_TEXTS: dict[type, Callable[[Any], str]] = {
    e.EngineStarted: lambda event: f"run {event.run}, version {event.version}, {event.mode}",
    e.EngineStopped: lambda event: f"run {event.run}: {event.reason}",
    e.OrderDenied: lambda event: f"{order_text(event.order)}: {event.reason} ({event.limit}, {event.setting})",
    e.OrderApproved: lambda event: f"{order_text(event.order)} waits in the engine",
    e.OrderSubmitted: lambda event: f"{order_text(event.order)} to {event.venue}",
    e.OrderAccepted: lambda event: f"the venue holds it as {event.venue_order_id}",
    e.AmendSubmitted: _amend_text,
    e.OrderAmended: _amend_text,
    e.CancelSubmitted: lambda _: "a cancel is on its way",
    e.OrderTriggered: lambda event: f"its price was met at {event.price:f}",
    e.OrderFound: lambda event: f"{order_text(event.order)} rests at {event.venue}, {_plain(event.filled)} filled",
    e.StopTrailed: lambda event: f"its stop stands at {event.trigger:f} now",
    e.IllegalEventSeen: lambda event: f"does not fit: {event.what}",
    e.StrategyStateSaved: lambda event: f"{event.strategy_id} keeps {len(event.payload)} bytes for its next start",
    e.BalanceSet: lambda event: f"{event.total:f} {event.asset}: {event.reason}",
    e.CapitalWaits: lambda event: f"{event.amount:+f} {event.asset} waits for its first price",
    e.CapitalCounted: lambda event: f"{event.amount:+f} {event.asset} counts as {signed(event.value)}",
    e.FundingPaid: lambda event: f"{event.amount:f} {event.asset} at rate {event.rate:f}",
    RiskForecast: _forecast_text,
    e.GuardianSettingsChanged: _settings_text,
    w.LooserLimitsHeldBack: lambda event: "not in force: " + (", ".join(map(change_words, event.changes)) or "nothing"),
    w.DrawdownStepped: _step_text,
    w.ProtectionChanged: lambda event: event.missing or "its venue confirms a stop again",
    w.BracketBegun: _bracket_text,
    e.DayStarted: lambda event: f"equity {number(event.equity)}",
    e.PeakRaised: lambda event: f"equity {number(event.equity)}{f': {event.reason}' if event.reason else ''}",
    e.EquityNoted: lambda event: f"equity {number(event.equity)}, deepest drawdown of the hour {event.drawdown:.2%}",
    e.VenueReconciled: lambda event: f"our record and the venue's were compared, back to {clock(event.since)} UTC",
    a.AlertRuleSet: lambda event: f"{event.rule.id}  {rule_words(event.rule)}",
    a.AlertRuleRemoved: lambda event: f"{event.id} is taken away, or has spoken",
    a.AlertRaised: lambda event: f"alert {event.number}{f' ×{event.times}' if event.times > 1 else ''}: {event.text}",
    a.AlertCleared: lambda event: f"the cause of alert {event.number} has gone",
    a.AlertAcknowledged: _seen_text,
    a.AlertsMuted: _muted_text,
    d.DifferenceFound: lambda event: f"ours {_plain(event.ours)}, the venue's {_plain(event.theirs)}: {event.what}",
    d.DifferenceResolved: _resolved_text,
    d.OrderAdopted: lambda event: f"counts as ours from now on ({event.who})",
    s.ConfigAdopted: lambda event: _config_text(event.config),
    s.ConfigWaits: lambda event: f"{event.config.key}: {event.reason}",
    s.ConfigRefused: lambda event: f"{event.strategy_id} v{event.version}: {event.reason}",
    s.ConfigEnded: lambda event: f"{event.strategy_id} v{event.version} holds nothing any more, and runs no more",
    s.DustLeft: lambda event: (
        f"{event.strategy_id}: {_plain(event.quantity)} cannot be sold, and is not its own any more"
    ),
    s.StrategyCompared: _compared_text,
    s.StrategyNoted: lambda event: f"{event.strategy_id}: {event.text or 'nothing keeps it from trading any more'}",
    m.InstrumentDefined: lambda event: f"{event.instrument.id}",
}


def text_of(event: Message) -> str:
    """Say what an event tells, in one line."""
    write = _TEXTS.get(type(event))
    if write is not None:
        return write(event)
    words = notice_words(event)
    if words is not None:
        return words[0]
    reason = getattr(event, "reason", "")
    return str(reason) if reason else _fields(event)


def _fields(event: Message) -> str:
    skipped = {"ts", "ts_exchange", "client_order_id", "instrument", "venue"}
    names = [name for name in event.__struct_fields__ if name not in skipped]
    return ", ".join(f"{name.replace('_', ' ')} {getattr(event, name)}" for name in names)


def style_of(event: Message) -> str:
    """Give the style of an event's line."""
    words = notice_words(event)
    return "" if words is None else words[1]
