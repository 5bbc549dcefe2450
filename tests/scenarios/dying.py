"""Engines that are killed and do not come back: the sentinel closes everything by itself."""

import asyncio
import shutil
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from core.domain.commands import SubmitOrder
from core.domain.order import Order, Side
from core.guardian.pulse import Phase
from desk.paths import Role
from desk.roles.pulses import open_pulse, page
from tests.scenarios.house import FUTURES, PERP, QUICK, Auditor, House, until

GRACE_S = 3.0
BOUGHT = Decimal("0.05")
BROKEN = "no engine starts with this\n"


def deaths(count: int) -> list[float]:
    """Kill so many engines for good, each in a home of its own; return how long each account took to be flat (s)."""
    return [_death() for _ in range(count)]


def _death() -> float:
    root = Path(tempfile.mkdtemp(prefix="tddead-"))
    house = House(root / "home", QUICK)
    try:
        house.start(Role.MARKET, Role.ENGINE, Role.SENTINEL)
        return asyncio.run(die(house))
    finally:
        house.end()
        page(house.home).unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)


async def die(house: House) -> float:
    """Kill an engine that holds something so that its restart fails; return how long until the market says flat (s)."""
    pulse = open_pulse(house.home)
    await house.ready()
    await until(lambda: pulse.sentinel().phase is Phase.WATCHING, "the sentinel watches")
    async with house.auditor() as auditor:
        async with house.session() as client:
            await until(lambda: not client.state.guard.holds, "the engine knows that it may trade")
            outcome = await client.send(SubmitOrder(Order(PERP, Side.BUY, BOUGHT), "scenario"))
            assert outcome.ok, outcome
            await until(lambda: bool(client.state.ledger.positions), "it is held")
        assert await _held(auditor) == BOUGHT
        house.home.config.write_text(BROKEN, encoding="utf-8")
        began = time.monotonic()
        house.kill(Role.ENGINE)
        while (held := await _held(auditor)) or (await auditor.snapshots())[FUTURES].open_orders:
            assert 0 <= held <= BOUGHT, f"sold twice or bought: {held}"
            assert time.monotonic() < began + 120, f"not flat; {house.log(Role.SENTINEL)}"
            await asyncio.sleep(0.02)
        took = time.monotonic() - began
        await until(lambda: pulse.sentinel().phase is Phase.FLAT, "the sentinel knows it too")
    pulse.close()
    return took


async def _held(auditor: Auditor) -> Decimal:
    return sum((report.quantity for report in (await auditor.snapshots())[FUTURES].positions), Decimal(0))
