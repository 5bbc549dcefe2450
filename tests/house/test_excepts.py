"""A broad ``except`` stands at a task boundary and says so, or it tidies up and raises again."""

import ast
import re

import pytest

from tests.conftest import ROOT
from tests.house.sources import files, place

MARK = "# task boundary"
MARKED = re.compile(r"#.*\btask boundary\b")
BROAD = {"Exception", "BaseException"}


def unmarked(source: str) -> list[int]:
    """Give the lines of broad handlers that keep the error and bear no mark, on their line or the one before."""
    lines = source.splitlines()
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ExceptHandler) or not _broad(node.type) or _raises_again(node):
            continue
        beside = lines[node.lineno - 1] + (lines[node.lineno - 2] if node.lineno > 1 else "")
        if not MARKED.search(beside):
            found.append(node.lineno)
    return found


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(_broad(part) for part in kind.elts)
    return (isinstance(kind, ast.Name) and kind.id in BROAD) or (isinstance(kind, ast.Attribute) and kind.attr in BROAD)


def test_every_broad_except_is_a_task_boundary() -> None:
    paths = [*files(), *(ROOT / "scripts").glob("*.py")]
    assert not [place(path, line) for path in paths for line in unmarked(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    "kind", ["", " Exception", " BaseException as e", " (OSError, Exception)", " builtins.Exception"]
)
def test_a_broad_except_is_seen(kind: str) -> None:
    assert unmarked(f"try:\n    go()\nexcept{kind}:\n    pass\n") == [3]
    assert unmarked(f"try:\n    go()\nexcept{kind}:  {MARK}\n    pass\n") == []


def test_tidying_up_and_raising_again_needs_no_mark() -> None:
    assert unmarked("try:\n    go()\nexcept BaseException:\n    close()\n    raise\n") == []
    assert unmarked("try:\n    go()\nexcept BaseException:\n    raise OSError\n") == [3]


def test_a_narrow_except_needs_no_mark() -> None:
    assert unmarked("try:\n    go()\nexcept (OSError, ValueError):\n    pass\n") == []
