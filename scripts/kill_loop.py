"""Kill the engine many times while orders flow, resumably: ``python -m scripts.kill_loop --count 500``.

The tally is kept by a hash of the code, in a file outside the project: what was shown of other code does not count.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from scripts.tally import code_hash, keep, load, tally_file
from tests.scenarios.house import QUICK, House
from tests.scenarios.killing import KillLoop, Tally

FOLDERS = ("core", "desk", "store", "venues")
"""What runs in the killed processes."""
BATCH = 50
"""Kills in one home; each batch starts anew, so that a failure is found in a journal that can be read."""


def _batch(kills: int, seed: int) -> Tally:
    root = Path(tempfile.mkdtemp(prefix="tdkill-"))
    house = House(root / "home", QUICK)
    try:
        tally = asyncio.run(KillLoop.make(house, seed).run(kills))
    except BaseException:
        sys.stderr.write(f"the home is kept: {root}\n")
        raise
    finally:
        house.end()
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    root.rmdir()
    return tally


def main() -> int:
    """Run what is missing of the count and print the sum."""
    parser = argparse.ArgumentParser(description="kill -9 of the engine at random moments")
    parser.add_argument("--count", type=int, default=500, help="kills of the engine, in all runs of this code together")
    count: int = parser.parse_args().count
    path = tally_file("kill-loop", code_hash(*FOLDERS))
    done = load(path, list[Tally]) or []
    while (missing := count - sum(tally.engine for tally in done)) > 0:
        began = time.monotonic()
        tally = _batch(min(BATCH, missing), seed=1000 + len(done))
        done.append(tally)
        keep(path, done)
        sys.stdout.write(f"{sum(item.engine for item in done)}/{count} {time.monotonic() - began:.0f} s {tally}\n")
        sys.stdout.flush()
    names = [name for name in Tally.__struct_fields__ if name != "slowest_s"]
    total = ", ".join(f"{name} {sum(getattr(tally, name) for tally in done)}" for name in names)
    sys.stdout.write(f"{total}, slowest {max(tally.slowest_s for tally in done):.2f} s; kept in {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
