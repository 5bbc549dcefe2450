"""Trade over SSH: attach, buy by keys, lose the link, attach again. The engine feels nothing, the position stands."""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from core.session import protocol as p
from core.session.status import Status
from desk.paths import Role
from tests.scenarios.house import PERP, QUICK, House
from tests.scenarios.remote import PATIENCE_S, Sshd, Window, desk_words, terminals_on
from tui.arming import SETTLE_SECONDS

Finder = Callable[..., str]


@pytest.fixture
def sshd(tmp_path: Path, needs_tool: Finder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """Give an SSH server of our own."""
    monkeypatch.setenv("PATH", "/usr/sbin", prepend=":")
    keygen, program = needs_tool("ssh-keygen", "openssh-client"), needs_tool("sshd", "openssh-server")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    made = Sshd(folder, program, keygen)
    yield made
    made.end()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Give a workstation that trades."""
    made = House(tmp_path / "home", QUICK)
    try:
        yield made.start(Role.MARKET, Role.ENGINE)
    finally:
        made.end()


async def status(house: House) -> Status:
    """Ask the engine how things stand."""
    client = await house.client("look", stream=False)
    try:
        return await client.ask(p.AskStatus())
    finally:
        await client.close()


async def held(house: House) -> tuple[Decimal, Decimal] | None:
    """Return quantity and entry price of the position."""
    found = [view for view in (await status(house)).positions if view.instrument == PERP and view.quantity]
    return (found[0].quantity, found[0].entry_price) if found else None


async def buy(house: House, window: Window) -> tuple[Decimal, Decimal]:
    """Arm, fill in a ticket to buy at the market, send it, and return what is held."""
    await window.press("A")
    await window.shows("ARMED")
    await asyncio.sleep(SETTLE_SECONDS + 0.1)
    await window.press("b")
    await window.shows("LIMIT")
    await window.press("0", ".", "0", "5", "Up", "Space")
    await window.shows("MARKET")
    await window.press("Down")
    end = time.monotonic() + PATIENCE_S * 2
    while True:
        await window.press(
            "Enter"
        )  # a ticket that has gone sends nothing, one that was refused by its age may try again
        for _ in range(20):
            found = await held(house)
            if found is not None:
                return found
            await asyncio.sleep(0.2)
        assert time.monotonic() < end, window.picture()


async def gone(house: House) -> float:
    """Wait until no terminal process is left, and return how long that took (s)."""
    began = time.monotonic()
    while terminals_on(house.home.engine_socket):
        assert time.monotonic() - began < PATIENCE_S, "an orphan is left"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_a_lost_link_takes_the_view_and_nothing_else(
    house: House, sshd: Sshd, tmp_path: Path, needs_tool: Finder
) -> None:
    ssh, tmux = needs_tool("ssh", "openssh-client"), needs_tool("tmux")
    await house.ready()
    engine = house.pid(Role.ENGINE)
    command = sshd.command(ssh, *desk_words(house.home.root))
    window = Window(tmux, tmp_path, command)
    try:
        await window.shows("BTC-USDT.P", "disarmed", "feeds")
        bought = await buy(house, window)
        assert len(terminals_on(house.home.engine_socket)) == 1
        clients = (await status(house)).clients
        window.cut()
        print(f"\nthe view was gone {await gone(house):.2f} s after its link")
        after = await status(house)
        assert (house.pid(Role.ENGINE), after.clients) == (engine, clients - 1)
        assert await held(house) == bought
        window.end()
        again = Window(tmux, tmp_path, command)
        try:
            seen = await again.shows("disarmed", "+0.05", "feeds")  # the same position, control, and disarmed
            assert "viewing" not in seen
            await again.press("f")
            await again.shows("Flatten")
            await asyncio.sleep(0.5)
            await again.press("y")
            end = time.monotonic() + PATIENCE_S
            while await held(house) is not None:
                assert time.monotonic() < end, again.picture()
                await asyncio.sleep(0.2)
            await again.press("q")
            await again.shows("the engine keeps running")
            await asyncio.sleep(0.5)
            await again.press("y")
            await gone(house)
        finally:
            again.end()
    finally:
        window.end()
    assert house.pid(Role.ENGINE) == engine
