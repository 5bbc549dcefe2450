"""What a study found: its trials, and one trial whole, with the evidence its gates ask for."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from core.domain import studies as s
from core.domain.identifiers import InstrumentId
from core.domain.studies import Parameter
from core.errors import ResearchError
from research.provenance import code_version
from research.study.evaluator import Evaluator, Parameters, factory
from research.study.running import searches_of
from research.study.storage import is_begun, storage_of
from research.study.study import StudyFile, load
from research.study.walkforward import Span, Window
from research.study.worker import COUNTED, INSIDE, OUTSIDE, span_of
from research.validation import around, validate
from research.validation.gates import Evidence, gates
from research.validation.history import Curve, Played, RoundTrip, curve, months
from research.validation.metrics import Figures, from_runs

BLOCKS = 16
MOST_TRIALS = 200
"""So many trials, spread over all, are judged for overfitting: their blocks are back-tested anew."""
_POINTS = 480
"""Steps of both equity series together."""
_HELD = 200
"""Trades on the price that a terminal draws."""
_SAME = 1e-6
"""A total return that differs by more than this came of other data or other code."""


class Tried(msgspec.Struct, frozen=True):
    """What one trial of the window came to in-sample; without a score it was discarded."""

    number: int
    parameters: dict[str, s.Parameter]
    score: float | None
    liquidated: bool


class Stretch(msgspec.Struct, frozen=True):
    """A trial's back-test over one span: its figures, every trade, and the equity at each bar."""

    span: Span
    figures: Figures
    played: tuple[Played, ...]
    curve: Curve

    def round_trips(self) -> list[RoundTrip]:
        """Return the trades of all instruments, by the time they opened."""
        found = [one for part in self.played for one in part.round_trips()]
        return sorted(found, key=lambda one: (one.opened, one.closed, one.instrument))


class Case(msgspec.Struct, frozen=True):
    """All that is known of one trial: what the terminal is told, and what a page shows beside it."""

    report: s.TrialReport
    inside: Stretch
    outside: Stretch
    slices: tuple[around.Slice, ...]
    tried: tuple[Tried, ...]
    timeframe: str


