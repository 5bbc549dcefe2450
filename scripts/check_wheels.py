"""Check that every package of a lock has a wheel for each Python and machine that tradedeck runs on.

Asks the index for metadata only; nothing is built, installed or downloaded whole.
"""

import argparse
import sys
from pathlib import Path

from scripts.uv import LOCKS, PYTHONS, compile_lock, throwaway_uv

PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28")


def missing(uv: Path, lock: Path, platform: str, python: str) -> str:
    """Give what the resolver said when a wheel is missing, and nothing when all are there."""
    outcome = compile_lock(
        uv, lock, ("--no-deps", f"--python-platform={platform}", f"--python-version={python}", "--no-annotate")
    )
    return "" if outcome.returncode == 0 else outcome.stderr.strip() or f"uv ended with {outcome.returncode}"


def main() -> int:
    """Check the locks that were named, or all of them; 1 when any wheel is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("locks", nargs="*", type=Path, help="lock files (all but the peers' unless named)")
    names = parser.parse_args().locks or sorted(p for p in LOCKS.glob("*.txt") if not p.name.startswith("peers-"))
    found = 0
    with throwaway_uv() as uv:
        for lock in names:
            for platform in PLATFORMS:
                for python in PYTHONS:
                    why = missing(uv, lock.resolve(), platform, python)
                    found += bool(why)
                    sys.stdout.write(f"{lock.name:16} {platform:24} {python:6} {why or 'every wheel is there'}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
