"""The researcher's side of its session: it comes back by itself, tells what changed, answers what is asked."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import structlog

from core.domain import studies as s
from core.errors import ClientError, ResearchError
from core.session.protocol import Outcome
from desk.paths import Home
from desk.research.answering import StudySession
from desk.research.scheduling import change
from desk.research.studying import folder_for, folder_of
from desk.research.wanted import drop, is_wanted, want
from research.scheduler import Schedule
from research.study.standing import is_held, read_state, write_state

log = structlog.get_logger()
NAME = "researcher"
AGAIN_S, AGAIN_MOST_S = 0.25, 4.0
"""How long a session that was lost or refused waits for its next try: twice as long each time."""


class NotRunning(ResearchError):
    """Nobody runs the study, and nobody asked for it."""


class Reporting(StudySession):
    """Hold the session with the engine of a home, one after the other; without one nothing is told."""

    def __init__(self, home: Home, schedule: Schedule, wake: Callable[[], None]) -> None:
        super().__init__(home, log.warning)
        self._schedule, self._wake = schedule, wake
        self._told: dict[str, s.Study] = {}

    # --- the session --------------------------------------------------------------------------------------------------

    async def keep(self, looked: asyncio.Event) -> None:
        """Attach, and again whenever the session is lost; ``looked`` is set after the first try."""
        again = AGAIN_S
        while True:
            try:
                session = await self.attach(NAME)
            except ClientError:
                looked.set()
            else:
                lost = asyncio.Event()
                session.on_lost = partial(_set, lost)
                if not session.lost:
                    self._told.clear()
                    looked.set()
                    self._wake()
                    await self.tell_configs()
                    came = asyncio.get_running_loop().time()
                    await lost.wait()
                    if asyncio.get_running_loop().time() - came > AGAIN_MOST_S:
                        again = AGAIN_S
                self._session = None
                log.info("session with the engine ended", reason=session.lost)
                await session.close()
            await asyncio.sleep(again)
            again = min(2 * again, AGAIN_MOST_S)

    # --- what it tells ------------------------------------------------------------------------------------------------

    def tell(self, studies: list[s.Study]) -> None:
        """Tell how each study stands where that differs from what was told."""
        for study in studies:
            if self.is_heard and self._told.get(study.id) != study:
                self._told[study.id] = study
                self.publish(study)

    def tell_running(self, study: s.Study) -> None:
        """Tell how the study that runs stands; the schedule knows of it what it knew before."""
        last = self._told.get(study.id)
        if last is not None:
            study = msgspec.structs.replace(study, schedule=last.schedule, next_run=last.next_run)
        self.tell([study])

    # --- what it is told to do ----------------------------------------------------------------------------------------

    async def carry_out(self, work: s.StartStudy | s.StopStudy | s.ScheduleJob) -> Outcome:
        """Start or stop a study, or change the schedule."""
        if isinstance(work, s.StartStudy):
            await asyncio.to_thread(start, self._home, work.file)
        elif isinstance(work, s.StopStudy):
            await asyncio.to_thread(stop, self._home, work.study)
        else:
            await asyncio.to_thread(change, self._home, self._schedule, work.job, work.when)
        self._wake()
        return Outcome(True)


def _set(event: asyncio.Event, _: str) -> None:
    event.set()


def start(home: Home, text: str) -> Path:
    """Ask for the study of a file, or of this home by its name, and return its folder.

    Raises:
        ResearchError: there is none, it is refused, or it is under way.
    """
    path = Path(text).expanduser()
    if path.suffix == ".toml" and not path.is_absolute():
        raise ResearchError(f"{text}: give the whole path, from / or ~; a study of this home has a name without .toml")
    folder = folder_for(home, str(path) if path.suffix == ".toml" else text)
    if is_held(folder) or is_wanted(folder):
        raise ResearchError(f"{folder.name} is under way, or waits for its turn, already")
    want(folder)
    return folder


def stop(home: Home, name: str) -> str:
    """Stop a study after the batches under way, or take it from the queue; return what was done.

    Raises:
        ResearchError: there is no such study.
        NotRunning: nobody runs it or asked for it.
    """
    folder = folder_of(home, name)
    waited = is_wanted(folder)
    drop(folder)
    if is_held(folder):
        (folder / "stop").touch()
        return f"{name} stops after the batches under way; resume it: tradedeck study run {name}"
    if not waited:
        raise NotRunning(f"{name} is not running")
    stands = read_state(folder) or s.Study(name, "", s.StudyState.STOPPED)
    text = "taken from the queue; run it again to resume"
    write_state(folder, msgspec.structs.replace(stands, state=s.StudyState.STOPPED, reason=text))
    return f"{name} is taken from the queue"
