"""A home with real processes in it: started, looked at, killed, and ended by pid."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from core.clock import LiveClock
from core.domain.identifiers import InstrumentId, VenueId
from core.domain.message import Event
from core.domain.reports import VenueSnapshot
from core.errors import ClientError, NoEngine
from core.session import protocol as p
from core.session.client import Client
from core.session.status import Status
from core.session.wire import decode_event
from core.state.state import State
from desk.paths import Home, Role
from desk.roles import services
from store.journal.format import read_records, reading
from tests.scenarios.nursery import BORN, Nursery
from venues.market.venue import MarketVenue

SPOT, FUTURES = VenueId("BINANCE-SPOT"), VenueId("BINANCE-FUTURES")
PERP = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
PATIENCE_S = 120.0
QUICK = """
[guardian]
max_orders_per_second = 1000
duplicate_window_ms = 0
max_open_orders = 400
stale_after_ms = 60000

[engine]
checkpoint_every_records = 300

[journal]
reserve_mb = 1
"""
"""Settings under which orders flow fast, recovery starts from checkpoints, and a stalled machine denies nothing."""


class House:
    """Own one home and every process in it."""

    def __init__(self, root: Path, settings: str = "", nursery: Nursery | None = None) -> None:
        """Make a home; with a ``nursery`` engines and sentinels are forked out of it instead of loaded anew."""
        self.home = Home(root).create()
        self.nursery = nursery
        self.clock = LiveClock()
        self.started: dict[Role, int] = {}
        self._processes: list[subprocess.Popen[Any]] = []
        if settings:
            self._configure(settings)

    def _configure(self, settings: str) -> None:
        """Write the complete file and put these values in it."""
        from core.config.file import load_or_create

        load_or_create(self.home.config)
        wanted: dict[str, dict[str, str]] = {}
        section = ""
        for line in settings.splitlines():
            if line.startswith("["):
                section = line.strip()
            elif "=" in line:
                wanted.setdefault(section, {})[line.split("=")[0].strip()] = line
        lines, section = [], ""
        for line in self.home.config.read_text(encoding="utf-8").splitlines():
            section = line.strip() if line.startswith("[") else section
            key = line.split("=")[0].strip().lstrip("# ") if "=" in line else ""
            lines.append(wanted.get(section, {}).pop(key, line))
        assert not any(wanted.values()), f"no such settings: {wanted}"
        self.home.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    # --- processes ----------------------------------------------------------------------------------------------------

    def start(self, *roles: Role, arguments: Sequence[str] = ()) -> "House":
        """Start roles and wait until each serves."""
        for role in roles:
            words = arguments if role is Role.MARKET else ()
            born = self.nursery is not None and role in BORN
            start = self.nursery.start if self.nursery is not None and born else services.start
            self.started[role] = start(self.home, role, words, timeout=120)
        return self

    def spawn(self, role: Role) -> int:
        """Start a role without waiting for it, and return its pid."""
        with self.home.log(role).open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "desk", role, "--home", str(self.home.root)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._processes.append(process)
        return process.pid

    def pid(self, role: Role) -> int:
        """Return the process that holds a role."""
        there = services.running(self.home, role)
        assert there is not None, f"no {role} runs; {self.log(role)}"
        return there.pid

    def kill(self, *roles: Role) -> None:
        """End roles by SIGKILL, all at one moment, and wait until they are gone."""
        for pid in [self.pid(role) for role in roles]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for role in roles:
            services.wait_gone(self.home, role)
        self.reap()

    def reap(self) -> None:
        """Collect what has ended."""
        self._processes = [process for process in self._processes if process.poll() is None]

    def log(self, role: Role) -> str:
        """Return the end of a role's log."""
        path = self.home.log(role)
        return path.read_text(encoding="utf-8", errors="replace")[-3000:] if path.exists() else "no log"

    def end(self) -> None:
        """End everything that runs here."""
        held = [there.pid for role in Role if (there := services.running(self.home, role)) is not None and there.pid]
        for pid in {*held, *(pid for pid in self.started.values() if self._is_ours(pid))}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            process.kill()
            process.wait()

    def _is_ours(self, pid: int) -> bool:
        """Tell whether a process still is one of this home: its lock may be gone with the home."""
        with contextlib.suppress(OSError):
            return os.fsencode(self.home.root) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return False

    # --- the command line ---------------------------------------------------------------------------------------------

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of tradedeck on this home."""
        return subprocess.run(
            [sys.executable, "-m", "desk", *words, "--home", str(self.home.root)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def json(self, *words: str, code: int = 0) -> Any:
        """Run a command with --json and return its answer."""
        done = self.run(*words, "--json")
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    # --- looks --------------------------------------------------------------------------------------------------------

    async def client(self, name: str = "scenario", *, stream: bool = True) -> Client:
        """Open a session with the engine, waiting for it."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await Client.connect(self.home.engine_socket, name, stream=stream)
            except (NoEngine, ClientError) as error:
                if time.monotonic() > until:
                    raise AssertionError(f"no engine: {error}; {self.log(Role.ENGINE)}") from error
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def session(self, name: str = "scenario") -> AsyncIterator[Client]:
        """Open a streaming session for the length of a block."""
        client = await self.client(name)
        try:
            yield client
        finally:
            await client.close()

    async def ready(self) -> Status:
        """Wait until every venue is reconciled and every feed has a price, and return the status."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(ClientError):
                client = await self.client("look", stream=False)
                try:
                    status = await client.ask(p.AskStatus())
                finally:
                    await client.close()
                fed = status.feeds and all(feed.health == "live" for feed in status.feeds)
                if fed and set(status.venues.values()) == {"ready"}:
                    return status
            assert time.monotonic() < until, f"the engine is not ready; {self.log(Role.ENGINE)}"
            await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def auditor(self) -> "AsyncIterator[Auditor]":
        """Open sessions of our own at the market, beside the engine's."""
        venues = [MarketVenue(venue, self.home.market_socket, self.clock, "auditor") for venue in (SPOT, FUTURES)]
        for venue in venues:
            await venue.start(lambda _: None)
        try:
            yield Auditor(venues)
        finally:
            for venue in venues:
                await venue.stop()

    def events(self, after: int = 0) -> list[tuple[int, Event]]:
        """Return what is durable in the journal, proven record by record; also of a dead engine."""
        with reading(self.home.journal) as db:
            return [(item.sequence, decode_event(item.payload)) for item in read_records(db, self.home.journal, after)]


