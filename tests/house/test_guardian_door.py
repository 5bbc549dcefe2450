"""There is one door to the wire: only the guardian makes ``Approved``, and nothing below it knows the guardian."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.house.sources import files, imported, module_exists, place, tree

GUARDIAN = ROOT / "core" / "guardian"
BELOW = ["core.state.state", "core.ports", "core.session.client", "core.session.wire"]


def constructions(module: ast.Module) -> list[int]:
    """Give the lines that make an ``Approved``, whatever name it goes by in that file."""
    names = {"Approved"}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname for alias in node.names if alias.name == "Approved" and alias.asname}
        elif isinstance(node, ast.Assign) and _names_approved(node.value, names):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    suspects = [node for node in ast.walk(module) if isinstance(node, ast.Call | ast.ClassDef)]
    return [node.lineno for node in suspects if _makes(node, names)]


def _makes(node: ast.Call | ast.ClassDef, names: set[str]) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(_names_approved(base, names) for base in node.bases)
    return _names_approved(node.func, names) or _sidesteps(node, names)


def _names_approved(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, ast.Subscript):
        return _names_approved(node.value, names)
    if isinstance(node, ast.Attribute):
        return node.attr == "Approved"
    return isinstance(node, ast.Name) and node.id in names


def _sidesteps(call: ast.Call, names: set[str]) -> bool:
    """See ``Approved.__new__(...)``, ``object.__new__(Approved)`` and ``getattr(x, 'Approved')``."""
    if isinstance(call.func, ast.Attribute) and call.func.attr == "__new__":
        return any(_names_approved(node, names) for node in [call.func.value, *call.args])
    fetched = isinstance(call.func, ast.Name) and call.func.id == "getattr"
    return fetched and any(isinstance(arg, ast.Constant) and arg.value == "Approved" for arg in call.args)


def module_file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"


def test_only_the_guardian_constructs_approved() -> None:
    outside = [path for path in files() if GUARDIAN not in path.parents]
    assert not [place(path, line) for path in outside for line in constructions(tree(path))]


def test_the_guardian_does_construct_it() -> None:
    assert [line for path in files("core/guardian") for line in constructions(tree(path))]


@pytest.mark.parametrize(
    "source",
    [
        "Approved(command)",
        "approval.Approved(command)",
        "Approved[SubmitOrder](command)",
        "from core.domain.approval import Approved as Pass\nPass(command)",
        "made = Approved\nmade(command)",
        "object.__new__(Approved)",
        "Approved.__new__(Approved)",
        "class Mine(Approved): ...",
        "getattr(approval, 'Approved')(command)",
    ],
)
def test_every_way_round_the_door_is_seen(source: str) -> None:
    assert constructions(ast.parse(source))


@pytest.mark.parametrize("source", ["def submit(order: Approved[SubmitOrder]) -> None: ...", "isinstance(x, Approved)"])
def test_naming_it_is_no_construction(source: str) -> None:
    assert not constructions(ast.parse(source))


@pytest.mark.parametrize("module", BELOW)
def test_what_lies_below_never_imports_the_guardian(module: str) -> None:
    assert module_exists(module)
    names = list(imported(module_file(module)))
    assert not [name for name in names if name == "core.guardian" or name.startswith("core.guardian.")]
