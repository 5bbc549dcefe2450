"""Roles as processes: locks that die with their holder, starts that report."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import HomeLocked, StoreError
from core.guardian.pulse import boottime
from desk.paths import Home, Role
from desk.roles import pulses, services
from desk.roles.engine_process import EngineProcess
from desk.roles.pulses import open_pulse, page

HOLDER = """
import sys, time
from pathlib import Path
from desk.roles import services
from desk.paths import Home, Role
with services.holding(Home(Path(sys.argv[1])), Role[sys.argv[2]], "a detail"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


def until(true: Callable[[], bool]) -> bool:
    """Wait until something does not hold any more; return what it is at last."""
    deadline = time.monotonic() + 60
    while (last := true()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return last


def hold(home: Home, role: str = "ENGINE", code: str = HOLDER) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(home.root), role], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def freeze(holder: "subprocess.Popen[str]") -> None:
    holder.send_signal(signal.SIGSTOP)
    while Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.01)  # a signal sent before it has stopped would still be heard


def test_nobody_runs_in_a_new_home(home: Home) -> None:
    assert [services.running(home, role) for role in Role] == [None] * len(Role)
    assert not services.stop(home, Role.ENGINE)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"gone cannot be used: .*; a data directory must be writable"),
        services.holding(Home(tmp_path / "gone"), Role.ENGINE),
    ):
        pass


def test_a_role_is_seen_while_its_process_lives_and_not_after_kill_9(home: Home) -> None:
    holder = hold(home)
    try:
        assert services.running(home, Role.ENGINE) == services.Running(holder.pid, "a detail")
        with (
            pytest.raises(HomeLocked, match=rf"another engine \(pid {holder.pid}\) holds this data directory"),
            services.holding(home, Role.ENGINE),
        ):
            pass
    finally:
        holder.kill()
        holder.communicate()
    assert services.running(home, Role.ENGINE) is None
    with services.holding(home, Role.ENGINE):
        assert services.running(home, Role.ENGINE) is not None
    assert services.running(home, Role.ENGINE) is None


BEATS = """
import sys, time
from pathlib import Path
from core.domain.approval import TradingState
from core.guardian.pulse import Phase, boottime
from desk.roles import services
from desk.roles.pulses import open_pulse
from desk.paths import Home, Role
home, role = Home(Path(sys.argv[1])), Role[sys.argv[2]]
with services.holding(home, role):
    pulse = open_pulse(home)
    while True:
        if role is Role.ENGINE:
            pulse.begin(1)
        else:
            pulse.watching(Phase.WATCHING, "watches")
        print("held", flush=True)
        time.sleep(0.05)
"""


@pytest.mark.parametrize("role", [Role.ENGINE, Role.SENTINEL])
def test_a_lock_file_that_was_removed_is_no_proof_of_death_and_a_beat_none_of_life(
    home: Home, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lives is neither started again nor, by another sentinel, taken for dead; who was killed is, at once."""
    monkeypatch.setattr(pulses, "FRESH_NS", 10**15)  # the process counts, however fresh its last beat is
    holder = hold(home, role.name, BEATS)
    handle = EngineProcess(home)
    try:
        shutil.rmtree(home.lock(role).parent)
        assert services.running(home, role) == services.Running(holder.pid, services.LOCK_GONE)
        assert handle.alive(holder.pid) is (role is Role.ENGINE)
        assert services.running(home, Role.RECORDER) is None
        home.create()
        with (
            pytest.raises(HomeLocked, match=rf"another {role} \(pid {holder.pid}\) .*; it beats, its lock file is not"),
            services.holding(home, role),
        ):
            pass
        assert not home.lock(role).exists()
    finally:
        holder.kill()
    assert not until(lambda: services.running(home, role) is not None)
    assert not handle.alive(holder.pid)
    assert not EngineProcess(home).alive(holder.pid)
    with services.holding(home, role):
        pass
    holder.communicate()
    page(home).unlink()


def test_a_page_of_before_tells_of_nobody(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert services.running(home, Role.ENGINE) is None, "no page"
    with contextlib.closing(open_pulse(home)) as pulse:
        assert services.running(home, Role.ENGINE) is None, "nobody beat"
        pulse.begin(1)
        assert services.running(home, Role.ENGINE) == services.Running(os.getpid(), services.LOCK_GONE)
        for other in (boottime() + pulses.FRESH_NS + 1, 0):  # long ago, and of a boot before this one
            monkeypatch.setattr(pulses, "boottime", lambda other=other: other)
            assert services.running(home, Role.ENGINE) is None
        monkeypatch.undo()
        page(home).chmod(0o644)
        assert services.running(home, Role.ENGINE) is None, "a page that cannot be used tells of nobody"
    page(home).unlink()


def test_who_only_looks_at_a_lock_keeps_nobody_from_starting(home: Home) -> None:
    with services.holding(home, Role.ENGINE):
        pass
    fd = os.open(home.lock(Role.ENGINE), os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    threading.Timer(services.PART_OF_SECOND, os.close, [fd]).start()
    with services.holding(home, Role.ENGINE):
        assert services.running(home, Role.ENGINE) is not None


def test_a_look_that_finds_nothing_out_is_not_remembered_as_a_death(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold(home)
    try:
        handle = EngineProcess(home)
        with monkeypatch.context() as patch:
            patch.setattr(services, "running", lambda *_: None)  # files ran out
            assert not handle.alive(holder.pid)
        assert handle.alive(holder.pid)
    finally:
        holder.kill()
        holder.communicate()


def test_stopping_waits_until_the_role_is_gone(home: Home) -> None:
    holder = hold(home)
    assert services.stop(home, Role.ENGINE, timeout=60)
    assert services.running(home, Role.ENGINE) is None
    assert holder.wait(60) == -signal.SIGTERM
    holder.communicate()


def test_a_role_that_does_not_end_is_named(home: Home) -> None:
    holder = hold(home)
    freeze(holder)
    try:
        with pytest.raises(StoreError, match=rf"the engine \(pid {holder.pid}\) did not end within 0\.1 s"):
            services.stop(home, Role.ENGINE, timeout=0.1)
    finally:
        holder.kill()
        holder.communicate()


def test_a_recorder_that_gets_no_turn_is_ended_all_the_same(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "IDLE_SECONDS", 0.1)
    holder = hold(home, "RECORDER")
    freeze(holder)
    assert services.stop(home, Role.RECORDER)
    assert holder.wait(60) == -signal.SIGKILL
    holder.communicate()


def test_a_role_that_ends_while_starting_shows_the_end_of_its_log(home: Home) -> None:
    home.config.write_text("[nonsense]\n")
    with pytest.raises(StoreError) as error:
        services.start(home, Role.ENGINE, timeout=120)
    said = str(error.value)
    assert "the engine ended while starting (exit code 1)" in said
    assert "no section [nonsense]" in said
    assert str(home.log(Role.ENGINE)) in said


ENDING = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""


def test_stopping_a_role_that_ends_at_this_moment_waits_for_it(home: Home) -> None:
    """Its lock is held, and its pid is gone from it already: two who stop one house must not meet an error there."""
    home.lock(Role.RECORDER).parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-c", ENDING, str(home.lock(Role.RECORDER))]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert services.running(home, Role.RECORDER) == services.Running(0)
    ends = threading.Timer(0.3, lambda: holder.communicate("\n"))
    ends.start()
    assert services.stop(home, Role.RECORDER) is False
    ends.join()
    assert holder.returncode == 0
