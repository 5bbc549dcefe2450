"""One instrument that cannot be judged, here by a size step of nothing, stops nothing that is done to the others."""

from decimal import DivisionByZero

import pytest
from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import watch as w
from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId
from core.domain.order import Side, StopLoss
from core.engine import Engine
from core.state.markets import Market
from core.state.state import State
from tests.core.execution.test_exit_ladder import desk
from tests.core.execution.test_way_out import WAITING, at, stopped
from tests.core.guardian.watch.kit import acted, exits, long, timer, walk, watched
from tests.core.kit import BTC_PERP, ETH_PERP, T0, D, S, accept, fill, of, order, sent, submit

STEPS = ((0.05, 0.5), (0.10, 0.0))


def broken(engine: Engine, quantity: str = "20") -> Engine:
    """Hold ETH too, and have its venue say that it trades in steps of nothing: every size of it divides by zero."""
    long(engine)
    engine.process(fill(ETH_PERP, Side.BUY, quantity, "3000", "eth"))
    engine._outbox.strict = False
    market = engine.state.markets[ETH_PERP.id]
    market.instrument = replace(ETH_PERP, size_step=D(0))
    with pytest.raises(DivisionByZero):
        engine._exits.is_flat(ETH_PERP.id)
    return engine


def test_a_halt_closes_the_others_and_is_recorded() -> None:
    engine = watched(max_daily_loss_frac=0.05)
    rest = sent(engine, order(BTC_PERP, Side.BUY, "0.1", "50000"))
    accept(engine, rest)
    timer(broken(engine), T0)
    effects = walk(engine, 54_900.0)
    assert acted(effects) == [("max_daily_loss", "halt")]
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [rest]
    assert set(engine.state.exits.flattening) == {BTC_PERP.id, ETH_PERP.id}
    assert engine.state.trading_state is TradingState.HALTED
    engine.process(e.OrderCancelled(rest, "asked", T0, T0))
    later = [one for second in range(1, 5) for one in timer(engine, T0 + second * S)]
    assert not of(later, w.GuardianActed), "said once"


def test_the_cancel_that_fails_holds_up_no_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = watched(max_daily_loss_frac=0.05)
    accept(engine, sent(engine, order(BTC_PERP, Side.BUY, "0.1", "50000")))
    engine._outbox.strict = False
    timer(long(engine), T0)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no cancel")

    monkeypatch.setattr(engine._orders, "cancel", fails)
    walk(engine, 54_900.0)
    assert engine.state.trading_state is TradingState.HALTED
    assert BTC_PERP.id in engine.state.exits.flattening


def test_a_step_of_the_ladder_reduces_the_others() -> None:
    engine = broken(watched(drawdown_steps=STEPS))
    timer(engine, T0)
    effects = walk(engine, 54_500.0)
    assert engine.state.watched.step == 1
    assert [one.instrument for one in exits(effects)] == [BTC_PERP.id]


def test_a_flatten_by_hand_closes_the_others() -> None:
    engine = broken(watched())
    effects = list(engine.process(c.Flatten(None, "me", T0)))
    assert [one.instrument for one in exits(effects)] == [BTC_PERP.id]
    assert set(engine.state.exits.flattening) == {BTC_PERP.id, ETH_PERP.id}


def test_a_position_that_cannot_be_seen_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = watched(max_daily_loss_frac=0.05)
    timer(long(engine), T0)
    engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "eth"))
    engine._outbox.strict = False
    watch = engine.guardian.watch
    look = watch.look

    def fails(state: State, market: Market) -> bool:
        if market.instrument.id == ETH_PERP.id:
            raise ZeroDivisionError
        return look(state, market)

    monkeypatch.setattr(watch, "look", fails)
    monkeypatch.setattr(engine._guard, "moved", lambda _: None)  # the timer alone judges
    walk(engine, 54_900.0)
    assert acted(timer(engine, T0 + S)) == [("max_daily_loss", "halt")]
    assert engine.state.trading_state is TradingState.HALTED
    assert set(watch.held) == {BTC_PERP.id, ETH_PERP.id}


def test_what_fails_in_a_bracket_holds_up_no_stop_that_waits_here(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = desk("1", WAITING)
    submit(engine, order(BTC_PERP, Side.BUY, "0.1", stop_loss=StopLoss(D(50_000))))
    stop = stopped(engine)
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "entry", ClientOrderId("t0r1n1")))
    engine._outbox.strict = False
    assert engine._protection.watched

    def fails(_: object) -> None:
        raise RuntimeError("no bracket")

    monkeypatch.setattr(engine._protection, "moved", fails)
    assert [one.client_order_id for one in exits(at(engine, 57_900.0, T0 + S))] == [stop]
