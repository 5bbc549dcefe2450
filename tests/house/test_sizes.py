"""The hard limits of the house: files, classes and functions that one can read at a sitting."""

import ast

import pytest

from tests.conftest import ROOT
from tests.house.sources import files, place

FILE_LINES, CLASS_LINES, METHODS, FUNCTION_LINES = 600, 300, 25, 60
SOFT_FILE_LINES = 400


def too_large(source: str) -> list[tuple[int, str]]:
    """Give line and complaint for every class and function over its limit, and for the file itself."""
    found = []
    lines = source.count("\n") + 1
    if lines > FILE_LINES:
        found.append((1, f"the file has {lines} lines, at most {FILE_LINES}"))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body)
            if _length(node) > CLASS_LINES:
                found.append((node.lineno, f"class {node.name} has {_length(node)} lines, at most {CLASS_LINES}"))
            if methods > METHODS:
                found.append((node.lineno, f"class {node.name} has {methods} methods, at most {METHODS}"))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > FUNCTION_LINES:
            found.append((node.lineno, f"{node.name} has {_length(node)} lines, at most {FUNCTION_LINES}"))
    return found


def _length(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("folder", ["desk", "tui", "core", "venues", "research", "store", "scripts"])
def test_nothing_is_too_large(folder: str) -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in files(folder)}
    assert not [f"{place(path, line)} {why}" for path, text in sources.items() for line, why in too_large(text)]


def test_files_stay_within_four_hundred_lines() -> None:
    long_files = [place(p) for p in files() if len(p.read_text(encoding="utf-8").splitlines()) > SOFT_FILE_LINES]
    assert not long_files


def test_functions_of_tests_and_benchmarks_are_readable_too() -> None:
    paths = [path for path in files("tests", "bench") if ROOT / "bench" / "peers" not in path.parents]
    found = [
        f"{place(path, line)} {why}"
        for path in paths
        for line, why in too_large(path.read_text(encoding="utf-8"))
        if not why.startswith("class")
    ]
    assert not found


def test_each_limit_is_seen() -> None:
    body = "    x = 1\n" * 60
    assert too_large(f"def f():\n{body}")
    assert not too_large("def f():\n" + "    x = 1\n" * 59)
    assert too_large("x = 1\n" * 600)
    methods = "".join(f"    def m{n}(self): ...\n" for n in range(26))
    assert "26 methods" in too_large(f"class C:\n{methods}")[0][1]
    assert "301 lines" in too_large("class C:\n" + "    x = 1\n" * 300)[0][1]
