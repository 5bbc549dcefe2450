"""The log of a role: readable, bounded, never in the way."""

import os
import subprocess
import sys
import time
from pathlib import Path

from core.config.settings import LogSettings
from desk.roles import logs

WRITE = """
import sys, structlog
from core.config.settings import LogSettings
from desk.roles import logs
logs.configure(LogSettings(level=sys.argv[1], max_mb=1))
log = structlog.get_logger()
for number in range(int(sys.argv[2])):
    log.info("something happened", number=number, text="x" * 100)
log.warning("last words")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def written(path: Path, level: str = "info", lines: int = 1) -> None:
    with path.open("ab") as out:
        subprocess.run([sys.executable, "-c", WRITE, level, str(lines)], stderr=out, check=True)


def test_a_line_is_readable_and_a_crash_leaves_its_traceback(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    written(path)
    lines = path.read_text().splitlines()
    assert lines[0].endswith(f"info    something happened  number=0 text='{'x' * 100}'")
    assert "Traceback (most recent call last):" in lines
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_lines_below_the_level_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    written(path, "warning")
    assert "something happened" not in path.read_text()
    assert "last words" in path.read_text()


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    written(path, lines=12_000)  # about 1.7 MB
    aside = path.with_name("engine.log.1")
    assert aside.stat().st_size > 1 << 20
    assert path.stat().st_size < 1 << 20
    assert b"\0" not in path.read_bytes()
    assert "last words" in path.read_text()


def test_a_disk_that_takes_nothing_does_not_stop_a_role() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", WRITE, "info", "3"], stderr=full)
    assert done.returncode == 0


def test_old_logs_are_deleted_and_young_ones_kept(tmp_path: Path) -> None:
    old, young = tmp_path / "engine.log.1", tmp_path / "engine.log"
    for path in (old, young):
        path.write_text("x")
    past = time.time() - 15 * 86_400
    os.utime(old, (past, past))
    logs.tidy(tmp_path, LogSettings(keep_days=0))
    assert old.exists()
    logs.tidy(tmp_path, LogSettings(keep_days=14))
    assert not old.exists()
    assert young.exists()
