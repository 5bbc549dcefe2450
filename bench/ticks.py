"""Ticks: segments against DuckDB's own Arrow inserts, the recorder's drain, the hour query, and bytes a row.

Pairs run A B A B in one process with the same batches; values are compared first. The peer's Arrow tables need pyarrow.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from bench.figure import DifferentValues, Figure, Pair, at_most, plain, short
from bench.peer import need_pyarrow
from bench.process import memory_mb
from core.config.settings import TicksSettings
from core.domain.identifiers import InstrumentId
from core.domain.market import BookDelta, Quote, Trade
from core.domain.message import Message
from store.recorder import Recorder
from store.segments.format import Kind
from store.segments.reader import open_segments
from store.segments.writer import SegmentWriter
from store.ticks.paths import DAY_NS, TickPaths
from store.ticks.reader import TickReader, days

ROWS = 10_000_000
HOUR_NS = 3_600_000_000_000
DAY = datetime(2020, 1, 1, tzinfo=UTC)
SYMBOLS = ("BTC", "ETH", "XRP", "LTC", "SOL", "ADA", "BNB", "DOT")
NAMES = tuple(InstrumentId(f"BINANCE-FUTURES:PERPETUAL:{symbol}-USDT@LIN") for symbol in SYMBOLS)
WEIGHTS = (0.3, 0.2, 0.12, 0.1, 0.1, 0.08, 0.06, 0.04)
PRICES = (60000, 3000, 0.6, 80, 150, 0.5, 400, 7)
OHLCV = """SELECT ts // 60000000000 m, arg_min(price, ts) o, max(price) h, min(price) l, arg_max(price, ts) c,
sum(size) v, count(*) n FROM {table} WHERE {one} AND ts > {start} GROUP BY m ORDER BY m"""

Ticks = dict[str, np.ndarray[Any, Any]]


def build(rows: int) -> Ticks:
    """Return seeded trades of eight instruments within half a day, about 230 a second."""
    random = np.random.default_rng(20240607)
    start = int(DAY.timestamp()) * 10**9
    ts = start + np.cumsum(random.exponential(43_200e9 / rows, rows).astype(np.int64) + 1)
    instrument = random.choice(8, rows, p=WEIGHTS).astype(np.uint16)
    price = np.empty(rows)
    for code, first in enumerate(PRICES):
        mine = instrument == code
        price[mine] = np.round(first * np.exp(np.cumsum(random.normal(0, 2e-5, int(mine.sum())))), 4)
    size = np.round(random.lognormal(-2, 1.2, rows), 4) + 0.0001
    return {"ts": ts, "instrument": instrument, "price": price, "size": size, "buyer": random.random(rows) < 0.5}


def ours(ticks: Ticks, batch: int, home: Path) -> float:
    """Write batches into segments; return rows/s."""
    rows = len(ticks["ts"])
    writer = SegmentWriter(TickPaths(home).segments)
    began = time.perf_counter()
    for low in range(0, rows, batch):
        writer.append_columns(Kind.TRADES, NAMES, {name: values[low : low + batch] for name, values in ticks.items()})
    writer.close()
    rate = rows / (time.perf_counter() - began)
    if writer.dropped:
        raise DifferentValues(f"{writer.dropped} rows dropped")
    return rate


def theirs(ticks: Ticks, batch: int, home: Path) -> float:
    """Insert the same batches into a DuckDB file as Arrow tables, one transaction each; return rows/s."""
    import pyarrow as pa

    rows = len(ticks["ts"])
    home.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(home / "peer.duckdb"))
    connection.execute("CREATE TABLE t (ts BIGINT, instrument USMALLINT, price DOUBLE, size DOUBLE, buyer BOOLEAN)")
    began = time.perf_counter()
    for low in range(0, rows, batch):
        x = pa.table({name: pa.array(values[low : low + batch]) for name, values in ticks.items()})
        connection.register("x", x)
        connection.execute("INSERT INTO t SELECT * FROM x")
    connection.execute("CHECKPOINT")
    rate = rows / (time.perf_counter() - began)
    connection.close()
    return rate


def same(ticks: Ticks, home: Path) -> None:
    """Stop unless the segments hold exactly the ticks."""
    at = 0
    for reader in open_segments(TickPaths(home).segments):
        for block in reader.blocks():
            for name, values in ticks.items():
                if not np.array_equal(block.columns[name], values[at : at + block.rows]):
                    raise DifferentValues(f"column {name} differs after row {at}")
            at += block.rows
        reader.close()
    if at != len(ticks["ts"]):
        raise DifferentValues(f"{at} rows, not {len(ticks['ts'])}")


def same_count(rows: int, home: Path) -> None:
    """Stop unless the peer's table holds every row."""
    with duckdb.connect(str(home / "peer.duckdb"), read_only=True) as peer:
        found = peer.execute("SELECT count(*) FROM t").fetchone()
    if found != (rows,):
        raise DifferentValues(f"the peer holds {found} rows, not {rows}")


