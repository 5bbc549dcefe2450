"""Run a study: share its trials among worker processes, tell how it stands, resume what was cut short."""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import optuna
from optuna.trial import TrialState

from core.domain.studies import Study, StudyState
from core.errors import ResearchError
from research.evaluator import factory
from research.idling import processes
from research.memory import shortage
from research.pause import why_paused
from research.standing import held, write_state
from research.storage import storage_at
from research.study import StudyFile, load
from research.walkforward import windows
from research.worker import Done, Job, span_of, window_study, work

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
"""What is over: scored, or discarded and counted."""
_ROUND_S = 0.5
_BREAKS = 3
"""So many broken pools in a row without one trial more are a failure."""
Tell = Callable[[Study], None]
Pool = Callable[[int], Executor]


class Runner:
    """One study in its folder: ``study.toml``, ``trials.sqlite`` and ``state.json``, held by one process at a time.

    Raises:
        ResearchError: the file is refused, or the study was begun with another one.
    """

    def __init__(self, folder: Path, pool: Pool | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder, self.pool = folder, pool or processes
        self.file: StudyFile = load(folder / "study.toml")
        evaluator = factory(self.file.study.evaluator)(self.file)
        self.storage = storage_at(folder / "trials.sqlite")
        self.windows = windows(span_of(self.storage, self.file, evaluator), self.file.windows)
        self.searches = [window_study(self.storage, self.file, number, -1) for number in range(len(self.windows))]
        self._refuse_another()
        self._started, self._began_with = time.time(), sum(self._counts())

    def run(self, tell: Tell = lambda _: None) -> Study:
        """Run until every window has its trials, ``stop`` is asked, or it cannot go on; return how it ended.

        Raises:
            ResearchError: another process runs this study.
        """
        with held(self.folder):
            (self.folder / "stop").unlink(missing_ok=True)
            try:
                state, reason = self._rounds(tell)
            except ResearchError as error:
                state, reason = StudyState.FAILED, str(error)
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
            strategy_id=self.file.study.strategy,
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
                return StudyState.FINISHED, ""
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
                return StudyState.FAILED, f"{text}, before its first trial: raise them, or take less data"

    def _round(self, left: list[int], tell: Tell) -> str:
        """Let workers do what is left; return "stopped", "memory" where one ended on it, or nothing."""
        workers = min(self.file.study.workers, max(left))
        text = (self.folder / "study.toml").read_text(encoding="utf-8")
        reasons = set[str]()
        with self.pool(workers) as pool:
            jobs: set[Future[Done]] = {
                pool.submit(work, Job(str(self.folder), text, number, _share(left, number, workers)))
                for number in range(workers)
            }
            while jobs:
                over, jobs = wait(jobs, _ROUND_S, FIRST_COMPLETED)
                reasons |= {job.result().reason for job in over}
                waits = why_paused(self.folder.parent) or shortage()
                ends = "stops after the batches under way" if (self.folder / "stop").exists() else ""
                self._say(tell, StudyState.PAUSED if waits else StudyState.RUNNING, ends or waits)
        return next((reason for reason in ("stopped", "memory") if reason in reasons), "")

    def _forget_lost(self) -> None:
        """Give up trials that a killed worker left behind: whoever holds the folder knows that none is under way."""
        for search in self.searches:
            for trial in search.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                search.tell(trial.number, state=TrialState.FAIL)

    def _counts(self) -> list[int]:
        return [len(search.get_trials(deepcopy=False, states=COUNTED)) for search in self.searches]

    def _best(self) -> float | None:
        """Return the best score in the newest window that has one."""
        for search in reversed(self.searches):
            found = search.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if found:
                return max(trial.value for trial in found if trial.value is not None)
        return None

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


def _share(left: list[int], number: int, workers: int) -> dict[int, int]:
    return {window: count // workers + (number < count % workers) for window, count in enumerate(left)}
