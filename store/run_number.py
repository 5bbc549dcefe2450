"""The last run number of a home, beside its journal: order ids begin with it, and none may come again."""

import os
from pathlib import Path

import structlog

log = structlog.get_logger()


def read_run_number(path: Path) -> int:
    """Return the last run number that was given out; 0 where none was, or where none can be read, which is logged."""
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        log.warning("run number not read, the journal's counts", path=str(path), error=str(error))
        return 0


def write_run_number(path: Path, run: int) -> None:
    """Keep a run number, durably; where that cannot be done it is logged: the journal has it too."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="ascii") as file:
            file.write(f"{run}\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        log.warning("run number not kept beside the journal", path=str(path), error=str(error))
