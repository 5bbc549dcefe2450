"""Where the page of the heartbeats is: in memory, so that no disk can hold up a beat."""

import contextlib
import hashlib
import os
import select
from pathlib import Path

from core.errors import StoreError
from core.guardian.pulse import Pulse, boottime, owner_of
from desk.paths import Home, Role, is_marked

MEMORY = Path("/dev/shm")  # noqa: S108
"""A file system in memory that every process of this user sees, systemd's private /tmp or not."""

FRESH_NS = 10_000_000_000
"""How old a beat may be for its pid to be that of whoever beat: none is given again so soon."""


def page(home: Home) -> Path:
    """Return the page of a home; its random mark is part of the name, so that a new home never finds an old page.

    Raises:
        StoreError: if the home's mark cannot be used.
    """
    name = hashlib.sha256(os.fsencode(os.path.realpath(home.root)) + home.mark().encode()).hexdigest()[:16]
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        return MEMORY / f"tradedeck-{os.getuid()}-{name}"
    return home.root / "run" / "pulse"


def open_pulse(home: Home) -> Pulse:
    """Open the page of a home, and remove those of homes that are gone.

    Raises:
        StoreError: if the page cannot be used.
    """
    path = page(home)
    for other in MEMORY.glob(f"tradedeck-{os.getuid()}-*"):
        owner = owner_of(other)
        if owner is not None and other != path and not owner.exists():
            with contextlib.suppress(OSError):
                other.unlink()
    return Pulse(path, home.root)


def beating(home: Home, role: Role) -> int:
    """Return the pid of the engine or sentinel that beat on a home's page just now and still lives; 0 for none.

    Its lock says more, where there is one: this is for a home whose folder of locks was removed.
    """
    if role not in (Role.ENGINE, Role.SENTINEL) or not is_marked(home):
        return 0
    try:
        path = page(home)
        if not path.exists():
            return 0
        with contextlib.closing(Pulse(path, home.root)) as pulse:
            beat, watch = pulse.engine(), pulse.sentinel()
    except StoreError:
        return 0
    stamp, pid = (beat.stamp, beat.pid) if role is Role.ENGINE else (watch.stamp, watch.pid)
    return pid if 0 <= boottime() - stamp <= FRESH_NS and _lives(pid) else 0


def _lives(pid: int) -> bool:
    """Tell whether a process lives; one that has ended and that nobody has waited for does not."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        return not select.select([fd], [], [], 0)[0]
    finally:
        os.close(fd)
