"""What a study found: its trials, and one trial whole, with the evidence its gates ask for."""

import itertools
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from core.domain import studies as s
from core.domain.studies import Parameter
from core.errors import ResearchError
from research import validate
from research.evaluator import Evaluator, Parameters, factory
from research.gates import Evidence, gates
from research.metrics import Figures, from_runs
from research.running import COUNTED
from research.storage import storage_at
from research.study import Range, StudyFile, load
from research.walkforward import Span, windows
from research.worker import INSIDE, OUTSIDE, span_of, window_study

BLOCKS = 16
MOST_TRIALS = 200
"""So many trials, spread over all, are judged for overfitting: their blocks are back-tested anew."""
_POINTS = 250
_STEP = 0.05
"""A neighbour is at least this fraction of the range away."""


class Findings:
    """A study as its folder holds it, running or not. Trials are those of the newest window that has any."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "trials.sqlite").exists():
            raise ResearchError(f"{folder.name} has no trials yet; run it: tradedeck study run {folder.name}")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.file = load(folder / "study.toml")
        self.evaluator: Evaluator = factory(self.file.study.evaluator)(self.file)
        storage = storage_at(folder / "trials.sqlite")
        self.span = span_of(storage, self.file, self.evaluator)
        self.windows = windows(self.span, self.file.windows)
        self._searches = [window_study(storage, self.file, number, -1) for number in range(len(self.windows))]

    def trials(self, limit: int = 200) -> s.Trials:
        """Return the best trials, the best first, those without a score last."""
        found = self._counted(self._newest())
        found.sort(key=lambda trial: (trial.value is None, -(trial.value or 0.0), trial.number))
        return s.Trials(tuple(self._row(trial) for trial in found[:limit]), len(found))

    def report(self, number: int) -> s.TrialReport:
        """Return one trial with its gates; takes some back-tests.

        Raises:
            ResearchError: there is no such trial.
        """
        newest = self._newest()
        trial = next((one for one in self._counted(newest) if one.number == number), None)
        if trial is None:
            raise ResearchError(f"{self.file.study.name} has no trial {number} in its newest window")
        window, parameters = self.windows[newest], {**self.file.fixed, **trial.params}
        evidence = self._evidence(trial, newest)
        passed = gates(evidence, self.file.gates)
        inside = self._equity(parameters, window.train, self.evaluator.cash)
        outside = self._equity(parameters, window.test, inside[-1])
        row = msgspec.structs.replace(
            self._row(trial),
            dsr=evidence.dsr,
            pbo=evidence.pbo,
            gates_passed=sum(gate.passed for gate in passed),
            gates_total=len(passed),
        )
        return s.TrialReport(
            study=self.file.study.name,
            strategy_id=self.file.study.strategy,
            trial=row,
            gates=passed,
            parameters=run_by(self.file, parameters),
            equity_in=tuple(inside),
            equity_out=tuple(outside),
            instruments=self.evaluator.instruments,
            margin_mode=self.file.account.margin_mode,
            max_position_size=self.file.account.max_position_size or None,
            data_from=self.span.start,
            data_to=self.span.stop,
            code_version=version(),
        )

    def refuse_another(self) -> None:
        """Refuse where the file says something else by now than the trials were run by.

        Raises:
            ResearchError: it does.
        """
        if any(search.user_attrs.get("digest", self.file.digest) != self.file.digest for search in self._searches):
            raise ResearchError(
                f"{self.file.study.name} was begun with other data, space, account, windows or objective than its file "
                "has now: undo the change, or run it under another name"
            )

    def walk_forward_efficiency(self) -> float | None:
        """Return the efficiency over all windows: the best of each, judged on the test that it never saw."""
        inside, outside, days_in, days_out = 0.0, 0.0, 0.0, 0.0
        for search in self._searches:
            scored = search.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if not scored:
                continue
            best = max(scored, key=lambda trial: trial.value or 0.0)
            before, after = _kept(best, INSIDE), _kept(best, OUTSIDE)
            inside, days_in = inside + (before.total_return or 0.0), days_in + before.days
            outside, days_out = outside + (after.total_return or 0.0), days_out + after.days
        return validate.efficiency(inside, days_in, outside, days_out)

    # --- within -------------------------------------------------------------------------------------------------------

    def _newest(self) -> int:
        having = [number for number, search in enumerate(self._searches) if self._counted_of(search)]
        if not having:
            raise ResearchError(f"{self.file.study.name} has no trials yet")
        return having[-1]

    @staticmethod
    def _counted_of(search: optuna.Study) -> list[FrozenTrial]:
        return [one for one in search.get_trials(deepcopy=False, states=COUNTED) if INSIDE in one.user_attrs]

    def _counted(self, window: int) -> list[FrozenTrial]:
        return self._counted_of(self._searches[window])

    @staticmethod
    def _row(trial: FrozenTrial) -> s.Trial:
        inside, outside = _kept(trial, INSIDE), _kept(trial, OUTSIDE)
        return s.Trial(
            number=trial.number,
            score=trial.value,
            calmar=inside.calmar,
            total_return=inside.total_return,
            max_drawdown=inside.max_drawdown,
            leverage=inside.leverage,
            trades=inside.trades,
            efficiency=validate.efficiency(
                inside.total_return or 0.0, inside.days, outside.total_return or 0.0, outside.days
            ),
        )

    def _evidence(self, trial: FrozenTrial, newest: int) -> Evidence:
        window, parameters = self.windows[newest], {**self.file.fixed, **trial.params}
        inside, outside = _kept(trial, INSIDE), _kept(trial, OUTSIDE)
        blocks = self._blocks(newest, window.train)
        stressed = self._figures([parameters], window.train, slippage=2.0)[0]
        neighbours = self._figures(self._neighbours(trial.params), window.train)
        enough = blocks is not None and blocks.shape[1] > 1
        return Evidence(
            liquidated=inside.liquidated or outside.liquidated,
            trades=inside.trades,
            efficiency=self.walk_forward_efficiency(),
            dsr=self._deflated(inside, newest, blocks),
            pbo=validate.overfitting(blocks, BLOCKS).pbo if blocks is not None and enough else None,
            plateau=validate.plateau(trial.value or 0.0, [one.score for one in neighbours]),
            stressed_return=None if stressed.liquidated else stressed.total_return,
            bootstrap=validate.bootstrap(self.evaluator.profits(parameters, window.train), self.evaluator.cash),
        )

    def _deflated(self, inside: Figures, newest: int, blocks: NDArray[np.float64] | None) -> float | None:
        sharpes = [_kept(trial, INSIDE).sharpe_daily for trial in self._counted(newest)]
        known = [value for value in sharpes if value is not None]
        if inside.moments is None or len(known) < 2:
            return None
        together = validate.average_correlation(blocks) if blocks is not None else 0.0
        count = validate.effective_trials(len(sharpes), together)
        return validate.deflated_sharpe(inside.moments, float(np.var(known, ddof=1)), count)

    def _blocks(self, newest: int, span: Span) -> NDArray[np.float64] | None:
        """Return (blocks, trials): what trials earned in each of 16 parts of the training; None without trials."""
        counted = self._counted(newest)
        chosen = counted[:: -(-len(counted) // MOST_TRIALS)]
        sets: list[Parameters] = [{**self.file.fixed, **trial.params} for trial in chosen]
        edges = [span.start + (span.stop - span.start) * number // BLOCKS for number in range(BLOCKS + 1)]
        earned = [
            [one.total_return or 0.0 for one in self._figures(sets, Span(start, stop))]
            for start, stop in itertools.pairwise(edges)
        ]
        return np.array(earned) if sets else None

    def _figures(self, sets: list[Parameters], span: Span, slippage: float = 1.0) -> list[Figures]:
        if not sets:
            return []
        runs = self.evaluator.evaluate(sets, span, slippage=slippage)
        return [from_runs(row, self.evaluator.cash, span.days, self.file.objective) for row in runs]

    def _neighbours(self, found: dict[str, Any]) -> list[Parameters]:
        """Return the sets a step away in one number each."""
        made: list[Parameters] = []
        for name, one in self.file.space.items():
            if one.choices:
                continue
            for side in (-1, 1):
                value = _moved(found[name], one, side)
                if one.low <= value <= one.high:
                    made.append({**self.file.fixed, **found, name: value})
        return made

    def _equity(self, parameters: Parameters, span: Span, begin: float) -> list[float]:
        """Return the equity after each trade, as from ``begin``; thinned."""
        curve = 1.0 + np.concatenate([[0.0], np.cumsum(self.evaluator.profits(parameters, span))]) / self.evaluator.cash
        kept = np.unique(np.linspace(0, curve.size - 1, min(_POINTS, curve.size)).astype(int))
        return [float(value) for value in begin * curve[kept]]


def run_by(file: StudyFile, parameters: Parameters) -> dict[str, Parameter]:
    """Return what a strategy runs by to trade as the study did: what the account of the file adds stands beside."""
    account = {"fraction": file.account.fraction, "slippage": file.account.slippage}
    return {**account, **parameters}


def version() -> str:
    """Return the version of the code that judges a trial; ``0`` for a bare checkout."""
    try:
        return metadata.version("tradedeck")
    except metadata.PackageNotFoundError:
        return "0"


def _kept(trial: FrozenTrial, which: str) -> Figures:
    return msgspec.convert(trial.user_attrs[which], Figures)


def _moved(value: float, one: Range, side: int) -> float:
    """Return the next value worth trying on one side: a step, and at least a twentieth of the range."""
    if one.log:
        moved = float(value * (one.high / one.low) ** (_STEP * side))
        if isinstance(value, int):
            return max(round(moved), value + 1) if side > 0 else min(round(moved), value - 1)
        return moved
    step = one.step or (1 if isinstance(value, int) else _STEP * (one.high - one.low))
    steps = max(1, round(_STEP * (one.high - one.low) / step))
    return value + side * steps * step
