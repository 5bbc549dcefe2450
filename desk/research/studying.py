"""Studies from the shell: folders under the home, progress, and the session with the engine while one runs."""

import asyncio
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from core.config.file import load
from core.config.settings import ResearchSettings
from core.domain import studies as s
from core.errors import NoEngine, ResearchError, TradedeckError
from core.session.frames import AskTrial, AskTrials
from core.session.protocol import Outcome
from core.session.research import Work
from core.session.researcher import Researcher
from desk.output import say, table, terminal_width, write, write_json
from desk.paths import Home
from desk.research.easing import ease
from desk.research.wanted import is_wanted

if TYPE_CHECKING:
    from research.study.running import Pool
    from research.validation.findings import Case

UNDER_WAY = (s.StudyState.RUNNING, s.StudyState.PAUSED)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def folder_of(home: Home, name: str) -> Path:
    """Return the folder of a study.

    Raises:
        ResearchError: there is no such study.
    """
    folder = home.root / "studies" / name
    if not _NAME.fullmatch(name) or not (folder / "study.toml").exists():
        raise ResearchError(f"no study {name}; see: tradedeck study ls")
    return folder


def folder_for(home: Home, what: str) -> Path:
    """Return the folder to run: of a study by its name, or of a file, which is copied there.

    Raises:
        ResearchError: there is no such study or file, or it is refused.
    """
    path = Path(what)
    if path.suffix != ".toml":
        return folder_of(home, what)
    from research.study.study import load

    folder = home.root / "studies" / load(path).study.name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / "study.toml"
    if kept.exists() and (folder / "trials.sqlite").exists() and load(kept).digest != load(path).digest:
        raise ResearchError(
            f"{folder.name} was begun with another file ({kept}); give the study another name, or undo the change"
        )
    if not (kept.exists() and kept.samefile(path)):
        shutil.copyfile(path, kept)
    return folder


def standings(home: Home) -> list[s.Study]:
    """Return how every study stands."""
    from research.study.standing import read_state

    found = []
    for path in sorted(home.studies.glob("*/study.toml")):
        folder = path.parent
        stands = read_state(folder) or s.Study(folder.name, "", s.StudyState.STOPPED, reason="not run yet")
        if is_wanted(folder) and stands.state not in UNDER_WAY:
            stands = msgspec.structs.replace(stands, state=s.StudyState.QUEUED, reason="")
        found.append(stands)
    return found


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

    runner = Runner(folder, pool, lasting=pool is not None)
    loop, newest = asyncio.get_running_loop(), list[s.Study]()
    easing = asyncio.ensure_future(ease(home, settings_of(home).pause_late_ms))
    desk = await _Desk.attached(home, folder)

    def told(study: s.Study) -> None:
        newest[:] = [study]
        loop.call_soon_threadsafe(desk.publish, study)

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
        await desk.close()


def settings_of(home: Home) -> ResearchSettings:
    """Return the research settings of a home."""
    return load(home.config)[0].research if home.config.exists() else ResearchSettings()


