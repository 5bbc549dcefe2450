"""Run the benchmarks: ``python -m bench [NAME ...] [--write]``. Each figure beside what is required of it.

Pairs run in turns (A B A B) in one go and their values are compared first: where they differ, no ratio is printed.
``--write`` puts what ran into bench/RESULTS.md and leaves the other sections as they are.
"""

import argparse
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from bench.figure import DifferentValues, Figure, Unavailable

NAMES = ("engine_latency", "engine_replay", "journal", "recovery", "ticks", "status", "rest", "terminal", "grid")
RESULTS = Path(__file__).with_name("RESULTS.md")
HEADER = "| figure | required | measured | | |\n|---|---|---|---|---|\n"
INTRODUCTION = """# Figures

Made by `make bench ARGS=--write`; one section again by the command above its table. Ratios carry over to other
machines, absolute numbers do not. A pair's ratio is ours over the reference's, the median of rounds in turns (A B A B)
in one run, after the values of both sides were found equal; CPU figures are CPU seconds, which neighbours disturb
least. `BENCH_NAUTILUS` names a ready environment with the reference, `BENCH_DATA` a folder with its data; without
them both are made under `.bench/`.
"""


def run(name: str) -> tuple[list[Figure], str]:
    """Run one benchmark; return its figures, or the words why there are none."""
    figures: Callable[[], Sequence[Figure]] = import_module(f"bench.{name}").figures
    try:
        return list(figures()), ""
    except Unavailable as error:
        return [], f"left out: {error}"
    except DifferentValues as error:
        return [], f"FAILED: {error}"


def row(figure: Figure) -> str:
    """Return a figure as a line of a table."""
    cells = (figure.what, figure.required, figure.measured, figure.verdict, figure.note)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def section(name: str, figures: Sequence[Figure], words: str) -> str:
    """Return one benchmark's part of the file."""
    about = (import_module(f"bench.{name}").__doc__ or "").strip().splitlines()[0]
    table = HEADER + "".join(f"{row(figure)}\n" for figure in figures) if figures else f"{words}\n"
    return f'## {name}\n\n{about} `make bench ARGS="{name} --write"`; on {machine()}.\n\n{table}'


def machine() -> str:
    """Name the machine: processor, cores, kernel, Python."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    processor = model.group(1).strip() if model else platform.processor() or platform.machine()
    kernel, python = platform.release().split("-")[0], platform.python_version()
    return f"{processor}, {os.cpu_count()} cores, Linux {kernel}, Python {python}"


def merge(text: str, fresh: dict[str, str]) -> str:
    """Replace the sections that ran, in the order of the benchmarks."""
    parts = re.split(r"(?m)^(?=## )", text)
    kept = {part.splitlines()[0][3:].strip(): part.rstrip() + "\n" for part in parts if part.startswith("## ")}
    kept.update(fresh)
    return "\n".join([INTRODUCTION, *(kept[name] for name in NAMES if name in kept)])


def show(figures: Sequence[Figure], words: str) -> None:
    """Print figures in columns."""
    if words:
        print(f"  {words}")
    for figure in figures:
        verdict = {True: "ok", False: "MISSED", None: ""}[figure.ok]
        print(
            f"  {figure.what:<52} {figure.required:>16} {figure.measured:>22}  {verdict:<6} {figure.note}", flush=True
        )


def main() -> int:
    """Run what was named, or everything; 1 when a figure was missed or two sides differed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {' '.join(NAMES)} (all)")
    parser.add_argument("--write", action="store_true", help="put the figures into bench/RESULTS.md")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    print(machine())
    missed = False
    for name in options.names or NAMES:
        began = time.perf_counter()
        print(f"{name}", flush=True)
        figures, words = run(name)
        show(figures, words)
        print(f"  ({time.perf_counter() - began:.0f} s)", flush=True)
        missed |= words.startswith("FAILED") or any(figure.ok is False for figure in figures)
        if options.write and figures:  # a pair that was left out keeps its earlier figures
            text = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else ""
            RESULTS.write_text(merge(text, {name: section(name, figures, words)}), encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
