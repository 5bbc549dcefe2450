"""Run uv from a throw-away environment, so that nobody has to install it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = ("research", "chain", "ibkr", "betfair", "crypto", "cluster", "web", "keyring", "bench")


@contextmanager
def throwaway_uv() -> Iterator[Path]:
    """Make a temporary environment with uv in it and give the path of its program."""
    with tempfile.TemporaryDirectory(prefix="tradedeck-uv-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        binaries = Path(folder) / "bin"
        subprocess.run([binaries / "python", "-m", "pip", "install", "-qq", "uv"], check=True)
        yield binaries / "uv"


def compile_lock(uv: Path, source: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Resolve ``source`` with wheels only; the caller reads the outcome."""
    command = [str(uv), "pip", "compile", "--quiet", "--no-header", "--only-binary", ":all:", *arguments, str(source)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
