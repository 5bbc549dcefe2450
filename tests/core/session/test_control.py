"""Of several terminals one holds control: over a real socket, who may command what."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.domain import commands as c
from core.domain.alerts import MuteAlerts, SetAlert
from core.domain.approval import TradingState
from core.domain.differences import Resolution, ResolveDifference
from core.domain.identifiers import ClientOrderId
from core.domain.order import Order, Side
from core.domain.studies import PromoteTrial, RollBackConfig, ScheduleJob
from core.session import protocol as p
from core.session.client import Client
from core.session.control import harmless
from core.session.wire import COMMANDS
from tests.core.kit import BTC_PERP, order
from tests.core.session.test_session import Desk, until

BUY = c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01"))
NONE = ClientOrderId("none")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Give a desk that listens."""
    made = Desk(tmp_path / "s.sock")
    await made.server.start()
    yield made
    await made.server.stop("test over")


async def terminal(desk: Desk, name: str, *, view_only: bool = False) -> Client:
    """Attach a terminal and wait until it knows who commands."""
    client = await Client.connect(desk.server.path, name, view_only=view_only, terminal=True)
    await until(lambda: client.control is not None)
    return client


def control(client: Client) -> p.ControlChanged:
    assert client.control is not None
    return client.control


async def test_the_first_terminal_commands_and_the_second_is_refused_in_words(desk: Desk) -> None:
    first, second = await terminal(desk, "pts/1"), await terminal(desk, "pts/2")
    await until(lambda: control(first).terminals == 2)
    assert (control(first).mine, control(first).holder) == (True, "terminal 1 (pts/1)")
    assert (control(second).mine, control(second).holder) == (False, "terminal 1 (pts/1)")
    refused = await second.send(BUY)
    assert (refused.ok, refused.reason) == (False, "control is held by terminal 1 (pts/1); K takes it")
    assert not desk.engine.state.blotter.orders
    amended = await second.send(c.AmendOrder(NONE))
    assert amended.reason.startswith("control is held")
    assert (await first.send(BUY)).ok
    for client in (first, second):
        await client.close()


async def test_what_reduces_risk_is_taken_from_every_terminal(desk: Desk) -> None:
    first, second = await terminal(desk, "1"), await terminal(desk, "2")
    resting = (await first.send(BUY)).orders
    assert len(resting) == 1
    for command in (c.CancelOrder(NONE), c.CancelAll(), c.Flatten(), c.SetTradingState(TradingState.HALTED, "t")):
        assert "control" not in (await second.send(command)).reason, command
    assert desk.engine.state.trading_state is TradingState.HALTED
    loosened = await second.send(c.SetTradingState(TradingState.ACTIVE, "t", "RESUME"))
    assert "control is held" in loosened.reason
    assert desk.engine.state.trading_state is TradingState.HALTED
    assert (await first.send(c.SetTradingState(TradingState.ACTIVE, "t", "RESUME"))).ok
    for client in (first, second):
        await client.close()


async def test_taking_control_tells_both_and_changes_who_may_send(desk: Desk) -> None:
    first, second = await terminal(desk, "1"), await terminal(desk, "2")
    assert (await second.take_control()).ok
    await until(lambda: control(second).mine and not control(first).mine)
    assert control(first).holder == "terminal 2 (2)"
    assert "held by terminal 2" in (await first.send(BUY)).reason
    assert (await second.send(BUY)).ok
    for client in (first, second):
        await client.close()


async def test_control_is_free_when_its_terminal_has_gone_and_goes_to_who_commands_next(desk: Desk) -> None:
    first, second, third = [await terminal(desk, str(number)) for number in range(3)]
    first._writer.transport.abort()  # the link dies without a word
    await until(lambda: not control(second).holder and control(second).terminals == 2)
    assert not control(second).mine
    assert (await third.send(BUY)).ok
    await until(lambda: control(third).mine and control(second).holder == "terminal 3 (2)")
    assert "held by terminal 3" in (await second.send(BUY)).reason
    await third.close()
    await until(lambda: not control(second).holder)
    fourth = await terminal(desk, "back")
    assert control(fourth).mine
    for client in (second, fourth):
        await client.close()


