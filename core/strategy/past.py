"""Bars of before, which a strategy warms up with: asked for by the engine, brought by the shell."""

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval
from core.domain.message import Message, Nanoseconds


class PastBars(Message, frozen=True):
    """Closed bars that were asked for, rising in time; the engine's alone: neither journalled nor told to clients."""

    instrument: InstrumentId
    interval: Interval
    bars: tuple[Bar, ...]
    ts: Nanoseconds
