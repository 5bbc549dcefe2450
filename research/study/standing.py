"""How a study stands, in its folder: ``state.json`` and the lock of whoever runs it; no search library is loaded."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core.domain.studies import Study, StudyState
from core.errors import ResearchError

_LOOK_S = 0.02


def write_state(folder: Path, study: Study) -> None:
    """Keep how a study stands for whoever asks while, or after, it runs."""
    part = folder / f".state.{os.getpid()}"
    part.write_bytes(msgspec.json.encode(study))
    part.replace(folder / "state.json")


def read_state(folder: Path) -> Study | None:
    """Return how a study stands; one that says it runs though nobody holds it was cut short."""
    try:
        study = msgspec.json.decode((folder / "state.json").read_bytes(), type=Study)
    except (FileNotFoundError, msgspec.DecodeError):  # what was damaged by hand is written anew by the next run
        return None
    if study.state in (StudyState.RUNNING, StudyState.PAUSED) and not is_held(folder):
        text = "it ended without a word; run it again to resume"
        return msgspec.structs.replace(study, state=StudyState.STOPPED, rate=None, seconds_left=None, reason=text)
    return study


def is_held(folder: Path) -> bool:
    """Return whether a process runs the study."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a study while it runs here.

    Raises:
        ResearchError: another process runs it.
    """
    with (folder / "lock").open("w") as lock:
        for patience in (_LOOK_S,) * 5 + (0.0,):  # who only looks whether it is held has it for a moment
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not patience:
                    raise ResearchError(f"{folder.name} is being run by another process") from None
                time.sleep(patience)
        yield
