"""How loops are compiled here: numba, cached on disk, without the interpreter's lock and without reference counts."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import config, njit

from core.strategy import figures

P = ParamSpec("P")
R = TypeVar("R")


def _cache_folder() -> str:
    """Return the folder of compiled code for this very source.

    numba looks at the time of the file a function stands in and not at what it calls: a kernel mended in one file would
    live on in the compiled callers of another. So the folder is named after all of the package's source, and after the
    rule that it shares with live strategies.
    """
    digest = hashlib.sha256()
    for file in (*sorted(Path(__file__).parent.glob("*.py")), Path(figures.__file__)):
        digest.update(file.read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return str(root / "tradedeck" / f"kernels-{digest.hexdigest()[:16]}")


if not os.environ.get("NUMBA_CACHE_DIR"):
    setattr(config, "CACHE_DIR", _cache_folder())  # noqa: B010  numba's settings are known at run time only

MAKING: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
KERNEL: dict[str, Any] = {**MAKING, "_nrt": False}
"""Without numba's run-time arrays and records are plain pointers: counting their references at every call took four
fifths of the walk's time (docs/decisions/050-margin-simulator.md)."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that makes no arrays of its own."""
    return cast("Callable[P, R]", njit(**KERNEL)(function))


def making(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that makes arrays."""
    return cast("Callable[P, R]", njit(**MAKING)(function))
