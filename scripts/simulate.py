"""Simulate the engine on many seeds, resumably: ``python -m scripts.simulate --seeds 50000`` or ``--seed 17``.

What is done is kept by a hash of the code, so that a run can be stopped and goes on where it was; a seed that fails is
kept with the tally and printed with its last steps and the command that shows it again. ``--write`` puts the tally into
docs/reliability.md and bench/RESULTS.md.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

import msgspec

from bench.figure import Figure
from scripts.report import table, write
from scripts.tally import code_hash, keep, load, reached, tally_file
from tests.simulation.world import Result, simulate

FOLDERS = ("core", "store", "venues", "tests/simulation")
"""What is simulated, with all that it imports: the sentinel's process lies elsewhere."""
_BESIDE = ("test_", "planted", "planting")
"""How modules of the simulation's folder begin that no seed lives: tests, and bugs that they plant."""
CHUNK = 50
NICE = 10
SHOWN = 40
"""Steps shown of a seed that failed."""
ABOUT = "The whole engine and its sentinel in made-up worlds of seeded faults, every step held against the invariants."
COUNTED = {
    "orders sent": ("orders",),
    "fills": ("OrderFilled",),
    "denied": ("OrderDenied",),
    "exits of guardian, bracket or hand": ("FlattenStarted",),
    "became unknown": ("OrderUnknown",),
    "the lease taken": ("lease taken",),
    "closed by the sentinel": ("sentinel flat",),
    "power cuts": ("POWER", "POWER_CUT"),
    "full, failing or hanging disks": ("DISK_FULL", "DISK_ERROR", "DISK_STUCK"),
    "lost, silent or late lines": ("DROP", "HALF_OPEN", "LINE_LOST", "LINE_SILENT", "LATE"),
    "engines killed or crashed": ("KILL", "CRASH", "BOTH_KILLED"),
}
"""What of a tally is worth a line."""


class Tally(msgspec.Struct):
    """What was simulated of one code."""

    done: int = 0
    """Seeds from 0 up to here have been simulated."""
    seconds: float = 0.0
    steps: int = 0
    lives: int = 0
    failed: dict[int, str] = {}
    counts: dict[str, int] = {}


def chunk(first: int, last: int) -> tuple[list[Result], float]:
    """Simulate seeds from first up to last; return their results and the CPU time."""
    began = time.process_time()
    return [simulate(seed) for seed in range(first, last)], time.process_time() - began


def report(result: Result) -> str:
    """Return what is to be known of a seed that failed."""
    steps = "\n".join(step[:300] for step in result.recent[-SHOWN:])
    return f"{steps}\nseed {result.seed}: {result.wrong[0]}\nrun it again: make simulate SEED={result.seed}\n"


def one(seed: int) -> int:
    """Simulate one seed twice, and say what came of it."""
    first, second = simulate(seed), simulate(seed)
    sys.stdout.write(f"seed {seed}: {first.steps} steps, {first.lives} lives, digest {first.digest}\n")
    if first.digest != second.digest:
        sys.stdout.write(f"invariant 31: the same seed gave {second.digest} the second time\n")
        return 1
    if first.wrong:
        sys.stdout.write(report(first))
    return bool(first.wrong)


def _add(tally: Tally, results: list[Result], seconds: float) -> None:
    counts = Counter(tally.counts)
    for result in results:
        counts.update(result.counts)
        tally.steps += result.steps
        tally.lives += result.lives
        if result.wrong:
            tally.failed[result.seed] = result.wrong[0]
            sys.stdout.write(report(result))
    tally.counts, tally.seconds = dict(counts), tally.seconds + seconds
    tally.done = results[-1].seed + 1


def _chunks(first: int, last: int) -> Iterator[tuple[int, int]]:
    return ((at, min(at + CHUNK, last)) for at in range(first, last, CHUNK))


def lived() -> set[Path]:
    """Return every module that a seed lives."""
    return {one for one in reached(*FOLDERS) if not (one.parent.name == "simulation" and one.name.startswith(_BESIDE))}


def many(seeds: int, *, asked_to_write: bool = False) -> int:
    """Simulate what is missing of so many seeds on every core, and keep the tally; write it down where asked to."""
    path = tally_file("simulation", code_hash(lived()))
    tally = load(path, Tally) or Tally()
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, initializer=os.nice, initargs=(NICE,)) as pool:
        todo = _chunks(tally.done, seeds)
        running = [pool.submit(chunk, *part) for part in islice(todo, 2 * cores)]
        while running:  # answered in their order: what is done is always a beginning
            _add(tally, *running.pop(0).result())
            running += [pool.submit(chunk, *part) for part in islice(todo, 1)]
            keep(path, tally)
    each = 1e3 * tally.seconds / max(tally.done, 1)
    sys.stdout.write(
        f"{tally.done} seeds, {len(tally.failed)} failed, {tally.steps} steps, {tally.lives} lives of the engine, "
        f"{tally.counts.get('orders', 0)} orders sent, {each:.0f} ms of CPU a seed; kept in {path}\n"
    )
    if tally.failed:
        sys.stdout.write(f"failed: {' '.join(map(str, tally.failed))}\n")
    if asked_to_write:
        rows = table(("what", "times"), lines(tally))
        command = f"make simulate SEEDS={seeds} ARGS=--write"
        for written in write("simulation", ABOUT, command, figures(tally, seeds), rows):
            sys.stdout.write(f"written: {written}\n")
    return bool(tally.failed)


def figures(tally: Tally, seeds: int) -> list[Figure]:
    """Return how many seeds went against an invariant: none may, of as many as were asked for."""
    note = f"{tally.steps} steps, {tally.lives} lives of the engine"
    well = not tally.failed and tally.done >= seeds
    return [Figure(f"violations in {tally.done} seeds", "0", str(len(tally.failed)), well, note)]


def lines(tally: Tally) -> list[list[str]]:
    """Return what happened in all seeds together."""
    counted = [[what, str(sum(tally.counts.get(name, 0) for name in names))] for what, names in COUNTED.items()]
    return [["seeds", str(tally.done)], ["violations", str(len(tally.failed))], ["lives", str(tally.lives)], *counted]


def main() -> int:
    """Simulate one seed or many."""
    parser = argparse.ArgumentParser(description="simulate the engine on seeded faults")
    parser.add_argument("--seeds", type=int, default=1000, help="seeds in all runs of this code together")
    parser.add_argument("--seed", type=int, help="one seed alone, twice, with its last steps if it fails")
    parser.add_argument("--write", action="store_true", help="put the tally into the page and the figures")
    asked = parser.parse_args()
    return many(asked.seeds, asked_to_write=asked.write) if asked.seed is None else one(asked.seed)


if __name__ == "__main__":
    sys.exit(main())
