"""A machine of its own time: one scheduler for everything that happens, an asyncio loop for every process on it.

Nothing here sleeps: time is what the next thing on the agenda is due at. What is due at the same time happens in the
order in which it was asked for, as in asyncio itself; all chance is in the delays, and those are drawn from seeds.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from core.domain.message import Nanoseconds

S: Nanoseconds = 1_000_000_000
MS: Nanoseconds = 1_000_000
HOUR: Nanoseconds = 3600 * S
BEGIN: Nanoseconds = 1_700_000_000 * S
"""UTC when the machine is switched on."""
MOST_STEPS = 100_000
"""A simulation of more steps goes round and round: nothing more is done."""
BOOTED: Nanoseconds = 10_000 * S


class Killed(SystemExit):
    """Raised where a process ends in the middle of something; nothing in a program catches it."""


class Machine:
    """Hold the agenda, the clocks and the running process."""

    def __init__(self) -> None:
        self.now: Nanoseconds = 0
        """What CLOCK_MONOTONIC says: it stands still while the machine sleeps."""
        self.asleep: Nanoseconds = 0
        self.stepped: Nanoseconds = 0
        """How far the system clock is off."""
        self.steps = 0
        """Moments at which a process could have been killed."""
        self.doom = 0
        """Kill the running process at this moment, where it is not 0."""
        self.killed: Callable[[ProcessLoop | None], None] = lambda loop: None
        """Told which process has ended; None is the one whose disk it was."""
        self._running: ProcessLoop | None = None
        self._agenda: list[tuple[Nanoseconds, int, Callable[[], None] | asyncio.TimerHandle]] = []
        self._ready: deque[asyncio.Handle] = deque()
        self._count = 0

    # --- clocks -----------------------------------------------------------------------------------------------------

    @property
    def utc(self) -> Nanoseconds:
        """Return the true time, which venues keep."""
        return BEGIN + self.now + self.asleep

    def time_ns(self) -> Nanoseconds:
        """Return what the system clock says, as ``time.time_ns``."""
        return self.utc + self.stepped

    def clock_gettime_ns(self, clock: int) -> Nanoseconds:
        """Return the time since boot, sleep included, as ``time.clock_gettime_ns``."""
        return BOOTED + self.now + self.asleep

    # --- agenda -----------------------------------------------------------------------------------------------------

    def after(self, delay: Nanoseconds, do: Callable[[], None]) -> None:
        """Have something happen to the world outside the process."""
        self._put(self.now + max(delay, 0), do)

    def _put(self, when: Nanoseconds, what: Callable[[], None] | asyncio.TimerHandle) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (when, self._count, what))

    def moment(self) -> None:
        """Pass a moment at which the process may be killed: every handle it runs, all that it sends or writes.

        Raises:
            Killed: when its time has come.
        """
        self.steps += 1
        if self.steps == self.doom:
            self.doom = 0
            raise Killed
        running = self._running
        if running is not None and running.doom:
            running.doom -= 1
            if not running.doom:
                raise Killed

    def run(self, until: Callable[[], bool], limit: Nanoseconds) -> bool:
        """Let things happen until a condition holds, for so long at most; tell whether it does."""
        end = self.now + limit
        while True:
            self._run_ready()
            if until():
                return True
            if not self._agenda or self._agenda[0][0] > end:
                self.now = end
                return until()
            when, _, what = heapq.heappop(self._agenda)
            self.now = max(self.now, when)
            if isinstance(what, asyncio.TimerHandle):
                if not what.cancelled():
                    self._ready.append(what)
            else:
                self._outside(what)

    def _outside(self, do: Callable[[], None]) -> None:
        """Do something of the world's; where it takes the process along, that ends there."""
        try:
            do()
        except Killed:
            self.killed(None)

    def _run_ready(self) -> None:
        ready = self._ready
        while ready:
            handle = ready.popleft()
            loop: ProcessLoop = handle._loop  # type: ignore[attr-defined]
            if handle.cancelled() or loop.dead:
                continue
            if loop.frozen:
                loop.parked.append(handle)
                continue
            if self.steps > MOST_STEPS:
                ready.clear()
                return
            asyncio._set_running_loop(loop)
            self._running = loop
            try:
                self.moment()
                handle._run()
            except Killed:
                self.killed(loop)
            finally:
                asyncio._set_running_loop(None)
                self._running = None


class ProcessLoop(asyncio.AbstractEventLoop):
    """The event loop of one process; when the process is dead, nothing that it wanted happens any more."""

    def __init__(self, machine: Machine, trouble: Callable[[str], None]) -> None:
        self.dead = False
        self.frozen = False
        """Stopped as by SIGSTOP: what comes meanwhile is done when it goes on."""
        self.parked: list[asyncio.Handle] = []
        self.thawed: Nanoseconds = 0
        """When it last went on after it was stopped."""
        self.doom = 0
        """Kill this process behind so many of its own moments, where it is not 0."""
        self._coroutines: list[Coroutine[Any, Any, Any]] = []
        self._machine = machine
        self._trouble = trouble

    def kill(self) -> None:
        """End the process: nothing that it has begun goes on."""
        self.dead = True
        for coroutine in self._coroutines:
            coroutine.close()

    def thaw(self) -> None:
        """Go on; what has come to be due meanwhile comes first, in its order."""
        if self.frozen:
            self.thawed = self._machine.now
        self.frozen = False
        self._machine._ready.extend(self.parked)
        self.parked.clear()

    def time(self) -> float:
        """Return the machine's monotonic time in seconds."""
        return self._machine.now / S

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback next."""
        handle = asyncio.Handle(callback, args, self, context)
        self._machine._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback next; there are no threads here."""
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback in so many seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a time of the loop's clock."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._machine._put(max(round(when * S), self._machine.now), handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing: the agenda drops what is cancelled when its time comes."""

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        """Run a coroutine."""
        self._coroutines.append(coro)
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Call it here and now: a thread would be another scheduler."""
        future = self.create_future()
        future.set_result(func(*args))
        return future

    def get_debug(self) -> bool:
        """Return False: this is the loop as it runs for real."""
        return False

    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return not self.dead

    def is_closed(self) -> bool:
        """Tell whether the process is dead."""
        return self.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell what nobody caught; of a dead process nobody wants to know."""
        if not self.dead:
            self._trouble(f"{context.get('message')}: {context.get('exception')!r}")
