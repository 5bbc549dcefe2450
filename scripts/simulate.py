"""Simulate the engine on many seeds, resumably: ``python -m scripts.simulate --seeds 50000`` or ``--seed 17``.

What is done is kept by a hash of the code, so that a run can be stopped and goes on where it was; a seed that fails is
kept with the tally and printed with its last steps and the command that shows it again.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

import msgspec

from scripts.tally import code_hash, keep, load, reached, tally_file
from tests.simulation.world import Result, simulate

FOLDERS = ("core", "store", "venues", "tests/simulation")
"""What is simulated, with all that it imports: the sentinel's process lies elsewhere."""
CHUNK = 50
NICE = 10
SHOWN = 40
"""Steps shown of a seed that failed."""


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


def many(seeds: int) -> int:
    """Simulate what is missing of so many seeds on every core, and keep the tally."""
    path = tally_file("simulation", code_hash(reached(*FOLDERS)))
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
    return bool(tally.failed)


def main() -> int:
    """Simulate one seed or many."""
    parser = argparse.ArgumentParser(description="simulate the engine on seeded faults")
    parser.add_argument("--seeds", type=int, default=1000, help="seeds in all runs of this code together")
    parser.add_argument("--seed", type=int, help="one seed alone, twice, with its last steps if it fails")
    asked = parser.parse_args()
    return many(asked.seeds) if asked.seed is None else one(asked.seed)


if __name__ == "__main__":
    sys.exit(main())
