"""Generated bars: random walks with quiet stretches, gaps, jumps and bars without volume."""

from pathlib import Path

import numpy as np

from core.strategy.signals import Bars

MINUTES_15 = 900_000_000_000


def walk(size: int, seed: int = 1, *, interval_ns: int = MINUTES_15, symbols: int = 0, gaps: bool = False) -> Bars:
    """Return a market with a flat stretch and a crash; ``gaps`` leaves bars out, ``symbols`` makes (symbols, n)."""
    rng = np.random.default_rng(seed)
    shape = (symbols, size) if symbols else (size,)
    steps = rng.normal(0, 0.004, shape)
    steps[..., size // 3 : size // 3 + size // 12] = 0.0  # nothing moves
    steps[..., size // 2] = -0.2
    close = 30_000 * np.exp(np.cumsum(steps, axis=-1))
    opened = np.concatenate([close[..., :1], close[..., :-1]], axis=-1)
    spread = np.where(steps == 0.0, 0.0, np.abs(rng.normal(0, 0.001, shape)))
    high, low = np.maximum(opened, close) * (1 + spread), np.minimum(opened, close) * (1 - spread)
    volume = rng.lognormal(3, 1.0, shape)
    volume[..., rng.random(size) < 0.0005] = 0.0
    ts = 1_700_000_100_000_000_000 // interval_ns * interval_ns + np.arange(size, dtype=np.int64) * interval_ns
    keep = rng.random(size) > 0.001 if gaps else np.ones(size, bool)
    columns = [np.round(column, 2)[..., keep] for column in (opened, high, low, close, volume)]
    return Bars.of(ts[keep], columns, interval_ns)


def recorded(folder: Path, name: str, interval_ns: int, size: int) -> Bars:
    """Return the first bars of a recorded file."""
    import duckdb

    query = "select epoch_ns(date) ts, open, high, low, close, volume from read_parquet(?) order by 1 limit ?"
    with duckdb.connect() as base:
        found = base.execute(query, [str(folder / "candles" / f"{name}.parquet"), size]).fetchnumpy()
    return Bars.of(found["ts"], [found[key] for key in ("open", "high", "low", "close", "volume")], interval_ns)
