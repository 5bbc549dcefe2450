"""What is shipped and what is installed: the wheel, the locks and the set-up script."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from scripts.coverage_gates import gates
from scripts.uv import EXTRAS
from tests.conftest import ROOT
from tests.house.sources import PACKAGES

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = sorted(path for path in (ROOT / "locks").glob("*.txt"))
TOGETHER = [path for path in LOCKS if not path.name.startswith("peers-")]
DATA_SUFFIXES = {".tcss", ".toml", ".json"}


def pins(lock: Path) -> dict[str, str]:
    """Read package -> version (with its marker, where one name has several)."""
    found = re.findall(r"^([a-z0-9][\w.-]*)==(\S+)(?: ; ([^\\\n]*))?", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {f"{name} {marker.strip()}".strip(): version for name, version, marker in found}


def canonical(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match.group()).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(folder)!r}))"
    name = subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    with zipfile.ZipFile(folder / name.split()[-1]) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_module_and_every_table(wheel: set[str]) -> None:
    kept = [p for package in PACKAGES for p in (ROOT / package).rglob("*") if p.suffix in {".py", *DATA_SUFFIXES}]
    assert kept
    assert not [str(path.relative_to(ROOT)) for path in kept if str(path.relative_to(ROOT)) not in wheel]


def test_the_wheel_holds_nothing_else(wheel: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert tops == {*PACKAGES, f"tradedeck-{PROJECT['version']}.dist-info"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_with_modules_is_a_package_and_typed(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").is_file()]
    assert (ROOT / package / "py.typed").is_file()


def test_the_extras_are_the_ones_that_are_locked() -> None:
    assert set(PROJECT["optional-dependencies"]) == {*EXTRAS, "dev"}
    assert {path.stem for path in TOGETHER} == {*EXTRAS, "all", "base", "dev"}


def test_base_stays_light() -> None:
    heavy = {"pandas", "numba", "vectorbt", "scipy", "optuna", "web3", "ccxt", "ib-async", "alpaca-py"}
    assert not heavy & {name.split()[0] for name in pins(ROOT / "locks" / "base.txt")}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_names_no_index_and_hashes_everything(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert text.startswith("--only-binary :all:\n")
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|/tmp|\s@\s", text)
    entries = re.split(r"\n(?=\S)", text.removeprefix("--only-binary :all:").strip())
    assert len(entries) > 3
    form = re.compile(r"[a-z0-9][\w.-]*==\S+( ; .*)?( \\\n    --hash=sha256:[0-9a-f]{64})+")
    assert not [entry.splitlines()[0] for entry in entries if not form.fullmatch(entry.rstrip())]


@pytest.mark.parametrize("lock", TOGETHER, ids=lambda path: path.stem)
def test_a_lock_agrees_with_all_the_others(lock: Path) -> None:
    everything = pins(ROOT / "locks" / "all.txt")
    versions = {name.split()[0]: version for name, version in everything.items()}
    assert not {n: v for n, v in pins(lock).items() if everything.get(n, versions.get(n.split()[0])) != v}
    assert {name.split()[0] for name in pins(ROOT / "locks" / "base.txt")} <= {n.split()[0] for n in pins(lock)}


def test_every_requirement_is_locked() -> None:
    extras = PROJECT["optional-dependencies"]
    for lock, wanted in {"base": [], **{name: extras[name] for name in extras}}.items():
        locked = {name.split()[0] for name in pins(ROOT / "locks" / f"{lock}.txt")}
        assert {canonical(item) for item in [*PROJECT["dependencies"], *wanted]} <= locked, lock


def test_gates_name_packages_and_modules() -> None:
    """What is measured is ``core`` and ``store``; what lies below them may have to reach more."""
    named = gates(ROOT / "pyproject.toml")
    assert {"core", "store"} <= set(named)
    assert all((ROOT / name).exists() and name.partition("/")[0] in ("core", "store") for name in named)
    assert all(percent >= named[name.partition("/")[0]] for name, percent in named.items())


def set_up(python: Path | str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHON": str(python)}
    script = ["sh", str(ROOT / "scripts" / "setup.sh")]
    return subprocess.run(script, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_set_up_says_when_there_is_no_python() -> None:
    done = set_up("no-such-python")
    assert done.returncode == 1
    assert "no 'no-such-python' found; install Python 3.11 or newer" in done.stderr


def test_set_up_says_when_python_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$2" in *print*) echo 3.9.2;; *) exit 1;; esac\n')
    old.chmod(0o755)
    done = set_up(old)
    assert done.returncode == 1
    assert "is Python 3.9.2, tradedeck needs 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr


def test_set_up_says_when_venv_is_missing(tmp_path: Path) -> None:
    bare = tmp_path / "python3"
    bare.write_text('#!/bin/sh\ncase "$2" in *print*) echo 3.11.99;; *ensurepip*) exit 1;; esac\n')
    bare.chmod(0o755)
    done = set_up(bare)
    assert done.returncode == 1
    assert "has no venv module; on Debian and Ubuntu: apt-get install python3-venv" in done.stderr


def test_the_base_install_needs_no_compiler_and_no_research() -> None:
    """A small board installs wheels alone, and nothing that a study would need."""
    text = (ROOT / "locks" / "base.txt").read_text(encoding="utf-8")
    names = {line.partition("==")[0] for line in text.splitlines() if "==" in line and line[0] not in " #"}
    assert text.startswith("--only-binary :all:")
    assert {"msgspec", "uvloop"} <= names
    assert not names & {"pandas", "numba", "llvmlite", "scipy", "vectorbt", "optuna", "scikit-learn", "pyarrow"}
