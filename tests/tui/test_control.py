"""Two terminals at one engine: one commands, the other looks on and may only reduce risk; K takes control."""

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

from textual.pilot import Pilot

from core.domain.commands import SubmitOrder
from core.domain.order import Order, Side
from core.session.client import Client
from tests.tui.driving import armed, asked, buy, opened, position, ready, until
from tests.tui.engine import BTC, House
from tests.tui.harness import picture, screen_lines
from tui.app import TerminalApp
from tui.confirm import Confirm


@contextlib.asynccontextmanager
async def other(house: House) -> AsyncIterator[Client]:
    """Attach another terminal."""
    client = await Client.connect(house.socket, "pts/9", terminal=True)
    yield client
    await client.close()


async def test_the_header_says_who_commands(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        await until(pilot, lambda: "control: this terminal" in screen_lines(app)[1])
        assert "viewer" not in screen_lines(app)[1]
        async with other(house):
            await until(pilot, lambda: "control: this terminal   1 viewer " in screen_lines(app)[1])
            async with other(house) as third:
                await until(pilot, lambda: "this terminal   2 viewers" in screen_lines(app)[1])
                await third.take_control()
                await until(pilot, lambda: "control: terminal 3 (pts/9)   2 viewers" in screen_lines(app)[1])
            await until(pilot, lambda: "control: free   1 viewer" in screen_lines(app)[1])


async def test_a_viewer_cannot_arm_and_takes_control_by_two_keys(house: House) -> None:
    async with other(house) as first:
        app = TerminalApp(house.socket)
        async with app.run_test(size=(80, 24)) as pilot:
            await ready(app, pilot)
            await until(pilot, lambda: screen_lines(app)[1].startswith(" viewing "))
            await pilot.press("A")
            await until(pilot, lambda: "control is held by terminal 1 (pts/9); K takes it" in picture(app))
            assert not app.arming.armed
            await _take(app, pilot)
            assert first.control is not None
            await until(pilot, lambda: first.control is not None and not first.control.mine)
            await until(pilot, lambda: screen_lines(app)[1].startswith(" disarmed "))
            await buy(app, pilot)
            await until(pilot, lambda: position(house) > 0)
            refused = await first.send(SubmitOrder(Order(BTC, Side.BUY, Decimal("0.05"))))
            assert "control is held by terminal 2" in refused.reason


def said(app: TerminalApp) -> str:
    """Give what the ticket answers."""
    return app.trade.ticket.words


async def _take(app: TerminalApp, pilot: Pilot[int]) -> None:
    await pilot.press("K")
    await asked(app, pilot)
    assert "terminal 1 (pts/9) holds control" in picture(app)
    await pilot.press("enter", "K", "n")  # none of them confirms
    assert isinstance(app.screen, Confirm)
    await pilot.press("y")
    await until(pilot, lambda: app.feed.control is not None and app.feed.control.mine)


async def test_who_loses_control_is_told_and_disarmed(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await armed(app, pilot)
        async with other(house) as second:
            assert (await second.take_control()).ok
            await until(pilot, lambda: "took control: disarmed here" in picture(app))
            assert not app.arming.armed
            assert screen_lines(app)[1].startswith(" viewing ")
            await opened(app, pilot, "b", "0", ".", "0", "5", "up", "space", "down")
            assert "no control here: K takes it first" in picture(app)
            assert "A then Enter" not in picture(app)
            await pilot.press("enter")
            await until(pilot, lambda: "not armed: control is held by terminal 2" in said(app))
            assert "K takes it, A arms, then Enter sends" in said(app)
            assert position(house) == 0
        await until(pilot, lambda: "not armed: A then Enter sends" in picture(app))  # the other has gone


async def test_a_viewer_flattens_what_the_holder_bought(house: House) -> None:
    holder = TerminalApp(house.socket)
    async with holder.run_test(size=(80, 24)) as pilot:
        await ready(holder, pilot)
        await buy(holder, pilot)
        await until(pilot, lambda: position(house) > 0)
        async with other(house) as second:
            await second.take_control()
            await until(pilot, lambda: screen_lines(holder)[1].startswith(" viewing "))
            await pilot.press("f")
            await asked(holder, pilot)
            await pilot.press("y")
            await until(pilot, lambda: position(house) == 0)


async def test_nothing_is_asked_where_control_is_here(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await until(pilot, lambda: app.feed.control is not None)
        await pilot.press("K")
        await until(pilot, lambda: "this terminal holds control already" in picture(app))
        assert not isinstance(app.screen, Confirm)
