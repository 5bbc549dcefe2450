"""Hand alerts to targets outside, in a thread with a loop of its own: nothing in here can hold up the engine."""

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec
import structlog

from core.config.secrets import redact
from core.config.settings import AlertSettings
from core.domain.alerts import AlertAcknowledged, AlertCleared, AlertRaised, TargetStatus
from core.domain.message import Event
from core.notify.http import BadReply, Reply, post
from core.notify.queue import Pace, Waiting
from core.notify.targets import Notice, Target
from core.ports import Clock

log = structlog.get_logger()
REMEMBERED = 500
STOP_S = 2.0
_TAKEN = (AlertRaised, AlertCleared, AlertAcknowledged)
Tell = Callable[[TargetStatus], None]


class Sieve:
    """Decide which events are worth a notice: an alert once, its repeats seldom, its end where its start was told."""

    def __init__(self, remind_s: float) -> None:
        self._remind_ns = int(remind_s * 1e9)
        self._told: OrderedDict[int, tuple[Notice, int]] = OrderedDict()
        """Number of an alert: what was told of it, and when last."""
        self._missed: dict[int, int] = {}

    def notice(self, event: Event) -> Notice | None:
        """Return what is to be told of an event, or None."""
        if isinstance(event, AlertRaised):
            return self._raised(event)
        if isinstance(event, AlertCleared) and event.number in self._told:
            notice, _ = self._told.pop(event.number)
            self._missed.pop(event.number, None)
            return msgspec.structs.replace(notice, times=1, recovered=True, ts=event.ts)
        return None

    def _raised(self, event: AlertRaised) -> Notice | None:
        if event.muted:
            return None
        number, times = event.number, event.times
        known = self._told.get(number)
        if known is not None:
            times += self._missed.pop(number, 0)
            if event.ts - known[1] < self._remind_ns and event.severity <= known[0].severity:
                self._missed[number] = times
                return None
        notice = Notice(
            number, event.key, event.kind, event.severity, event.instrument, event.text, times, False, event.ts
        )
        self._told[number] = (notice, event.ts)
        if len(self._told) > REMEMBERED:
            forgotten, _ = self._told.popitem(last=False)
            self._missed.pop(forgotten, None)
        return notice


class Courier:
    """Bring what waits to one target, try again, and hand over to its second."""

    def __init__(self, target: Target, settings: AlertSettings, clock: Clock, tell: Tell, pace: Pace) -> None:
        self.target = target
        self.second: Courier | None = None
        self.waiting = Waiting(settings.give_up_minutes * 60.0, pace)
        self._pace = pace
        self.busy = False
        self._after, self._clock, self._tell = settings.second_after_tries, clock, tell
        self._sent = 0
        self._trouble = ""
        self._wake = asyncio.Event()

    def take(self, notice: Notice) -> None:
        """Queue a notice."""
        self.waiting.put(notice, self._now())
        self._wake.set()

    @property
    def leaves_soon(self) -> bool:
        """Tell whether something is on its way, or will be at once."""
        return self.busy or (len(self.waiting) > 0 and not self.waiting.tries)

    async def run(self) -> None:
        """Deliver for ever, one post at a time."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := self.waiting.batch(self._now()):
                self.busy = True
                await self._try(batch)
                self.busy = False
                await self._pause()
            self._report()

    async def _pause(self) -> None:
        """Wait before the next try; where a second target is at hand, a new notice does not wait for that."""
        if self.second is None:
            await asyncio.sleep(self.waiting.pause_s)
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.waiting.pause_s):
                await self._wake.wait()

    async def _try(self, batch: list[Notice]) -> None:
        wrong, lasting, wait = await self._post(batch)
        if not wrong:
            self._sent += len(batch)
            self.waiting.delivered(batch)
        else:
            self.waiting.failed(wait)
            if self.second is not None and (lasting or self.waiting.tries >= self._after):
                for notice in batch:
                    self.second.take(notice)
                self.waiting.remove(batch)
            elif lasting:
                self.waiting.lost += len(batch)
                self.waiting.remove(batch)
        self._trouble = wrong
        self._report()

    async def _post(self, batch: list[Notice]) -> tuple[str, bool, float]:
        """Return what went wrong (empty: nothing), whether trying again is useless, and the pause a server asks for."""
        try:
            made = self.target.post(batch)
            headers = {name: value.reveal() for name, value in made.headers.items()}
            reply = await post(made.url.reveal(), headers, made.body, self._pace.timeout_s)
        except TimeoutError:
            return f"no answer within {self._pace.timeout_s:g} s", False, 0.0
        except OSError as error:
            return _reason(error), False, 0.0
        except Exception as error:  # task boundary: one odd notice must not end the deliveries; its text may be secret
            log.error("alert not posted", target=self.target.name, error=type(error).__name__)  # noqa: TRY400
            return f"cannot be posted: {type(error).__name__}", True, 0.0
        return _verdict(reply)

    def _report(self) -> None:
        waiting, trouble = self.waiting, redact(self._trouble)
        self._tell(TargetStatus(self.target.name, trouble, len(waiting), self._sent, waiting.lost, self._clock.now()))

    def _now(self) -> float:
        return self._clock.now() / 1e9


def _reason(error: OSError) -> str:
    """Say what an error of the network means; only words of ours and the system's, never the address."""
    if isinstance(error, BadReply):
        return str(error)
    if isinstance(error, ssl.SSLError):
        return f"no secure connection: {error.reason or type(error).__name__}"
    if isinstance(error, socket.gaierror):
        return f"its name is not known: {error.strerror}"
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _verdict(reply: Reply) -> tuple[str, bool, float]:
    status = reply.status
    if 200 <= status < 300:
        return "", False, 0.0
    again = status in {408, 425, 429} or status >= 500
    advice = {401: ": check its secret", 403: ": check its secret", 404: ": check its url"}.get(status, "")
    if 300 <= status < 400:
        advice = ": it moved; write the new address into its url"
    return f"it answered {status}{advice}", not again, reply.retry_after_s


