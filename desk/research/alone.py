"""One study in the shell's own process: its progress, and a session with the engine while it runs."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from core.config.file import load
from core.config.settings import ResearchSettings
from core.domain import studies as s
from core.errors import NoEngine, ResearchError
from core.session.frames import AskTrial, AskTrials
from core.session.protocol import Outcome
from core.session.research import Work
from desk.output import say
from desk.paths import Home
from desk.research.answering import StudySession
from desk.research.easing import ease
from desk.research.studying import Progress

if TYPE_CHECKING:
    from research.study.running import Pool


async def run(
    home: Home, folder: Path, *, quiet: bool, cluster: str | None = None, storage: str | None = None
) -> s.Study:
    """Run a study to its end, telling the shell and, where one runs, the engine.

    ``cluster`` is the address of a scheduler whose workers do it, ``storage`` that of the database of its trials.
    """
    from research.study import database
    from research.study.cluster import cluster as workers_of

    if storage is not None:
        database.settle(folder, storage)
    if cluster is None:
        return await _run(home, folder, None, quiet=quiet)
    with workers_of(cluster) as pool:
        return await _run(home, folder, pool, quiet=quiet)


async def _run(home: Home, folder: Path, pool: "Pool | None", *, quiet: bool) -> s.Study:
    from research.study.running import Runner

    try:
        runner = Runner(folder, pool, lasting=pool is not None)
    except ResearchError as error:
        _note_refused(folder, str(error))
        raise
    loop, newest = asyncio.get_running_loop(), list[s.Study]()
    easing = asyncio.ensure_future(ease(home, _settings_of(home).pause_late_ms))
    session = OneStudy(home, folder)
    await session.begin()

    def told(study: s.Study) -> None:
        newest[:] = [study]
        loop.call_soon_threadsafe(session.publish, study)

    shown = Progress(quiet)
    work = asyncio.ensure_future(asyncio.to_thread(runner.run, told))
    try:
        while not work.done():
            await asyncio.wait({work}, timeout=0.5)
            if newest:
                shown.show(newest[-1])
        return await work
    except asyncio.CancelledError:  # Ctrl-C
        runner.stop()
        say("stopping after the batches that are under way")
        return await asyncio.shield(work)
    finally:
        shown.end()
        easing.cancel()
        await session.close()


def _note_refused(folder: Path, reason: str) -> None:
    """Keep why a study did not begin beside its file, as a researcher does; one that has trials stands as before."""
    from research.study.standing import is_held, write_state
    from research.study.storage import is_begun

    if not is_begun(folder) and not is_held(folder):
        with contextlib.suppress(OSError):
            write_state(folder, s.Study(folder.name, "", s.StudyState.FAILED, reason=reason))


def _settings_of(home: Home) -> ResearchSettings:
    return load(home.config)[0].research if home.config.exists() else ResearchSettings()


class OneStudy(StudySession):
    """The session of a shell that runs one study; promotions of its home are carried out too."""

    def __init__(self, home: Home, folder: Path) -> None:
        super().__init__(home, say)
        self._folder = folder

    async def begin(self) -> None:
        """Open the session where an engine runs; the study goes on without one."""
        try:
            await self.attach(f"study {self._folder.name}")
        except NoEngine:
            say("no engine runs: this study is shown here alone")
        else:
            await self.tell_configs()

    async def answer(self, work: Work) -> object:
        """Answer what a terminal asks about this study."""
        if isinstance(work, AskTrials | AskTrial | s.StopStudy) and work.study != self._folder.name:
            raise ResearchError(f"this researcher runs {self._folder.name} alone")
        return await super().answer(work)

    async def carry_out(self, work: s.StartStudy | s.StopStudy | s.ScheduleJob) -> Outcome:
        """Stop the study; nothing else is done here."""
        if isinstance(work, s.StopStudy):
            (self._folder / "stop").touch()
            return Outcome(True)
        return Outcome(False, reason=f"this researcher runs one study and has no answer to {type(work).__name__}")
