"""Terminals and scripts at one engine: a frozen one, an unread one, a greedy one, five at once. It feels none."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from core.domain.commands import CancelAll, CancelOrder, Flatten, SubmitOrder
from core.domain.market import Interval
from core.domain.order import Order, OrderType, Side
from core.session import protocol as p
from core.session import wire
from core.session.client import Client
from core.state.state import State
from desk.paths import Role
from tests.scenarios.house import PATIENCE_S, PERP, QUICK, House, of_engine, until
from tests.scenarios.traffic import Traffic

ROOT = Path(__file__).parents[2]
MEASURE_S = 5.0
FROZEN_S = 10.0
ORDERS_MIN = 20
"""What is measured at least, however slow the machine is."""
GROWTH_MAX = 48 << 20
"""What clients that do not read may cost the engine: eight megabytes each, and room for the heap to breathe."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a workstation that trades."""
    made = House(tmp_path_factory.mktemp("clients") / "home", QUICK)
    try:
        yield made.start(Role.MARKET, Role.ENGINE)
    finally:
        made.end()


class Figures(msgspec.Struct):
    """What the engine feels like from outside (ms), and what it costs."""

    ping: list[float] = []
    order: list[float] = []
    late_ms: float = 0.0
    cpu_frac: float = 0.0
    rss: int = 0

    def line(self) -> str:
        """Return the figures for people."""
        ping, order = statistics.quantiles(self.ping, n=100), statistics.quantiles(self.order, n=100)
        return (
            f"ping p50 {ping[49]:.2f} p99 {ping[98]:.2f} max {max(self.ping):.2f} ms; order p50 {order[49]:.2f} "
            f"p99 {order[98]:.2f} ms; loop late {self.late_ms:.1f} ms; "
            f"cpu {self.cpu_frac:.1%}; rss {self.rss >> 20} MB; n {len(self.order)}"
        )


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Return the memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure(house: House, seconds: float) -> Figures:
    """Send orders that rest and cancel them from one more client, and time each answer and a question beside it."""
    client = await house.client("measure")
    engine = house.pid(Role.ENGINE)
    found, began, before = Figures(), time.monotonic(), cpu_seconds(engine)
    number = 0
    await client.ask(p.AskStatus())  # its lateness counts from here
    try:
        while time.monotonic() - began < seconds or number < ORDERS_MIN:
            number += 1
            market = client.state.markets[PERP]
            price = market.instrument.quantise_price(Decimal(repr(market.bid * 0.97)))
            order = Order(PERP, Side.BUY, Decimal("0.002"), OrderType.LIMIT, price, operation_id=f"m{began}-{number}")
            start = time.perf_counter()
            outcome = await client.send(SubmitOrder(order, "scenario"))
            found.order.append((time.perf_counter() - start) * 1000)
            assert outcome.ok, outcome
            start = time.perf_counter()
            await client.ask(p.AskLimits())
            found.ping.append((time.perf_counter() - start) * 1000)
            await client.send(CancelOrder(outcome.orders[0], "scenario"))
            await asyncio.sleep(0.01)
        found.late_ms = (await client.ask(p.AskStatus())).loop_late_ns / 1e6
        found.cpu_frac = (cpu_seconds(engine) - before) / (time.monotonic() - began)
        found.rss = resident(engine)
    finally:
        await client.send(CancelAll(None, "scenario"))
        await client.close()
    return found


def assert_same(before: Figures, after: Figures) -> None:
    """Check that the engine answers as it did and holds no more memory.

    Medians alone are compared, and with room: a shared machine stands still for a second now and then, and two equal
    runs differ. An engine that waits for one of its clients answers nobody at all. Tails are measured in bench.
    """
    print(f"\nbefore: {before.line()}\nafter:  {after.line()}")
    for name in ("ping", "order"):
        was, now = statistics.median(getattr(before, name)), statistics.median(getattr(after, name))
        assert now <= was * 5 + 100, f"{name} p50 went from {was:.2f} to {now:.2f} ms"
    assert after.rss - before.rss < GROWTH_MAX


