"""One engine per data directory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import HomeLocked
from store.home_lock import LOCK_FILE, HomeLock, lock_holder

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from store.home_lock import HomeLock
with HomeLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_engine_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    with HomeLock(tmp_path), pytest.raises(HomeLocked) as refused:
        HomeLock(tmp_path).acquire()
    assert str(refused.value) == f"another engine (pid {os.getpid()}) holds this data directory"
    with HomeLock(tmp_path):
        pass


def test_a_killed_holder_leaves_no_trace(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert lock_holder(tmp_path) == holder.pid
    with pytest.raises(HomeLocked, match=f"pid {holder.pid}"):
        HomeLock(tmp_path).acquire()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert lock_holder(tmp_path) is None
    HomeLock(tmp_path).acquire().release()


def test_letting_go_counts_even_where_a_child_still_has_the_descriptor(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path).acquire()
    assert lock._fd is not None
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[lock._fd])
    try:
        lock.release()
        lock.release()
        HomeLock(tmp_path).acquire().release()
    finally:
        child.kill()
        child.wait()


def test_a_holder_that_has_not_said_its_name_is_still_a_holder(tmp_path: Path) -> None:
    with HomeLock(tmp_path):
        (tmp_path / LOCK_FILE).write_text("")
        assert lock_holder(tmp_path) == 0
        with pytest.raises(HomeLocked, match=r"^another engine holds this data directory$"):
            HomeLock(tmp_path).acquire()


def test_nobody_holds_a_directory_without_a_lock_file(tmp_path: Path) -> None:
    assert lock_holder(tmp_path) is None
