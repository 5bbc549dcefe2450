"""Drive the terminal as a hand would: wait for what stands on the screen, press keys."""

import time
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui.engine import BTC, House
from tests.tui.harness import picture, screen_lines
from tui.app import TerminalApp
from tui.arming import SETTLE_SECONDS
from tui.confirm import Confirm
from tui.keys import LATCH_SECONDS


async def until(pilot: Pilot[int], true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        await pilot.pause(0.05)
    raise AssertionError("did not happen:\n" + picture(pilot.app))  # type: ignore[arg-type]


async def ready(app: TerminalApp, pilot: Pilot[int]) -> None:
    """Wait until the screen shows the first instrument in depth."""
    await until(pilot, lambda: app.trade.instrument == BTC and app.trade.ladder.cursor_price is not None)
    await until(pilot, lambda: "spread" in picture(app))


async def asked(app: TerminalApp, pilot: Pilot[int], kind: type[Screen[Any]] = Confirm) -> None:
    """Wait until a question stands there and its latch is open."""
    await until(pilot, lambda: isinstance(app.screen, kind) and app.screen.is_mounted)
    await pilot.pause(LATCH_SECONDS + 0.05)


async def armed(app: TerminalApp, pilot: Pilot[int]) -> None:
    """Arm, and wait until the key that armed cannot also send."""
    await pilot.press("A")
    await until(pilot, lambda: "ARMED" in screen_lines(app)[1])
    await pilot.pause(SETTLE_SECONDS + 0.05)


async def opened(app: TerminalApp, pilot: Pilot[int], *keys: str) -> None:
    """Open the ticket by these keys, and wait until the key that opened it cannot also send."""
    await pilot.press(*keys)
    await until(pilot, lambda: app.trade.ticket.open)
    await pilot.pause(LATCH_SECONDS + 0.05)


async def stage(app: TerminalApp, pilot: Pilot[int], quantity: str = "0.05") -> None:
    """Arm, and fill in a ticket to buy at the market."""
    await armed(app, pilot)
    await opened(app, pilot, "b", *quantity, "up", "space", "down")  # LIMIT → MARKET


async def buy(app: TerminalApp, pilot: Pilot[int], quantity: str = "0.05") -> None:
    """Arm, and buy at the market by ticket."""
    await stage(app, pilot, quantity)
    await pilot.press("enter")


def position(house: House) -> float:
    position = house.state.ledger.positions.get(BTC)
    return float(position.quantity) if position is not None else 0.0
