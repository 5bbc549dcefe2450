"""``tradedeck study``: search a strategy's parameters, and look at what was found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desk.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from desk.paths import Home

app = typer.Typer(help="Search a strategy's parameters over walk-forward windows.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The study's name.", metavar="STUDY")]


def _place(home: Path | None) -> "Home":
    """Return the home, named for the worker processes too: the imported candles lie in it."""
    import os

    from desk.paths import HOME_VARIABLE, home_at

    place = home_at(home)
    os.environ[HOME_VARIABLE] = str(place.root)
    return place


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="The file to write.", metavar="FILE")],
    strategy: Annotated[str, typer.Option("--strategy", help="What is searched.")] = "rsi_ema",
) -> None:
    """Write a study's file with every key and a comment."""
    import re

    from core.errors import ResearchError
    from desk.output import write
    from research.study.study import example, parse

    if file.exists():
        raise ResearchError(f"{file} is there already; name another")
    name = re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("-._") or "study"
    text = example(name, strategy)
    parse(text, file.name)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResearchError(f"{file} cannot be written: {error.strerror or error}; name another place") from None
    write(f"{file} written; edit it, then: tradedeck study run {file}")


@app.command()
def run(
    what: Annotated[str, typer.Argument(help="A study's file, or the name of one to resume.", metavar="WHAT")],
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Scheduler of dask workers, tcp://host:8786.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", help="PostgreSQL for the trials, postgresql://user@host/database.", show_default="the study's"
        ),
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="In this process; Ctrl-C stops it.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a study to its end, or go on where it was cut short.

    Where an engine or a researcher runs, the researcher does it, in the background: Ctrl-C leaves it running. Elsewhere
    it runs here, and Ctrl-C stops it after the batches under way.
    """
    import asyncio

    from core.domain.studies import StudyState
    from core.errors import ResearchError
    from desk.output import write_json
    from desk.research import handing, studying
    from desk.research.alone import run as run_alone

    place = _place(home)
    folder = studying.folder_for(place, what)
    alone = here or cluster is not None or storage is not None
    if alone or not handing.has_researcher(place):
        ended = asyncio.run(run_alone(place, folder, quiet=as_json, cluster=cluster, storage=storage))
    else:
        ended = handing.hand_over(place, folder, quiet=as_json)
    if ended.state is StudyState.FAILED:
        raise ResearchError(f"{ended.id} failed: {ended.reason}")
    if as_json:
        write_json(_named(ended))
    else:
        studying.show_studies([ended])


@app.command()
def ls(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the studies and how they stand."""
    from desk.output import write_json
    from desk.research import studying

    found = studying.standings(_place(home))
    if as_json:
        write_json([_named(one) for one in found])
    else:
        studying.show_studies(found)


@app.command()
def show(
    study: Name,
    limit: Annotated[int, typer.Option("--limit", help="How many trials.", min=1)] = 20,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the best trials of a study's newest window."""
    from desk.output import write_json
    from desk.research import studying
    from research.validation.findings import Findings

    found = Findings(studying.folder_of(_place(home), study)).trials(limit)
    if as_json:
        write_json([_named(one) for one in found.trials])
    else:
        studying.show_trials(found)


@app.command()
def report(
    study: Name,
    trial: Annotated[int | None, typer.Option("--trial", help="Its number.", show_default="the best")] = None,
    html: Annotated[bool, typer.Option("--html", help="Write a page and its trades as JSON to reports/.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one trial whole: parameters, figures and every gate before promotion; --html writes it as a page."""
    import msgspec

    from desk.output import write_json
    from desk.research import studying
    from research.validation.findings import Findings

    place = _place(home)
    findings = Findings(studying.folder_of(place, study))
    case = findings.case(findings.trials(1).trials[0].number if trial is None else trial)
    made = case.report
    if html:
        studying.write_report(place, case, as_json=as_json)
    elif as_json:
        named = {"trial": _named(made.trial), "gates": [*map(_named, made.gates)], "held": [*map(_named, made.held)]}
        write_json({**msgspec.structs.asdict(made), **named})
    else:
        studying.show_report(made)


@app.command()
def stop(study: Name, home: HomeOption = None) -> None:
    """Stop a running study after the batches under way, or take it from the queue; what its trials found stays."""
    from desk.output import write
    from desk.research import reporting

    try:
        write(reporting.stop(_place(home), study))
    except reporting.NotRunning as error:
        write(str(error))


def _named(struct: object) -> dict[str, object]:
    import msgspec

    return msgspec.structs.asdict(struct)  # type: ignore[arg-type]  # array-like on the wire, by name for people
