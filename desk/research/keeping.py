"""A researcher for work that waits: the engine has one started by itself, with longer pauses while none stays."""

import asyncio
import time
from collections.abc import Callable

import structlog

from core.session.research import Research

log = structlog.get_logger()
LOOK_S = 10.0
AWAY_S = 30.0
"""How long none is here before one is started: one that systemd or a trader starts comes by itself."""
MOST_S = 3600.0
STAYED_S = 600.0
"""One that was here for so long is no reason to hesitate when it goes."""


class Pauses:
    """When a researcher may be started: ``AWAY_S`` after it went, twice as long after each try, ``MOST_S`` at most.

    Times are seconds of any clock that only goes on.
    """

    def __init__(self, now: float) -> None:
        self.tries = 0
        """How often one was started since the last that stayed."""
        self._here, self._since = False, now

    @property
    def pause(self) -> float:
        """How long none has to be here, and nothing tried, before the next try."""
        return min(AWAY_S * 2.0 ** min(self.tries, 20), MOST_S)

    def is_over(self, here: bool, now: float) -> bool:
        """Take whether one is here; tell whether one may be started."""
        if here is not self._here:
            self._here, self._since = here, now
        if here and now - self._since >= STAYED_S:
            self.tries = 0
        return not here and now - self._since >= self.pause

    def tried(self, now: float) -> None:
        """Take that one was started, or could not be."""
        self.tries += 1
        self._since = now


class Keeper:
    """See that work which waits has a researcher; where none can be had or stays, say so once.

    ``has_work`` looks at files and is called in a thread, only while no researcher is here.
    """

    def __init__(
        self, research: Research, has_work: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._research, self._has_work, self._clock = research, has_work, clock
        self._pauses = Pauses(clock())
        self._refused = ""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception as error:  # task boundary: studies that wait end no trading
                self._research.lacks(f"what waits cannot be looked at: {error!r}")

    async def look(self) -> None:
        """Start a researcher where work waits for one and the pause is over."""
        is_over = self._pauses.is_over(self._research.attached, self._clock())
        if self._research.attached or not (is_over or self._pauses.tries):
            return
        if not await asyncio.to_thread(self._has_work):
            self._research.lacks("")
            return
        if is_over:
            self._refused = await self._research.fetch()
            self._pauses.tried(self._clock())
            if not self._refused:
                log.info("researcher started for work that waits", tries=self._pauses.tries)
        self._research.lacks(self._refused or self._words())

    def _words(self) -> str:
        times = "once" if self._pauses.tries == 1 else f"{self._pauses.tries} times"
        return f"a researcher was started {times} and does not stay; the next try after {self._pauses.pause:g} s"
