"""Tallies of what was shown of the code, kept by its hash: what was shown of other code does not count."""

import hashlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent


def code_hash(*folders: str) -> str:
    """Return the hash of every module in these folders of the project."""
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


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