class _Desk:
    """The session with the engine; without one everything here does nothing."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._home, self._folder = home, folder
        self._session: Researcher | None = None
        self._lock = threading.Lock()

    @classmethod
    async def attached(cls, home: Home, folder: Path) -> "_Desk":
        made = cls(home, folder)
        try:
            made._session = await Researcher.attach(home.engine_socket, f"study {folder.name}", made.answer)
        except NoEngine:
            say("no engine runs: this study is shown here alone")
        else:
            await made._tell_configs()
        return made

    def publish(self, study: s.Study) -> None:
        if self._session is not None and not self._session.lost:
            self._session.publish(study)

    async def answer(self, work: Work) -> object:
        """Answer what a terminal asks about this study."""
        if isinstance(work, AskTrials | AskTrial | s.StopStudy) and work.study != self._folder.name:
            raise ResearchError(f"this researcher runs {self._folder.name} alone")
        if isinstance(work, s.StopStudy):
            (self._folder / "stop").touch()
            return Outcome(True)
        if isinstance(work, AskTrials | AskTrial):
            return await asyncio.to_thread(self._found, work)
        if isinstance(work, s.PromoteTrial | s.RollBackConfig):
            from desk.research import promoting

            outcome = await promoting.answer(self._home, work)
            await self._tell_configs()
            return outcome
        return Outcome(False, reason=f"this researcher runs one study and has no answer to {type(work).__name__}")

    async def _tell_configs(self) -> None:
        """Publish every version of every config."""
        from desk.research import promoting

        try:
            configs = await asyncio.to_thread(promoting.configs, self._home)
        except TradedeckError as error:
            say(f"the configs are not shown: {error}")
            return
        if self._session is not None:
            for config in configs:
                self._session.publish_config(config)

    def _found(self, work: AskTrials | AskTrial) -> s.Trials | s.TrialReport:
        from research.validation.findings import Findings

        with self._lock:  # one back-test at a time beside the workers
            findings = Findings(self._folder)
            return findings.trials() if isinstance(work, AskTrials) else findings.report(work.trial)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class Progress:
    """A bar in a terminal, nothing elsewhere."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty())
        self._bar.start()
        self._task = self._bar.add_task("study", total=None)

    def show(self, study: s.Study) -> None:
        best = "–" if study.best_score is None else f"{study.best_score:.3f}"
        rate = "–" if study.rate is None else f"{study.rate:.0f}"
        words = f"{study.id}  window {study.windows_done}/{study.windows_total}  best {best}  {rate}/min"
        self._bar.update(self._task, description=words, completed=study.trials_done, total=study.trials_total)

    def end(self) -> None:
        self._bar.stop()


def show_studies(found: list[s.Study]) -> None:
    """Print how studies stand."""
    rows = [
        (
            one.id,
            one.state.value,
            f"{one.trials_done}/{one.trials_total}",
            f"{one.windows_done}/{one.windows_total}",
            _figure(one.best_score),
            one.reason,
        )
        for one in found
    ]
    table(("study", "state", "trials", "windows", "best", "why"), rows, left=2, width=terminal_width())


def show_trials(found: s.Trials) -> None:
    """Print trials, the best first."""
    rows = [
        (
            str(one.number),
            _figure(one.score),
            _figure(one.calmar),
            _percent(one.total_return),
            _percent(one.max_drawdown),
            f"{one.leverage:g}",
            str(one.trades),
            _figure(one.efficiency),
        )
        for one in found.trials
    ]
    table(("trial", "score", "Calmar", "return", "drawdown", "leverage", "trades", "window's OOS/IS"), rows)
    write(f"{len(found.trials)} of {found.total} trials of the newest window")


def show_report(report: s.TrialReport) -> None:
    """Print one trial whole."""
    show_trials(s.Trials((report.trial,), 1))
    write()
    table(("parameter", "value"), [(name, str(value)) for name, value in report.parameters.items()])
    write()
    rows = [("passed" if one.passed else "FAILED", one.name, one.value, one.bound) for one in report.gates]
    table(("", "gate", "figure", "needed"), rows, left=2)
    _draw(report)


def _draw(report: s.TrialReport) -> None:
    """Draw what the studies screen draws of a trial, as text."""
    from tui.lines import plain
    from tui.screens.report import pictures

    write()
    for line in pictures(report, min(120, shutil.get_terminal_size().columns), 36):
        write(plain(line).rstrip())


def write_report(home: Home, case: "Case", *, as_json: bool) -> None:
    """Write a trial's page and its JSON, and say where they are."""
    from research.report.report import write as write_files

    page, data = write_files(case, home.reports, time.time_ns())
    if as_json:
        write_json({"page": str(page), "data": str(data)})
    else:
        write(f"{page} written; open it in a browser, it needs no network")
        write(f"{data} has every trade")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
