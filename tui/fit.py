"""Whether a screen can be shown here, in words; decided before anything heavy is loaded."""

import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

MIN_WIDTH, MIN_HEIGHT = 80, 24
WITHOUT = "Without a screen: `tradedeck halt`, `tradedeck flatten --all`"
"""What reduces risk where no screen can be shown: who needs it has no time to look it up."""


def unfit(
    stdin: TextIO | None = None,
    stderr: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
    size: tuple[int, int] | None = None,
) -> str | None:
    """Say in words why a screen cannot be shown here, or nothing when it can.

    The screen is written to stderr, so stdin and stderr must both be terminals.
    """
    environment = os.environ if environment is None else environment
    for name, stream in (("stdin", stdin or sys.__stdin__), ("stderr", stderr or sys.__stderr__)):
        if stream is None or not stream.isatty():
            return f"{name} is not a terminal, so no screen can be shown; use `tradedeck watch` for plain lines"
    term = environment.get("TERM", "")
    if term in ("", "dumb"):
        return f"TERM={term or '(unset)'} cannot show a screen; use `tradedeck watch`, or set TERM=xterm-256color"
    width, height = size or shutil.get_terminal_size()
    words = too_small(width, height)
    return None if words is None else f"{words}. {WITHOUT}"


def whereabouts(environment: Mapping[str, str] | None = None) -> str:
    """Name this terminal so that a trader knows it again: its line, and the machine it is looked at from."""
    environment = os.environ if environment is None else environment
    line = ""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        line = os.ttyname(sys.__stdin__.fileno()).removeprefix("/dev/") if sys.__stdin__ is not None else ""
    away = environment.get("SSH_CONNECTION", "").split()
    return " from ".join(part for part in (line, away[0] if away else "") if part)


def too_small(width: int, height: int) -> str | None:
    """Say that a terminal is too small, or nothing when it is large enough."""
    if width >= MIN_WIDTH and height >= MIN_HEIGHT:
        return None
    return f"the screen needs {MIN_WIDTH}×{MIN_HEIGHT}, this terminal has {width}×{height}: enlarge it"
