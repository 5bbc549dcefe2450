"""Find and parse the project's own source, for the tests that read it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = ("desk", "tui", "core", "venues", "research", "store")


@cache
def tree(path: Path) -> ast.Module:
    """Parse one file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def files(*folders: str) -> list[Path]:
    """List the Python files of the named folders, or of every package."""
    return sorted(path for folder in folders or PACKAGES for path in (ROOT / folder).rglob("*.py"))


def module_exists(module: str) -> bool:
    """Tell whether a dotted name is a file or a package of this project, without importing it."""
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imported(path: Path) -> Iterator[str]:
    """Name what a file imports, deferred imports included; ``from a import b`` gives ``a.b`` as well as ``a``."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(path: Path, line: int = 0) -> str:
    """Name a place in the project."""
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))
