"""A small disk of its own for a home, and what fills it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

SIZE_MB = 24


def why_not() -> str:
    """Return why this machine gives no small disk, empty where it does."""
    if os.geteuid() != 0:
        return "only root can make a small disk"
    return ""


@contextlib.contextmanager
def small_disk(root: Path, size_mb: int = SIZE_MB) -> Iterator[Path]:
    """Put a small disk at a folder for the length of a block.

    Raises:
        OSError: this machine does not let one be made.
    """
    root.mkdir(mode=0o700, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={size_mb}m,mode=0700", "tmpfs", str(root)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"no small disk can be made: {done.stderr.strip()}")
    try:
        yield root
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
