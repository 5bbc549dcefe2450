"""Where the page of the heartbeats is: in memory, so that no disk can hold up a beat."""

import contextlib
import hashlib
import os
from pathlib import Path

from core.guardian.pulse import Pulse, owner_of
from desk.paths import Home

MEMORY = Path("/dev/shm")  # noqa: S108
"""A file system in memory that every process of this user sees, systemd's private /tmp or not."""


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
