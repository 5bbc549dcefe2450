"""What a strategy remembers is journalled, bounded, and given back after a restart."""

from collections.abc import Iterable

import msgspec
import pytest

from core.domain import events as e
from core.domain import market as m
from core.domain.commands import SaveStrategyState
from core.domain.identifiers import StrategyId
from core.domain.message import Command, Message
from core.session.wire import decode_event, encode
from core.state.state import IMAGE_DECODER, State
from core.strategy.memory import MAX_BYTES, StrategyState
from tests.core.kit import BTC_PERP, T0, S, of, opened, quote

ME = StrategyId("trend")


class Trend:
    """Follow the highest bid."""

    id = ME

    def __init__(self) -> None:
        self.seen: float | None = None

    def on_message(self, message: Message, state: State) -> Iterable[Command]:
        if not isinstance(message, m.Quote):
            return
        memory = StrategyState.of(ME, state)
        self.seen = memory.high("bid", message.bid)
        memory.low("ask", message.ask)
        saving = memory.save()
        if saving is not None:
            yield saving


def test_an_extreme_survives_a_kill() -> None:
    """The journal's events alone bring it back, and so does a checkpoint."""
    engine = opened(strategies=[Trend()])
    effects = [engine.process(quote(BTC_PERP, bid, bid + 1, T0 + S)) for bid in (60_010.0, 60_500.0, 60_100.0)]
    saves = [of(found, e.StrategyStateSaved) for found in effects]
    assert [len(found) for found in saves] == [1, 1, 0]  # what changes nothing is not written
    recovered = State()
    for event in (event for found in saves for event in found):
        recovered.apply(decode_event(encode(event)))
    for state in (recovered, State.from_image(IMAGE_DECODER.decode(encode(engine.state.image())))):
        assert StrategyState.of(ME, state).high("bid", 60_000.0) == 60_500.0
    assert not engine.state.image(client=True).strategies


def test_values_are_put_and_forgotten() -> None:
    memory = StrategyState(ME)
    assert memory.save() is None
    memory.put("regime", "calm")
    memory.put("n", 3)
    saving = memory.save()
    assert saving is not None
    assert msgspec.msgpack.decode(saving.payload) == {"regime": "calm", "n": 3}
    assert memory.save() is None
    memory.forget("n")
    memory.forget("never")
    assert memory.low("depth", 2.0) == 2.0
    assert memory.low("depth", 5.0) == 2.0
    assert memory.save() is not None
    assert memory.values == {"regime": "calm", "depth": 2.0}


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (msgspec.msgpack.encode({"much": "x" * MAX_BYTES}), "are kept; save less"),
        (msgspec.msgpack.encode([1, 2]), "no msgpack map"),
        (b"\xc1", "no msgpack map"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_the_last_stays(payload: bytes, says: str) -> None:
    engine = opened()
    kept = msgspec.msgpack.encode({"bid": 1.0})
    engine.process(SaveStrategyState(ME, kept, T0))
    (refused,) = of(engine.process(SaveStrategyState(ME, payload, T0)), e.CommandRefused)
    assert says in refused.reason
    assert engine.state.strategies[ME] == kept
    assert engine.process(SaveStrategyState(ME, kept, T0)) == ()
