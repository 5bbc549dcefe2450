"""Which code made a figure: the version, and a hash of everything that decides what a back-test comes to."""

import ast
import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DECIDING = ("core/strategy", "research")
"""The folders whose code decides: signals, and how they are simulated."""
_FROM = "research/study/strategies.py"


@lru_cache
def code_version() -> str:
    """Return the version of the program and a hash of its strategies and simulator: ``0.1.0+3f0c9a1b27de``.

    The same hash is the same rules, with or without a repository at hand.
    """
    digest = hashlib.sha256()
    for name in deciding():
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes() + b"\0")
    try:
        version = metadata.version("tradedeck")
    except metadata.PackageNotFoundError:
        version = "0"
    return f"{version}+{digest.hexdigest()[:12]}"


def deciding() -> list[str]:
    """Return the files that back-tests of the library's strategies import from ``DECIDING``, in order."""
    found, left = set[str](), [_FROM]
    while left:
        name = left.pop()
        if name in found or not name.startswith(DECIDING) or not (ROOT / name).exists():
            continue
        found.add(name)
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            modules = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
            for module in modules:
                path = module.replace(".", "/")
                left += [f"{path}.py", f"{path}/__init__.py"]
    return sorted(found)
