"""Breach limits on real processes under faults, and measure how soon the exit is at the socket: ``make rig``.

Modes: ``quiet``; ``hogs`` (four on all cores); ``disk`` (full, what the journal keeps for exits included);
``databases`` (DuckDB and PostgreSQL down); ``terminal`` (frozen); ``all`` of them at once; ``dead`` (the engine is
killed and does not come back, the sentinel closes). Needs root: the home lies on a small disk of its own. ``--write``
puts the tables into docs/reliability.md and bench/RESULTS.md.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bench.figure import Figure
from core.domain.message import Nanoseconds
from desk.paths import Role
from scripts.report import table, write
from tests.scenarios import faults
from tests.scenarios.breaching import HIGH, SETTINGS, Course, Rig, examine, hand_market
from tests.scenarios.dying import GRACE_S, deaths
from tests.scenarios.house import FUTURES, House
from tests.scenarios.small_disk import small_disk, why_not

MODES = ("quiet", "hogs", "disk", "databases", "terminal", "all")
BOUNDS_MS = {"quiet": (10.0, None), **dict.fromkeys(MODES[1:], (50.0, 250.0))}
"""p99 and maximum of tick → socket."""
FLAT_S = 5.0
"""An engine that is dead and stays so: flat so soon behind the grace."""
COUNT, DEATHS = 1000, 20
HOME_MB = 192
"""Room for the home's own PostgreSQL too."""
ABOUT = "Breaches on real processes under faults: how soon the guardian's exit is at the socket."
HEAD = (
    "faults",
    "breaches",
    "tick → socket p50",
    "p99",
    "max",
    "required",
    "",
    "published → traded p99",
    "max",
    "took",
)
MS = 1_000_000


class Measured(msgspec.Struct, frozen=True):
    """What one mode gave: tick → socket inside the engine, and what lies outside of it (ns)."""

    mode: str
    exits: tuple[Nanoseconds, ...]
    courses: tuple[Course, ...]
    seconds: float

    def of(self, percentile: float) -> float:
        """Return a percentile of tick → socket (ms)."""
        return float(np.percentile(self.exits, percentile)) / MS

    @property
    def ok(self) -> bool:
        """Tell whether the mode keeps what is required of it."""
        p99, most = BOUNDS_MS[self.mode]
        return self.of(99) <= p99 and (most is None or self.of(100) <= most)


# --- one mode ---------------------------------------------------------------------------------------------------------


