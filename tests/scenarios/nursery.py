"""Roles that start at once: forked from a process that has loaded everything, for tests that need hundreds of them.

Most of a start is the loading of modules. What is forked runs ``tradedeck <role>`` from its command line on, in a
session of its own. ``python -m tests.scenarios.nursery FD`` is the process that is forked from.
"""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from desk.paths import Home, Role
from desk.roles.services import READY_VARIABLE

MODULES = (
    *(
        "uvloop",
        "desk.cli",
        "desk.wiring",
        "desk.alerting",
        "desk.roles.pulses",
        "desk.roles.sitter",
        "desk.roles.systemd",
    ),
    *(
        "desk.roles.watchdog",
        "desk.roles.roles",
        "desk.roles.logs",
        "core.runtime",
        "core.engine",
        "core.guardian.guardian",
    ),
    *("store.journal.journal", "store.segments.writer", "store.memory", "store.home_lock", "store.lease"),
    *("venues.contracts_table", "venues.market.accounts", "venues.market.venue"),
    *("venues.market.server", "desk.matching", "desk.replay.tapes"),
)
"""What the roles load; the recorder, whose DuckDB no other may load, starts as it always does."""
BORN = frozenset({Role.ENGINE, Role.SENTINEL, Role.MARKET})
WORD_BYTES = 65_536


class Nursery:
    """Start roles by forking; end it when they are no longer needed."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.scenarios.nursery", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a fork takes no threads along
        )
        theirs.close()
        assert self._line.recv(WORD_BYTES) == b"warm"

    def start(self, home: Home, role: Role, arguments: Sequence[str] = (), timeout: float = 120.0) -> int:
        """Start a role and wait until it serves; return its pid.

        Raises:
            RuntimeError: it ended, or was not ready in time.
        """
        ours, theirs = os.pipe()
        with home.log(role).open("ab") as log:
            words = json.dumps([role, "--home", str(home.root), *arguments]).encode()
            socket.send_fds(self._line, [words], [log.fileno(), theirs])
        os.close(theirs)
        pid = int(self._line.recv(WORD_BYTES))
        try:
            end = time.monotonic() + timeout
            while select.select([ours], [], [], max(0.0, end - time.monotonic()))[0]:
                if os.read(ours, 64).strip() == b"ready":
                    return pid
                break
        finally:
            os.close(ours)
        raise RuntimeError(f"the {role} did not start; its log is {home.log(role)}")

    def end(self) -> None:
        """End the process that is forked from; what was started lives on."""
        self._line.close()
        self._process.wait(60)


def main() -> None:
    """Load everything, then fork for every line that comes."""
    line = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone at once
    for name in MODULES:
        import_module(name)
    gc.collect()
    gc.freeze()
    line.send(b"warm")
    while True:
        words, fds, *_ = socket.recv_fds(line, WORD_BYTES, 2)
        if not words:
            return
        pid = os.fork()
        if not pid:
            line.close()
            _become(json.loads(words), *fds)
        for fd in fds:
            os.close(fd)
        line.send(str(pid).encode())


def _become(words: list[str], log: int, ready: int) -> NoReturn:
    """Be a role, from its command line on."""
    from desk.cli import main as command_line

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ[READY_VARIABLE] = str(ready)
    sys.argv = ["tradedeck", *words]
    code = 1
    try:
        command_line()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