class Auditor:
    """Look at the practice exchange as its own account holder, not through the engine."""

    def __init__(self, venues: Sequence[MarketVenue]) -> None:
        self.venues = {venue.id: venue for venue in venues}

    async def snapshots(self, since: int = 0) -> dict[VenueId, VenueSnapshot]:
        """Return every account as it is."""
        return {id_: await venue.snapshot(since) for id_, venue in self.venues.items()}


class Picture(msgspec.Struct, frozen=True):
    """What must be the same at the engine and at the market."""

    orders: dict[str, tuple[Decimal, Decimal | None, Decimal]]
    positions: dict[str, tuple[Decimal, Decimal]]
    balances: dict[str, Decimal]


def of_market(accounts: dict[VenueId, VenueSnapshot]) -> Picture:
    """Return the picture of the exchange's own accounts."""
    orders, positions, balances = {}, {}, {}
    for venue, account in accounts.items():
        for order in account.open_orders:
            assert order.client_order_id not in orders, f"{order.client_order_id} is open twice"
            orders[str(order.client_order_id)] = (order.order.quantity, order.order.price, order.filled)
        for report in account.positions:
            if report.quantity:
                positions[str(report.instrument)] = (report.quantity, report.entry_price)
        for balance in account.balances:
            balances[f"{venue} {balance.asset}"] = balance.total
    return Picture(orders, positions, balances)


def of_engine(state: State) -> Picture:
    """Return the picture of the engine's state; a spot holding is a balance there, as at the exchange."""
    orders = {
        str(id_): (record.order.quantity, record.order.price, record.filled)
        for id_, record in state.blotter.open.items()
    }
    positions = {
        str(id_): (held.quantity, held.entry_price)
        for id_, held in state.ledger.positions.items()
        if held.quantity and ":SPOT_ASSET:" not in id_
    }
    balances = {f"{venue} {asset}": total for venue, w in state.ledger.balances.items() for asset, total in w.items()}
    return Picture(orders, positions, balances)


async def agree(house: House, auditor: Auditor, seconds: float = PATIENCE_S) -> Picture:
    """Wait until the engine's picture is the market's, taken while the market stood still, and return it."""
    until = time.monotonic() + seconds
    while True:
        before = of_market(await auditor.snapshots(house.clock.now()))
        client = await house.client("agree")
        ours = of_engine(client.state)
        await client.close()
        after = of_market(await auditor.snapshots(house.clock.now()))
        if before == after == ours:
            return ours
        assert time.monotonic() < until, f"engine and market differ:\nengine {ours}\nmarket {after}"
        await asyncio.sleep(0.05)


async def until(true: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.02)
