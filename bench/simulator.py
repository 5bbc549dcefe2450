"""The margin simulator beside vectorbt, nautilus bars, backtesting.py, backtrader, and the speed of memory (J1).

Bars and sets are bench/peers/data.py's: 4 symbols of 175 000 quarters of an hour, 200 sets of the strategy rsi_ema.
Our figures are with leverage, liquidation by tiers, funding, drawdown and daily moments; the values that are compared
first come of the same code without them, which no other side has. ``python -m bench.simulator one`` runs our side.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import common, peer
from bench.figure import DifferentValues, Figure, Pair, Unavailable, at_most, same, short
from bench.history import SYMBOLS, History
from research.simulator.simulator import Account
from research.study.memory import free_mb

SETS, WALLETS = 200, 10
ROUNDS = 2
HUNGRY_MB = 15_000
"""What vectorbt takes for one symbol's 200 sets, and some; with less it gets 40."""
EQUAL = 1e-6


def bars_folder() -> Path:
    """Return the folder with the seeded bars, built on first use."""
    folder = Path(os.environ.get("BENCH_DATA", peer.PLACE / "data")).absolute()
    if not (folder / "bars_LTC.npz").is_file():
        environment = {**os.environ, "BENCH_DATA": str(folder)}
        subprocess.run(
            [sys.executable, peer.PEERS / "data.py", "bars"], check=True, capture_output=True, env=environment
        )
    return folder


def need(*packages: str) -> None:
    """Make sure that the other side can run here.

    Raises:
        Unavailable: naming what is not installed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise Unavailable(f"{package} is not installed: make full, and make bench for its own packages")


def theirs(name: str, *arguments: object, python: Path | str = sys.executable) -> dict[str, Any]:
    """Run a peer on the bars."""
    environment = {"BENCH_DATA": str(bars_folder())}
    return peer.side([python, peer.PEERS / f"{name}_backtest.py", *map(str, arguments)], environment)


def ours(*arguments: object) -> dict[str, Any]:
    """Run our side on the bars."""
    return peer.ours("bench.simulator", *arguments, environment={"BENCH_DATA": str(bars_folder())})


def alike(what: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Compare final equity, drawdown and order counts of every set; return how far the furthest are apart.

    Raises:
        DifferentValues: a set differs by more than a millionth, or in its orders.
    """
    count = len(b["final"])
    worst = {
        key: float(np.max(np.abs(np.array(a[key][:count]) / np.array(b[key]) - 1.0))) for key in ("final", "drawdown")
    }
    if max(worst.values()) > EQUAL or a["orders"][:count] != b["orders"]:
        raise DifferentValues(f"{what}: final equity or drawdown apart by {worst}, or orders differ; no ratio is given")
    return f"{count} finals, drawdowns and order counts equal, the furthest apart by {max(worst.values()):.0e}"


# --- pairs ------------------------------------------------------------------------------------------------------------


def sweep() -> list[Figure]:
    """Compare the whole road, indicators included, and the memory that it takes."""
    need("vectorbt", "talib")
    many = SETS if free_mb() > HUNGRY_MB else SETS // 5
    speed, memory, said, versions, used = Pair(), list[float](), "", "", ""
    for symbol in SYMBOLS[:ROUNDS]:
        a, b = ours("sweep", SETS, symbol), theirs("vectorbt", "sweep", symbol, many)
        said = alike(f"sweep, {symbol}", a, b)
        speed.add(a["back_tests"] / a["seconds"], b["back_tests"] / b["seconds"])
        memory.append(a["rss_mb"] / b["rss_mb"])
        versions = f"vectorbt {b['vectorbt']} on pandas {b['pandas']}, {many} sets of one symbol a round"
        used = f"{a['rss_mb']:.0f} MB for {4 * SETS} against {b['rss_mb']:.0f} MB for {many} back-tests at once"
    found = speed.figure("sweep: 4 × 175 000 bars × 200 sets, all margin features", "back-tests/s of CPU", at_least=50)
    note = f"{found.note}; {versions}; {said}"
    ratio = statistics.median(memory)
    return [
        Figure(found.what, found.required, found.measured, found.ok, note),
        Figure("its memory, beside vectorbt's", "≤ 0.1 ×", f"{short(ratio)} ×", ratio <= 0.1, used),
    ]


def bandwidth() -> list[Figure]:
    """Compare one set over one symbol with reading the arrays that it stands on once."""
    row = ours("one")
    ratio = row["one_ms"] / row["read_ms"]
    note = f"{short(row['one_ms'])} ms against {short(row['read_ms'])} ms for {row['mb']:.0f} MB, each the median of 40"
    return [at_most("one set of 175 000 bars / reading its arrays once", ratio, 3, "×", note)]


def wallet() -> list[Figure]:
    """Compare a wallet over four symbols with vectorbt's shared cash."""
    need("vectorbt", "talib")
    pair, said = Pair(), ""
    for _ in range(ROUNDS):
        a, b = ours("wallet", SETS), theirs("vectorbt", "shared", WALLETS)
        said = alike("shared wallet", a, b)
        pair.add(a["wallets"] / a["seconds"], b["wallets"] / b["seconds"])
    found = pair.figure("cross-margin wallet over 4 symbols", "wallets/s of CPU, signals given", at_least=20)
    note = f"{found.note}; {SETS} sets against {WALLETS} with cash_sharing; {said}"
    return [Figure(found.what, found.required, found.measured, found.ok, note)]


def engines() -> list[Figure]:
    """Compare one set, signals made beforehand, with engines that go bar by bar; bars a second of CPU."""
    with tempfile.TemporaryDirectory(prefix="bench-simulator-") as folder:
        signals = Path(folder) / "signals.npz"
        ours("signals", signals)
        return list(_engines(signals))


