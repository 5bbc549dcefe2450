"""Say what a record of the journal tells: its kind in a word, what it is about, and the rest in a sentence."""

import re
from collections.abc import Callable
from typing import Any

from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.alerts import AlertRaised, AlertRuleRemoved, AlertRuleSet
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.message import Message
from core.domain.order import Order
from core.state.limits_in_force import change_words
from tui.format import clock, number
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
    at = f" at {price}" if price is not None else ""
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
    e.OrderTriggered: lambda event: f"its price was met at {event.price}",
    e.BalanceSet: lambda event: f"{event.total:f} {event.asset}: {event.reason}",
    e.FundingPaid: lambda event: f"{event.amount:f} {event.asset} at rate {event.rate}",
    e.GuardianSettingsChanged: _settings_text,
    w.LooserLimitsHeldBack: lambda event: "not in force: " + (", ".join(map(change_words, event.changes)) or "nothing"),
    e.DayStarted: lambda event: f"equity {number(event.equity)}",
    e.PeakRaised: lambda event: f"equity {number(event.equity)}",
    e.EquityNoted: lambda event: f"equity {number(event.equity)}, deepest drawdown of the hour {event.drawdown:.2%}",
    e.VenueReconciled: lambda event: f"our record and the venue's were compared, back to {clock(event.since)} UTC",
    AlertRuleSet: lambda event: f"{event.rule.id}  {rule_words(event.rule)}",
    AlertRuleRemoved: lambda event: f"{event.id} is taken away, or has spoken",
    AlertRaised: lambda event: f"alert {event.number}{f' ×{event.times}' if event.times > 1 else ''}: {event.text}",
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
