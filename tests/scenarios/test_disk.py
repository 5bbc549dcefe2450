"""The disk of a home runs full under a trading engine: entries wait, exits do not, and it comes back by itself."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain import events as e
from core.domain.commands import Flatten, SubmitOrder
from core.domain.order import Order, Side
from core.session import protocol as p
from core.session.client import Client
from desk.paths import Role
from store.journal.tools import check
from tests.scenarios.house import PERP, QUICK, House, agree, until
from tests.scenarios.small_disk import fill, small_disk, why_not

OURS = Decimal("0.010")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Give a home on a small disk of its own; the exchange's books lie elsewhere, as a real one's would."""
    books = tmp_path / "books"
    books.mkdir(mode=0o700)
    if why_not():
        pytest.skip(f"{why_not()}; tests/store fills one without")
    with contextlib.ExitStack() as stack:
        try:
            root = stack.enter_context(small_disk(tmp_path / "home"))
        except OSError as error:
            pytest.skip(f"{error}; tests/store fills one without")
        (root / "market").symlink_to(books)
        made = House(root, QUICK)
        stack.callback(made.end)
        yield made.start(Role.MARKET, Role.ENGINE)


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