def _engines(signals: Path) -> Iterator[Figure]:
    def nautilus(bars: int) -> dict[str, Any]:
        return theirs("nautilus", signals, bars, python=peer.nautilus_python())

    def backtesting(bars: int) -> dict[str, Any]:
        need("backtesting")
        return theirs("backtesting", signals, bars)

    def backtrader(bars: int) -> dict[str, Any]:
        need("backtrader")
        return theirs("backtrader", signals, bars)

    sides: tuple[tuple[str, Callable[[int], dict[str, Any]], int, dict[str, float], Sequence[str]], ...] = (
        ("nautilus bars", nautilus, 60_000, {"step": 0.001}, ("orders", "position")),
        ("backtesting.py", backtesting, 100_000, {"step": 1e-6, "fee": 1}, ("final",)),
        ("backtrader", backtrader, 30_000, {"fee": 1, "slippage": 1}, ("final", "orders")),
    )
    for name, run, bars, terms, keys in sides:
        what = f"one set beside {name}"
        try:
            b = run(bars)
        except Unavailable as error:
            yield Figure(what, "", "left out", None, str(error))
            continue
        a = ours("beside", signals, bars, *(f"{key}={value}" for key, value in terms.items()))
        same(what, a, b, keys)
        if "tick" in b and abs(a["cash"] - b["cash"]) > b["tick"] * b["volume"]:
            raise DifferentValues(
                f"{what}: cash is {a['cash']} and {b['cash']}, further apart than a tick of each fill"
            )
        pair = Pair()
        pair.add(bars / a["seconds"], bars / b["seconds"])
        yield pair.figure(f"{what}, {short(bars)} bars", f"bars/s of CPU; {' and '.join(keys)} equal")


GROUPS: dict[str, Callable[[], Sequence[Figure]]] = {
    "sweep": sweep,
    "bandwidth": bandwidth,
    "wallet": wallet,
    "engines": engines,
}


def figures() -> list[Figure]:
    """Run every part; one whose other side cannot run here is left out."""
    found = list[Figure]()
    for name, part in GROUPS.items():
        try:
            found += part()
        except Unavailable as error:
            found.append(Figure(name, "", "left out", None, str(error)))
    return found


# --- our side ---------------------------------------------------------------------------------------------------------


def our_sweep(count: str, symbol: str) -> None:
    """Print the CPU seconds of the whole sweep over four symbols, and one symbol's values without margin."""
    history = History()
    history.run(SYMBOLS[0], 1, history.margin)  # compiled, and the pages of the process there
    began = common.perf()
    for one in SYMBOLS:
        history.run(one, int(count), history.margin)
    seconds, memory = common.perf() - began, common.rss_peak_mb()
    runs = history.run(symbol, int(count), history.bare)
    common.emit("J1", "tradedeck", seconds=seconds, back_tests=4 * int(count), rss_mb=memory, **values(runs))


def our_wallet(count: str) -> None:
    """Print the CPU seconds of wallets over four symbols with margin, and their values without."""
    history = History()
    history.shared(1, history.margin)
    _, seconds = history.shared(int(count), history.margin)
    runs, _ = history.shared(int(count), history.bare)
    common.emit("J1", "tradedeck", seconds=seconds, wallets=int(count), rss_mb=common.rss_peak_mb(), **values(runs))


def our_one() -> None:
    """Print the ms of one set over one symbol, and of reading its arrays once, in turns."""
    history = History()
    alone, read, rows = history.one(history.margin), history.reader(), history.market(SYMBOLS[0], history.margin).bars
    took: dict[str, list[float]] = {"one": [], "read": []}
    for _ in range(42):
        for name, work in (("one", alone), ("read", read)):
            began = common.perf()
            work()
            took[name].append((common.perf() - began) * 1e3)
    one_ms, read_ms = (statistics.median(took[name][2:]) for name in ("one", "read"))
    common.emit("J1", "tradedeck", one_ms=one_ms, read_ms=read_ms, mb=rows.nbytes / 1e6)


def our_beside(signals: str, bars: str, *terms: str) -> None:
    """Print the CPU seconds of one set by given signals over the first bars, and its values on the peer's terms."""
    named = dict(term.split("=") for term in terms)
    history, count = History(), int(bars)
    alone = history.given(Path(signals), count, history.margin, Account(cash=history.cash, slippage=history.slippage))
    alone()
    took = list[float]()
    for _ in range(20):
        began = common.perf()
        alone()
        took.append(common.perf() - began)
    account = Account(
        cash=history.cash,
        slippage=history.slippage * float(named.get("slippage", 0)),
        size_step=float(named.get("step", 0)),
        margin=False,
    )
    run = history.given(Path(signals), count, history.bare if "fee" in named else history.free, account)()[0]
    common.emit(
        "J1",
        "tradedeck",
        seconds=statistics.median(took),
        orders=int(run["orders"]),
        final=round(float(run["equity"]), 6),
        cash=round(float(run["cash"]) - history.cash, 6),
        position=round(float(run["quantity"]), 6),
    )


def our_signals(path: str) -> None:
    """Write the signals that the peers get."""
    History().write_signals(Path(path))
    common.emit("J1", "tradedeck", written=path)


def values(runs: "np.ndarray[Any, Any]") -> dict[str, list[float]]:
    """Return what is compared."""
    return {"final": runs["equity"].tolist(), "drawdown": runs["drawdown"].tolist(), "orders": runs["orders"].tolist()}


def main(what: str, *arguments: str) -> None:
    """Run a part of our side."""
    sides: dict[str, Callable[..., None]] = {
        "sweep": our_sweep,
        "wallet": our_wallet,
        "one": our_one,
        "beside": our_beside,
        "signals": our_signals,
    }
    sides[what](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
