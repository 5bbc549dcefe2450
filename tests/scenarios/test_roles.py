"""Roles that end in order, that end without warning, and what they leave to read."""

import os
import re
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain import events as e
from core.domain.commands import CancelAll, Flatten, StopEngine, SubmitOrder
from core.domain.order import Order, OrderStatus, OrderType, Side
from core.session import protocol as p
from desk.paths import Role
from desk.roles import services
from store.journal.tools import check
from tests.generate.tapes import generate
from tests.scenarios.house import PATIENCE_S, PERP, QUICK, House, agree, until
from venues.market.raw import SCAN_LINES

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (debug|info|warning|error|critical) ")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Give a workstation that trades."""
    made = House(tmp_path / "home", QUICK)
    try:
        yield made.start(Role.MARKET, Role.ENGINE)
    finally:
        made.end()


def rest(price: Decimal) -> SubmitOrder:
    return SubmitOrder(Order(PERP, Side.BUY, Decimal("0.002"), OrderType.LIMIT, price), "scenario")


async def test_sigterm_ends_every_role_in_order_and_its_log_says_so(house: House) -> None:
    await house.ready()
    house.start(Role.RECORDER)
    async with house.session() as client:
        assert (await client.send(SubmitOrder(Order(PERP, Side.BUY, Decimal("0.01")), "scenario"))).ok
        await until(lambda: PERP in client.state.ledger.positions, "we hold something")
        for role in (Role.ENGINE, Role.RECORDER, Role.MARKET):
            os.kill(house.pid(role), signal.SIGTERM)
            services.wait_gone(house.home, role, timeout=PATIENCE_S)  # the recorder only gets what others leave
            assert "role ended" in house.log(role).splitlines()[-1]
            assert "Traceback" not in house.log(role)
        await until(lambda: bool(client.lost), "the session is told")
        assert client.lost == "the engine stopped: signal"
    assert isinstance(house.events()[-1][1], e.EngineStopped)
    assert check(house.home.journal).damage is None
    for role in (Role.ENGINE, Role.RECORDER, Role.MARKET):
        odd = [line for line in house.home.log(role).read_text().splitlines() if not LINE.match(line)]
        assert not odd, odd
    assert not house.home.engine_socket.exists()
    assert not house.home.market_socket.exists()
    house.start(Role.MARKET, Role.ENGINE)  # and it goes on where it was
    status = await house.ready()
    assert [(item.instrument, item.quantity) for item in status.positions] == [(PERP, Decimal("0.01"))]


async def test_an_engine_survives_its_market_and_agrees_with_it_again(house: House) -> None:
    before = await house.ready()
    async with house.session() as client:
        bid = Decimal(repr(client.state.markets[PERP].bid))
        resting = await client.send(rest((bid * Decimal("0.97")).quantize(Decimal("0.1"))))
        assert resting.ok
        record = client.state.blotter.orders[resting.orders[0]]
        await until(lambda: record.status is OrderStatus.ACCEPTED, "the market holds it")
        house.kill(Role.MARKET)
        await until(lambda: not client.state.venue(PERP.split(":")[0]).connected, "the loss is told")  # type: ignore[arg-type]
        refused = await client.send(SubmitOrder(Order(PERP, Side.BUY, Decimal("0.01")), "scenario"))
        assert not refused.ok
        assert refused.limit
        status = await client.ask(p.AskStatus())
        assert status.venues[PERP.split(":")[0]].startswith("down: ")
        house.start(Role.MARKET)
        after = await house.ready()
        assert after.run == before.run
        async with house.auditor() as auditor:
            picture = await agree(house, auditor)
        assert list(picture.orders) == list(resting.orders)
        assert (await client.send(SubmitOrder(Order(PERP, Side.BUY, Decimal("0.01")), "scenario"))).ok
        assert (await client.send(CancelAll(None, "scenario"))).ok
        stop = await client.send(StopEngine(False, "scenario"))
        assert not stop.ok
        assert "--flatten" in stop.reason
        await client.send(Flatten(None, "scenario"))
        async with house.auditor() as auditor:
            await agree(house, auditor)


@pytest.mark.parametrize("what", ["truncated", "garbage", "wrong", "empty", "absent"])
async def test_a_broken_tape_is_named_and_no_engine_is_harmed(house: House, tmp_path: Path, what: str) -> None:
    before = await house.ready()
    tape = tmp_path / "usdm.xz"
    made = generate(steps=300)
    if what == "garbage":
        made.lines[120] = b'1723161255000000000 {"stream":"btcusdt@trade","data":{"e":"tra\n'
    if what != "absent":
        made.write(tape)
    whole = tape.read_bytes() if tape.exists() else b""
    if what == "truncated":
        tape.write_bytes(whole[: len(whole) // 2])
    elif what == "wrong":
        tape.write_bytes(os.urandom(5000))
    elif what == "empty":
        tape.write_bytes(b"")
    done = house.run("replay", str(tape), "--json")
    assert done.returncode in (1, 2)
    assert str(tape) in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    if what in ("truncated", "garbage"):
        said = re.search(r"(?:line |:)(\d+)", (done.stderr + done.stdout).replace(str(tape), ""))
        assert said is not None, done.stderr
        assert int(said[1]) == 121 if what == "garbage" else int(said[1]) > 1
    if what != "garbage":  # all others are seen before anything starts
        other = House(tmp_path / "other")
        try:
            assert other.run("demo", "--headless", "--tape", str(tape)).returncode != 0
            assert all(services.running(other.home, role) is None for role in Role)
        finally:
            other.end()
    after = await house.ready()
    assert (after.run, after.equity) == (before.run, before.equity)
    assert house.pid(Role.ENGINE) == house.started[Role.ENGINE]


async def test_a_tape_that_breaks_while_it_plays_ends_with_its_line_and_the_engine_goes_on(tmp_path: Path) -> None:
    made = generate(steps=7500)
    number = SCAN_LINES + 500  # behind what is looked at before it plays
    assert number < len(made.lines)
    made.lines[number - 1] = b'1723161255000000000 {"stream":"btcusdt@trade","data":{"e":"tra\n'
    tape = made.write(tmp_path / "usdm.xz")
    house = House(tmp_path / "home", QUICK)
    try:
        house.start(Role.MARKET, arguments=["--tape", str(tape), "--speed", "100"])
        house.start(Role.ENGINE)
        async with house.session() as client:
            await until(lambda: PERP in client.state.markets, "the tape's instrument is known")
            await until(lambda: client.state.markets[PERP].health == "down", "the feed is told to be down")
            assert f":{number}:" in client.state.markets[PERP].reason
            refused = await client.send(SubmitOrder(Order(PERP, Side.BUY, Decimal("0.01")), "scenario"))
            assert not refused.ok
            assert (await client.ask(p.AskStatus())).journal == "ok"
        assert house.pid(Role.MARKET) == house.started[Role.MARKET]
        assert house.pid(Role.ENGINE) == house.started[Role.ENGINE]
        assert f":{number}:" in house.log(Role.MARKET)
    finally:
        house.end()
