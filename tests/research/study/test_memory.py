"""What memory there is to take: of the machine, of control groups, of a process's own limits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from research.study.memory import ENDLESS, free_mb, group_free_mb, groups, room_mb
from tests.conftest import ROOT

MB = 2**20


def filled(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


V1, V2 = ("limit_in_bytes", "usage_in_bytes", "stat"), ("max", "current", "stat")


@pytest.mark.parametrize(
    ("names", "texts", "free"),
    [
        (V2, (f"{800 * MB}\n", f"{700 * MB}", f"anon 5\ninactive_file {50 * MB}\n"), 150.0),
        (V2, ("max\n", "9"), ENDLESS),
        (V1, (f"{300 * MB}", f"{290 * MB}", "cache 1\n"), 10.0),
        ((), (), ENDLESS),
    ],
    ids=["version 2", "no limit", "version 1", "nothing told"],
)
def test_a_group_has_what_its_limit_leaves(
    tmp_path: Path, names: tuple[str, ...], texts: tuple[str, ...], free: float
) -> None:
    files = {f"memory.{name}": text for name, text in zip(names, texts, strict=False)}
    assert group_free_mb(filled(tmp_path / "g", files)) == free


def test_every_group_around_a_process_counts(tmp_path: Path) -> None:
    filled(tmp_path / "fs" / "user.slice" / "study", {})
    filled(tmp_path / "fs" / "memory" / "box", {})
    own = tmp_path / "own"
    own.write_text("0::/user.slice/study\n5:cpu:/elsewhere\n4:memory:/box\n")
    found = [str(one.relative_to(tmp_path / "fs")) for one in groups(tmp_path / "fs", own)]
    assert found == ["user.slice/study", "user.slice", ".", "memory/box", "memory"]
    assert not list(groups(tmp_path, tmp_path / "none"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_limit_of_the_process_leaves_room_until_it_is_reached() -> None:
    code = (
        "import resource\n"
        "from research.study.memory import room_mb\n"
        "before = room_mb()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "first = room_mb()\n"
        "kept = bytearray(200 * 2**20)\n"
        "print(before, first, first - room_mb())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    before, first, taken = map(float, found.stdout.split())
    assert before == ENDLESS
    assert 300 < first < 1024
    assert taken == pytest.approx(200, abs=8)


def test_this_machine_has_some() -> None:
    assert 0 < free_mb() < 1e8
    assert room_mb() > 0