class Findings:
    """A study as its folder holds it, running or not. Trials are those of the newest window that has any."""

    def __init__(self, folder: Path) -> None:
        if not is_begun(folder):
            raise ResearchError(f"{folder.name} has no trials yet; run it: tradedeck study run {folder.name}")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.file = load(folder / "study.toml")
        self.evaluator: Evaluator = factory(self.file.study.evaluator)(self.file)
        storage = storage_of(folder)
        self.span = span_of(storage, self.file, self.evaluator)
        self.windows, self._searches = searches_of(storage, self.file, self.evaluator)

    def trials(self, limit: int = 200) -> s.Trials:
        """Return the best trials, the best first, those without a score last."""
        found = self._counted(self._newest())
        found.sort(key=lambda trial: (trial.value is None, -(trial.value or 0.0), trial.number))
        return s.Trials(tuple(self._row(trial) for trial in found[:limit]), len(found))

    def report(self, number: int) -> s.TrialReport:
        """Return one trial with its gates; takes some back-tests.

        Raises:
            ResearchError: there is no such trial, or it does not come to the same again.
        """
        return self.case(number).report

    def case(self, number: int) -> Case:
        """Return all there is to know of one trial; takes some back-tests.

        Raises:
            ResearchError: there is no such trial, or it does not come to the same again.
        """
        newest = self._newest()
        trial = next((one for one in self._counted(newest) if one.number == number), None)
        if trial is None:
            raise ResearchError(f"{self.file.study.name} has no trial {number} in its newest window")
        window, parameters = self.windows[newest], {**self.file.fixed, **trial.params}
        inside = self._stretch(parameters, window.train, _kept(trial, INSIDE))
        outside = self._stretch(parameters, window.test, _kept(trial, OUTSIDE))
        self._refuse_other(trial, parameters, window)
        found = tuple(around.slices(self.file.space, trial.params, self._scorer(window)))
        names = [one.name for one in found]
        evidence = self._evidence(trial, newest, inside)
        passed = gates(evidence, self.file.gates)
        row = msgspec.structs.replace(
            self._row(trial),
            dsr=evidence.dsr,
            pbo=evidence.pbo,
            gates_passed=sum(gate.passed for gate in passed),
            gates_total=len(passed),
        )
        before, after, _ = _sampled(inside.curve, outside.curve)
        report = s.TrialReport(
            study=self.file.study.name,
            strategy_id=self.file.strategy_id,
            trial=row,
            gates=passed,
            parameters=run_by(self.file, parameters),
            equity_in=before,
            equity_out=after,
            plateau=around.plateau(self.file.space, trial.params, names, self._scorer(window)),
            instruments=self.evaluator.instruments,
            margin_mode=self.file.account.margin_mode,
            max_position_size=self.file.account.max_position_size or None,
            data_from=self.span.start,
            data_to=self.span.stop,
            code_version=code_version(),
            strategy=self.file.study.strategy,
            capital=self.file.account.cash,
            interval=self.file.data.timeframe,
            months=(*months(inside.curve), *months(outside.curve)),
        )
        report = _priced(report, inside, outside)
        tried = tuple(_tried(one) for one in self._counted(newest))
        return Case(report, inside, outside, found, tried, self.file.data.timeframe)

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
            liquidated=inside.liquidated_at or outside.liquidated_at,
            liquidated_in=InstrumentId(inside.liquidated_in or outside.liquidated_in),
        )

    def _evidence(self, trial: FrozenTrial, newest: int, stretch: Stretch) -> Evidence:
        window, parameters = self.windows[newest], {**self.file.fixed, **trial.params}
        inside, outside = _kept(trial, INSIDE), _kept(trial, OUTSIDE)
        blocks = self._blocks(newest, window.train)
        stressed = self._figures([parameters], window.train, slippage=2.0)[0]
        scores = self._scorer(window)(around.neighbours(self.file.space, trial.params))
        wallets = self._wallets(parameters, window.train)
        enough = blocks is not None and blocks.shape[1] > 1
        return Evidence(
            liquidated=inside.liquidated or outside.liquidated,
            trades=inside.trades,
            efficiency=self.walk_forward_efficiency(),
            dsr=self._deflated(inside, newest, blocks),
            pbo=validate.overfitting(blocks, BLOCKS).pbo if blocks is not None and enough else None,
            plateau=validate.plateau(trial.value or 0.0, list(scores)),
            stressed_return=None if stressed.liquidated else stressed.total_return,
            bootstrap=validate.bootstrap(
                self.evaluator.profits(parameters, window.train) / wallets, self.evaluator.cash
            ),
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

    def _scorer(self, window: Window) -> around.Score:
        def score(sets: around.Sets) -> Sequence[float | None]:
            return [one.score for one in self._figures([{**self.file.fixed, **one} for one in sets], window.train)]

        return score

    def _wallets(self, parameters: Parameters, span: Span) -> int:
        """Return how many wallets a back-test has: each begins with the study's cash."""
        return int(self.evaluator.evaluate([parameters], span).shape[1])

    def _stretch(self, parameters: Parameters, span: Span, figures: Figures) -> Stretch:
        played = tuple(self.evaluator.play(parameters, span))
        wallets = self._wallets(parameters, span)
        return Stretch(span, figures, played, curve(played, self.evaluator.cash, wallets))

    def _refuse_other(self, trial: FrozenTrial, parameters: Parameters, window: Window) -> None:
        """Refuse a trial that comes to something else than when it was searched."""
        for which, span in ((INSIDE, window.train), (OUTSIDE, window.test)):
            was, now = _kept(trial, which).total_return, self._figures([parameters], span)[0].total_return
            if was is not None and (now is None or abs(now - was) > _SAME * max(1.0, abs(was))):
                again = "nothing" if now is None else f"{100 * now:.3f} %"
                raise ResearchError(
                    f"trial {trial.number} of {self.file.study.name} came to {100 * was:.3f} % {which} of its sample "
                    f"when it was searched and comes to {again} now: its data or the program changed since; run "
                    "the study again under another name"
                )


def _sampled(inside: Curve, outside: Curve) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Return both series by one step, and the step (ns); the second goes on with what the first came to."""
    bars = [np.diff(one.ts) for one in (inside, outside) if one.ts.size > 1]
    if not bars:
        return (inside.begin, *inside.equity), (outside.begin, *outside.equity), 1
    bar = min(int(one.min()) for one in bars)
    length = sum(int(one.ts[-1] - one.ts[0]) + bar for one in (inside, outside) if one.ts.size)
    step = -(-length // (_POINTS * bar)) * bar
    before = inside.sampled(step)
    scale = before[-1] / outside.begin
    return tuple(before), (before[-1], *(scale * value for value in outside.sampled(step)[1:])), step


def _priced(report: s.TrialReport, inside: Stretch, outside: Stretch) -> s.TrialReport:
    """Return the report with the first instrument's price on the points of its equity, and its trades on that."""
    step = _sampled(inside.curve, outside.curve)[2]
    prices, held = list[float](), list[s.Held]()
    for stretch in (inside, outside):
        market, first = stretch.played[0].market, len(prices)
        close, ts = market.close(), stretch.curve.ts
        own = np.searchsorted(market.ts, ts, "right") - 1
        shown = np.where(own >= 0, close[np.maximum(own, 0)], np.nan)
        prices += Curve(ts, shown, float(shown[0]) if shown.size else np.nan).sampled(step)
        last = len(prices) - 1
        for trip in stretch.played[0].round_trips():
            start, end = (min(last, first + round((at - int(ts[0])) / step)) for at in (trip.opened, trip.closed))
            held.append(s.Held(start, end, trip.entry, trip.exit, trip.profit))
    return msgspec.structs.replace(report, prices=tuple(prices), held=tuple(held[-_HELD:]))


def _tried(trial: FrozenTrial) -> Tried:
    return Tried(trial.number, trial.params, trial.value, _kept(trial, INSIDE).liquidated)


def run_by(file: StudyFile, parameters: Parameters) -> dict[str, Parameter]:
    """Return what a strategy runs by to trade as the study did: what the account of the file adds stands beside."""
    account = {"fraction": file.account.fraction, "slippage": file.account.slippage}
    return {**account, **parameters}


def _kept(trial: FrozenTrial, which: str) -> Figures:
    return msgspec.convert(trial.user_attrs[which], Figures)
