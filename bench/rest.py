"""What a house at rest costs: the engine with the built-in market of eight instruments, nobody attached.

Market, sentinel and recorder are processes of their own; their figures stand beside the engine's.
"""

from bench.figure import Figure, at_most, plain
from bench.house import house, pid_of
from bench.process import watch
from desk.paths import ALWAYS, Role

SETTLE_S, WATCHED_S = 15.0, 60.0


def figures(settle_s: float = SETTLE_S, watched_s: float = WATCHED_S) -> list[Figure]:
    """Watch the four processes for a minute."""
    with house(settle_s) as home:
        seen = watch({str(role): pid_of(home, role) for role in ALWAYS}, watched_s)
    engine = seen[str(Role.ENGINE)]
    found = [
        at_most("engine at rest, memory", engine.peak_mb, 80, "MB", f"most of {watched_s:g} s, resident"),
        at_most("engine at rest, CPU", engine.cpu_pct, 25, "% of one core", f"over {watched_s:g} s"),
    ]
    sentinel = seen[str(Role.SENTINEL)]
    found.append(
        at_most("sentinel beside it, memory", sentinel.peak_mb, 48, "MB", f"most of {watched_s:g} s, resident")
    )
    found.append(plain("sentinel beside it, CPU", sentinel.cpu_pct, "% of one core"))
    for role in (Role.MARKET, Role.RECORDER):
        other = seen[str(role)]
        found.append(plain(f"{role} beside it, memory", other.peak_mb, "MB"))
        found.append(plain(f"{role} beside it, CPU", other.cpu_pct, "% of one core"))
    return found
