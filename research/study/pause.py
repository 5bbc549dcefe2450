"""Studies give way: while a file says so, no worker takes new parameter sets.

The file stands beside the studies' folders and holds until when (ns since boot) and why. Whoever watches the engine
renews it; one that was left behind by a kill ends by itself.
"""

import os
import time
from pathlib import Path

import msgspec

NAME = "pause"


class Pause(msgspec.Struct, frozen=True):
    """Until when (ns since boot), and why."""

    until: int
    reason: str


def hold(studies: Path, seconds: float, reason: str) -> None:
    """Have the studies of a folder take nothing new for so long."""
    part = studies / f".{NAME}.{os.getpid()}"
    part.write_bytes(msgspec.json.encode(Pause(_now() + int(seconds * 1e9), reason)))
    part.replace(studies / NAME)


def why_paused(studies: Path) -> str:
    """Return why studies wait now; nothing where they do not."""
    try:
        found = msgspec.json.decode((studies / NAME).read_bytes(), type=Pause)
    except (OSError, msgspec.DecodeError):
        return ""
    return found.reason if _now() < found.until else ""


def _now() -> int:
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
