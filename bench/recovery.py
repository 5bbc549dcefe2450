"""The start on a journal of a million order events: open, checkpoint, the records behind it, a run number.

The journal is written by a real engine: market orders through guardian and matching, every event appended, a
checkpoint at the default distance, the last one as far behind the end as it can be. Recovery runs in a fresh process,
``Runtime.recover`` as the engine's own start does it.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from bench import common
from bench.engine_latency import START_NS, Road, quotes
from bench.figure import DifferentValues, Figure, at_most, plain
from bench.peer import ours
from bench.setup import INSTRUMENT, raised_guardian, ready_engine
from core.clock import LiveClock
from core.domain.approval import Approved
from core.domain.commands import SubmitOrder
from core.domain.identifiers import Asset
from core.domain.message import Event, Message
from core.domain.order import Order, Side
from core.engine import Engine
from core.outbox import Effect
from core.runtime import CHECKPOINT_EVERY, Runtime
from core.session import wire
from core.state.state import State
from store.journal.journal import SqliteJournal
from store.journal.tools import check
from store.memory import MemoryTickStore

RECORDS = 1_000_000
BATCH = 200
ORDER = Order(INSTRUMENT, Side.BUY, Decimal("0.010"))


class Writer(Road):
    """Carry effects as the runtime does, into a journal with checkpoints."""

    def __init__(self, engine: Engine, journal: SqliteJournal) -> None:
        super().__init__(engine)
        self._journal = journal
        self._records: list[bytes] = []
        self._checkpointed = 0
        self.sequence = 0

    def carry(self, effects: Iterable[Effect], now: int) -> None:
        """Keep records, hand orders to the matching, and take its answers until there are none."""
        waiting: list[Message] = []
        for effect in effects:
            if isinstance(effect, Approved):
                self.matching.submit(effect.command, now)
            elif isinstance(effect, Event):
                self._records.append(wire.encode(effect))
        waiting, self.answers = self.answers, []
        for answer in waiting:
            self.carry(self.engine.process(answer), now)

    @property
    def behind(self) -> int:
        """Return how many records stand behind the last checkpoint."""
        return self.sequence - self._checkpointed

    def flush(self) -> None:
        """Append what was decided; a checkpoint when it is time, as the runtime does."""
        if self._records:
            self.sequence = self._journal.append(self._records, _raise)
            self._records = []
        if self.behind >= CHECKPOINT_EVERY:
            self._journal.checkpoint(self.sequence, wire.encode(self.engine.state.image()))
            self._checkpointed = self.sequence


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


def state_of(state: State) -> dict[str, str]:
    """Return what both the writer and the recovered state must agree on."""
    held = {str(key): (str(p.quantity), str(p.realised), str(p.fees)) for key, p in state.ledger.positions.items()}
    wallets = {
        str(venue): {str(a): str(v) for a, v in wallet.items()} for venue, wallet in state.ledger.balances.items()
    }
    return {"positions": str(held), "wallets": str(wallets), "open": str(len(state.blotter.open))}


def write(path: Path, records: int) -> Writer:
    """Write a journal of at least ``records`` order events, its last checkpoint about as far behind as it can be."""
    journal = SqliteJournal(path, reserve_bytes=0)
    engine = ready_engine(raised_guardian(), START_NS)
    writer = Writer(engine, journal)
    feed = quotes(10_000)
    number, began = 0, feed[0].ts
    while writer.sequence < records or writer.behind < CHECKPOINT_EVERY - 4 * BATCH:
        quote = feed[number % len(feed)].replace(ts=began + number * 1_000_000)
        writer.matching.on_data(quote)
        writer.carry(engine.process(quote), quote.ts)
        order = replace(ORDER, side=Side.SELL if number % 2 else Side.BUY)
        writer.carry(engine.process(SubmitOrder(order, "", quote.ts)), quote.ts)
        number += 1
        if number % BATCH == 0:
            writer.flush()
    journal.close()
    return writer


def recover(path: str) -> None:
    """Recover a journal in this process and print how long it took."""
    began = time.perf_counter()
    journal = SqliteJournal(Path(path), reserve_bytes=0)
    opened = time.perf_counter()
    engine = Engine(raised_guardian(), State(Asset("USDT"), "paper"))
    runtime = Runtime(engine, journal, MemoryTickStore(0), [], LiveClock())
    applied = runtime.recover()
    journal.start_run()
    ready = time.perf_counter()
    journal.close()
    common.emit(
        "recovery",
        "tradedeck",
        open_s=opened - began,
        ready_s=ready - began,
        applied=applied,
        rss_peak_mb=common.rss_peak_mb(),
        **state_of(engine.state),
    )


def figures(records: int = RECORDS) -> list[Figure]:
    """Write a journal, then recover it three times in fresh processes."""
    folder = Path(tempfile.mkdtemp(prefix="bench-recovery-", dir=os.environ.get("BENCH_TMP")))
    try:
        path = folder / "journal.sqlite"
        writer = write(path, records)
        size = path.stat().st_size / writer.sequence
        rows = [ours("bench.recovery", path) for _ in range(3)]
        before = time.perf_counter()
        report = check(path)
        checked = time.perf_counter() - before
        if report.damage is not None or report.records < writer.sequence:
            raise DifferentValues(f"the journal is not what was written: {report}")
    finally:
        shutil.rmtree(folder)
    expected = state_of(writer.engine.state)
    for row in rows:
        found = {key: row[key] for key in expected}
        if found != expected:
            raise DifferentValues(f"recovered {found}, expected {expected}")
    worst = max(row["ready_s"] for row in rows)
    note = (
        f"worst of {len(rows)}; {rows[0]['applied']} records behind the last checkpoint, {size:.0f} B a record, "
        f"peak {max(row['rss_peak_mb'] for row in rows):.0f} MB"
    )
    return [
        at_most(f"{writer.sequence} records → ready, state included", worst, 5.0, "s", note),
        plain("the same journal, every record checked (tradedeck journal check)", checked, "s"),
    ]


if __name__ == "__main__":
    recover(sys.argv[1])
