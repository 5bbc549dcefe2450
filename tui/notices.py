"""Say in a few words what an event means to the trader."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.identifiers import symbol_of
from core.domain.message import Message
from tui.format import clock, fit
from tui.lines import Line

Words = tuple[str, str]
"""A sentence and its style."""


def _filled(event: e.OrderFilled) -> Words:
    buys = event.side.sign > 0
    quantity = f"{event.quantity.normalize():f}"
    words = f"{'bought' if buys else 'sold'} {quantity} {symbol_of(event.instrument)} at {event.price:f}"
    return f"{words} ({event.liquidity.value.lower()})", "gain" if buys else "loss"


def _state(event: e.TradingStateChanged) -> Words:
    return f"{event.state.value}: {event.reason}", "ok" if event.state.value == "ACTIVE" else "bad"


def _ended(event: e.FlattenEnded) -> Words:
    return f"{symbol_of(event.instrument)}: {event.reason}", "ok" if event.flat else "bad"


def _venue(status: m.VenueStatus) -> Words:
    return f"{status.venue} {'connected' if status.connected else 'lost'}: {status.reason}", "warn"


_WORDS: dict[type, Callable[[Any], Words]] = {
    e.OrderFilled: _filled,
    e.TradingStateChanged: _state,
    m.VenueStatus: _venue,
    e.OrderDenied: lambda event: (f"denied: {event.reason}", "warn"),
    e.OrderRejected: lambda event: (f"{event.client_order_id} rejected: {event.reason}", "warn"),
    e.OrderCancelled: lambda event: (f"{event.client_order_id} cancelled", ""),
    e.OrderExpired: lambda event: (f"{event.client_order_id} expired", ""),
    e.OrderUnknown: lambda event: (f"{event.client_order_id}: outcome unknown, asking the venue", "warn"),
    e.CancelRejected: lambda event: (f"{event.client_order_id} not cancelled: {event.reason}", "warn"),
    e.AmendRejected: lambda event: (f"{event.client_order_id} not changed: {event.reason}", "warn"),
    e.ChangeDenied: lambda event: (f"{event.what} denied: {event.reason}", "warn"),
    e.CommandRefused: lambda event: (f"refused: {event.reason}", "warn"),
    e.FlattenStarted: lambda event: (f"closing {symbol_of(event.instrument)} ({event.origin})", "warn"),
    w.GuardianActed: lambda event: (f"guardian {event.act}: {event.reason}", "warn" if event.act == "ease" else "bad"),
    w.ExitEscalated: lambda event: (f"NOT FLAT: {event.reason}", "bad"),
    w.LossAccepted: lambda event: (f"losses count from {event.equity:,.2f} now ({event.who})", "warn"),
    e.FlattenEnded: _ended,
    e.ExitUnjournalled: lambda event: (f"{event.client_order_id} sent UNJOURNALLED: {event.reason}", "bad"),
    e.PositionLiquidated: lambda event: (f"LIQUIDATED {symbol_of(event.instrument)}", "bad"),
}


def notice_words(message: Message) -> Words | None:
    """Say what an event means; None for what needs no word."""
    words = _WORDS.get(type(message))
    return None if words is None else words(message)


def notice_lines(messages: Sequence[Message], width: int, height: int, *, local: bool) -> list[Line]:
    """List the newest events first, one line each."""
    lines: list[Line] = []
    for message in reversed(messages):
        found = notice_words(message)
        if found is None:
            continue
        ts = int(getattr(message, "ts", 0)) or time.time_ns()
        stamp = clock(ts, local=local, pattern="%H:%M")
        lines.append(((f" {stamp}  ", "dim"), (fit(found[0], width - 8), found[1])))
        if len(lines) >= height:
            break
    return lines or [((fit(" nothing since this screen was opened", width), "dim"),)]
