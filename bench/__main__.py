"""Run the benchmarks: ``python -m bench [NAME ...] [--only TEXT] [--write]``. Each figure beside what is required.

Pairs run in turns (A B A B) in one go and their values are compared first: where they differ, no ratio is printed.
``--write`` puts what ran into bench/RESULTS.md and leaves the other sections as they are. ``--only`` runs the parts of
a benchmark whose name holds the text, to try them; what takes very long (``soak``) runs only where it is named.
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
LONG = ("soak",)
"""Run only where they are named."""
RESULTS = Path(__file__).with_name("RESULTS.md")
HEADER = "| figure | required | measured | | |\n|---|---|---|---|---|\n"
INTRODUCTION = """# Figures

Made by `make bench ARGS=--write`; one section again by the command above its table. Ratios carry over to other
machines, absolute numbers do not. A pair's ratio is ours over the reference's, the median of rounds in turns (A B A B)
in one run, after the values of both sides were found equal; CPU figures are CPU seconds, which neighbours disturb
least. `BENCH_NAUTILUS` names a ready environment with the reference, `BENCH_DATA` a folder with its data; without
them both are made under `.bench/`.
"""


def parts(name: str, only: str) -> list[Callable[[], Sequence[Figure]]]:
    """Return what is to run of one benchmark: all of it, or the parts whose name holds a text.

    Raises:
        Unavailable: it has no such part.
    """
    module = import_module(f"bench.{name}")
    if not only:
        return [module.figures]
    groups: dict[str, Callable[[], Sequence[Figure]]] = getattr(module, "GROUPS", {})
    found = [group for title, group in groups.items() if only in title]
    if not found:
        raise Unavailable(f"no part of {name} is named like {only!r}; there are: {', '.join(groups) or 'none'}")
    return found


def run(name: str, only: str = "") -> tuple[list[Figure], str]:
    """Run one benchmark, or parts of it; return its figures, or the words why there are none."""
    try:
        return [figure for part in parts(name, only) for figure in part()], ""
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
    """Replace the sections that ran, in the order of the benchmarks; behind them those that scripts/ writes."""
    parts = re.split(r"(?m)^(?=## )", text)
    kept = {part.splitlines()[0][3:].strip(): part.rstrip() + "\n" for part in parts if part.startswith("## ")}
    kept.update(fresh)
    others = [name for name in kept if name not in (*NAMES, *LONG)]
    return "\n".join([INTRODUCTION, *(kept[name] for name in (*NAMES, *LONG, *others) if name in kept)])


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
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {' '.join(NAMES)} (all), {' '.join(LONG)}")
    parser.add_argument("--only", default="", metavar="TEXT", help="the parts whose name holds this text")
    parser.add_argument("--write", action="store_true", help="put the figures into bench/RESULTS.md")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in (*NAMES, *LONG)]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join((*NAMES, *LONG))}")
    if options.only and options.write:
        parser.error("--only tries a part; --write needs the whole, or the section would lose the rest")
    print(machine())
    missed = False
    for name in options.names or NAMES:
        began = time.perf_counter()
        print(f"{name}", flush=True)
        figures, words = run(name, options.only)
        show(figures, words)
        print(f"  ({time.perf_counter() - began:.0f} s)", flush=True)
        missed |= words.startswith("FAILED") or any(figure.ok is False for figure in figures)
        if options.write and figures:  # a pair that was left out keeps its earlier figures
            text = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else ""
            RESULTS.write_text(merge(text, {name: section(name, figures, words)}), encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
