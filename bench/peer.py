"""Run one side of a pair as a process of its own; make the environments of the peers that need one of their own.

They are made under ``.bench/`` from their locks when they are first needed. ``BENCH_NAUTILUS`` names a ready
environment's python, ``BENCH_DATA`` a folder with ready data (bench/peers/data.py).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.figure import Unavailable

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
PLACE = ROOT / ".bench"
NAUTILUS_LOCK = ROOT / "locks" / "peers-nautilus.txt"
SIDE_SECONDS = 1800.0


def side(argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run one side on the CPU clock and return the last JSON line it prints.

    Raises:
        RuntimeError: it failed, with the end of what it said.
    """
    done = subprocess.run(
        [str(part) for part in argv],
        cwd=ROOT,
        env={**os.environ, "BENCH_CLOCK": "cpu", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=SIDE_SECONDS,
        check=False,
    )
    rows = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not rows:
        raise RuntimeError(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(rows[-1])
    return found


def ours(module: str, *arguments: object, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run our side, a module of ours."""
    return side([sys.executable, "-m", module, *map(str, arguments)], environment)


@cache
def nautilus_python() -> Path:
    """Return the python of the environment with nautilus_trader in it, made from its lock if need be.

    Raises:
        Unavailable: it cannot be made here.
    """
    ready = os.environ.get("BENCH_NAUTILUS")
    python = Path(ready) if ready else PLACE / "nautilus" / "bin" / "python"
    if not ready and not (PLACE / "nautilus" / "made").is_file():
        _make(PLACE / "nautilus", NAUTILUS_LOCK)
    if subprocess.run([python, "-c", "import nautilus_trader, numba"], capture_output=True, check=False).returncode:
        raise Unavailable(
            f"{python} cannot import nautilus_trader and numba; remove {PLACE / 'nautilus'} and try again"
        )
    return python


def _make(folder: Path, lock: Path) -> None:
    print(f"making {folder.relative_to(ROOT)} from {lock.relative_to(ROOT)} (a minute or two)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True, text=True)
        _pip(folder / "bin" / "python", "-r", str(lock))
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise Unavailable(
            f"the peer's environment cannot be made here from {lock.relative_to(ROOT)} (it needs a package index and "
            f"wheels for this machine and Python {sys.version_info[0]}.{sys.version_info[1]}): "
            f"{said.strip().splitlines()[-1][:300] if said.strip() else 'no reason given'}"
        ) from None
    (folder / "made").touch()


def _pip(python: Path | str, *arguments: str) -> None:
    subprocess.run(
        [python, "-m", "pip", "install", "-qq", "--no-input", "--no-deps", "--require-hashes", *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )


def need_pyarrow() -> None:
    """Make pyarrow importable: the environment's own, or one under ``.bench/`` from locks/bench.txt.

    Raises:
        Unavailable: it can be neither found nor installed.
    """
    folder = PLACE / "pyarrow"
    if folder.is_dir():
        sys.path.append(str(folder))
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        lock = (ROOT / "locks" / "bench.txt").read_text(encoding="utf-8")
        block = lock[lock.index("pyarrow==") :].split("\n", 1)
        lines = [block[0], *(line for line in _hashes(block[1]))]
        PLACE.mkdir(exist_ok=True)
        wanted = PLACE / "pyarrow.txt"
        wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            _pip(sys.executable, "--only-binary", ":all:", "--target", str(folder), "-r", str(wanted))
        except subprocess.CalledProcessError as error:
            raise Unavailable(
                f"pyarrow, the peer's way into DuckDB, cannot be installed: {error.stderr[-300:]}"
            ) from None
        sys.path.append(str(folder))


def _hashes(text: str) -> list[str]:
    found = []
    for line in text.splitlines():
        if not line.lstrip().startswith("--hash"):
            break
        found.append(line)
    return found


@cache
def data_folder() -> Path:
    """Return the folder with the seeded data, built on first use by bench/peers/data.py (needs numba).

    Raises:
        Unavailable: it is not there and cannot be built.
    """
    named = os.environ.get("BENCH_DATA")
    folder = Path(named).absolute() if named else PLACE / "data"
    if not (folder / "l2_ts.npy").is_file():
        print(f"building the seeded data into {folder}", flush=True)
        environment = {**os.environ, "BENCH_DATA": str(folder)}
        subprocess.run([nautilus_python(), PEERS / "data.py"], check=True, capture_output=True, env=environment)
    return folder
