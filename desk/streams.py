"""The three streams of a command: a missing one, or one that cannot show a letter, undoes nothing that was done."""

import io
import os
import sys
from pathlib import Path
from typing import Literal


def mend() -> None:
    """Put the null device in the place of streams that were closed, and let no letter fail on its way."""
    # In the order of their numbers: each takes the lowest that is free, which no file or socket of ours must get.
    if sys.stdin is None:
        sys.stdin = _null("r")
    if sys.stdout is None:
        sys.stdout = _null("w")
    if sys.stderr is None:
        sys.stderr = _null("w")
    for stream in (sys.stdin, sys.stdout):  # stderr has a way of its own with what it cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _null(mode: Literal["r", "w"]) -> io.TextIOWrapper:
    return Path(os.devnull).open(mode, encoding="utf-8")


def shown(text: str) -> str:
    """Return JSON so that stdout can show it: letters that its encoding has not are escaped, as JSON knows how."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        import json

        return "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)
    return text


def typed(text: str) -> str:
    """Return an argument as text that can be sent: its bytes as UTF-8, whatever the terminal's letters are."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
