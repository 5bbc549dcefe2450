"""A study's worker: a process at idle priority that asks for parameter sets, back-tests them in batches and tells."""

import os
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from core.domain.studies import Parameter
from core.errors import ResearchError
from research.provenance import code_version
from research.study import database
from research.study.evaluator import Evaluator, factory
from research.study.memory import FREE_MB, free_mb, resident_mb, room_mb
from research.study.pause import why_paused
from research.study.storage import storage_at
from research.study.study import Range, StudyFile, parse
from research.study.walkforward import Span, Window, windows
from research.validation.metrics import Figures, from_runs

INSIDE, OUTSIDE = "inside", "outside"
"""A trial's figures in-sample and out-of-sample, as its attributes are called."""
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
"""What is over: scored, or discarded and counted."""
STOP = "stop"
"""The attribute of a search by which workers elsewhere hear that they are to stop."""
_PAUSE_S = 0.5
SPAN = "span"
"""The time that a study searches, as its first window keeps it."""


class Job(msgspec.Struct, frozen=True):
    """What one worker has to do: ``quotas`` are trials by window.

    ``span``: the time (ns) that is cut into windows. ``address``: the database of the trials, empty where they lie in
    the folder. ``lasting``: the process is not ours and outlives the job. ``code``: by which code it is to be done.
    """

    folder: str
    text: str
    number: int
    quotas: dict[int, int]
    span: tuple[int, int]
    address: str = ""
    lasting: bool = False
    code: str = ""


class Done(msgspec.Struct, frozen=True):
    """Why a worker ended (``done``, ``stopped`` or ``memory``) and how many trials it told."""

    reason: str
    trials: int


def work(job: Job) -> Done:
    """Do a job; returns early when told to stop, or when the process has grown too large."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    _refuse_other_code(job.code)
    file = parse(job.text)
    evaluator = factory(file.study.evaluator)(file)
    _refuse_other_data(job, evaluator)
    storage = database.opened(job.address, made=True) if job.address else storage_at(Path(job.folder) / "trials.sqlite")
    told = 0
    for number, window in enumerate(windows(Span(*job.span), file.windows)):
        left = job.quotas.get(number, 0)
        if not left:
            continue
        study = window_study(storage, file, number, job.number)
        batch = file.study.batch
        while left:
            reason = _why_end(job, file, study)
            if reason:
                return Done(reason, told)
            if job.lasting:  # a scheduler gives the job of a lost worker to another one, from its beginning
                left = min(left, file.study.trials - counted(study))
                if left <= 0:
                    break
            try:
                size = min(batch, left)
                run_batch(study, file, evaluator, window, size)
            except MemoryError:
                if batch == 1:
                    raise
                batch = max(1, batch // 2)
                continue
            left -= size
            told += size
    return Done("done", told)


def window_study(storage: BaseStorage, file: StudyFile, window: int, worker: int) -> optuna.Study:
    """Return the search of one window: each is its own, so that none learns from what lies behind its test."""
    study = optuna.create_study(
        storage=storage, study_name=f"{file.study.name}/{window}", direction="maximize", load_if_exists=True
    )
    begun = len(study.get_trials(deepcopy=False))
    study.sampler = _sampler(file, hash((file.study.seed, window, worker, begun)) & 0x7FFFFFFF)
    return study


def counted(study: optuna.Study) -> int:
    """Return how many trials of a search are over."""
    return len(study.get_trials(deepcopy=False, states=COUNTED))


def begun_on(storage: BaseStorage, file: StudyFile) -> Span | None:
    """Return the time that a study's first run searched; None where it was never run."""
    kept = window_study(storage, file, 0, -1).user_attrs.get(SPAN)
    return None if kept is None else Span(*kept)


def span_of(storage: BaseStorage, file: StudyFile, evaluator: Evaluator) -> Span:
    """Return the time that a study searches: that of its first run, whatever was imported since.

    Raises:
        ResearchError: its data no longer reach over it.
    """
    begun = begun_on(storage, file)
    if begun is None:
        window_study(storage, file, 0, -1).set_user_attr(SPAN, [evaluator.span.start, evaluator.span.stop])
        return evaluator.span
    if evaluator.span.start > begun.start or evaluator.span.stop < begun.stop:
        raise ResearchError(
            f"{file.study.name} was begun on data of {begun.words}, and there are those of {evaluator.span.words}; "
            "bring back what is missing, or give the study another name"
        )
    return begun


