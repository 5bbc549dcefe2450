"""How much memory a process has and may still take: of the machine, of its control groups, of its own limits."""

import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path

FREE_MB = 256
"""No new trials while there is less than this to take."""
ENDLESS = float("inf")
_MB = 2**20
_LIMITS = ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData"))
_GROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""By version of control groups: the limit, what is used, and what of that is only cache."""


def resident_mb() -> float:
    """Return what this process holds of the machine's memory."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB  # macOS counts bytes
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB


def free_mb() -> float:
    """Return what the machine, and each control group around this process, could still give; endless where untold."""
    available = _amounts(Path("/proc/meminfo")).get("MemAvailable", ENDLESS) / 1024
    return min([available, *(group_free_mb(folder) for folder in groups())])


def room_mb() -> float:
    """Return what the limits of this very process (``RLIMIT_AS``, ``RLIMIT_DATA``) leave; endless without any."""
    used = _amounts(Path("/proc/self/status"))
    rooms = [ENDLESS]
    for limit, name in _LIMITS:
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY and name in used:
            rooms.append(most / _MB - used[name] / 1024)
    return min(rooms)


def shortage() -> str:
    """Return in words that no new trials are taken for want of memory; "" where there is enough."""
    free = free_mb()
    if free >= FREE_MB:
        return ""
    return f"{free:.0f} MB of memory left, new trials wait for {FREE_MB} MB: end something, or use fewer workers"


def groups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[Path]:
    """Yield the folders of the memory control groups that this process is in, the innermost first."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        place = root / "memory" if controllers else root
        folder = place / path.lstrip("/")
        for one in (folder, *folder.parents):
            if place in (one, *one.parents) and one.is_dir():
                yield one


def group_free_mb(folder: Path) -> float:
    """Return what a control group has left under its limit, file cache counted as free; endless without a limit."""
    for limit, usage, cache in _GROUPS:
        try:
            most = (folder / limit).read_text(encoding="ascii").strip()
            if most == "max":
                return ENDLESS
            used = int((folder / usage).read_text(encoding="ascii"))
            lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        kept = dict(line.split() for line in lines)
        return (int(most) - used + int(kept.get(cache, 0))) / _MB
    return ENDLESS


def _amounts(path: Path) -> Mapping[str, float]:
    """Return the numbers of a file of ``Name:  number kB`` lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.splitlines() if line.rstrip().endswith(" kB"))
    return {name: float(value.split()[0]) for name, value in pairs}