async def test_scripts_need_no_control_and_cannot_take_it(desk: Desk) -> None:
    holder = await terminal(desk, "1")
    script = await Client.connect(desk.server.path, "cli", stream=False)
    assert (await script.send(BUY)).ok
    assert "only a terminal" in (await script.take_control()).reason
    assert control(holder).terminals == 1
    assert script.control is None
    for client in (holder, script):
        await client.close()


async def test_a_view_only_terminal_neither_holds_nor_takes_nor_reduces(desk: Desk) -> None:
    viewer = await terminal(desk, "v", view_only=True)
    assert (control(viewer).holder, control(viewer).terminals) == ("", 1)
    assert "view-only" in (await viewer.take_control()).reason
    for command in (BUY, c.CancelAll(), c.Flatten()):
        assert "view-only" in (await viewer.send(command)).reason
    trader = await terminal(desk, "t")
    assert control(trader).mine
    for client in (viewer, trader):
        await client.close()


@pytest.mark.parametrize("origin", ["bracket", "guardian", "guardian max_daily_loss", "strategy rsi"])
async def test_nobody_speaks_as_the_engine_itself(desk: Desk, origin: str) -> None:
    script = await Client.connect(desk.server.path, "cli", stream=False)
    for command in (replace(BUY, origin=origin), c.AmendOrder(NONE, origin=origin), c.CancelOrder(NONE, origin)):
        refused = await script.send(command)
        assert (refused.ok, "is the engine's own" in refused.reason) == (False, True), command
    assert not desk.engine.state.blotter.orders
    assert (await script.send(replace(BUY, origin="brackets"))).ok
    await script.close()


async def test_many_take_it_at_once_and_one_has_it(desk: Desk) -> None:
    clients = [await terminal(desk, str(number)) for number in range(5)]
    await asyncio.gather(*(client.take_control() for client in clients))
    await until(lambda: len({control(client).holder for client in clients}) == 1)
    assert sum(control(client).mine for client in clients) == 1
    for client in clients:
        await client.close()


async def test_a_name_cannot_write_over_the_screen(desk: Desk) -> None:
    named = await terminal(desk, "\x1b[2Jx" + "y" * 500)
    assert "\x1b" not in control(named).holder
    assert len(control(named).holder) < 80
    await named.close()


def test_every_command_is_judged() -> None:
    """What is not known to be harmless needs control: a new command is refused to viewers until somebody thinks."""
    reduces = c.SubmitOrder(Order(BTC_PERP.id, Side.SELL, BUY.order.quantity, reduce_only=True))
    assert not harmless(BUY, TradingState.HALTED)
    assert harmless(reduces, TradingState.ACTIVE)
    assert not harmless(c.SetTradingState(TradingState.REDUCING), TradingState.HALTED)
    assert harmless(c.SetTradingState(TradingState.REDUCING), TradingState.ACTIVE)
    assert not harmless(c.LoosenLimits({}, "LOOSEN"), TradingState.ACTIVE)
    assert not harmless(c.StopEngine(), TradingState.ACTIVE)
    assert not harmless(PromoteTrial("s", 1), TradingState.ACTIVE)
    assert not harmless(RollBackConfig("s", 1), TradingState.ACTIVE)
    assert harmless(ScheduleJob("s", "mon 02:00"), TradingState.ACTIVE)  # it searches; it promotes nothing
    assert not harmless(ResolveDifference(1, Resolution.KEPT), TradingState.ACTIVE)  # it lets entries through again
    assert {kind.__name__ for kind in COMMANDS} == {
        "SubmitOrder", "AmendOrder", "CancelOrder", "CancelAll", "Flatten",
        "SetTradingState", "LoosenLimits", "StopEngine",
        SetAlert.__name__, "RemoveAlert", "AcknowledgeAlert", MuteAlerts.__name__,
        "PromoteTrial", "RollBackConfig", "StartStudy", "StopStudy", "ScheduleJob", "AdoptConfig",
        "ResolveDifference", "AdoptOrder", "DeclareFlat", "SaveStrategyState",
    }  # fmt: skip
