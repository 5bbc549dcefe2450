"""Roles as processes: start one in the background, wait until it is ready, look at it, end it.

A role holds a kernel lock on ``run/<role>.lock`` for as long as it lives, so what a crash leaves behind is never taken
for a running role; where that file was removed, the heartbeats of engine and sentinel tell of them. It runs in a
process session of its own and survives the terminal and the login that started it.
"""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from core.errors import HomeLocked, StoreError
from desk.paths import Home, Role
from desk.roles.pulses import beating

READY_VARIABLE = "TRADEDECK_READY_FD"
START_SECONDS = 30.0
STOP_SECONDS = 15.0
IDLE_SECONDS = 5.0
_IDLE = (Role.RECORDER, Role.RESEARCHER)
LOG_LINES_SHOWN = 5
LOCK_GONE = "it beats, its lock file is not there"
PART_OF_SECOND = 0.02
PROBED_S = 0.2
"""A lock that somebody only looks at is free again long before."""
GIVEN_UP_S = 0.2
"""How soon a start that is given up is noticed."""


class Running(msgspec.Struct, frozen=True):
    """What a running role wrote into its lock."""

    pid: int
    detail: str = ""


@contextlib.contextmanager
def holding(home: Home, role: Role, detail: str = "") -> Iterator[None]:
    """Hold a role's lock while the role runs here.

    Raises:
        HomeLocked: if the role runs already, naming its process.
        StoreError: if the data directory cannot be written.
    """
    if not home.lock(role).exists() and (there := running(home, role)) is not None:
        raise HomeLocked(f"another {role}{_named(there)} holds this data directory; {there.detail}")
    try:
        fd = os.open(home.lock(role), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{home.root} cannot be used: {error.strerror}; a data directory must be writable") from error
    try:
        if not _locked(fd):
            raise HomeLocked(f"another {role}{_named(_read(fd))} holds this data directory")
        os.ftruncate(fd, 0)
        os.pwrite(fd, msgspec.json.encode(Running(os.getpid(), detail)), 0)
        yield
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    """Take a lock and tell whether that went well; ``running`` holds it for the moment that it looks."""
    until = time.monotonic() + PROBED_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(PART_OF_SECOND)
        else:
            return True


def running(home: Home, role: Role) -> Running | None:
    """Return the process that holds a role, None if nobody does; its pid is 0 in the moment before it is written.

    A lock file that is not there proves nothing: an engine or a sentinel that beats is there all the same.
    """
    try:
        fd = os.open(home.lock(role), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        pid = beating(home, role)
        return Running(pid, LOCK_GONE) if pid else None
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(fd)
    else:
        return None
    finally:
        os.close(fd)


def _read(fd: int) -> Running:
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0), type=Running)
    except msgspec.DecodeError:
        return Running(0)


def _named(holder: Running) -> str:
    return f" (pid {holder.pid})" if holder.pid else ""


def start(
    home: Home,
    role: Role,
    arguments: Sequence[str] = (),
    *,
    timeout: float = START_SECONDS,
    given_up: threading.Event | None = None,
) -> int:
    """Start a role in the background, wait until it says that it is ready, and return its pid.

    Raises:
        StoreError: if it ended or stayed silent, with the last lines of its log, or was given up meanwhile; or its log
            cannot be written.
    """
    log = home.log(role)
    ours, theirs = os.pipe()
    try:
        with _opened(home, log) as out:
            process = subprocess.Popen(
                # -P: a folder named core or desk in the present directory must not be taken for ours.
                [sys.executable, "-P", "-m", "desk", role, "--home", str(home.root), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, READY_VARIABLE: str(theirs)},
                pass_fds=(theirs,),
                start_new_session=True,
            )
        os.close(theirs)
        theirs = -1
        said = _wait_for_word(ours, timeout, given_up)
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)
    if said == "ready":
        process.returncode = 0  # it lives on: nobody waits for it
        return process.pid
    if said == "":
        code = process.wait(STOP_SECONDS)
        raise StoreError(f"the {role} ended while starting (exit code {code}); {_tail(log)}")
    process.kill()
    process.wait()
    if given_up is not None and given_up.is_set():
        raise StoreError(f"the start of the {role} was given up")
    raise StoreError(f"the {role} was not ready after {timeout:g} s; {_tail(log)}")


def _opened(home: Home, log: Path) -> BinaryIO:
    try:
        return log.open("ab")
    except OSError as error:
        raise StoreError(
            f"{log} cannot be written: {error.strerror}; a data directory must be writable; "
            f"{home.line('doctor')} tells more"
        ) from error


def _wait_for_word(fd: int, timeout: float, given_up: threading.Event | None) -> str | None:
    """Return what a role wrote: ``ready``, nothing if it ended, None if time ran out or nobody wants it any more."""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0 and not (given_up is not None and given_up.is_set()):
        if select.select([fd], [], [], left if given_up is None else min(left, GIVEN_UP_S))[0]:
            return os.read(fd, 64).decode().strip()
    return None


def ready() -> None:
    """Tell whoever started this role that it serves now; without a starter this does nothing."""
    fd = os.environ.pop(READY_VARIABLE, "")
    if fd:
        with contextlib.suppress(OSError):
            os.write(int(fd), b"ready\n")
            os.close(int(fd))


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = deque(log.read_text(encoding="utf-8", errors="replace").splitlines(), LOG_LINES_SHOWN)
        if lines:
            return f"the end of {log}:\n  " + "\n  ".join(lines)
    return f"its log {log} is empty"


def stop(home: Home, role: Role, *, timeout: float = STOP_SECONDS) -> bool:
    """End a role and wait until it is gone; tell whether there was one.

    Raises:
        StoreError: if it does not end in time.
    """
    holder = _named_holder(home, role)
    if holder is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(holder.pid, signal.SIGTERM)
    if role in _IDLE:
        # At idle priority a busy machine may never let it finish; killed, a recorder neither loses nor repeats a row,
        # and a researcher loses the batches under way.
        try:
            wait_gone(home, role, timeout=min(timeout, IDLE_SECONDS))
            return True
        except StoreError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(holder.pid, signal.SIGKILL)
    wait_gone(home, role, timeout=timeout)
    return True


def _named_holder(home: Home, role: Role) -> Running | None:
    """Return who holds a role, once it has said so: one that begins or ends at this moment has no pid in its lock."""
    deadline = time.monotonic() + STOP_SECONDS
    while (holder := running(home, role)) is not None and not holder.pid:
        if time.monotonic() > deadline:
            raise StoreError(f"the {role} is starting and does not say its pid; see {home.log(role)}")
        time.sleep(PART_OF_SECOND)
    return holder


def wait_gone(home: Home, role: Role, *, timeout: float = STOP_SECONDS) -> None:
    """Wait until nobody holds a role.

    Raises:
        StoreError: if somebody still does when time is up.
    """
    deadline = time.monotonic() + timeout
    while (holder := running(home, role)) is not None:
        if time.monotonic() > deadline:
            raise StoreError(f"the {role}{_named(holder)} did not end within {timeout:g} s; see {home.log(role)}")
        time.sleep(PART_OF_SECOND)
