"""The journal beside SQLite's one commit a record, at equal durability.

Both sides write the same payloads on the same disk, WAL and synchronous FULL, and acknowledge after the commit. The
journal is fed by one thread that keeps up to ``window`` appends in flight, one record each, as an engine's turns do
while the disk is busy. Sides take turns (A B A B); what each wrote is read back and compared before any figure.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from bench.common import pct
from bench.figure import DifferentValues, Figure, Pair
from bench.peers.sqlite_journal import read_back, write_one_by_one
from core.domain.events import OrderSubmitted
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.order import Order, OrderType, Side
from core.session.wire import encode
from store.journal.journal import SqliteJournal

WINDOWS = (1, 16, 64, 256)
HEADLINE = 64
VENUE = VenueId("BINANCE-FUTURES")
BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")


def orders(count: int) -> list[bytes]:
    """Return encoded order intents, all different."""
    order = Order(BTC, Side.BUY, Decimal("0.010"), OrderType.LIMIT, Decimal("30000.10"))
    named = (replace(order, client_order_id=ClientOrderId(f"td-1-{number}")) for number in range(count))
    return [encode(OrderSubmitted(each, VENUE, number)) for number, each in enumerate(named)]


def write_journal(path: Path, payloads: Sequence[bytes], window: int) -> tuple[float, list[int], list[int]]:
    """Append with up to ``window`` records in flight; return seconds, ns until durable, ns inside ``append``."""
    journal = SqliteJournal(path, reserve_bytes=0)
    slots, waited, inside = threading.Semaphore(window), list[int](), list[int]()

    def done_since(before: int) -> Callable[[BaseException | None], None]:
        def done(error: BaseException | None) -> None:
            assert error is None, error
            waited.append(time.perf_counter_ns() - before)
            slots.release()

        return done

    start = time.perf_counter()
    for payload in payloads:
        slots.acquire()
        before = time.perf_counter_ns()
        journal.append([payload], done_since(before))
        inside.append(time.perf_counter_ns() - before)
    for _ in range(window):
        slots.acquire()
    seconds = time.perf_counter() - start
    journal.close()
    return seconds, waited, inside


def journal_content(path: Path) -> list[bytes]:
    """Return every payload of a journal, each proven."""
    journal = SqliteJournal(path, reserve_bytes=0)
    found = [record.payload for record in journal.read()]
    journal.close()
    return found


def throughput(folder: Path, count: int, rounds: int) -> Iterator[Figure]:
    """Measure both sides in turns: a ratio for each window."""
    payloads = orders(count)
    for window in WINDOWS:
        pair = Pair()
        their_ns, our_ns, inside = list[int](), list[int](), list[int]()
        for turn in range(rounds):
            a, b = folder / f"a{window}-{turn}", folder / f"b{window}-{turn}"
            seconds, waited = write_one_by_one(a, payloads)
            theirs = count / seconds
            their_ns += waited
            seconds, waited, within = write_journal(b, payloads, window)
            pair.add(count / seconds, theirs)
            our_ns += waited
            inside += within
            if not read_back(a) == journal_content(b) == payloads:
                raise DifferentValues("the two sides did not write the same records; no ratio is given")
        what = f"journal, records/s, {window} in flight"
        found = pair.figure(what, "records/s", at_least=4 if window == HEADLINE else None)
        waits = (
            f"{found.note}; durable after p50 {pct(our_ns)['p50']:.0f} against {pct(their_ns)['p50']:.0f} µs, "
            f"p99 {pct(our_ns)['p99']:.0f} against {pct(their_ns)['p99']:.0f}; "
            f"the engine's thread waits {pct(inside)['p50']:.1f} µs"
        )
        yield Figure(found.what, found.required, found.measured, found.ok, waits)


def figures(records: int = 6_000, rounds: int = 3) -> list[Figure]:
    """Run in a folder that is removed again; ``BENCH_TMP`` names the disk."""
    folder = Path(tempfile.mkdtemp(prefix="bench-journal-", dir=os.environ.get("BENCH_TMP")))
    try:
        return list(throughput(folder, records, rounds))
    finally:
        shutil.rmtree(folder)
