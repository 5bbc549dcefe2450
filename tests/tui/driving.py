"""Drive the terminal as a hand would: wait for what stands on the screen, press keys."""

from collections.abc import Callable

from textual.pilot import Pilot

from tests.tui.engine import BTC, House
from tests.tui.harness import picture
from tui.app import TerminalApp


async def until(pilot: Pilot[int], true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is true."""
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        await pilot.pause(0.05)
    raise AssertionError("did not happen:\n" + picture(pilot.app))  # type: ignore[arg-type]


async def ready(app: TerminalApp, pilot: Pilot[int]) -> None:
    """Wait until the screen shows the first instrument in depth."""
    await until(pilot, lambda: app.trade.instrument == BTC and app.trade.ladder.cursor_price is not None)
    await until(pilot, lambda: "spread" in picture(app))


async def stage(pilot: Pilot[int], quantity: str = "0.05") -> None:
    """Arm, and fill in a ticket to buy at the market."""
    await pilot.press("A")
    await pilot.pause(0.35)
    await pilot.press("b", *quantity, "up", "space", "down")  # LIMIT → MARKET
    await pilot.pause(0.35)


async def buy(app: TerminalApp, pilot: Pilot[int], quantity: str = "0.05") -> None:
    """Arm, and buy at the market by ticket."""
    await stage(pilot, quantity)
    for _ in range(20):  # on a busy machine the price on the screen may be too old for the first Enter
        await pilot.press("enter")
        for _ in range(20):
            await pilot.pause(0.05)
            if not app.trade.ticket.open:
                return
    raise AssertionError("the ticket did not send:\n" + picture(app))


def position(house: House) -> float:
    position = house.state.ledger.positions.get(BTC)
    return float(position.quantity) if position is not None else 0.0
