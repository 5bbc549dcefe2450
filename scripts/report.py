"""Where measured tables go: a marked part of docs/reliability.md, and a section of bench/RESULTS.md."""

from collections.abc import Sequence
from pathlib import Path

from bench.__main__ import HEADER, RESULTS, machine, merge, row
from bench.figure import Figure
from scripts.tally import ROOT

PAGE = ROOT / "docs" / "reliability.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def put(text: str, name: str, part: str) -> str:
    """Return a page with one marked part replaced; what stands around it stays.

    Raises:
        ValueError: the page has no such part.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    if begin not in text or end not in text:
        raise ValueError(f"the page has no part {begin.strip()} … {end.strip()}")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{part}{end}{rest.partition(end)[2]}"


def write(name: str, about: str, command: str, figures: Sequence[Figure], part: str) -> list[Path]:
    """Write what was measured, with the command that measures it again; return the files that were written."""
    where = f"`{command}`; on {machine()}."
    rows = "".join(f"{row(figure)}\n" for figure in figures)
    fresh = {name: f"## {name}\n\n{about} {where}\n\n{HEADER}{rows}"}
    RESULTS.write_text(merge(RESULTS.read_text(encoding="utf-8"), fresh), encoding="utf-8")
    page = put(PAGE.read_text(encoding="utf-8"), name, f"\n{where[0].upper()}{where[1:]}\n\n{part}\n")
    PAGE.write_text(page, encoding="utf-8")
    return [RESULTS, PAGE]