def ingest(ticks: Ticks, batch: int, folder: Path, rounds: int = 2) -> Figure:
    """Measure segments against DuckDB, in turns."""
    pair = Pair()
    for turn in range(rounds):
        home = folder / f"ours-{batch}-{turn}"
        a = ours(ticks, batch, home)
        same(ticks, home)
        shutil.rmtree(home)
        pair.add(a, theirs(ticks, batch, folder / f"peer-{batch}"))
        same_count(len(ticks["ts"]), folder / f"peer-{batch}")
        shutil.rmtree(folder / f"peer-{batch}")
    return pair.figure(f"{len(ticks['ts']):,} ticks into segments, batches of {batch:,}", "rows/s", at_least=10)


def from_messages(folder: Path, count: int = 400_000) -> Iterator[Figure]:
    """Measure what one message costs the engine."""
    ts = int(DAY.timestamp()) * 10**9
    kinds: dict[str, list[Message]] = {
        "trade": [Trade(NAMES[i % 8], 1.5 * i, 2.5, True, i, ts + i, ts + i * 1000) for i in range(count)],
        "quote": [Quote(NAMES[i % 8], 1.0, 2.0, 3.0, 4.0, i, ts + i, ts + i * 1000) for i in range(count)],
        "book delta, 6 levels": [
            BookDelta(NAMES[i % 8], ((1.0, 2.0),) * 3, ((2.0, 1.0),) * 3, i, i, i - 1, ts + i, ts + i * 1000)
            for i in range(count // 4)
        ],
    }
    for name, messages in kinds.items():
        costs = []
        for turn in range(3):
            writer = SegmentWriter(folder / f"messages-{turn}")
            began = time.process_time()
            for message in messages:
                writer.append(message)
            writer.flush()
            costs.append((time.process_time() - began) / len(messages) * 1e9)
            writer.close()
            shutil.rmtree(folder / f"messages-{turn}")
        yield plain(
            f"segments from messages: {name}", statistics.median(costs), "ns", "CPU, one message, engine's side"
        )


def drain(ticks: Ticks, folder: Path) -> tuple[Path, Figure]:
    """Measure how fast the recorder moves everything, and leave the day file."""
    home = folder / "drain"
    ours(ticks, 1_000, home)
    recorder = Recorder(home, TicksSettings(keep_days=0))
    began, cpu, turns = time.perf_counter(), time.process_time(), []
    while True:
        at = time.perf_counter()
        if not recorder.turn():
            break
        turns.append(time.perf_counter() - at)
    took = time.perf_counter() - began
    recorder.close()
    rate = recorder.moved / took
    note = f"{recorder.moved} rows, turn p50 {statistics.median(turns):.2f} s, longest {max(turns):.2f} s"
    return home, plain(
        "recorder's drain into DuckDB, alone", rate, "rows/s", f"{note}, {time.process_time() - cpu:.0f} s CPU"
    )


RECORDER = """
import sys
from pathlib import Path
from core.config.settings import TicksSettings
from store.recorder import run
run(Path(sys.argv[1]), TicksSettings(keep_days=0))
"""


def sustained(ticks: Ticks, folder: Path, rate: int = 200_000, seconds: int = 40) -> list[Figure]:
    """Measure what waits on disk while rows arrive steadily and the recorder, its own idle process, works beside."""
    home, batch = folder / "sustained", 1_000
    paths = TickPaths(home)
    paths.make()
    writer = SegmentWriter(paths.segments, max_bytes=8 << 20)
    process = subprocess.Popen([sys.executable, "-c", RECORDER, str(home)], stdout=subprocess.DEVNULL)
    began, waiting = time.perf_counter(), []
    for step in range(rate * seconds // batch):
        low = step * batch % (len(ticks["ts"]) - batch)
        writer.append_columns(Kind.TRADES, NAMES, {name: values[low : low + batch] for name, values in ticks.items()})
        if step % (rate // batch) == 0:
            waiting.append(sum(entry.stat().st_size for entry in os.scandir(paths.segments)))
        time.sleep(max(0.0, began + (step + 1) * batch / rate - time.perf_counter()))
    arrived = writer.written / (time.perf_counter() - began)
    writer.close()
    peak = memory_mb(process.pid, "VmHWM")
    process.terminate()
    process.wait()
    left = sum(1 for _ in paths.segments.iterdir())
    shutil.rmtree(home)
    half = len(waiting) // 2
    first, second = max(waiting[:half]) / 1e6, max(waiting[half:]) / 1e6
    bounded = not writer.dropped and second <= max(1.25 * first, first + 32)
    note = (
        f"waiting on disk at most {first:.0f} MB in the first half, {second:.0f} MB in the second; "
        f"{writer.dropped} rows dropped, {left} segments left, recorder {peak:.0f} MB"
    )
    what, required = "recorder keeps up with a steady arrival", "drain ≥ arrival, backlog bounded"
    return [Figure(what, required, f"{short(arrived)} rows/s", bounded, note)]


def timed(ask: Callable[[], Any]) -> tuple[float, Any]:
    """Return ms and the answer."""
    began = time.perf_counter()
    answer = ask()
    return (time.perf_counter() - began) * 1e3, answer


def hour(ticks: Ticks, home: Path, folder: Path) -> Iterator[Figure]:
    """Measure the hour query against DuckDB's own, like with like (its table, then its Parquet), and bytes a row."""
    peer_home = folder / "peer-hour"
    theirs(ticks, 100_000, peer_home)
    start = int(ticks["ts"][-1]) - HOUR_NS
    our_sql = OHLCV.format(table="trades", one=f"instrument = '{NAMES[0]}'", start=start)
    with duckdb.connect(str(peer_home / "peer.duckdb"), read_only=True) as peer:
        kept = peer_home / "peer.parquet"
        peer.execute(f"COPY t TO '{kept}' (FORMAT parquet, COMPRESSION zstd)")
        peer.execute("SET parquet_metadata_cache = true")
        table = OHLCV.format(table="t", one="instrument = 0", start=start)
        parquet = OHLCV.format(table=f"'{kept}'", one="instrument = 0", start=start)
        yield compare(home, "day file against its table", our_sql, lambda: peer.execute(table).fetchall())
        recorder = Recorder(home, TicksSettings(keep_days=0))
        took, closed = timed(recorder.close_days)
        if not closed:
            raise DifferentValues("the day was not closed")
        (part,) = days(home)
        note = f"DuckDB's own Parquet {kept.stat().st_size / part.rows:.1f}; closing took {took / 1e3:.1f} s"
        yield at_most("a closed day", part.size / part.rows, 16, "bytes a row", note)
        yield compare(home, "Parquet against its Parquet", our_sql, lambda: peer.execute(parquet).fetchall())
        yield compare(home, "Parquet against its table", our_sql, lambda: peer.execute(table).fetchall(), target=None)


def compare(home: Path, where: str, our_sql: str, their_ask: Callable[[], Any], target: float | None = 1) -> Figure:
    """Measure one hour query, in turns with the peer's."""
    with TickReader(home) as reader:
        if _digest(reader.sql(our_sql).rows) != _digest(their_ask()):
            raise DifferentValues("the hour query's answers differ")
        pair = Pair()
        for _ in range(21):
            pair.add(timed(lambda: reader.sql(our_sql))[0], timed(their_ask)[0])
    return pair.figure(f"the hour query, {where}", "ms", at_most=target)


def _digest(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(*row[:5], round(row[5], 6), row[6]) for row in rows]


def figures(rows: int = ROWS) -> list[Figure]:
    """Run everything in a folder that is removed afterwards; ``BENCH_TMP`` names the disk."""
    need_pyarrow()
    folder = Path(tempfile.mkdtemp(prefix="bench-ticks-", dir=os.environ.get("BENCH_TMP")))
    try:
        ticks = build(rows)
        assert int(ticks["ts"][-1]) - int(ticks["ts"][0]) < DAY_NS, "the ticks must lie within one day"
        found = [ingest(ticks, batch, folder) for batch in (1_000, 10_000)]
        found += [*from_messages(folder), *sustained(ticks, folder)]
        home, drained = drain(ticks, folder)
        return [*found, drained, *hour(ticks, home, folder)]
    finally:
        shutil.rmtree(folder)
