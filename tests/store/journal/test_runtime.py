"""The engine's shell on a journal whose disk fails for a while."""

import asyncio
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from core.clock import LiveClock
from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.identifiers import Asset, VenueId
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.runtime import Runtime
from core.session import wire
from core.state.state import State
from store.journal.journal import SqliteJournal
from store.memory import MemoryTickStore


async def until(true: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def test_after_disk_trouble_every_record_is_there_once(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite", reserve_bytes=0)
    clock = LiveClock()
    engine = Engine(Guardian(GuardianSettings()), State(Asset("USDT"), "paper"))
    runtime = Runtime(engine, journal, MemoryTickStore(), [], clock)
    await runtime.start()
    await until(lambda: journal.health.durable > 0 and journal.health.lag == 0)
    journal._file._db.execute("PRAGMA busy_timeout = 10")
    blocker = sqlite3.connect(journal.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for number in range(5):
        runtime.emit(e.BalanceSet(VenueId("BINANCE-SPOT"), Asset("USDT"), Decimal(number), "test", clock.now()))
        await asyncio.sleep(0.05)
    await until(lambda: bool(runtime.engine.state.store_trouble))
    blocker.execute("ROLLBACK")
    blocker.close()
    await until(lambda: not runtime.engine.state.store_trouble)
    await runtime.stop("test")
    again = SqliteJournal(tmp_path / "journal.sqlite", reserve_bytes=0)
    events = [wire.decode_event(record.payload) for record in again.read()]
    totals = [int(event.total) for event in events if isinstance(event, e.BalanceSet)]
    again.close()
    assert totals == [0, 1, 2, 3, 4]
