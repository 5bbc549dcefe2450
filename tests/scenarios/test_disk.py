"""The disk of a home runs full under a trading engine: entries wait, exits do not, and it comes back by itself."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from core import protocol as p
from core.client import Client
from core.domain import events as e
from core.domain.commands import Flatten, SubmitOrder
from core.domain.order import Order, Side
from desk.paths import Role
from store.journal.tools import check
from tests.scenarios.house import PERP, QUICK, House, agree, until

SIZE_MB = 24
OURS = Decimal("0.010")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Give a home on a small disk of its own; the exchange's books lie elsewhere, as a real one's would."""
    root, books = tmp_path / "home", tmp_path / "books"
    root.mkdir(mode=0o700)
    books.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root can make a small disk; tests/store fills one without")
    options = ["-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0700", "tmpfs", str(root)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("this machine does not let a disk be made; tests/store fills one without")
    try:
        (root / "market").symlink_to(books)
        made = House(root, QUICK)
        try:
            yield made.start(Role.MARKET, Role.ENGINE)
        finally:
            made.end()
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


async def buy(client: Client) -> p.Outcome:
    return await client.send(SubmitOrder(Order(PERP, Side.BUY, OURS), "scenario"))


def held(client: Client) -> Decimal:
    """Return our position."""
    position = client.state.ledger.positions.get(PERP)
    return position.quantity if position is not None else Decimal(0)


async def ends_and_heals(house: House, client: Client) -> None:
    """Fill the disk, be refused, leave, make room, trade again."""
    assert (await buy(client)).ok
    await until(lambda: held(client) == OURS, "we hold something")

    filler = house.home.root / "filler"
    fill(filler)
    refused: p.Outcome | None = None
    for _ in range(200):  # the room kept in reserve is used up first
        outcome = await buy(client)
        if not outcome.ok:
            refused = outcome
            break
        fill(house.home.root / f"filler{os.urandom(4).hex()}")
    assert refused is not None, "entries went on without a disk"
    await until(lambda: bool(client.state.store_trouble), "the trouble is on every screen")
    again = await buy(client)
    assert (again.ok, again.limit) == (False, "journal"), again
    assert "disk" in again.reason
    assert (await client.ask(p.AskStatus())).journal == client.state.store_trouble

    await client.send(Flatten(PERP, "scenario"))
    await until(lambda: not held(client), "the exit passed")

    for path in house.home.root.glob("filler*"):
        path.unlink()
    await until(lambda: not client.state.store_trouble, "it heals by itself")
    await asyncio.sleep(0.2)
    assert (await buy(client)).ok
    await client.send(Flatten(PERP, "scenario"))
    await until(lambda: not held(client), "flat again")
    async with house.auditor() as auditor:
        await agree(house, auditor)


async def test_a_full_disk_denies_entries_lets_exits_pass_and_heals(house: House) -> None:
    await house.ready()
    async with house.session() as client:
        await ends_and_heals(house, client)

    house.kill(Role.ENGINE)  # what was kept in memory meanwhile is durable now
    house.start(Role.ENGINE)
    await house.ready()
    assert check(house.home.journal).damage is None
    fills = [event for _, event in house.events() if isinstance(event, e.OrderFilled)]
    assert sum(event.side.sign * event.quantity for event in fills) == 0
    assert not [event for _, event in house.events() if isinstance(event, (e.PositionSet, e.IllegalEventSeen))]
    async with house.auditor() as auditor:
        await agree(house, auditor)