class Terminal:
    """A terminal of ours in a pseudo-terminal, read only when asked to."""

    def __init__(self, house: House) -> None:
        self.fd, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "TRADEDECK_HOME": str(house.home.root)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "desk"],
            cwd=ROOT,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        os.set_blocking(self.fd, False)

    def read(self) -> bytes:
        """Return what is there to read."""
        out = b""
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self.fd, 1 << 16):
                out += data
        return out

    async def shows(self, wanted: bytes, seconds: float = PATIENCE_S) -> None:
        """Read until something is shown."""
        seen, end = b"", time.monotonic() + seconds
        while wanted not in seen:
            assert self.process.poll() is None, seen[-2000:]
            assert time.monotonic() < end, f"{wanted!r} is not shown: {seen[-2000:]!r}"
            await asyncio.sleep(0.05)
            seen += self.read()

    def end(self) -> None:
        """End it for certain."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


@pytest.fixture
def terminal(house: House) -> Iterator[Terminal]:
    """Give a terminal process."""
    made = Terminal(house)
    yield made
    made.end()


async def clients_of(house: House) -> int:
    client = await house.client("count", stream=False)
    status = await client.ask(p.AskStatus())
    await client.close()
    return status.clients


async def frozen(house: House, terminal: Terminal, seconds: float) -> None:
    """Stop a terminal for some time while orders flow, and see that nobody else feels it."""
    await house.ready()
    await terminal.shows(b"BTC")
    before = await measure(house, MEASURE_S)
    terminal.read()
    terminal.process.send_signal(signal.SIGSTOP)
    try:
        after = await measure(house, seconds)
    finally:
        terminal.process.send_signal(signal.SIGCONT)
    assert_same(before, after)
    terminal.read()
    await terminal.shows(b"BTC")  # it catches up or attaches anew: either way the screen lives


async def test_a_terminal_that_is_stopped_changes_nothing(house: House, terminal: Terminal) -> None:
    await frozen(house, terminal, FROZEN_S)


@pytest.mark.long
async def test_a_terminal_that_is_stopped_for_a_minute_changes_nothing(house: House, terminal: Terminal) -> None:
    await frozen(house, terminal, 60.0)


async def unread(house: House, terminal: Terminal, seconds: float) -> None:
    """Read nothing of a terminal for some time while orders flow; nobody else feels it, and it catches up."""
    await house.ready()
    await terminal.shows(b"BTC")
    before = await measure(house, MEASURE_S)
    after = await measure(house, seconds)  # the pty is full within a second
    assert_same(before, after)
    os.write(terminal.fd, b"?")
    began = time.monotonic()
    await terminal.shows(b"what it does")
    print(f"\na key was answered {time.monotonic() - began:.2f} s after somebody read again")


async def test_a_terminal_whose_screen_nobody_reads_changes_nothing(house: House, terminal: Terminal) -> None:
    await unread(house, terminal, FROZEN_S)


@pytest.mark.long
async def test_a_terminal_whose_screen_nobody_reads_for_a_minute_changes_nothing(
    house: House, terminal: Terminal
) -> None:
    await unread(house, terminal, 60.0)


async def test_a_client_that_asks_and_never_reads_is_cut_and_comes_back(house: House) -> None:
    await house.ready()
    before = await measure(house, 2.0)
    reader, writer = await asyncio.open_unix_connection(str(house.home.engine_socket), limit=1024)
    writer.write(wire.frame(p.Hello(p.PROTOCOL, "greedy")))
    count = await clients_of(house)
    now = house.clock.now()
    question = p.AskBars(PERP, Interval.M1, now - 1440 * Interval.M1.ns, now)
    for number in range(150):
        writer.write(wire.frame(p.Ask(number, question)))
    after = await measure(house, FROZEN_S / 2)
    assert_same(before, after)
    end = time.monotonic() + PATIENCE_S
    while await clients_of(house) != count - 1:
        assert time.monotonic() < end, "it still hangs on"
        await asyncio.sleep(0.1)
    assert "slow client cut" in house.home.log(Role.ENGINE).read_text()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    del reader
    again = await house.client("greedy")
    assert again.state.markets[PERP].bid > 0
    await again.close()


@pytest.fixture
async def five(house: House) -> AsyncIterator[list[Client]]:
    """Give five streaming sessions."""
    await house.ready()
    clients = [await house.client(f"terminal{number}") for number in range(5)]
    for client in clients:
        client.watch((PERP,))
    yield clients
    for client in clients:
        await client.close()


def told(state: State) -> tuple[object, ...]:
    """Return everything of a state that events decide."""
    orders = {
        id_: (
            record.status,
            record.order.quantity,
            record.order.price,
            record.filled,
            record.average_price,
            record.fees,
        )
        for id_, record in state.blotter.open.items()
    }
    held = {
        id_: (item.quantity, item.entry_price, item.realised, item.fees, item.funding)
        for id_, item in state.ledger.positions.items()
    }
    return of_engine(state), orders, held, state.trading_state


async def test_five_clients_hold_the_same_picture_after_random_traffic(house: House, five: list[Client]) -> None:
    traffic = Traffic(house, seed=5)
    await traffic.start()
    await asyncio.sleep(2.0)
    late = await house.client("late")  # joins in the middle
    await asyncio.sleep(2.0)
    blotter = five[0].state.blotter
    await until(lambda: traffic.answered > 200 and len(blotter.fills.keys()) > 20, "orders flow and fill")
    await traffic.stop()
    end = time.monotonic() + PATIENCE_S
    while five[0].state.blotter.open:  # a cancel that overtakes its order on the way is refused
        assert time.monotonic() < end, five[0].state.blotter.open
        await five[0].send(CancelAll(None, "scenario"))
        await asyncio.sleep(0.2)

    def same() -> bool:
        pictures = [told(client.state) for client in (*five, late)]
        return all(picture == pictures[0] for picture in pictures)

    await until(same, "all replicas are equal")
    assert not five[0].state.blotter.open
    fresh = await house.client("fresh")
    await until(lambda: told(fresh.state) == told(five[0].state), "the engine itself says the same")
    fills = sum(len(client.state.blotter.fills.keys()) for client in five[:1])
    orders = sum(given.outcome is not None and given.outcome.ok for given in traffic.given)
    assert orders > 100
    assert fills > 20
    assert {client.welcome.run for client in five if client.welcome} == {fresh.welcome.run if fresh.welcome else 0}
    assert (await fresh.send(Flatten(None, "scenario"))).ok
    await until(lambda: not of_engine(fresh.state).positions, "the contracts are closed")
    await late.close()
    await fresh.close()
