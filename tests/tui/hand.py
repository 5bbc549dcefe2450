"""A hand at a terminal on a running engine: presses keys, looks, and counts what was sent."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

from core.config.settings import AlertSettings
from core.domain import alerts as a
from core.domain import commands as c
from core.domain.approval import TradingState
from core.domain.message import Command
from core.session.client import Client
from tests.tui.driving import ready
from tests.tui.engine import BTC, House
from tests.tui.harness import picture
from tui.app import TerminalApp
from tui.watchlists import ALL, delete

QUIET = AlertSettings(feed_after_s=0, gaps=False)
SETTLED_S, PATIENCE_S = 1.0, 60.0
"""Longer than every latch, by the hand's own clock; how long something may take before it is said not to happen."""


class Hand:
    """A terminal, the engine behind it, and a clock that a test moves."""

    def __init__(self, house: House, app: TerminalApp, clock: "Clock") -> None:
        self.house, self.app, self.clock = house, app, clock
        self._from = 0
        self.others: list[Client] = []

    async def press(self, *keys: str) -> None:
        """Press keys as a hand does: each is read before the next, and latches open in between.

        The pilot's own `press` waits for every widget of the screen, for half a minute where a key has closed it.
        """
        for key in keys:
            self.clock.now += SETTLED_S
            await self.app._press_keys([key])

    async def sees(self, true: Callable[[], object]) -> None:
        """Wait until something is true."""
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, "did not happen:\n" + picture(self.app)
            await asyncio.sleep(0.02)

    async def reads(self, words: str) -> None:
        """Wait until words stand on the screen, wherever lines break."""
        joined = " ".join(words.split())
        await self.sees(lambda: joined in read(self.app))

    def begin(self) -> None:
        """Count what is sent from here on."""
        self._from = len(self.house.commands)

    @property
    def sent(self) -> list[Command]:
        """What this terminal has sent since."""
        return self.house.commands[self._from :]

    async def home(self) -> None:
        """Come back to the ladder of the trade screen, disarmed, with nothing open and nothing traded."""
        app = self.app
        for _ in range(9):
            if app.screen is not app.here:
                await self.press("escape")
        await self.sees(lambda: app.screen is app.here)
        if app.trade.ticket.open:
            app.trade.ticket.focus()
            await self.press("escape")
        if app.here is not app.trade:
            app.action_screen("trade")
            await self.sees(lambda: app.screen is app.trade)
        app.trade.zoom(None)
        app.trade.ladder.let_go()
        app.trade.choose(BTC)
        app.trade.ladder.focus()
        if app.arming.armed:
            await self.press("A")
        await self.resets()

    async def resets(self) -> None:
        """Let the engine be flat, without orders, trading, and under this terminal's control."""
        state = self.house.state
        lost_control = bool(self.others)
        for client in self.others:
            await client.close()
        self.others.clear()
        lists = self.app.trade.watch_list.lists
        self.app.trade.show_list(ALL)
        for name in [name for name in lists.names if name != ALL]:
            assert lists.change(lambda now, name=name: delete(now, name)) == ""  # type: ignore[misc]
        for id_ in list(state.alerts.rules):
            await self.does(a.RemoveAlert(id_, "test"))
        for kind in list(state.alerts.muted):
            await self.does(a.MuteAlerts(kind, 0, "test"))
        if state.trading_state is not TradingState.ACTIVE:
            await self.does(c.SetTradingState(TradingState.ACTIVE, "test", "RESUME", "", "test"))
        if state.blotter.open or any(item.quantity for item in state.ledger.positions.values()):
            await self.does(c.Flatten(None, "test"))
        await self.sees(lambda: not state.blotter.open and not held(self))
        feed = self.app.feed
        await self.sees(lambda: not feed.state.blotter.open and feed.state.trading_state is TradingState.ACTIVE)
        if lost_control:
            await self.sees(lambda: not feed.elsewhere)
            assert (await feed.take_control()).ok
            await self.sees(lambda: feed.control is not None and feed.control.mine)

    async def does(self, command: Command) -> None:
        """Command the engine from elsewhere; what it takes for the last order again, after a while."""
        outcome = await self.house.runtime.command(command)
        if "the same order was sent" in outcome.reason:
            await asyncio.sleep(0.4)
            outcome = await self.house.runtime.command(command)
        assert outcome.ok, outcome.reason


class Clock:
    """The hand's clock, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def _commanding(house: House, clock: Clock) -> TerminalApp:
    return TerminalApp(house.socket, clock=clock)


@contextlib.asynccontextmanager
async def hand_at(folder: Path, make: Callable[[House, Clock], TerminalApp] = _commanding) -> AsyncIterator[Hand]:
    """Give a hand at a terminal of 200×50 whose market stands still."""
    house = await House(folder, QUIET, stale_after_s=3_600).start()
    try:
        clock = Clock()
        app = make(house, clock)
        async with app.run_test(size=(200, 50)) as pilot:
            await ready(app, pilot)
            house.hub.silent = True
            await asyncio.sleep(0.3)  # what is on its way is drawn
            stands = max(market.ts for market in house.state.markets.values())
            app.wall = app.trade.wall = lambda: stands
            yield Hand(house, app, clock)
    finally:
        await house.stop()


def read(app: TerminalApp) -> str:
    """Give the words of the ticket, of an open dialog and of the whole screen, each on one line."""
    inner = [app.trade.ticket.text, picture(app)]
    return "\n".join(" ".join(text.replace("│", " ").split()) for text in inner)


def held(hand: Hand) -> list[Decimal]:
    """List the quantities of the open positions."""
    return [item.quantity for item in hand.house.state.ledger.positions.values() if item.quantity]
