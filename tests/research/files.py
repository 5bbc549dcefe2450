"""Files of market data as the venues' archives and other programs write them, generated."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from store.candles import CandleKind, Series, SeriesName

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000
"""2024-01-01 00:00 UTC."""
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
CANDLES = SeriesName("BINANCE-FUTURES", "BTCUSDT", CandleKind.CANDLES, "1h")
MARK = SeriesName("BINANCE-FUTURES", "BTCUSDT", CandleKind.MARK, "1h")
FUNDING = SeriesName("BINANCE-FUTURES", "BTCUSDT", CandleKind.FUNDING)


def dump_rows(count: int, *, unit: int = 1, start: int = START_MS, seed: int = 1) -> list[str]:
    """Return lines of a candle dump; ``unit`` 1000 writes microseconds."""
    rng = np.random.default_rng(seed)
    close = np.round(42_000 * np.exp(np.cumsum(rng.normal(0, 0.003, count))), 1)
    rows = []
    for number in range(count):
        opened = close[number - 1] if number else 42_000.0
        high, low = max(opened, close[number]) + 5, min(opened, close[number]) - 5
        stamp = (start + number * HOUR_MS) * unit
        rest = f"{stamp + HOUR_MS * unit - 1},1000.0,10,5.0,500.0,0"
        rows.append(f"{stamp},{opened},{high},{low},{close[number]},{10 + number % 7},{rest}")
    return rows


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as box:
            box.writestr(path.with_suffix(".csv").name, text)
    else:
        path.write_text(text, encoding="utf-8")
    return path


def changed(rows: list[str], line: int, change: Callable[[list[str]], list[str]]) -> list[str]:
    """Return rows with the fields of one changed; lines count from 1."""
    made = list(rows)
    made[line - 1] = ",".join(change(made[line - 1].split(",")))
    return made


def candles(ts: Sequence[int], name: SeriesName = CANDLES, price: float = 100.0) -> Series:
    """Return flat bars of volume 1 at some hours (numbers from 0)."""
    stamps = np.array([(START_MS + hour * HOUR_MS) * 1_000_000 for hour in ts], np.int64)
    return Series(
        name, stamps, {key: np.full(stamps.size, 1.0 if key == "volume" else price) for key in name.kind.columns}
    )


def rates(hours: Sequence[int], rate: float = 0.0001) -> Series:
    stamps = np.array([(START_MS + hour * HOUR_MS) * 1_000_000 for hour in hours], np.int64)
    return Series(FUNDING, stamps, {"rate": np.full(stamps.size, rate)})
