"""How an engine keeps its sentinel: one that fell silent is replaced; and what the last drill measured."""

import contextlib
import os
import signal
import threading
import time

import msgspec
import structlog

from core.beating import Beating
from core.errors import TradedeckError
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.systemd import Notify

log = structlog.get_logger()
TROUBLE = 300
"""Characters of why a sentinel did not start."""
DRILL_S = 5.0
"""How often the last drill's file is looked at."""


class DrillResult(msgspec.Struct, frozen=True):
    """What a drill measured; times in seconds."""

    date: str
    exit_s: float
    """From the kill switch to the exit on its way to the venue."""
    flat_s: float
    """From the kill switch to flat, confirmed by the venue."""
    sentinel_flat_s: float
    """From the death of an engine that cannot come back to flat, the grace included."""

    @property
    def words(self) -> str:
        """Say it in one line."""
        return f"drill {self.date}: breach → flat {self.flat_s:.1f} s, dead → flat {self.sentinel_flat_s:.1f} s"


def last_drill(home: Home) -> DrillResult | None:
    """Return what the last drill measured; None where there was none, or its file cannot be read."""
    try:
        return msgspec.json.decode(home.drill.read_bytes(), type=DrillResult)
    except (OSError, msgspec.DecodeError):
        return None


class Sitter:
    """Serve an engine's ``Beating``; everything that may take time is done by a thread of its own."""

    def __init__(self, home: Home, notify: Notify) -> None:
        self._home, self._notify = home, notify
        self._pid = 0
        self._drill = ""
        self._trouble = ""
        """Why no sentinel started; what the operating system or the last line of its log says."""

    def sit(self, beating: Beating) -> None:
        """Begin."""
        threading.Thread(target=self._read, daemon=True).start()
        beating.each_tick = self._notify.alive
        beating.restart = self._restart
        beating.drill = lambda: self._drill
        beating.trouble = lambda: self._trouble

    def _read(self) -> None:
        while True:  # a thread of its own: the engine's loop never waits for this file
            found = last_drill(self._home)
            self._drill = found.words if found is not None else ""
            time.sleep(DRILL_S)

    def _restart(self) -> None:
        if not self._notify.supervised:  # systemd starts it again by itself
            threading.Thread(target=self._replace, daemon=True).start()

    def _replace(self) -> None:
        home = self._home
        try:
            there = services.running(home, Role.SENTINEL)
            if there is not None and there.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(there.pid, signal.SIGKILL)
            if self._pid:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(self._pid, 0)
            services.wait_gone(home, Role.SENTINEL, timeout=1.0)
            self._pid = services.start(home, Role.SENTINEL)
            self._trouble = ""
        except (TradedeckError, OSError) as error:
            log.warning("sentinel not restarted", error=str(error))
            self._trouble = str(error).splitlines()[-1].strip()[:TROUBLE]
