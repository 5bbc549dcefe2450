"""The engine's ear for promotions: a thread of its own reads PostgreSQL, the loop only takes what was found.

A home that never promoted anything has no PostgreSQL and loads no client of one: until then this is a look at a folder
every two seconds.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from core.config.settings import Settings
from core.domain import studies as s
from core.domain.message import Command, Data, Message, Nanoseconds
from core.errors import StoreError, TradedeckError
from desk.paths import Home
from desk.research.configs import in_use, opened

if TYPE_CHECKING:
    from store.configs import ConfigStore, Found

log = structlog.get_logger()
LOOK_S = 2.0
"""How often a home without configs is looked at."""
READ_S = 60.0
"""How often they are read without being told to: a NOTIFY may be lost."""
_SLICE_S = 0.5
"""How long a stop waits for the thread at most, while it listens."""
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 30.0
ORIGIN = "promotion"


class Adopting:
    """Hand each promoted config to the engine once, and say whether promotions are heard of.

    ``emit`` queues a message for the engine and is called in its loop. A strategy is only ever ended by a row that says
    so: what PostgreSQL does not know any more runs on.
    """

    def __init__(
        self, home: Home, settings: Settings, emit: Callable[[Message], None], clock: Callable[[], Nanoseconds]
    ) -> None:
        self._home, self._settings, self._emit, self._clock = home, settings, emit, clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._handed: dict[str, s.Config] = {}
        """The newest config of each strategy that the engine was given."""
        self._trouble = ""
        self._unkept = ""
        """Why the set could not be kept on disk, as it was said last."""
        self._pause = FIRST_RETRY_S
        self._is_away = False
        self._heard = False
        """Whether PostgreSQL has answered since the start: until then the set on disk may have to do."""

    def start(self) -> None:
        """Begin; called in the engine's loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="promotions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; nobody waits for it."""
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Wait for the thread's end; tell whether it came."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if in_use(self._home, self._settings):
                    self._follow()
                self._pause = LOOK_S
            except TradedeckError as error:
                self._away(str(error))
            except Exception as error:  # task boundary: promotions that fail end no trading
                log.exception("promotions not read")
                self._away(f"they cannot be read: {error!r}; see the engine's log")
            self._stop.wait(self._pause)
            self._pause = min(2 * self._pause, LAST_RETRY_S)

    def _follow(self) -> None:
        """Listen and read until it is over.

        Raises:
            TradedeckError: PostgreSQL is away.
        """
        with opened(self._home, self._settings) as store:
            store.listen()  # before the first reading: nothing falls between the two
            while not self._stop.is_set():
                self._take(store.newest())
                self._wait(store)

    def _wait(self, store: "ConfigStore") -> None:
        """Wait for a word, or until it is time to read anyway."""
        until = time.monotonic() + READ_S
        while not self._stop.is_set() and time.monotonic() < until:
            if store.wait(_SLICE_S):
                return

    def _take(self, found: "Found") -> None:
        self._heard, self._is_away, self._pause = True, False, FIRST_RETRY_S
        self._hand(found.configs)
        trouble = list(found.damaged)
        if not found.damaged:  # else a strategy may only seem to have no row
            there = {config.strategy_id for config in found.configs}
            lost = [one.key for one in self._handed.values() if one.strategy_id not in there and _runs(one)]
            trouble += [f"{key} is not in PostgreSQL any more: it runs on; promote it again" for key in lost]
        if not trouble:  # a set that lacks something does not take the place of a whole one
            self._keep(found.configs)
        self._say("; ".join(trouble))

    def _keep(self, configs: Sequence[s.Config]) -> None:
        from store.config_cache import ConfigCache

        cache, unkept = ConfigCache(self._home.configs), ""
        try:
            known = None
            with contextlib.suppress(StoreError):  # damaged: it is written anew
                known = cache.read()
            if known is None or set(_hashes(known)) != set(_hashes(configs)):
                cache.write(configs)
        except StoreError as error:
            unkept = str(error)
        if unkept and unkept != self._unkept:
            log.warning("promoted set not kept on disk", error=unkept)
        self._unkept = unkept

    def _away(self, reason: str) -> None:
        """Say once that PostgreSQL is away; at the start the last set on disk takes its place."""
        if self._is_away:
            return
        self._is_away = True
        words = f"{reason}; strategies run on by what they have"
        if not self._heard:
            from store.config_cache import ConfigCache

            try:
                kept = ConfigCache(self._home.configs).read()
            except TradedeckError as error:
                words = f"{reason}; {error}"
            else:
                self._hand(kept)
                names = ", ".join(one.key for one in kept if _runs(one)) or "nothing"
                words = f"{reason}; strategies run by the last promoted set on disk: {names}"
        self._say(words)

    # --- to the engine ------------------------------------------------------------------------------------------------

    def _hand(self, configs: Sequence[s.Config]) -> None:
        """Give the engine what it was not given yet."""
        for config in configs:
            if self._handed.get(config.strategy_id) == config:
                continue
            self._handed[config.strategy_id] = config
            log.info("promoted config handed over", config=config.key, status=config.status.value)
            self._tell(s.AdoptConfig(config, ORIGIN), s.ConfigChanged(config, 0))

    def _say(self, trouble: str) -> None:
        """Tell once how it stands; again when that changes."""
        if trouble == self._trouble:
            return
        if trouble:
            log.warning("promotions not heard of", reason=trouble)
        else:
            log.info("promotions are heard of")
        self._trouble = trouble
        self._tell(s.ConfigsStatus(trouble, 0))

    def _tell(self, *messages: Command | Data) -> None:
        def queue() -> None:
            for message in messages:
                self._emit(message.replace(ts=self._clock()))

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody trades any more
            self._loop.call_soon_threadsafe(queue)


def _runs(config: s.Config) -> bool:
    return config.status is s.ConfigStatus.ACTIVE


def _hashes(configs: Sequence[s.Config]) -> list[tuple[str, int, str, str]]:
    return [(config.strategy_id, config.version, config.status.value, config.hash) for config in configs]
