"""What a study needs of a strategy: many parameter sets over a span of time in one pass."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from core.domain.studies import Parameter
from core.errors import ResearchError
from research.study.study import StudyFile
from research.study.walkforward import Span

if TYPE_CHECKING:
    from research.validation.history import Played

Parameters = Mapping[str, Parameter]


class Evaluator(Protocol):
    """Back-tests of one strategy over the study's data.

    Indicators may look at bars before a span to warm up; trades and equity belong to the span alone.
    """

    span: Span
    """From the first bar's open to the last bar's end (ns, UTC)."""
    cash: float
    """What each symbol's wallet begins with."""
    instruments: tuple[InstrumentId, ...]
    """What it trades, as the engine calls it."""

    def evaluate(self, parameters: Sequence[Parameters], span: Span, *, slippage: float = 1.0) -> NDArray[np.void]:
        """Return ``research.simulator.records.RUN`` records (sets, symbols); ``slippage`` multiplies the account's."""
        ...

    def profits(self, parameters: Parameters, span: Span) -> NDArray[np.float64]:
        """Return what each trade of one set brought after costs (quote asset), by the time it closed."""
        ...

    def play(self, parameters: Parameters, span: Span) -> "list[Played]":
        """Return one set's back-test with every trade, an entry for each instrument."""
        ...

    def liquidation(self, runs: NDArray[np.void], span: Span) -> tuple[Nanoseconds, InstrumentId]:
        """Return when one set's records were liquidated first, and in what; 0 and nothing where they never were."""
        ...


Factory = Callable[[StudyFile], Evaluator]


def factory(name: str) -> Factory:
    """Return what makes the evaluator: ``package.module:function``.

    Raises:
        ResearchError: there is no such module or function.
    """
    module, _, function = name.partition(":")
    try:
        return cast("Factory", getattr(import_module(module), function))
    except (ImportError, AttributeError, ValueError) as error:
        raise ResearchError(
            f"[study] evaluator {name!r} cannot be loaded: {error}; expected module:function"
        ) from error
