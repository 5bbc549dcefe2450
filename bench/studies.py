"""Trials of a study beside Optuna's default SQLite storage, two workers beside one, and a worker's memory (J5).

Trials a second by the clock, from the first that is asked to the last that is told: both sides' processes start before
that. Every trial that is told is on the disk on both sides. ``python -m bench.studies trials tpe 2 200`` runs our side.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import common, peer
from bench.figure import DifferentValues, Figure, Pair, at_most
from bench.simulator import bars_folder

TRIALS, ROUNDS = 200, 2
CONTROL_TRIALS = 600
"""For two workers against one: longer, so that neither's first batch weighs."""
WORKER_TRIALS = 128
STUDY = """\
[study]
name = "bench"
strategy = "burn"
evaluator = "bench.objective:evaluator"
trials = {trials}
workers = {workers}
sampler = "{sampler}"
[space]
x0 = {{ low = -5.0, high = 5.0 }}
x1 = {{ low = -5.0, high = 5.0 }}
x2 = {{ low = -5.0, high = 5.0 }}
k = {{ low = 5, high = 50 }}
[windows]
train_days = 300.0
test_days = 90.0
[objective]
least_trades = 1
"""
REAL = """\
[study]
name = "real"
strategy = "rsi_ema"
trials = {trials}
workers = 1
[data]
path = "{path}"
symbols = ["BTCUSDT", "ETHUSDT", "XRPUSDT", "LTCUSDT"]
timeframe = "15m"
[account]
margin_mode = "{mode}"
fraction = 0.25
[space]
fast = {{ low = 5, high = 50 }}
slow = {{ low = 60, high = 300 }}
rsi_window = {{ low = 5, high = 50 }}
[windows]
train_days = 1400.0
test_days = 365.0
"""


def ours(*arguments: object, seconds: bool = False) -> dict[str, Any]:
    """Run our side."""
    return peer.ours("bench.studies", *arguments, environment={"BENCH_DATA": str(bars_folder())} if seconds else None)


def told(what: str, row: dict[str, Any], trials: int) -> float:
    """Return a side's trials a second, after every trial was found told and right.

    Raises:
        DifferentValues: trials are missing, or one has a value that its parameters do not come to.
    """
    if row["trials"] != trials or row["wrong"]:
        raise DifferentValues(f"{what}: {row['trials']} of {trials} trials told, {row['wrong']} of them wrong")
    return float(row["per_s"])


def storage() -> list[Figure]:
    """Compare trials a second with Optuna's own storage, sampler and number of workers the same."""
    found = []
    for sampler, workers, bound in (("tpe", 2, 4), ("tpe", 1, None), ("random", 2, None)):
        pair, what = Pair(), f"trials of 5 ms, {sampler}, {workers} worker{'s' * (workers > 1)}"
        for _ in range(ROUNDS):
            a = ours("trials", sampler, workers, TRIALS)
            b = peer.side([sys.executable, peer.PEERS / "optuna_study.py", sampler, str(workers), str(TRIALS)])
            pair.add(told(what, a, TRIALS), told(what, b, TRIALS))
        made = pair.figure(what, "trials/s", at_least=bound)
        note = f"{made.note}; {TRIALS} trials, each value its parameters'"
        found.append(Figure(made.what, made.required, made.measured, made.ok, note))
    return found


def workers() -> list[Figure]:
    """Compare two workers with one."""
    pair = Pair()
    for _ in range(ROUNDS):
        two, one = (told("workers", ours("trials", "random", n, CONTROL_TRIALS), CONTROL_TRIALS) for n in (2, 1))
        pair.add(two, one)
    return [pair.figure("two workers beside one", "trials/s; trials of 5 ms", at_least=1.7)]


def memory() -> list[Figure]:
    """Measure the most memory of a worker on five years of quarter hours of four symbols."""
    found = []
    for mode in ("isolated", "cross"):
        row = ours("worker", mode, seconds=True)
        note = (
            f"{row['trials']} trials of rsi_ema, 32 at once; {row['now_mb']:.0f} MB at its end, ended: {row['reason']}"
        )
        found.append(at_most(f"memory of a worker, 4 × 175 000 bars, {mode}", row["rss_mb"], 600, "MB", note))
    return found


GROUPS: dict[str, Callable[[], Sequence[Figure]]] = {"storage": storage, "workers": workers, "memory": memory}


def figures() -> list[Figure]:
    """Run every part."""
    return [figure for part in GROUPS.values() for figure in part()]


# --- our side ---------------------------------------------------------------------------------------------------------


def our_trials(sampler: str, count: str, trials: str) -> None:
    """Run a study with real workers; print its trials a second and how many values are not their parameters'."""
    from bench.objective import value
    from research.study.running import Runner

    with tempfile.TemporaryDirectory(prefix="bench-study-", dir=os.environ.get("BENCH_TMP")) as name:
        folder = Path(name)
        text = STUDY.format(trials=trials, workers=count, sampler=sampler)
        (folder / "study.toml").write_text(text, encoding="utf-8")
        runner = Runner(folder)
        runner.run()
        made = runner.searches[0].get_trials(deepcopy=False)
    ends = [trial.datetime_complete for trial in made if trial.datetime_complete is not None]
    starts = [trial.datetime_start for trial in made if trial.datetime_start is not None]
    wrong = sum(trial.value is None or abs(trial.value * 1000.0 + value(trial.params)) > 1e-6 for trial in made)
    seconds = (max(ends) - min(starts)).total_seconds()
    common.emit("J5", "tradedeck", trials=len(ends), per_s=len(ends) / seconds, wrong=wrong)


def our_worker(mode: str) -> None:
    """Do a worker's job on the seeded bars in this process; print the most memory that it had."""
    from research.study.worker import Job, work

    with tempfile.TemporaryDirectory(prefix="bench-worker-", dir=os.environ.get("BENCH_TMP")) as name:
        folder = Path(name)
        span = _write_candles(folder / "data")
        text = REAL.format(trials=WORKER_TRIALS, path=folder / "data", mode=mode)
        (folder / "study.toml").write_text(text, encoding="utf-8")
        done = work(Job(str(folder), text, 0, {0: WORKER_TRIALS}, span))
        common.emit(
            "J5",
            "tradedeck",
            trials=done.trials,
            reason=done.reason,
            rss_mb=common.rss_peak_mb(),
            now_mb=common.rss_now_mb(),
        )


def _write_candles(folder: Path) -> tuple[int, int]:
    """Write the seeded bars as imported candles, in a process that ends: what DuckDB takes is not the worker's."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(write_candles, str(folder)).result()


def write_candles(folder: str) -> tuple[int, int]:
    """Write the seeded bars of all symbols into a candle store, and return the time that they share (ns)."""
    from store.candles import CandleKind, CandleStore, Series, SeriesName

    store, starts, stops = CandleStore(Path(folder)), list[int](), list[int]()
    for symbol in ("BTC", "ETH", "XRP", "LTC"):
        with np.load(bars_folder() / f"bars_{symbol}.npz") as file:
            columns = {name: file[name] for name in ("open", "high", "low", "close", "volume")}
            name = SeriesName("BINANCE-FUTURES", f"{symbol}USDT", CandleKind.CANDLES, "15m")
            ts = file["ts"] * 1_000_000
            store.write(Series(name, ts, columns))
            starts.append(int(ts[0]))
            stops.append(int(2 * ts[-1] - ts[-2]))
    return max(starts), min(stops)


def main(what: str, *arguments: str) -> None:
    """Run a part of our side."""
    sides: dict[str, Callable[..., None]] = {"trials": our_trials, "worker": our_worker}
    sides[what](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
