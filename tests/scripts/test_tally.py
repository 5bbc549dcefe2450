"""Tallies are kept by the code that really ran: what lies elsewhere and is imported counts too."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import simulate, tally
from tests.conftest import ROOT


def test_what_a_simulated_world_loads_is_in_the_hash_of_its_tally(fresh_python: Callable[[str], str]) -> None:
    code = "import sys\nfrom tests.simulation.world import simulate\nsimulate(1)\n"
    code += "print(*(one.__file__ for one in list(sys.modules.values()) if getattr(one, '__file__', None)))"
    loaded = {Path(name) for name in fresh_python(code).split()}
    ours = {path for path in loaded if path.is_relative_to(ROOT) and ".venv" not in path.parts}
    assert ROOT / "desk" / "roles" / "watchdog.py" in ours
    hashed = tally.reached(*simulate.FOLDERS)
    assert ours <= hashed
    assert not [path for path in hashed if path.is_relative_to(ROOT / "tui")], "what it does not run is not in it"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project whose folder ``a`` imports, in two steps and one of them late, from ``b``."""
    for name, text in {
        "a/__init__.py": "",
        "a/world.py": "import os\nfrom b.roles import dog\n",
        "b/__init__.py": "",
        "b/roles/__init__.py": "",
        "b/roles/dog.py": "def late():\n    import b.leash\n",
        "b/leash.py": "LONG = 1\n",
        "b/other.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(tally, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("a/world.py", True),
        ("b/roles/dog.py", True),
        ("b/leash.py", True),
        ("b/__init__.py", True),
        ("b/other.py", False),
    ],
)
def test_a_change_counts_where_the_code_is_reached(project: Path, name: str, counts: bool) -> None:
    before = tally.code_hash(tally.reached("a"))
    assert tally.code_hash(tally.reached("a")) == before
    (project / name).write_text((project / name).read_text() + "# changed\n")
    assert (tally.code_hash(tally.reached("a")) != before) is counts


def test_without_imports_the_folders_alone_count(project: Path) -> None:
    assert tally.modules("a") == {project / "a" / "__init__.py", project / "a" / "world.py"}


def test_a_seed_that_failed_or_one_that_is_missing_is_told_in_the_figures() -> None:
    counts = {"orders": 7, "DROP": 2, "LATE": 3}
    done = simulate.Tally(done=50, lives=9, counts=counts)
    assert [one.ok for one in simulate.figures(done, 50)] == [True]
    assert [one.ok for one in simulate.figures(done, 51)] == [False]
    failed = simulate.Tally(done=50, failed={3: "invariant 1"}, counts=counts)
    assert [(one.ok, one.measured) for one in simulate.figures(failed, 50)] == [(False, "1")]
    told = dict(simulate.lines(failed))
    assert (told["violations"], told["orders sent"], told["lost, silent or late lines"]) == ("1", "7", "5")
