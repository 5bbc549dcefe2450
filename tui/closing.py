"""Say what became of what this terminal asked for: `sent` is not yet `flat`, nor is trading halted by it."""

from collections.abc import Iterable

from core.domain.approval import TradingState
from core.domain.events import FlattenEnded
from core.domain.identifiers import InstrumentId, symbol_of
from tui.notices import Words


class Turning:
    """The state of trading that somebody here asked for, and what was said of it."""

    def __init__(self) -> None:
        self._wanted: TradingState | None = None
        self._said = ""

    def asked(self, wanted: TradingState, said: str) -> None:
        """Wait for this state; until it stands these words hold."""
        self._wanted, self._said = wanted, said

    def stands(self, now: TradingState) -> tuple[str, Words] | None:
        """Say once that the state stands, behind the words that hold no more; None while it does not."""
        if now is not self._wanted:
            return None
        self._wanted = None
        return self._said, (f"trading is {now.value}", "ok" if now is TradingState.ACTIVE else "warn")


class Closing:
    """The instruments that are being closed because somebody here said so."""

    def __init__(self) -> None:
        self._waiting: set[InstrumentId] = set()
        self._flat: list[str] = []

    def asked(self, instruments: Iterable[InstrumentId]) -> None:
        """Wait for these; their end may come before the engine's answer."""
        self._waiting.update(instruments)

    def waits(self, instruments: Iterable[InstrumentId]) -> bool:
        """Tell whether one of these has not ended yet."""
        return not self._waiting.isdisjoint(instruments)

    def refused(self, instruments: Iterable[InstrumentId]) -> None:
        """Wait no more for these: they will not be closed."""
        self._waiting.difference_update(instruments)

    def ended(self, events: Iterable[FlattenEnded]) -> Words | None:
        """Say what ended of what was asked for here, the worst first; None where nothing did."""
        mine = [event for event in events if event.instrument in self._waiting]
        if not mine:
            return None
        self._waiting.difference_update(event.instrument for event in mine)
        self._flat += [symbol_of(event.instrument) for event in mine if event.flat]
        wrong = [event.reason for event in mine if not event.flat]
        words = f"flat: {', '.join(self._flat)}" if self._flat else ""
        if self._waiting:
            words += f"{' · ' if words else ''}{len(self._waiting)} still closing"
        else:
            self._flat = []
        return ("; ".join((f"NOT FLAT: {wrong[0]}", *wrong[1:])), "bad") if wrong else (words, "ok")
