"""Engine and sentinel as real processes, killed and stopped in the middle: the account is never sold twice."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain import commands as c
from core.domain.order import Order, OrderStatus, Side, StopLoss
from core.guardian.pulse import EnginePhase, Phase, Pulse
from desk.paths import Role
from desk.roles import services
from desk.roles.pulses import open_pulse, page
from store.lease import read_lease
from tests.scenarios.house import FUTURES, PERP, QUICK, Auditor, House, until

BOUGHT = Decimal("0.05")
PATIENT = """
[guardian]
engine_silent_after_ms = 5000
sentinel_grace_ms = 60000
"""
"""A machine that stands still is not taken for an engine that hangs, nor a slow start for one that failed."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "home", QUICK + PATIENT)
    yield made
    made.end()
    page(made.home).unlink(missing_ok=True)


async def buy(house: House) -> None:
    """Hold a position with a stop behind it."""
    await house.ready()
    async with house.session() as client:
        # The engine hears of a freed lease with its next beat, a moment after the page says it; a session that has just
        # begun has heard nothing yet, neither way.
        guard = client.state.guard
        await until(lambda: guard.status is not None and not guard.holds, "the engine knows that it may trade")
        bid = client.state.markets[PERP].bid
        order = Order(PERP, Side.BUY, BOUGHT, stop_loss=StopLoss(Decimal(round(bid * 0.9))))
        outcome = await client.send(c.SubmitOrder(order))
        assert outcome.ok, outcome
        await until(lambda: len(client.state.blotter.of(PERP)) == 1, "the stop rests")


async def position(auditor: Auditor) -> Decimal:
    account = (await auditor.snapshots())[FUTURES]
    return sum((report.quantity for report in account.positions), Decimal(0))


async def flat_after(auditor: Auditor) -> float:
    """Wait until the account is flat and nothing is open, and return when; it never goes below."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        held = await position(auditor)
        assert 0 <= held <= BOUGHT, f"sold twice or bought: {held}"
        if not held and not (await auditor.snapshots())[FUTURES].open_orders:
            return time.monotonic()
        await asyncio.sleep(0.02)
    raise AssertionError("not flat")


def took(what: str, seconds: float) -> None:
    print(f"{what}: {seconds:.2f} s")  # shown by pytest -s: figures, no verdicts


async def released(house: House, pulse: Pulse, old: int) -> None:
    def new() -> bool:
        beat = pulse.engine()
        return beat.pid != old and beat.phase is EnginePhase.RUNNING and not pulse.barred

    await until(new, f"another engine trades; {house.log(Role.SENTINEL)}")


async def ends_in_order(house: House) -> None:
    """An end that is wanted: refused with open risk, and the sentinel is disarmed before the engine ends."""
    await buy(house)
    assert house.run("stop").returncode
    assert services.running(house.home, Role.SENTINEL) is not None, "still armed"
    assert house.json("stop", "--flatten")["stopped"][0] == "sentinel"
    assert not read_lease(house.home.lease).armed
    assert not read_lease(house.home.lease).held


async def test_fallen_engines_and_sentinels_are_replaced_and_one_that_falls_again_is_closed_for(house: House) -> None:
    house.start(Role.MARKET, Role.ENGINE, Role.SENTINEL)
    pulse = open_pulse(house.home)
    await buy(house)
    async with house.auditor() as auditor:
        # The sentinel falls: the engine misses it.
        old = house.pid(Role.SENTINEL)
        house.kill(Role.SENTINEL)
        began = time.monotonic()
        await until(
            lambda: pulse.sentinel().pid != old and pulse.sentinel().phase is Phase.WATCHING, "another sentinel"
        )
        took("sentinel killed → another watches", time.monotonic() - began)

        # The engine hangs: it is ended and replaced, and the position stays.
        engine, began = house.pid(Role.ENGINE), time.monotonic()
        os.kill(engine, signal.SIGSTOP)
        await until(lambda: pulse.barred, "the lease is taken")
        took("engine stopped → entries denied", time.monotonic() - began)
        await released(house, pulse, engine)
        took("engine stopped → another trades", time.monotonic() - began)
        assert await position(auditor) == BOUGHT
        assert not [id_ for id_ in await ids(auditor) if "s" in id_[5:6]], "the sentinel sent nothing"

        # It falls again at once: everything is closed.
        began = time.monotonic()
        house.kill(Role.ENGINE)
        took("engine killed again → flat", await flat_after(auditor) - began)
        await until(lambda: pulse.sentinel().phase is Phase.FLAT, "the close is over")
        assert read_lease(house.home.lease).held
        refused = house.run("stop")
        assert refused.returncode
        assert "the sentinel holds the lease" in refused.stderr

        # An engine that comes back finds the lease, learns what happened, and trades again.
        house.start(Role.ENGINE)
        await released(house, pulse, 0)
        status = await house.ready()
        assert status.positions == ()
        assert status.unfit == 0
        async with house.session() as client:
            orders = client.state.blotter.orders
            done = [item for id_, item in orders.items() if item.order.strategy_intent == "sentinel flatten"]
            assert sum(item.filled for item in done) == BOUGHT
            assert all(not item.is_open for item in orders.values())

    await ends_in_order(house)


async def ids(auditor: Auditor) -> list[str]:
    return [str(fill.client_order_id) for fill in (await auditor.snapshots())[FUTURES].fills]


async def test_an_engine_stopped_and_continued_in_the_middle_of_the_close_sends_nothing(house: House) -> None:
    text = house.home.config.read_text()
    house.home.config.write_text(text.replace("sentinel_grace_ms = 60000", "sentinel_grace_ms = 3000"))
    house.start(Role.MARKET, Role.ENGINE, Role.SENTINEL)
    pulse = open_pulse(house.home)
    await buy(house)
    engine, market = house.pid(Role.ENGINE), house.pid(Role.MARKET)
    async with house.auditor() as auditor:
        os.kill(market, signal.SIGSTOP)  # so that the next engine cannot reconcile before it is stopped
        house.kill(Role.ENGINE)
        began = time.monotonic()
        await until(lambda: pulse.engine().pid != engine and pulse.engine().phase is EnginePhase.RUNNING, "a new one")
        second = pulse.engine().pid
        os.kill(second, signal.SIGSTOP)
        os.kill(market, signal.SIGCONT)
        took("engine killed, the next one stopped → flat", await flat_after(auditor) - began)
        assert pulse.barred, "the sentinel still makes sure"
        os.kill(second, signal.SIGCONT)
        await released(house, pulse, engine)
        assert pulse.engine().pid == second, "the same engine goes on"
        assert await position(auditor) == 0
        sent = {id_ for id_ in await ids(auditor) if id_[5:].startswith("r2")}
        assert not sent, "nothing of the second run left while the lease was held"
    status = await house.ready()
    assert status.positions == ()
    async with house.session() as client:
        records = client.state.blotter.orders.values()
        mine = [item for item in records if item.order.strategy_intent == "sentinel flatten"]
        assert [item.status for item in mine if item.filled] == [OrderStatus.FILLED]
