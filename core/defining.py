"""Contract data that venues tell: what is taken of them, and when."""

from msgspec.structs import replace

from core.domain import market as m
from core.domain.identifiers import InstrumentId
from core.domain.instrument import Instrument
from core.domain.message import Nanoseconds
from core.domain.numbers import plain
from core.guardian.limits import Terms
from core.outbox import Outbox
from core.state.flaws import contract_flaw
from core.state.markets import Market

_TERMS = ("contract_size", "inverse", "settle")
"""What the money of a position is counted by."""


class Definitions:
    """Record contract data that can be used; terms of what is held wait until it is flat."""

    def __init__(self, outbox: Outbox, terms: Terms) -> None:
        """Tell ``terms`` what is to change of which instrument: nothing is entered there meanwhile."""
        self._outbox, self._changes = outbox, terms.waiting
        self._waiting: dict[InstrumentId, m.InstrumentDefined] = {}

    def take(self, message: m.InstrumentDefined) -> bool:
        """Record contract data that are new, and tell whether they hold; every connect tells them again.

        No size can be made by senseless ones, and no entry means the same under other terms.
        """
        instrument, market = message.instrument, self._outbox.state.markets.get(message.instrument.id)
        self._waiting.pop(instrument.id, None)
        self._changes.pop(instrument.id, None)
        wrong = contract_flaw(instrument)
        if wrong:
            wrong = f"{wrong}; not taken, what was known of it stays"
        elif market is not None and (wrong := self._changed(market, instrument)):
            self._waiting[instrument.id], self._changes[instrument.id] = message, wrong
            if market.instrument.contract_size == instrument.contract_size:  # else its steps are of other contracts
                terms = {name: getattr(market.instrument, name) for name in _TERMS}
                self._record(message.replace(instrument=replace(instrument, **terms)))
            wrong = f"{wrong}; taken once it is flat, entries denied until then: close it"
        if wrong:
            self._outbox.reject(message, f"{instrument.id}: {wrong}")
            return False
        self._record(message)
        return True

    def _record(self, message: m.InstrumentDefined) -> None:
        market = self._outbox.state.markets.get(message.instrument.id)
        if market is None or market.instrument != message.instrument:
            self._outbox.record(message)

    def go_on(self, now: Nanoseconds) -> None:
        """Take what waited for a position that is flat by now."""
        for id_, message in list(self._waiting.items()):
            if not self._changed(self._outbox.state.markets[id_], message.instrument):
                self.take(message.replace(ts=now))

    def _changed(self, market: Market, instrument: Instrument) -> str:
        """Return which terms of what is held would change, empty where none would or nothing is held."""
        position = self._outbox.state.ledger.positions.get(market.holding)
        if position is None or not position.quantity:
            return ""
        terms = ((name, getattr(market.instrument, name), getattr(instrument, name)) for name in _TERMS)
        told = ", ".join(f"{name} {after} instead of {before}" for name, before, after in terms if before != after)
        return f"{told} while {plain(position.quantity)} are held" if told else ""
