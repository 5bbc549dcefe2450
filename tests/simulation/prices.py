"""What a decision may be made by: prices that are sound and new, numbers that are some, words that were said."""

import math
from typing import Any

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import InstrumentId
from core.domain.message import Event, Message, Nanoseconds

_TIGHT = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
WORD = "RESUME"
AHEAD: Nanoseconds = 60_000_000_000
"""A stamp this far ahead of the engine's clock is senseless."""


class Prices:
    """Keep when each instrument's price was last sound and new."""

    def __init__(self) -> None:
        self.good: dict[InstrumentId, Nanoseconds] = {}
        self._stamps: dict[InstrumentId, Nanoseconds] = {}

    def take(self, message: m.Quote | m.Trade, now: Nanoseconds) -> None:
        """Take a price; one under a stamp that stands still is none."""
        if isinstance(message, m.Quote) and not is_sound(message):
            return
        if message.ts_exchange > self._stamps.get(message.instrument, 0):
            self._stamps[message.instrument], self.good[message.instrument] = message.ts_exchange, now


def is_sound(quote: m.Quote) -> bool:
    """Tell whether a quote is one: finite, positive, not crossed, and not from far ahead of the engine's clock."""
    return 0 < quote.bid < quote.ask < math.inf and quote.ts_exchange <= quote.ts + AHEAD


def is_number(command: Any) -> bool:
    """Tell whether all that an approved command names is finite and positive."""
    named = command.order if isinstance(command, c.SubmitOrder) else command
    values = [getattr(named, name, None) for name in ("quantity", "price", "trigger", "trail")]
    return all(value is None or (value.is_finite() and value > 0) for value in values)


def is_loosened(before: TradingState, event: Event, message: Message) -> bool:
    """Tell whether trading is let go on by anything but the typed word."""
    if not isinstance(event, e.TradingStateChanged) or _TIGHT.index(event.state) >= _TIGHT.index(before):
        return False
    return not (isinstance(message, c.SetTradingState) and message.word == WORD)
