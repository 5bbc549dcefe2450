"""The researcher at work: one study after the other, the schedule, and a session with the engine whenever one runs."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from core.domain import studies as s
from core.errors import TradedeckError
from desk.paths import Home
from desk.research.chores import Did, carry_out
from desk.research.easing import ease
from desk.research.reporting import Reporting
from desk.research.scheduling import rows
from desk.research.wanted import drop, is_wanted, wanted
from research.scheduler import Job, Owed, Schedule
from research.study.idling import processes
from research.study.standing import is_held, write_state

log = structlog.get_logger()
LOOK_S = 1.0
ENDS_S = 3.0
"""How long batches under way may take when the researcher ends; then their workers are killed."""
REST_S = 5.0
TRIES = 3
"""So often a job is begun whose researcher ended in the middle of it."""


class Laboratory:
    """Do what a home's studies and schedule ask for, until told to stop. What is asked for stands in files."""

    def __init__(self, home: Home, pause_late_ms: float) -> None:
        self._home, self._pause_late_ms = home, pause_late_ms
        self._schedule = Schedule(home.schedule)
        self._reporting = Reporting(home, self._schedule, self.wake)
        self._jobs: list[Job] = []
        self._stamp, self._due = -1, 0
        self._study: asyncio.Task[None] | None = None
        self._running = ""
        self._stop_run: Callable[[], None] = _nothing
        self._chore: asyncio.Task[None] | None = None
        self._doing = ""
        self._ending = False
        self._woken = asyncio.Event()
        self._complaints: dict[str, str] = {}
        self._troubled = False
        """The engine was told that the schedule cannot be read."""

    def wake(self) -> None:
        """Look again at once."""
        self._woken.set()

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Work until ``stop`` is set; ``ready`` is called once the engine has been looked for."""
        looked = asyncio.Event()
        beside = [
            asyncio.ensure_future(self._reporting.keep(looked)),
            asyncio.ensure_future(ease(self._home, self._pause_late_ms)),
            asyncio.ensure_future(_then(stop, self.wake)),
        ]
        try:
            await looked.wait()
            ready()
            while not stop.is_set():
                await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._woken.wait()
                self._woken.clear()
            await self._end()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._reporting.close()

    async def _look(self) -> None:
        """Begin what is asked for and can begin; tell the engine what changed. One that fails holds up no other."""
        await self._tried("schedule", self._turn)
        await self._tried("jobs", self._next_job)
        await self._tried("studies", self._next_study)
        await self._tried("rows", self._tell)

    async def _tried(self, what: str, do: Callable[[], Awaitable[None]]) -> None:
        try:
            await do()
            self._complaints.pop(what, None)
        except (TradedeckError, OSError) as error:
            if self._complaints.get(what) != str(error):  # once, not every second
                log.warning("the researcher cannot go on with a part", part=what, reason=str(error))
            self._complaints[what] = str(error)

    async def _next_job(self) -> None:
        if self._chore is None:
            owed = self._schedule.owed()
            if owed:
                self._chore = asyncio.ensure_future(self._do(owed[0]))

    async def _next_study(self) -> None:
        if self._study is None:
            folder = next((one for one in wanted(self._home) if not is_held(one)), None)
            if folder is not None:
                self._study = asyncio.ensure_future(self._run_study(folder))
        elif not is_wanted(self._home.studies / self._running):
            self._stop_run()  # nobody asks for it any more

    async def _tell(self) -> None:
        found = await asyncio.to_thread(rows, self._home, self._schedule, self._jobs, self._doing)
        trouble = self._complaints.get("schedule", "")
        if trouble or self._troubled:
            state = s.StudyState.FAILED if trouble else s.StudyState.FINISHED
            found.append(s.Study("the schedule", "", state, reason=trouble or "can be read again"))
            self._troubled = True
        self._reporting.tell(found)

    async def _turn(self) -> None:
        """Leave notes of the jobs that are due, and read the jobs anew where somebody changed them."""
        stamp = self._schedule.stamp()
        if stamp != self._stamp or (self._due and time.time_ns() >= self._due):
            self._due = await asyncio.to_thread(self._schedule.turn)
            self._jobs = await asyncio.to_thread(self._schedule.jobs)
            self._stamp = self._schedule.stamp()

    # --- a study ------------------------------------------------------------------------------------------------------

    async def _run_study(self, folder: Path) -> None:
        self._running = folder.name
        log.info("study begins", study=folder.name)
        loop = asyncio.get_running_loop()

        def tell(study: s.Study) -> None:
            loop.call_soon_threadsafe(self._reporting.tell_running, study)

        try:
            ended = await asyncio.to_thread(self._to_its_end, folder, tell)
            log.info("study over", study=folder.name, state=ended.state.value, reason=ended.reason)
            if not (self._ending and ended.state is s.StudyState.STOPPED) and not is_held(folder):
                drop(folder)
        finally:
            self._running, self._stop_run, self._study = "", _nothing, None
            self.wake()

    def _to_its_end(self, folder: Path, tell: Callable[[s.Study], None]) -> s.Study:
        from research.study.running import Runner

        try:
            runner = Runner(folder)
            self._stop_run = runner.stop
            return runner.run(tell)
        except Exception as error:  # task boundary: a study that cannot run must not keep the others from it
            known = isinstance(error, TradedeckError | OSError)
            failed = s.Study(folder.name, "", s.StudyState.FAILED, reason=str(error) if known else f"failed: {error!r}")
            if not is_held(folder):  # else the shell was quicker: its word counts, and the study stays asked for
                with contextlib.suppress(OSError):
                    write_state(folder, failed)
            return failed

    # --- a job of the schedule ----------------------------------------------------------------------------------------

    async def _do(self, work: Owed) -> None:
        self._doing = work.id
        try:
            if work.tries >= TRIES:
                did = Did(False, f"the researcher ended {TRIES} times in the middle of it; done again when it is due")
            else:
                self._schedule.begin(work)
                did = await asyncio.to_thread(self._in_a_process, work)
            if self._ending:
                self._schedule.put_back(work)
                return
            self._schedule.done(work, did.words, ok=did.ok)
            log.info("job done" if did.ok else "job failed", job=work.id, words=did.words)
        except OSError as error:
            log.warning("job cannot be noted", job=work.id, reason=str(error))
            await asyncio.sleep(REST_S)
        finally:
            self._doing, self._chore = "", None
            self.wake()

    def _in_a_process(self, work: Owed) -> Did:
        try:
            with processes(1) as pool:
                return pool.submit(carry_out, str(self._home.root), work.id, work.since).result()
        except Exception as error:  # task boundary: the process was killed, or did not start
            return Did(False, f"its process ended in the middle of it: {error!r}")

    async def _end(self) -> None:
        """Let the batches under way end, then kill their workers; what was asked for stays asked for."""
        self._ending = True
        under_way = {task for task in (self._study, self._chore) if task is not None}
        until = time.monotonic() + ENDS_S
        while under_way and time.monotonic() < until:
            self._stop_run()
            _, under_way = await asyncio.wait(under_way, timeout=LOOK_S / 4)
        for child in multiprocessing.active_children():
            child.kill()
        if under_way:
            await asyncio.wait(under_way, timeout=LOOK_S)


def _nothing() -> None:
    """Nothing runs."""


async def _then(event: asyncio.Event, do: Callable[[], None]) -> None:
    await event.wait()
    do()
