"""What a strategy may ask the engine for: to trade and to remember, and nothing that is a human's to say."""

import msgspec
import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.differences import AdoptOrder, DeclareFlat, Resolution, ResolveDifference
from core.domain.identifiers import ClientOrderId, StrategyId
from core.domain.message import Command, Message
from core.domain.order import Side
from core.state.state import State
from tests.core.kit import BTC_PERP, T0, D, S, accept, of, opened, order


class Overreaching:
    """A strategy that asks for what it is told, one command with each timer."""

    id = StrategyId("overreaching")

    def __init__(self) -> None:
        self.wanted: list[Command] = []

    def on_message(self, message: Message, state: State) -> list[Command]:
        return [self.wanted.pop(0)] if isinstance(message, m.Timer) and self.wanted else []


@pytest.mark.parametrize(
    "wanted",
    [
        c.SetTradingState(TradingState.ACTIVE, word="RESUME", who="me"),
        c.LoosenLimits((), word="LOOSEN"),  # type: ignore[arg-type]
        c.StopEngine(leave=True),
        AdoptOrder(ClientOrderId("foreign-1")),
        DeclareFlat(BTC_PERP.id, "FLAT"),
        ResolveDifference(0, Resolution.ADOPTED),
    ],
)
def test_a_strategy_says_nothing_that_is_a_humans_to_say(wanted: Command) -> None:
    asking = Overreaching()
    engine = opened(strategies=[asking])
    engine.process(c.SetTradingState(TradingState.HALTED, who="me", ts=T0))
    asking.wanted = [wanted]
    (refusal,) = of(engine.process(m.Timer(T0 + S)), e.CommandRefused)
    assert (refusal.what, type(wanted).__name__ in refusal.reason) == ("strategy", True)
    assert "overreaching may not send" in refusal.reason
    assert engine.state.trading_state is TradingState.HALTED


def test_a_strategy_trades_and_remembers() -> None:
    asking = Overreaching()
    engine = opened(strategies=[asking])
    asking.wanted = [
        c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01", "59000"), "it"),
        c.AmendOrder(ClientOrderId("t0r1n1"), price=D(58_000)),
        c.CancelOrder(ClientOrderId("t0r1n1")),
        c.CancelAll(),
        c.Flatten(BTC_PERP.id),
        c.SaveStrategyState(asking.id, msgspec.msgpack.encode({"seen": 1})),
    ]
    effects = [*engine.process(m.Timer(T0 + S))]
    accept(engine, ClientOrderId("t0r1n1"), T0 + S)
    while asking.wanted:
        effects += engine.process(m.Timer(T0 + 2 * S))
        if of(effects, e.AmendSubmitted) and not of(effects, e.OrderAmended):
            effects += [e.OrderAmended(ClientOrderId("t0r1n1"), None, D(58_000), None, T0 + S, T0 + S)]
            engine.process(effects[-1])  # type: ignore[arg-type]
    assert not of(effects, e.CommandRefused)
    assert of(effects, e.CancelSubmitted)
    assert engine.state.strategies
