"""Tallies of what was shown of the code, kept by its hash: what was shown of other code does not count."""

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent


def code_hash(paths: Iterable[Path]) -> str:
    """Return the hash of modules of the project."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


def modules(*folders: str) -> set[Path]:
    """Return every module in these folders of the project."""
    return {path for folder in folders for path in (ROOT / folder).rglob("*.py")}


def reached(*folders: str) -> set[Path]:
    """Return every module in these folders, and every other of the project that they import, deferred imports too."""
    found: set[Path] = set()
    waiting = modules(*folders)
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= {one for name in _imported(path) for one in _files(name)} - found
    return found


def _imported(path: Path) -> Iterator[str]:
    """Yield what a module may import; of ``from a import b`` both, for ``b`` may be a module."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name: str) -> Iterator[Path]:
    """Yield the files of the project that run when a dotted name is imported: its packages' too."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:end])
        yield from (one for one in (place / "__init__.py", place.with_suffix(".py")) if one.is_file())


def tally_file(name: str, code: str) -> Path:
    """Return where a tally of this code is kept, outside the project; its folder exists."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "tradedeck" / f"{name}-{code}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def load(path: Path, kind: type[T]) -> T | None:
    """Return a tally, or None where there is none yet."""
    return msgspec.json.decode(path.read_bytes(), type=kind) if path.exists() else None


def keep(path: Path, tally: object) -> None:
    """Keep a tally; a reader finds the old one or the new one."""
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(tally))
    part.replace(path)
