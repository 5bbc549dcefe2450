"""A trial's report as files: a page that opens offline, and everything in it as JSON beside it."""

import os
from pathlib import Path

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from core.domain.studies import Gate, Parameter, Plateau
from core.errors import ResearchError
from research.report.page import page
from research.validation.findings import Case, Stretch
from research.validation.history import RoundTrip, months
from research.validation.metrics import Figures

FORMAT = 1


class Sample(msgspec.Struct, frozen=True):
    """One of the two spans: from and to (ns, UTC), its figures, and what each month brought (fractions)."""

    from_ns: Nanoseconds
    to_ns: Nanoseconds
    figures: Figures
    months: dict[str, float]
    trades: tuple[RoundTrip, ...]


class Document(msgspec.Struct, frozen=True):
    """A report as JSON; fractions are fractions (0.2 is 20 %), money in the quote asset, times ns in UTC.

    ``in_sample`` is what the trial was chosen by, ``out_of_sample`` what it is judged by, with a wallet
    of its own, begun anew.
    """

    format: int
    study: str
    strategy_id: str
    trial: int
    score: float | None
    made_ns: Nanoseconds
    code_version: str
    instruments: tuple[InstrumentId, ...]
    timeframe: str
    margin_mode: str
    max_position_size: float | None
    parameters: dict[str, Parameter]
    gates: tuple[dict[str, str | bool], ...]
    liquidated_ns: Nanoseconds
    liquidated_in: InstrumentId
    in_sample: Sample
    out_of_sample: Sample
    plateau: Plateau | None
    strategy: str = ""
    """The library's strategy that takes the parameters."""


def document(case: Case, made: Nanoseconds) -> Document:
    """Return a case as a document, made at a time (ns)."""
    report = case.report
    return Document(
        format=FORMAT,
        study=report.study,
        strategy_id=report.strategy_id,
        trial=report.trial.number,
        score=report.trial.score,
        made_ns=made,
        code_version=report.code_version,
        instruments=report.instruments,
        timeframe=case.timeframe,
        margin_mode=report.margin_mode,
        max_position_size=report.max_position_size,
        parameters=report.parameters,
        gates=tuple(_named(gate) for gate in report.gates),
        liquidated_ns=report.trial.liquidated,
        liquidated_in=report.trial.liquidated_in,
        in_sample=_sample(case.inside),
        out_of_sample=_sample(case.outside),
        plateau=report.plateau,
        strategy=report.strategy,
    )


def _named(gate: Gate) -> dict[str, str | bool]:
    return {"name": gate.name, "value": gate.value, "bound": gate.bound, "passed": gate.passed}


def _sample(stretch: Stretch) -> Sample:
    return Sample(
        stretch.span.start,
        stretch.span.stop,
        stretch.figures,
        dict(months(stretch.curve)),
        tuple(stretch.round_trips()),
    )


def write(case: Case, folder: Path, made: Nanoseconds) -> tuple[Path, Path]:
    """Write the page and its JSON as ``STRATEGY.html`` and ``STRATEGY.json``, each whole or not at all; return both.

    Raises:
        ResearchError: the folder cannot be written.
    """
    stem = folder / case.report.strategy_id
    found = document(case, made)
    files = {
        stem.with_name(f"{stem.name}.json"): msgspec.json.format(msgspec.json.encode(found), indent=1),
        stem.with_name(f"{stem.name}.html"): page(case, made).encode(),
    }
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, content in files.items():
            _replace(path, content)
    except OSError as error:
        raise ResearchError(f"the report cannot be written to {folder}: {error}") from error
    data, shown = files
    return shown, data


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
