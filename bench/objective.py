"""A strategy for the benchmark of studies: 5 ms of CPU a set, and a score that its parameters alone decide."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from core.domain.studies import Parameter
from research.simulator.records import RUN
from research.study.evaluator import Parameters
from research.study.study import StudyFile
from research.study.walkforward import DAY_NS, Span

BURN_S = 0.005
TRAIN_DAYS = 300.0


def value(parameters: Mapping[str, Parameter]) -> float:
    """Return what the peer's objective is of these parameters."""
    return sum(float(parameters[f"x{i}"]) ** 2 for i in range(3)) + float(parameters["k"])


class Objective:
    """Burns in-sample; out-of-sample, which the peer does not have, it answers at once."""

    def __init__(self, file: StudyFile) -> None:
        self.cash = file.account.cash
        self.span = Span(0, 400 * DAY_NS)
        self.instruments: tuple[InstrumentId, ...] = ()

    def evaluate(self, parameters: Sequence[Parameters], span: Span, *, slippage: float = 1.0) -> NDArray[np.void]:
        """Return a record a set whose score is the negative value: equity 1 - value / 1000, drawdown and leverage 1."""
        found = np.zeros((len(parameters), 1), RUN)
        found["leverage"], found["drawdown"], found["liquidated"], found["trades"] = 1.0, 1.0, -1, 100
        for row, one in zip(found, parameters, strict=True):
            end = time.process_time() + (BURN_S if span.days >= TRAIN_DAYS else 0.0)
            while time.process_time() < end:
                pass
            row["equity"] = self.cash * (1.0 - value(one) / 1000.0)
        return found

    def liquidation(self, runs: NDArray[np.void], span: Span) -> tuple[Nanoseconds, InstrumentId]:
        """Return that nothing was liquidated."""
        return 0, InstrumentId("")

    def play(self, parameters: Parameters, span: Span) -> list[Any]:
        """Return no trades: a value has none."""
        return []

    def profits(self, parameters: Parameters, span: Span) -> NDArray[np.float64]:
        """Return nothing: no gate is asked."""
        return np.zeros(0)


def evaluator(file: StudyFile) -> Objective:
    """Make it."""
    return Objective(file)