class Notifier:
    """Run the couriers in a thread of its own; ``take`` is called from the engine's loop, ``tell`` from the thread."""

    def __init__(
        self,
        settings: AlertSettings,
        targets: Sequence[Target],
        clock: Clock,
        tell: Tell,
        pace: Pace = Pace(),  # noqa: B008  frozen
    ) -> None:
        self._settings, self._targets, self._clock, self._tell, self._pace = settings, targets, clock, tell, pace
        self._sieve = Sieve(settings.remind_minutes * 60.0)
        self._couriers: dict[str, Courier] = {}
        self._first: list[Courier] = []
        """Those that are nobody's second."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver; without a target there is nothing to begin."""
        if self._targets:
            self._loop = asyncio.SelectorEventLoop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name="notifier", daemon=True)
            self._thread.start()

    def take(self, event: Event) -> None:
        """Take an event of the engine's; returns at once, whatever the targets do."""
        if self._loop is not None and isinstance(event, _TAKEN):
            with contextlib.suppress(RuntimeError):  # the loop has ended: alerts stand in the journal
                self._loop.call_soon_threadsafe(self._event, event)

    def stop(self, seconds: float = STOP_S) -> None:
        """End; what was not tried yet gets this long to leave. Blocks for as long, so not for a loop's thread."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: loop.create_task(self._end(loop, seconds)))
        self._thread.join(seconds + 1.0)

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        for target in self._targets:
            self._couriers[target.name] = Courier(target, self._settings, self._clock, self._tell, self._pace)
        seconds = {target.settings.second for target in self._targets}
        self._first = [courier for name, courier in self._couriers.items() if name not in seconds]
        for courier in self._couriers.values():
            courier.second = self._couriers.get(courier.target.settings.second)
        tasks = [loop.create_task(courier.run()) for courier in self._couriers.values()]
        try:
            loop.run_forever()
        finally:
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.close()

    def _event(self, event: Event) -> None:
        if isinstance(event, AlertAcknowledged):
            for courier in self._couriers.values():
                courier.waiting.drop(set(event.numbers))
            return
        notice = self._sieve.notice(event)
        if notice is None:
            return
        for courier in self._first:
            if courier.target.wants(notice):
                courier.take(notice)

    async def _end(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(courier.leaves_soon for courier in self._couriers.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        loop.stop()
