"""What a strategy remembers over a restart: extremes, high-water marks and values of its own, journalled."""

from typing import Any

import msgspec

from core.domain.commands import SaveStrategyState
from core.domain.events import CommandRefused, StrategyStateSaved
from core.domain.identifiers import ClientOrderId, StrategyId
from core.outbox import Outbox
from core.state.state import State

MAX_BYTES = 16 * 1024
"""What one strategy may keep: each save is a record of the journal, and every checkpoint holds the last."""
Value = float | int | str | bool | None
_decoder = msgspec.msgpack.Decoder(dict[str, Any])


class StrategyState:
    """Hold a strategy's memory by name; ``save`` gives the command that makes what changed durable.

    A strategy returns that command with its orders. After a restart ``StrategyState.of`` gives back the last save.
    """

    def __init__(self, strategy: StrategyId, values: dict[str, Any] | None = None) -> None:
        self.strategy = strategy
        self.values: dict[str, Any] = dict(values or {})
        self._saved = msgspec.msgpack.encode(self.values)

    @classmethod
    def of(cls, strategy: StrategyId, state: State) -> "StrategyState":
        """Return what a strategy saved last, empty where it never did."""
        payload = state.strategies.get(strategy)
        return cls(strategy, _decoder.decode(payload) if payload else None)

    def put(self, name: str, value: Value) -> None:
        """Remember a value."""
        self.values[name] = value

    def high(self, name: str, value: float) -> float:
        """Raise a high-water mark and return it."""
        self.values[name] = highest = max(value, self.values.get(name, value))
        return float(highest)

    def low(self, name: str, value: float) -> float:
        """Lower a low-water mark and return it."""
        self.values[name] = lowest = min(value, self.values.get(name, value))
        return float(lowest)

    def forget(self, name: str) -> None:
        """Remember a value no more."""
        self.values.pop(name, None)

    def save(self) -> SaveStrategyState | None:
        """Return the command that makes the memory durable, None where nothing has changed since the last."""
        payload = msgspec.msgpack.encode(self.values)
        if payload == self._saved:
            return None
        self._saved = payload
        return SaveStrategyState(self.strategy, payload)


def refusal(command: SaveStrategyState) -> str:
    """Return why a memory cannot be kept, empty where it can."""
    if len(command.payload) > MAX_BYTES:
        return f"{len(command.payload)} bytes of strategy state, at most {MAX_BYTES} are kept; save less"
    try:
        _decoder.decode(command.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"strategy state is no msgpack map of names: {error}; save it with StrategyState"
    return ""


def keep(outbox: Outbox, command: SaveStrategyState) -> None:
    """Record a strategy's memory where it is new; what is too much or no memory is refused."""
    state, wrong = outbox.state, refusal(command)
    if wrong:
        outbox.put(CommandRefused("strategy state", ClientOrderId(""), wrong, state.now))
    elif state.strategies.get(command.strategy_id) != command.payload:
        outbox.record(StrategyStateSaved(command.strategy_id, command.payload, state.now))
