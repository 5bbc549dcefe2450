"""The engine's process, held by a handle: for the sentinel, which must end no other in its place."""

import contextlib
import os
import select
import signal
import threading

import structlog

from core.errors import StoreError
from desk.paths import Home, Role
from desk.roles import services

log = structlog.get_logger()


class EngineProcess:
    """Know the engine's process by a handle that no other process can come to bear."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._pid = 0
        self._fd = -1

    def alive(self, pid: int) -> bool:
        """Tell whether the process that beats lives; a pid from an earlier life is proven by the engine's lock.

        Where the lock's file was removed a fresh beat of this pid's proves it: what trades is not closed for that.
        """
        if pid != self._pid:
            self._forget()
            self._pid = pid
        if pid and self._fd < 0:  # also again: what a look could not find out is no death
            holder = services.running(self._home, Role.ENGINE)
            if holder is not None and holder.pid in (pid, 0):
                with contextlib.suppress(OSError):
                    self._fd = os.pidfd_open(pid)
        return self._fd >= 0 and not select.select([self._fd], [], [], 0)[0]

    def kill(self) -> None:
        """End the process, stopped or not."""
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def start(self) -> None:
        """Start the engine, in a thread that nobody waits for; what comes of it is seen by its heartbeat."""
        threading.Thread(target=self._start, daemon=True).start()

    def _start(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, os.WNOHANG)  # it was our child where we had started it
        try:
            services.start(self._home, Role.ENGINE)
        except StoreError as error:
            log.warning("engine not restarted", error=str(error))

    def _forget(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
