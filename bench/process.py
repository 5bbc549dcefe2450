"""Look at a process from outside: CPU seconds and memory."""

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds (user and system) a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """Return a process's resident memory in MB (2**20 bytes); ``VmHWM`` is the most it has had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(what + ":"))


@dataclass(slots=True)
class Watched:
    """What a process used while it was watched."""

    cpu_pct: float = 0.0
    memory: list[float] = field(default_factory=list)

    @property
    def peak_mb(self) -> float:
        """Return the most memory seen, in MB."""
        return max(self.memory)

    @property
    def typical_mb(self) -> float:
        """Return the median of the memory seen, in MB."""
        return statistics.median(self.memory)


def watch(pids: Mapping[str, int], seconds: float, every: float = 2.0) -> dict[str, Watched]:
    """Watch processes for a time; CPU in percent of one core."""
    found = {name: Watched() for name in pids}
    before, began = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.perf_counter()
    while (left := began + seconds - time.perf_counter()) > 0:
        time.sleep(min(every, left))
        for name, pid in pids.items():
            found[name].memory.append(memory_mb(pid))
    took = time.perf_counter() - began
    for name, pid in pids.items():
        found[name].cpu_pct = 100 * (cpu_seconds(pid) - before[name]) / took
    return found
