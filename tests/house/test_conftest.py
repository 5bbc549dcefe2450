"""The shared fixtures: a missing tool fails where tools are required, and skips for want of data are counted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

TOOL = "def test_it(needs_tool):\n    assert needs_tool({program!r}, package='some-package')\n"
DATA = "def test_it(recorded_data):\n    assert recorded_data.is_dir()\n"


def run_pytest(folder: Path, source: str, **environment: str) -> str:
    (folder / "test_inner.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("COV", "TRADEDECK_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-ra", str(folder)],
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.stdout + done.stderr


def test_a_missing_tool_skips_on_a_desk(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, TOOL.format(program="no-such-tool"))
    assert "1 skipped" in output
    assert "no-such-tool is not installed (Debian package: some-package)" in output


def test_a_missing_tool_fails_in_ci(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, TOOL.format(program="no-such-tool"), TRADEDECK_REQUIRE_TOOLS="1")
    assert "no-such-tool is not installed" in output
    assert "1 failed" in output


def test_a_tool_that_is_there_is_found(tmp_path: Path) -> None:
    assert "1 passed" in run_pytest(tmp_path, TOOL.format(program="sh"), TRADEDECK_REQUIRE_TOOLS="1")


@pytest.mark.parametrize(("present", "count", "outcome"), [(True, 0, "1 passed"), (False, 1, "1 skipped")])
def test_skips_for_want_of_data_are_counted(tmp_path: Path, present: bool, count: int, outcome: str) -> None:
    data = tmp_path / "data"
    if present:
        data.mkdir()
    output = run_pytest(tmp_path, DATA, TRADEDECK_DATA=str(data))
    assert outcome in output
    assert f"; {count} tests skipped for want of it" in output
