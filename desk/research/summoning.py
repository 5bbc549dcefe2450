"""Whether a researcher is wanted, can be had, and how an engine starts one."""

import asyncio
import contextlib
import os
import threading
from functools import partial
from importlib.util import find_spec

import structlog

from core.errors import StoreError
from core.session.research import Research
from desk.paths import Home, Role
from desk.research.keeping import Keeper
from desk.research.wanted import wanted
from desk.roles import services

log = structlog.get_logger()
EXTRA = "studies need the extra research: pip install 'tradedeck[research]'"
START_SECONDS = 15.0


def can_research() -> bool:
    """Tell whether the packages of the extra are installed."""
    return all(find_spec(name) is not None for name in ("optuna", "apscheduler", "numba"))


def waits(home: Home) -> bool:
    """Tell whether anything of a home waits for a researcher that can be had."""
    return can_research() and has_work(home)


def has_work(home: Home) -> bool:
    """Tell whether a home has work for a researcher: a study that was asked for, work owed, a schedule."""
    return bool(wanted(home)) or any((home.schedule / "owed").glob("[!.]*")) or _scheduled(home)


def _scheduled(home: Home) -> bool:
    file = home.schedule / "jobs.sqlite"
    if not file.exists():
        return False
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as base:
            return base.execute("SELECT 1 FROM jobs WHERE next_run_time IS NOT NULL").fetchone() is not None
    except sqlite3.Error:
        return True  # the researcher says what is wrong with it


def bring(home: Home) -> bool:
    """Start a researcher where none runs; tell whether one was started.

    Raises:
        StoreError: the extra is not installed, or it does not start.
    """
    if services.running(home, Role.RESEARCHER) is not None:
        return False
    if not can_research():
        raise StoreError(EXTRA)
    services.start(home, Role.RESEARCHER)
    return True


class Summoner:
    """Start a researcher for an engine, beside its loop."""

    def __init__(self, home: Home, *, supervised: bool) -> None:
        self._home, self._supervised = home, supervised
        self._child = 0
        self._ends = threading.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def __call__(self) -> str:
        """Start one where none runs; return why that could not be, or nothing."""
        return await asyncio.to_thread(self._start)

    def keep(self, research: Research) -> None:
        """See from now on that work which waits has one; called in the engine's loop."""
        self._keeping = asyncio.ensure_future(Keeper(research, partial(has_work, self._home)).run())

    def end(self) -> None:
        """Start none any more, and give up one that is starting: the engine ends, and would wait for it."""
        self._ends.set()
        if self._keeping is not None:
            self._keeping.cancel()

    def _start(self) -> str:
        if self._child:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._child, os.WNOHANG)
        if services.running(self._home, Role.RESEARCHER) is not None:
            return ""  # it is coming, or comes back
        if not can_research():
            return EXTRA
        if self._supervised:  # it would live, and count its memory, inside the engine's unit
            return (
                "no researcher is running, and systemd runs this engine: systemctl [--user] start tradedeck-researcher"
            )
        try:
            self._child = services.start(self._home, Role.RESEARCHER, timeout=START_SECONDS, given_up=self._ends)
        except (StoreError, OSError) as error:
            log.warning("researcher not started", error=str(error))
            return f"no researcher is running, and none could be started: {error}"
        return ""
