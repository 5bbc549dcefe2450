"""Write the lock files: versions and hashes, wheels only, no index addresses, for every Python and machine at once.

``locks/all.txt`` is resolved first, from everything together; the others are cut out of it, so that any two of them
can be installed side by side. Versions stay as they are unless ``--upgrade`` is given.
"""

import argparse
import sys
from pathlib import Path

from scripts.uv import EXTRAS, LOCKS, PYTHONS, ROOT, compile_lock, throwaway_uv

UNIVERSAL = (
    "--universal",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--emit-build-options",
    "--no-annotate",
)
# A peer with demands of its own (an older pandas): it gets an environment of its own too.
PEERS = {"peers-nautilus": "3.11"}


OLDEST = f"--python-version={PYTHONS[0]}"


def jobs() -> list[tuple[str, tuple[str, ...]]]:
    """Name each lock and the arguments that make it, in the order of making."""
    everything = ("--all-extras",)
    cut = ("--constraints", str(LOCKS / "all.txt"))
    return [
        ("all", everything),
        ("base", cut),
        ("dev", ("--extra=dev", *cut)),
        *((extra, (f"--extra={extra}", *cut)) for extra in EXTRAS),
    ]


def write(uv: Path, name: str, source: Path, arguments: tuple[str, ...]) -> bool:
    """Write one lock and tell whether it could be resolved."""
    target = LOCKS / f"{name}.txt"
    outcome = compile_lock(uv, source, (*UNIVERSAL, *arguments, f"--output-file={target.relative_to(ROOT)}"))
    sys.stdout.write(f"locks/{name}.txt: {'written' if outcome.returncode == 0 else 'FAILED'}\n{outcome.stderr}")
    return outcome.returncode == 0


def main() -> int:
    """Write every lock; 1 when any could not be resolved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that resolve")
    parser.add_argument("--constraints", type=Path, help="a file of versions to stay with")
    options = parser.parse_args()
    extra = ["--constraints", str(options.constraints)] if options.constraints else []
    LOCKS.mkdir(exist_ok=True)
    with throwaway_uv() as uv:
        for name, arguments in jobs():
            upgrade = ["--upgrade"] if options.upgrade else []
            if not write(uv, name, ROOT / "pyproject.toml", (OLDEST, *arguments, *extra, *upgrade)):
                return 1
        done = [
            write(uv, name, LOCKS / f"{name}.in", (f"--python-version={python}",)) for name, python in PEERS.items()
        ]
    return 0 if all(done) else 1


if __name__ == "__main__":
    raise SystemExit(main())
