"""A house of its own for a benchmark: market, engine and recorder as processes, in a folder that is removed again."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.config.file import load_or_create
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.launch import bring_up, take_down


def set_key(home: Home, section: str, key: str, value: str) -> None:
    """Change one key of a home's settings.

    Raises:
        KeyError: the file has no such key.
    """
    text = home.config.read_text(encoding="utf-8")
    start = text.index(f"[{section}]")
    changed, count = re.subn(rf"(?m)^#?\s*{key} = [^#\n]*", f"{key} = {value} ", text[start:], count=1)
    if not count:
        raise KeyError(f"[{section}] {key}")
    home.config.write_text(text[:start] + changed, encoding="utf-8")


@contextmanager
def house(settle_s: float = 3.0, **changes: str) -> Iterator[Home]:
    """Start a house and end it; changes are written ``section__key="value"``."""
    folder = Path(tempfile.mkdtemp(prefix="bench-house-", dir=os.environ.get("BENCH_TMP")))
    home = Home(folder)
    home.create()
    load_or_create(home.config)
    for name, value in changes.items():
        section, key = name.split("__")
        set_key(home, section, key, value)
    load_or_create(home.config)
    started: list[Role] = []
    try:
        started = bring_up(home, None)
        time.sleep(settle_s)
        yield home
    finally:
        take_down(home, started)
        shutil.rmtree(folder, ignore_errors=True)


def pid_of(home: Home, role: Role) -> int:
    """Return the process that holds a role."""
    holder = services.running(home, role)
    assert holder is not None, f"no {role} runs"
    return holder.pid