def run_batch(study: optuna.Study, file: StudyFile, evaluator: Evaluator, window: Window, size: int) -> None:
    """Ask for parameter sets, back-test them in- and out-of-sample in one pass each, tell what they came to.

    A set without a score (liquidated, too few trades) is told as pruned: kept, counted, and no example to follow.
    """
    space = distributions(file.space)
    asked = [study.ask(space) for _ in range(size)]
    try:
        sets = [{**file.fixed, **trial.params} for trial in asked]
        inside = _figures(evaluator, file, sets, window, test=False)
        outside = _figures(evaluator, file, sets, window, test=True)
    except BaseException:
        for trial in asked:
            study.tell(trial, state=TrialState.FAIL)
        raise
    for trial, found, judged in zip(asked, inside, outside, strict=True):
        trial.set_user_attr(INSIDE, msgspec.to_builtins(found))
        trial.set_user_attr(OUTSIDE, msgspec.to_builtins(judged))
        if found.score is None:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, found.score)


def _figures(
    evaluator: Evaluator, file: StudyFile, sets: Sequence[Mapping[str, Parameter]], window: Window, *, test: bool
) -> list[Figures]:
    span = window.test if test else window.train
    # Out-of-sample figures are looked at, not searched by: a short test need not bring many trades.
    objective = msgspec.structs.replace(file.objective, least_trades=0) if test else file.objective
    runs = evaluator.evaluate(sets, span)
    found = [from_runs(row, evaluator.cash, span.days, objective) for row in runs]
    return [_dated(one, *evaluator.liquidation(row, span)) for one, row in zip(found, runs, strict=True)]


def _dated(figures: Figures, at: Nanoseconds, instrument: InstrumentId) -> Figures:
    return msgspec.structs.replace(figures, liquidated_at=at, liquidated_in=instrument) if at else figures


def distributions(space: Mapping[str, Range]) -> dict[str, BaseDistribution]:
    """Return the file's ranges as Optuna's."""
    return {name: _distribution(one) for name, one in space.items()}


def _distribution(one: Range) -> BaseDistribution:
    if one.choices:
        return CategoricalDistribution(one.choices)
    if isinstance(one.low, int) and isinstance(one.high, int) and (one.step is None or isinstance(one.step, int)):
        return IntDistribution(one.low, int(_last(one)), log=one.log, step=one.step or 1)
    step = float(one.step) if one.step is not None else None
    return FloatDistribution(float(one.low), float(_last(one)), log=one.log, step=step)


def _last(one: Range) -> Decimal:
    """Return the highest value that steps from the lowest reach; Optuna takes the same, and warns of it at each job."""
    low, high = Decimal(str(one.low)), Decimal(str(one.high))
    step = Decimal(str(one.step)) if one.step is not None else None
    return low + (high - low) // step * step if step else high


def _sampler(file: StudyFile, seed: int) -> BaseSampler:
    if file.study.sampler == "random":
        return RandomSampler(seed)
    # With the constant liar the sets of one batch keep away from each other.
    return TPESampler(seed=seed, constant_liar=True)


def _refuse_other_code(wanted: str) -> None:
    if wanted and wanted != code_version():
        raise ResearchError(
            f"the worker on {os.uname().nodename} has tradedeck {code_version()}, and the study {wanted}: install the "
            "same version there and start the worker again"
        )


def _refuse_other_data(job: Job, evaluator: Evaluator) -> None:
    if not evaluator.span.start <= job.span[0] < job.span[1] <= evaluator.span.stop:
        raise ResearchError(
            f"the worker on {os.uname().nodename} has other data than the study was begun with: bring the same "
            "files there"
        )


def _why_end(job: Job, file: StudyFile, study: optuna.Study) -> str:
    """Return why a worker should take no more trials, "" where it may; waits while the machine is short of memory."""
    while True:
        if study.user_attrs.get(STOP, False) if job.address else (Path(job.folder) / "stop").exists():
            return "stopped"
        # What this process alone has taken a fresh one does not have: waiting would not give it back.
        if not job.lasting and (resident_mb() > file.study.memory_mb or room_mb() < FREE_MB):
            return "memory"
        if free_mb() >= FREE_MB and not why_paused(Path(job.folder).parent):
            return ""
        time.sleep(_PAUSE_S)
