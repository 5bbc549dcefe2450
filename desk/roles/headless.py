"""The workstation without a screen: plain lines in the foreground."""

import asyncio
import contextlib
import signal
from collections.abc import Sequence

from core.errors import NoEngine
from desk import output, watching
from desk.paths import Home, Role
from desk.roles import launch, services

RETRY_SECONDS = 0.5
ORDERLY = "the engine stopped"
"""How an engine that was told to end begins its good-bye."""


def run(home: Home, started: Sequence[Role], as_json: bool) -> None:
    """Print changes until SIGINT, SIGTERM or the engine's orderly end, then end the roles that were started here."""
    output.say(f"home {home.root}; started {', '.join(started) or 'nothing, everything ran'}; Ctrl+C ends it")
    try:
        asyncio.run(_watch(home, as_json))
    finally:
        launch.take_down(home, started)
    output.say("ended; positions and orders are kept and will be there again")


async def _watch(home: Home, as_json: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    told = False
    while not ended.is_set():
        try:
            await watching.watch(home, [], 1.0, None, as_json, ended)
            return
        except NoEngine as error:
            # A crash is not an end: the market runs on, and an engine that is started again is shown again.
            if str(error).startswith(ORDERLY) or services.running(home, Role.MARKET) is None:
                output.say(str(error))
                return
            if not told or services.running(home, Role.ENGINE) is not None:
                output.say(f"{error}; the market runs on, waiting for an engine")
                told = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), RETRY_SECONDS)
