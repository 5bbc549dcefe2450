"""What benchmarks print: one JSON line a figure, memory, percentiles. BENCH_CLOCK=cpu is the steadier clock."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.process import memory_mb

CLOCK = os.environ.get("BENCH_CLOCK", "wall")
perf = time.process_time if CLOCK == "cpu" else time.perf_counter


def nanoseconds() -> Callable[[], int]:
    """Return the clock that times one step: of this thread's CPU, or of the wall."""
    return time.thread_time_ns if CLOCK == "cpu" else time.perf_counter_ns


def rss_peak_mb() -> float:
    """Return the most memory this process has had, in MB; getrusage would count what its parent had as well."""
    return memory_mb(os.getpid(), "VmHWM")


def rss_now_mb() -> float:
    """Return the memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def emit(job: str, peer: str, **figures: object) -> None:
    """Print one JSON line."""
    row: dict[str, object] = {"job": job, "peer": peer, "clock": CLOCK}
    for key, value in figures.items():
        row[key] = float(f"{value:.6g}") if isinstance(value, float) else value
    print(json.dumps(row, default=str), flush=True)


def pct(ns: Any, scale: float = 1e3) -> dict[str, float]:
    """Return p50, p99 and p99.9 of times in ns, divided by ``scale``."""
    import numpy as np

    values = np.asarray(ns, dtype=np.float64) / scale
    return {f"p{name}": float(np.percentile(values, q)) for name, q in (("50", 50), ("99", 99), ("99_9", 99.9))}
