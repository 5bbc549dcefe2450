"""Run a study: share its trials among worker processes, tell how it stands, resume what was cut short."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from core.domain.studies import Study, StudyState
from core.errors import ResearchError
from research.provenance import code_version
from research.study import database
from research.study.evaluator import Evaluator, factory
from research.study.idling import processes
from research.study.memory import shortage
from research.study.pause import why_paused
from research.study.standing import held, write_state
from research.study.storage import storage_of
from research.study.study import StudyFile, load
from research.study.walkforward import Window, windows
from research.study.worker import COUNTED, INSIDE, STOP, Done, Job, counted, span_of, window_study, work

_ROUND_S = 0.5
_BREAKS = 3
"""So many broken pools in a row without one trial more are a failure."""
Tell = Callable[[Study], None]
Pool = Callable[[int], Executor]


class Runner:
    """One study in its folder: ``study.toml``, ``trials.sqlite`` and ``state.json``, held by one process at a time.

    ``pool`` makes the executor of a round. ``lasting``: its processes outlive their job, on a cluster, say; their
    memory is then not ours to bound. Trials lie where ``research.study.database`` says, else in the folder.

    Raises:
        ResearchError: the file is refused, or the study was begun with another one.
    """

    def __init__(self, folder: Path, pool: Pool | None = None, *, lasting: bool = False) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder, self.pool, self.lasting = folder, pool or processes, lasting
        self.address = database.named(folder)
        if lasting and not self.address:
            raise ResearchError(
                f"{folder.name} on a cluster needs a storage that every machine reaches: give --storage"
            )
        self.file: StudyFile = load(folder / "study.toml")
        evaluator = factory(self.file.study.evaluator)(self.file)
        windows(evaluator.span, self.file.windows)  # refused before anything is written
        self.storage = storage_of(folder)
        self.span = span_of(self.storage, self.file, evaluator)
        self.windows, self.searches = searches_of(self.storage, self.file, evaluator)
        self._refuse_another()
        self._stop_passed_on = True  # what a run before left behind is taken back
        self._started, self._began_with = time.time(), sum(self._counts())

    def run(self, tell: Tell = lambda _: None) -> Study:
        """Run until every window has its trials, ``stop`` is asked, or it cannot go on; return how it ended.

        Raises:
            ResearchError: another process runs this study.
        """
        with ExitStack() as holding:
            holding.enter_context(held(self.folder))
            if self.address:
                holding.enter_context(database.held(self.address, self.file.study.name))
            (self.folder / "stop").unlink(missing_ok=True)
            self._pass_on_stop()
            try:
                state, reason = self._rounds(tell)
            except ResearchError as error:
                state, reason = StudyState.FAILED, str(error)
            except CancelledError:
                state, reason = StudyState.FAILED, "the scheduler of the cluster has gone; run it again to resume"
            except Exception as error:  # task boundary: a worker's failure must reach the trader
                state, reason = StudyState.FAILED, f"a worker failed: {error!r}"
            return self._say(tell, state, reason)

    def stop(self) -> None:
        """Ask a running study to end after the batches that are under way; also from another process."""
        (self.folder / "stop").touch()

    def standing(self, state: StudyState, reason: str = "") -> Study:
        """Return how the study stands."""
        counts, budget = self._counts(), self.file.study.trials
        done, total = sum(counts), budget * len(counts)
        rate = (done - self._began_with) / max(time.time() - self._started, 1e-3) * 60.0
        running = state is StudyState.RUNNING
        return Study(
            id=self.file.study.name,
            strategy_id=self.file.strategy_id,
            state=state,
            trials_done=done,
            trials_total=total,
            windows_done=sum(count >= budget for count in counts),
            windows_total=len(counts),
            best_score=self._best(),
            rate=rate if running else None,
            seconds_left=(total - done) / rate * 60.0 if running and rate > 0.0 else None,
            started=int(self._started * 1e9),
            reason=reason,
        )

    # --- within -------------------------------------------------------------------------------------------------------

    def _rounds(self, tell: Tell) -> tuple[StudyState, str]:
        broken = 0
        while True:
            self._forget_lost()
            before = self._counts()
            left = [max(0, self.file.study.trials - count) for count in before]
            if not sum(left):
                return StudyState.FINISHED, self._why_no_score()
            if (self.folder / "stop").exists():
                return StudyState.STOPPED, "stopped; run it again to resume"
            try:
                reason = self._round(left, tell)
            except BrokenProcessPool:
                reason, broken = "", broken + 1 if self._counts() == before else 0
                if broken >= _BREAKS:
                    return StudyState.FAILED, f"workers were killed {broken} times in a row before a trial was done"
            if reason == "stopped":
                return StudyState.STOPPED, "stopped; run it again to resume"
            if reason == "memory" and self._counts() == before:
                text = f"a worker takes more than memory_mb = {self.file.study.memory_mb}, or than its limits (ulimit)"
                return StudyState.FAILED, f"{text}, before it does a trial: raise them, or take less data"

    def _round(self, left: list[int], tell: Tell) -> str:
        """Let workers do what is left; return "stopped", "memory" where one ended on it, or nothing."""
        workers = min(self.file.study.workers, max(left))
        text = (self.folder / "study.toml").read_text(encoding="utf-8")
        reasons = set[str]()
        with self.pool(workers) as pool:
            jobs: set[Future[Done]] = {
                pool.submit(work, self._job(text, number, _share(left, number, workers))) for number in range(workers)
            }
            while jobs:
                over, jobs = wait(jobs, _ROUND_S, FIRST_COMPLETED)
                reasons |= {job.result().reason for job in over}
                self._pass_on_stop()
                waits = why_paused(self.folder.parent) or shortage()
                ends = "stops after the batches under way" if (self.folder / "stop").exists() else ""
                self._say(tell, StudyState.PAUSED if waits else StudyState.RUNNING, ends or waits)
        return next((reason for reason in ("stopped", "memory") if reason in reasons), "")

    def _job(self, text: str, number: int, quotas: dict[int, int]) -> Job:
        span = (self.span.start, self.span.stop)
        return Job(str(self.folder), text, number, quotas, span, self.address, self.lasting, code_version())

    def _pass_on_stop(self) -> None:
        """Tell workers that do not see the folder whether to stop."""
        asked = (self.folder / "stop").exists()
        if self.address and asked != self._stop_passed_on:
            for search in self.searches:
                search.set_user_attr(STOP, asked)
            self._stop_passed_on = asked

    def _forget_lost(self) -> None:
        """Give up trials that a killed worker left behind: whoever holds the folder knows that none is under way."""
        for search in self.searches:
            for trial in search.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                search.tell(trial.number, state=TrialState.FAIL)

    def _counts(self) -> list[int]:
        return [counted(search) for search in self.searches]

    def _best(self) -> float | None:
        """Return the best score in the newest window that has one."""
        for search in reversed(self.searches):
            found = search.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if found:
                return max(trial.value for trial in found if trial.value is not None)
        return None

    def _why_no_score(self) -> str:
        """Return what most trials lacked, where none of any window has a score."""
        if self._best() is not None:
            return ""
        lacked = Counter(
            str(trial.user_attrs[INSIDE]["why"])
            for search in self.searches
            for trial in search.get_trials(deepcopy=False, states=COUNTED)
            if INSIDE in trial.user_attrs
        )
        return f"no trial has a score; most often: {lacked.most_common(1)[0][0]}" if lacked else ""

    def _refuse_another(self) -> None:
        for search in self.searches:
            begun = search.user_attrs.get("digest")
            if begun is None:
                search.set_user_attr("digest", self.file.digest)
            elif begun != self.file.digest:
                raise ResearchError(
                    f"{self.file.study.name} was begun with other data, space, account, windows or objective; its "
                    "trials cannot be compared: give the study another name, or undo the change"
                )

    def _say(self, tell: Tell, state: StudyState, reason: str) -> Study:
        study = self.standing(state, reason)
        write_state(self.folder, study)
        tell(study)
        return study


def searches_of(storage: BaseStorage, file: StudyFile, evaluator: Evaluator) -> tuple[list[Window], list[optuna.Study]]:
    """Return a study's windows, over the time with which it began, and the search of each.

    Raises:
        ResearchError: the data no longer have that time, or it is too short for the windows.
    """
    found = windows(span_of(storage, file, evaluator), file.windows)
    return found, [window_study(storage, file, number, -1) for number in range(len(found))]


def _share(left: list[int], number: int, workers: int) -> dict[int, int]:
    return {window: count // workers + (number < count % workers) for window, count in enumerate(left)}
