"""Studies that were asked for: a mark in a study's folder stays until the study is over, so that a kill loses none."""

import contextlib
from pathlib import Path

from desk.paths import Home

MARK = "wanted"


def want(folder: Path) -> None:
    """Ask for a study; one that is asked for keeps its place."""
    (folder / MARK).open("a").close()


def is_wanted(folder: Path) -> bool:
    """Tell whether a study is asked for and not over."""
    return (folder / MARK).exists()


def drop(folder: Path) -> None:
    """Ask no more."""
    (folder / MARK).unlink(missing_ok=True)


def wanted(home: Home) -> list[Path]:
    """Return the folders of the studies that are asked for, the first asked for first."""
    found = list[tuple[int, Path]]()
    for mark in home.studies.glob(f"*/{MARK}"):
        with contextlib.suppress(FileNotFoundError):
            found.append((mark.stat().st_mtime_ns, mark.parent))
    return [folder for _, folder in sorted(found)]