def measure(mode: str, count: int, priority: str) -> Measured:
    """Run one mode in a home of its own; what it did is examined afterwards."""
    root = Path(tempfile.mkdtemp(prefix="tdrig-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        house = House(stack.enter_context(small_disk(root / "home", HOME_MB)), SETTINGS)
        stack.callback(house.end)
        market = hand_market(house, root / "books")
        stack.callback(market.end)
        if mode in ("databases", "all"):
            faults.config_store(house)
        house.start(Role.ENGINE)
        prioritise(house.pid(Role.ENGINE), priority)
        stack.enter_context(_faults(mode, house))
        began = time.monotonic()
        found = asyncio.run(_breaches(house, market, mode, count))
    return Measured(mode, found[0], found[1], time.monotonic() - began)


async def _breaches(house: House, market: object, mode: str, count: int) -> tuple[tuple[int, ...], tuple[Course, ...]]:
    async with house.auditor() as auditor:
        rig = await Rig.make(house, market, auditor)  # type: ignore[arg-type]
        fills = {}
        while (missing := count - len(rig.breaches)) > 0:
            since = house.clock.now()
            await rig.round(min(missing, len(HIGH)), full=mode in ("disk", "all"))
            for fill in (await auditor.snapshots(since))[FUTURES].fills:
                fills[fill.fill_id] = fill
        await rig.recorded()
        await rig.client.close()
    house.kill(Role.ENGINE)
    return tuple(one.exit_ns for one in rig.breaches), tuple(examine(house, rig.breaches, list(fills.values())))


@contextlib.contextmanager
def _faults(mode: str, house: House) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if mode in ("databases", "all"):
            stack.enter_context(faults.databases_down(house))
        if mode in ("terminal", "all"):
            stack.enter_context(faults.frozen_terminal(house))
        if mode in ("hogs", "all"):
            stack.enter_context(faults.hogs())
        yield


def prioritise(pid: int, priority: str) -> None:
    """Give the engine a priority: ``nice`` is -10, ``realtime`` the scheduler's round robin, ``usual`` none."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        if priority == "nice":
            os.setpriority(os.PRIO_PROCESS, int(thread.name), -10)
        elif priority == "realtime":
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))


# --- tables -----------------------------------------------------------------------------------------------------------


def line(found: Measured) -> list[str]:
    """Return a row of the table."""
    p99, most = BOUNDS_MS[found.mode]
    required = f"p99 ≤ {p99:g} ms" + (f", max ≤ {most:g} ms" if most else "")
    whole = np.percentile([one.on_the_way + one.at_market for one in found.courses], (99, 100)) / MS
    return [
        found.mode,
        str(len(found.exits)),
        f"{found.of(50):.2f} ms",
        f"{found.of(99):.2f} ms",
        f"{found.of(100):.2f} ms",
        required,
        "ok" if found.ok else "missed",
        f"{whole[0]:.1f} ms",
        f"{whole[1]:.1f} ms",
        f"{found.seconds:.0f} s",
    ]


def figure(found: Measured) -> Figure:
    """Return one mode as a figure."""
    note = f"{len(found.exits)} breaches, p50 {found.of(50):.2f} ms, max {found.of(100):.2f} ms"
    return Figure(f"breach → exit at the socket, {found.mode}, p99", line(found)[5], line(found)[3], found.ok, note)


def of_deaths(flat_s: Sequence[float]) -> Figure:
    """Return how long until flat behind the sentinel's grace."""
    behind = max(flat_s) - GRACE_S
    note = f"{len(flat_s)} deaths; grace {GRACE_S:g} s, flat after {min(flat_s):.2f}–{max(flat_s):.2f} s of the kill"
    what = "engine killed for good → flat, behind the grace, worst"
    return Figure(what, f"≤ {FLAT_S:g} s", f"{behind:.2f} s", behind <= FLAT_S, note)


def main() -> int:
    """Run the modes and print the tables; 1 where a figure was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="breaches in each mode")
    parser.add_argument("--deaths", type=int, default=DEATHS, help="engines that are killed and do not come back")
    parser.add_argument("--modes", nargs="*", choices=(*MODES, "dead"), default=(*MODES, "dead"), help="all by default")
    parser.add_argument("--priority", choices=("usual", "nice", "realtime"), default="usual", help="the engine's")
    parser.add_argument("--write", action="store_true", help="put the tables into the page and the figures")
    asked = parser.parse_args()
    if why_not():
        parser.error(f"{why_not()}, and without one no disk can be filled: run it as root")
    rows, found = [], list[Figure]()
    for mode in (mode for mode in MODES if mode in asked.modes):
        measured = measure(mode, asked.count, asked.priority)
        rows.append(line(measured))
        found.append(figure(measured))
        sys.stdout.write(f"{' | '.join(rows[-1])}\n")
        sys.stdout.flush()
    if "dead" in asked.modes:
        found.append(of_deaths(deaths(asked.deaths)))
        sys.stdout.write(f"{found[-1].what}: {found[-1].measured} ({found[-1].note})\n")
    if asked.write:
        dead = "".join(
            f"\n{one.what}: **{one.measured}** ({one.required}); {one.note}.\n" for one in found[len(rows) :]
        )
        command = "make rig ARGS=--write" + (f" --priority {asked.priority}" if asked.priority != "usual" else "")
        for path in write("fault_rig", ABOUT, command, found, table(HEAD, rows) + dead):
            sys.stdout.write(f"written: {path}\n")
    return 0 if all(one.ok for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
