"""The drill: kill switch and sentinel, fired in a scratch home on a practice market of its own, and measured."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from core.config.file import load_or_create
from core.config.settings import AlertSettings
from core.config.writing import render
from core.domain import commands as c
from core.domain.approval import TradingState
from core.domain.instrument import Instrument
from core.domain.order import Order, Side
from core.errors import ClientError, StoreError
from core.guardian.pulse import Phase
from core.session.client import Client
from core.session.protocol import AskStatus
from desk.exits import WORD, held, who
from desk.output import Refused, say
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.pulses import open_pulse, page
from desk.roles.sitter import DrillResult
from desk.session import ORIGIN, require, talk
from desk.ticket import wake_by

PATIENCE_S = 30.0
ROLES = (Role.MARKET, Role.ENGINE, Role.SENTINEL)
ENDINGS = (signal.SIGTERM, signal.SIGHUP)
MARGIN = Decimal("1.5")
"""The position is so many times the smallest that the venue takes."""


def drill(home: Home) -> DrillResult:
    """Fire the kill switch and kill an engine for good, beside the trader's own books, and return what was measured.

    Raises:
        Refused: the engine of this home trades live.
        ClientError: the account was not flat in time, or the limits let no small position be opened.
        StoreError: a role did not start.
    """
    _refuse_live(home)
    with _scratch(home) as scratch:
        with ThreadPoolExecutor(len(ROLES)) as pool:  # whoever is there first waits for the others
            list(pool.map(partial(services.start, scratch), ROLES))
        say(f"a scratch house runs in {scratch.root}; the kill switch is pulled")
        exit_s, flat_s = talk(scratch, _kill_switch, stream=True)
        say(f"flat after {flat_s:.2f} s; now the engine is killed and cannot come back")
        dead_s = _engine_dies(scratch)
    return DrillResult(datetime.now(UTC).strftime("%Y-%m-%d"), exit_s, flat_s, dead_s)


def keep(home: Home, result: DrillResult) -> None:
    """Keep what a drill measured in its home: the engine shows it.

    Raises:
        StoreError: if it cannot be written.
    """
    part = home.drill.with_suffix(".new")
    try:
        part.write_bytes(msgspec.json.encode(result))
        part.replace(home.drill)
    except OSError as error:
        raise StoreError(
            f"what was measured is not kept: {home.drill} cannot be written ({error.strerror}); "
            f"{home.line('doctor')} tells more"
        ) from error


def _refuse_live(home: Home) -> None:
    if services.running(home, Role.ENGINE) is None:
        return
    mode = talk(home, lambda client: client.ask(AskStatus())).mode
    if mode != "paper":
        reason = f"the engine of {home.root} trades {mode}: a drill is for paper; name another --home"
        raise Refused(reason, {"reason": reason, "mode": mode})


@contextlib.contextmanager
def _scratch(home: Home) -> Iterator[Home]:
    """Give a home with this one's settings that records nothing and alarms nobody, and remove it."""
    settings, _ = load_or_create(home.create().config)
    change = msgspec.structs.replace
    guardian = change(settings.guardian, duplicate_window_ms=0)  # the drill buys the same twice
    quiet = change(
        settings, guardian=guardian, ticks=change(settings.ticks, record=False), alerts=AlertSettings(targets={})
    )
    with _ended_in_order():
        scratch = Home(Path(tempfile.mkdtemp(prefix="tradedeck-drill-"))).create()
        try:
            scratch.config.write_text(render(quiet), encoding="utf-8")
            yield scratch
        finally:
            for ending in ENDINGS:
                signal.signal(ending, signal.SIG_IGN)  # a second one would leave the rest behind
            _remove(scratch)


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have who is told to end, or whose terminal goes, leave as by an error: what was started is ended."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {ending: signal.signal(ending, leave) for ending in ENDINGS}
    try:
        yield
    finally:
        for ending, handler in before.items():
            signal.signal(ending, handler)


def _remove(scratch: Home) -> None:
    for role in reversed(ROLES):
        there = services.running(scratch, role)
        if there is not None and there.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(there.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        page(scratch).unlink()
    shutil.rmtree(scratch.root, ignore_errors=True)


async def breach(client: Client) -> None:
    """Pull the kill switch: halt, and close everything. The one place to change what the drill calls a breach."""
    require(await client.send(c.SetTradingState(TradingState.HALTED, "drill", "", who(), ORIGIN)))
    require(await client.send(c.Flatten(None, ORIGIN)))


async def _kill_switch(client: Client) -> tuple[float, float]:
    """Open a position and pull the switch; return when the exit was on its way and when all was flat (s)."""
    await _open(client)
    began = time.monotonic()
    done = asyncio.ensure_future(breach(client))
    records = client.state.blotter.orders
    exit_at = await _until(client, lambda: any(item.order.reduce_only for item in records.values()), "no exit left")
    flat_at = await _until(client, lambda: not held(client.state, None), "not flat")
    await done
    require(await client.send(c.SetTradingState(TradingState.ACTIVE, "drill", WORD, who(), ORIGIN)))
    await _open(client)
    return exit_at - began, flat_at - began


async def _open(client: Client) -> None:
    """Buy a little of the first derivative that has a price, and wait until it is held."""

    def fresh() -> Instrument | None:
        for market in client.state.markets.values():
            ready = client.state.venue(market.venue).reconciled and market.ask > 0
            if market.instrument.is_derivative and not market.instrument.inverse and ready:
                return market.instrument
        return None

    await _until(client, lambda: fresh() is not None, "no market of the practice exchange has a price")
    instrument = fresh()
    assert instrument is not None
    price = Decimal(repr(client.state.markets[instrument.id].ask))
    least = instrument.min_notional / (price * instrument.contract_size)
    quantity = instrument.ceil_size(max(least, instrument.min_size) * MARGIN)
    require(await client.send(c.SubmitOrder(Order(instrument.id, Side.BUY, quantity, strategy_intent="drill"), ORIGIN)))
    positions = client.state.ledger.positions
    await _until(client, lambda: any(item.quantity for item in positions.values()), "the position was not opened")


async def _until(client: Client, true: Callable[[], bool], what: str) -> float:
    """Wait until something holds in the engine's picture, and return when that was.

    Raises:
        ClientError: it does not, in time.
    """
    changed = asyncio.Event()
    wake_by(client, changed)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not true() and not client.lost:
                changed.clear()
                await changed.wait()
    if not true():
        raise ClientError(f"drill: {what} within {PATIENCE_S:g} s; see the logs of the engine")
    return time.monotonic()


def _engine_dies(scratch: Home) -> float:
    """Kill the engine so that its restart fails, and return after how long the sentinel had everything flat (s)."""
    pulse = open_pulse(scratch)
    there = services.running(scratch, Role.ENGINE)
    assert there is not None
    scratch.config.write_text("drill: no engine starts with this\n", encoding="utf-8")
    began = time.monotonic()
    os.kill(there.pid, signal.SIGKILL)
    while pulse.sentinel().phase is not Phase.FLAT:
        if time.monotonic() - began > PATIENCE_S:
            raise ClientError(f"drill: the sentinel was not flat within {PATIENCE_S:g} s: {pulse.sentinel().did}")
        time.sleep(0.01)
    took = time.monotonic() - began
    pulse.close()
    return took
