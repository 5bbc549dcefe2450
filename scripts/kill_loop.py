"""Kill engine, sentinel, and both at once while orders flow, resumably: ``make kill ARGS="--count 500"``.

The tally is kept by a hash of the code, in a file outside the project: what was shown of other code does not count.
``--write`` puts it into docs/reliability.md and bench/RESULTS.md.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figure import Figure
from desk.roles.pulses import page
from scripts.report import table, write
from scripts.tally import code_hash, keep, load, modules, tally_file
from tests.scenarios.house import QUICK, House
from tests.scenarios.killing import PATIENT, KillLoop, Kind, Tally
from tests.scenarios.nursery import Nursery

FOLDERS = ("core", "desk", "store", "venues")
"""What runs in the killed processes."""
BATCH = 50
"""Kills in one home; each batch starts anew, so that a failure is found in a journal that can be read."""
COUNT = 500
SEEDS = {Kind.ENGINE: 1000, Kind.SENTINEL: 2000, Kind.BOTH: 3000}
ABOUT = "kill -9 at random moments while orders flow; journal, orders, positions and fills held against the market's."
COUNTED = ("starting", "market", "recorder", "commands", "acknowledged", "repeated")
HEAD = ("killed", "times", "while starting", "market too", "recorder too", "commands", "acknowledged", "asked again",
        "slowest until all agree")  # fmt: skip


def _batch(kind: Kind, kills: int, seed: int, nursery: Nursery) -> Tally:
    root = Path(tempfile.mkdtemp(prefix="tdkill-"))
    house = House(root / "home", QUICK if kind is Kind.ENGINE else QUICK + PATIENT, nursery)
    try:
        tally = asyncio.run(KillLoop.make(house, seed, kind).run(kills))
    except BaseException:
        sys.stderr.write(f"the home is kept: {root}\n")
        raise
    finally:
        house.end()
        page(house.home).unlink(missing_ok=True)
    shutil.rmtree(root)
    return tally


def run(kind: Kind, count: int, done: list[Tally], path: Path, nursery: Nursery) -> None:
    """Run what is missing of one kind's count; the tally is kept after each batch."""
    while (missing := count - killed(kind, done)) > 0:
        began = time.monotonic()
        seed = SEEDS[kind] + sum(tally.kind is kind for tally in done)
        tally = _batch(kind, min(BATCH, missing), seed, nursery)
        done.append(tally)
        keep(path, done)
        sys.stdout.write(f"{kind} {killed(kind, done)}/{count} {time.monotonic() - began:.0f} s {tally}\n")
        sys.stdout.flush()


def killed(kind: Kind, done: Sequence[Tally]) -> int:
    """Return how often a kind was killed, in all batches of that kind."""
    return sum(getattr(tally, kind) for tally in done if tally.kind is kind)


def line(kind: Kind, done: Sequence[Tally]) -> list[str]:
    """Return one kind's row of the table."""
    mine = [tally for tally in done if tally.kind is kind]
    counts = [str(sum(getattr(tally, name) for tally in mine)) for name in COUNTED]
    return [str(kind), str(killed(kind, done)), *counts, f"{max((one.slowest_s for one in mine), default=0.0):.2f} s"]


def figures(count: int, done: Sequence[Tally]) -> list[Figure]:
    """Return how often each kind was killed without a fault: one fault ends the loop."""
    found = []
    for kind in Kind:
        times, acknowledged = killed(kind, done), line(kind, done)[6]
        note = f"{acknowledged} acknowledged commands, none lost or carried out twice"
        found.append(Figure(f"kills without a fault, {kind}", f"≥ {count}", str(times), times >= count, note))
    return found


def main() -> int:
    """Run what is missing of the count and print the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, default=COUNT, help="kills of each kind, in all runs of this code together"
    )
    parser.add_argument("--kinds", nargs="*", type=Kind, choices=list(Kind), default=list(Kind), help="all by default")
    parser.add_argument("--write", action="store_true", help="put the table into the page and the figures")
    asked = parser.parse_args()
    path = tally_file("kill-loop", code_hash(modules(*FOLDERS)))
    done = load(path, list[Tally]) or []
    nursery = Nursery()
    try:
        for kind in asked.kinds:
            run(kind, asked.count, done, path, nursery)
    finally:
        nursery.end()
    rows = [line(kind, done) for kind in Kind]
    sys.stdout.write(f"{table(HEAD, rows)}kept in {path}\n")
    if asked.write:
        for written in write(
            "kill_loop", ABOUT, "make kill ARGS=--write", figures(asked.count, done), table(HEAD, rows)
        ):
            sys.stdout.write(f"written: {written}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
