"""Remember how a terminal was left, so that the next one begins there. A file of its own in the home, written whole."""

import os
from pathlib import Path

import msgspec

FILE_NAME = "terminal.json"


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the last terminal showed; empty where nothing was chosen."""

    screen: str = ""
    layout: str = ""
    instrument: str = ""
    interval: str = ""
    local_time: bool | None = None
    watchlist: str = ""
    sort: str = ""
    """The column that the watchlist is sorted by, with a minus before it where downwards."""
    keymap: str = ""


def recall(path: Path | None) -> tuple[Memory, str]:
    """Return what is remembered, and a sentence where the file cannot be used."""
    if path is None:
        return Memory(), ""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory), ""
    except FileNotFoundError:
        return Memory(), ""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return Memory(), f"{path.name} is not used: the screen begins as after the first start ({error})"


def keep(path: Path | None, memory: Memory) -> str:
    """Write what is to be remembered, whole or not at all; return a sentence where it could not be."""
    if path is None:
        return ""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(msgspec.json.encode(memory))
        part.replace(path)
    except OSError as error:
        return f"{path.name} cannot be written: {error.strerror}; the next terminal begins as the last one did"
    return ""
