"""Kill the engine many times while orders flow, resumably: ``python -m scripts.kill_loop --count 500``.

The tally is kept by a hash of the code, in a file outside the project: what was shown of other code does not count.
"""

import argparse
import asyncio
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.scenarios.house import QUICK, House
from tests.scenarios.killing import KillLoop, Tally

ROOT = Path(__file__).resolve().parent.parent
BATCH = 50
"""Kills in one home; each batch starts anew, so that a failure is found in a journal that can be read."""


def code_hash() -> str:
    """Return the hash of everything that runs in the killed processes."""
    found = hashlib.sha256()
    for folder in ("core", "desk", "store", "venues"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


def tally_file(code: str) -> Path:
    """Return where the tally of this code is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tradedeck" / f"kill-loop-{code}.json"


def _load(path: Path) -> list[Tally]:
    return msgspec.json.decode(path.read_bytes(), type=list[Tally]) if path.exists() else []


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
    path = tally_file(code_hash())
    path.parent.mkdir(parents=True, exist_ok=True)
    done = _load(path)
    while (missing := count - sum(tally.engine for tally in done)) > 0:
        began = time.monotonic()
        tally = _batch(min(BATCH, missing), seed=1000 + len(done))
        done.append(tally)
        path.write_bytes(msgspec.json.encode(done))
        sys.stdout.write(f"{sum(item.engine for item in done)}/{count} {time.monotonic() - began:.0f} s {tally}\n")
        sys.stdout.flush()
    names = [name for name in Tally.__struct_fields__ if name != "slowest_s"]
    total = ", ".join(f"{name} {sum(getattr(tally, name) for tally in done)}" for name in names)
    sys.stdout.write(f"{total}, slowest {max(tally.slowest_s for tally in done):.2f} s; kept in {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
