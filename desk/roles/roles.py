"""What every background role does around its work: lock, log, priority, readiness, an orderly end."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator

import structlog

from core.config.file import load_or_create
from core.config.settings import Places, Settings
from core.errors import TradedeckError
from desk.paths import Home, Role
from desk.roles import hardening, logs, services

Work = Callable[[asyncio.Event], Awaitable[None]]


@contextlib.contextmanager
def role(home: Home, name: Role, detail: Callable[[Settings], str] = lambda _: "") -> Iterator[tuple[Settings, Places]]:
    """Hold a role for the length of its work: settings read, lock taken, log set up.

    Raises:
        ConfigError: the settings cannot be used.
        HomeLocked: the role runs already.
    """
    home.create()
    settings, places = load_or_create(home.config)
    with services.holding(home, name, detail(settings)):
        hardening.harden()
        logs.configure(settings.log)
        log = structlog.get_logger()
        log.info("role starts", role=str(name), home=str(home.root))
        try:
            yield settings, places
        except TradedeckError:
            raise  # its sentence is the last line of the log
        except Exception:  # task boundary: a role that crashes leaves a readable log
            log.exception("role crashed", role=str(name))
            sys.exit(1)
        else:
            log.info("role ended", role=str(name))


def serve(work: Work, *, fast: bool = True) -> None:
    """Run a role's work until SIGTERM or SIGINT sets its event, on the ``fast`` loop or on the one that is small."""
    factory = None
    if fast:
        import uvloop

        factory = uvloop.new_event_loop

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        # A role in the background outlives the terminal that started it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        await work(stop)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(until_stopped())
