"""Run a market process that kills itself at a write point: ``SETTINGS.json NUMBER before|after``.

It is the real process over the real socket; only its file is watched, here and not in the program. The process dies
with SIGKILL just before, or just after, its durable write of that number. Before it dies it waits a moment, so that
whatever it has handed to its sockets too early does arrive at the other end.
"""

import os
import signal
import sys
import time

from venues.market import __main__ as market
from venues.market.keep import LatestFile

LINGER_S = 0.3


def watch(number: int, when: str) -> None:
    """Have the process die at its durable write of this number, counted after its start."""
    write, seen = LatestFile.put, 0

    def put(self: LatestFile, values: dict[str, bytes], sync: bool) -> None:
        nonlocal seen
        seen += sync and any(name.startswith("account/") for name in values)
        if seen >= number and when == "before":
            die()
        write(self, values, sync)
        if seen >= number:
            die()

    LatestFile.put = put  # type: ignore[method-assign]


def die() -> None:
    """Die as kill -9 does, a moment later."""
    time.sleep(LINGER_S)
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


if __name__ == "__main__":
    watch(int(sys.argv[2]), sys.argv[3])
    market.main()
