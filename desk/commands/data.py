"""``tradedeck data``: bring candles, mark prices and funding in, look them over, take them out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import TradedeckError
from desk.options import HomeOption, JsonOption
from desk.paths import home_at

if TYPE_CHECKING:
    from research.data.dataset import Imported
    from research.data.reading import Problem
    from store.candles import CandleStore, Series

app = typer.Typer(help="Import, fetch and check candles, mark prices and funding for studies.", no_args_is_help=True)
SHOWN = 20
"""Problems of one file that are printed; --json has them all."""

VenueOption = Annotated[
    str | None, typer.Option("--venue", help="Venue, such as BINANCE-FUTURES.", show_default="told")
]
SymbolOption = Annotated[str | None, typer.Option("--symbol", help="Symbol, such as BTCUSDT.", show_default="told")]
IntervalOption = Annotated[
    str | None, typer.Option("--interval", help="Length of a bar: 1m, 15m, 1h, 1d.", show_default="told")
]
KindOption = Annotated[str | None, typer.Option("--kind", help="candles, mark or funding.", show_default="told")]


@app.command("import")
def import_(  # noqa: PLR0917 - one parameter an option
    files: Annotated[list[Path], typer.Argument(help="Binance dumps (.zip, .csv), freqtrade feather, Parquet.")],
    venue: VenueOption = None,
    symbol: SymbolOption = None,
    interval: IntervalOption = None,
    kind: KindOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Where rows differ from those kept, take the new ones.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add files to the kept series; a file with a fault is left out as a whole, the others are taken."""
    from core.errors import ResearchError
    from desk import output
    from research.data.dataset import bring_in
    from research.data.naming import name_of
    from research.data.reading import DataFault

    store, failed = _store(home), False
    answers: list[dict[str, Any]] = []
    for path in files:
        try:
            if not path.is_file():
                raise ResearchError(f"{path}: there is no such file")
            name = name_of(path, venue=venue, symbol=symbol, interval=interval, kind=kind)
            done = bring_in(store, path, name, replace=replace)
        except ResearchError as error:
            failed = True
            faults = error.problems if isinstance(error, DataFault) else []
            answers.append({"file": str(path), "error": str(error), "problems": _plain(faults)})
            if not as_json:
                _show(faults) if faults else output.say(str(error))
                output.say(f"{path}: not imported")
            continue
        answers.append(
            {
                "file": str(path),
                **_facts(done.series),
                "new": done.new,
                "replaced": done.replaced,
                "problems": _plain(done.notes),
            }
        )
        if not as_json:
            _show(done.notes)
            changed = f", {done.replaced} replaced" if done.replaced else ""
            output.write(f"{path}: {done.new} rows new{changed} in {name}, now {done.series.size}")
    if as_json:
        output.write_json(answers)
    if failed:
        raise typer.Exit(output.Exit.ERROR)


@app.command()
def fetch(
    instruments: Annotated[list[str], typer.Argument(help="Instruments of the engine: ids, or symbols: BTC-USDT.P.")],
    interval: Annotated[str, typer.Option("--interval", help="Length of a bar: 1m, 15m, 1h.")] = "1h",
    since: Annotated[
        str | None,
        typer.Option(
            "--since", help="First bar: 7d back, or a UTC time.", show_default="the last kept bar; else 30d back"
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="End: 1d back, or a UTC time, not with it.", show_default="now")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Ask for kept rows too, take the venue's, join what does not meet.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the venues of the running engine for what the kept series lack; a bar that is not over is left out."""
    from desk import output
    from desk.research.fetching import Span, fetch_all, length_of
    from desk.times import past

    span = Span(
        None if since is None else past("--since", since), None if until is None else past("--until", until), replace
    )
    answers: list[dict[str, Any]] = []

    def tell(instrument: str, found: "Imported | TradedeckError") -> None:
        answers.append({"instrument": instrument, **_told(found)})
        if not as_json:
            _show_fetched(instrument, found)

    try:
        fetch_all(home_at(home), instruments, length_of(interval), span, tell)
    except KeyboardInterrupt:
        output.say(f"stopped: {len(answers)} of {len(instruments)} fetched, whole; nothing was changed of the others")
        raise typer.Exit(130) from None
    if as_json:
        output.write_json(answers)
    if any("error" in answer for answer in answers):
        raise typer.Exit(output.Exit.ERROR)


def _told(found: "Imported | TradedeckError") -> dict[str, Any]:
    if isinstance(found, TradedeckError):
        return {"error": str(found), "problems": _plain(getattr(found, "problems", []))}
    facts = {"new": found.new, "replaced": found.replaced, "problems": _plain(found.notes)}
    return {**_facts(found.series), **facts}


def _show_fetched(instrument: str, found: "Imported | TradedeckError") -> None:
    from desk import output

    if isinstance(found, TradedeckError):
        faults = getattr(found, "problems", [])
        _show(faults) if faults else output.say(str(found))
        output.say(f"{instrument}: not fetched")
        return
    from research.data.checks import moment

    _show(found.notes)
    series, changed = found.series, f", {found.replaced} replaced" if found.replaced else ""
    span = f"from {moment(series.ts[0])} to {moment(series.ts[-1])}"
    output.write(f"{instrument}: {found.new} rows new{changed} in {series.name}, now {series.size} {span}")


@app.command("ls")
def ls(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the series that are kept."""
    from desk import output

    store = _store(home)
    facts = [_facts(store.read(name)) for name in store.names()]
    if as_json:
        output.write_json(facts)
    elif not facts:
        output.write("nothing is kept; bring data in by tradedeck data import FILE, or data fetch INSTRUMENT")
    else:
        from research.data.checks import moment

        rows = [
            (one["series"], str(one["rows"]), moment(one["first_ns"]), moment(one["last_ns"]), str(one["missing"]))
            for one in facts
        ]
        output.table(("series", "rows", "first", "last", "missing"), rows)


@app.command()
def check(
    what: Annotated[
        list[str] | None, typer.Argument(help="Files, or kept series as ls names them.", show_default="all kept")
    ] = None,
    venue: VenueOption = None,
    symbol: SymbolOption = None,
    interval: IntervalOption = None,
    kind: KindOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report gaps, duplicates, disorder, missing volume and impossible prices, by file and line; change nothing."""
    from core.errors import ResearchError
    from desk import output
    from research.data.checks import problems
    from research.data.dataset import judged
    from research.data.naming import name_of
    from research.data.reading import DataFault, read
    from store.candles import series_named

    store = _store(home)
    answers: list[dict[str, Any]] = []
    kept = {str(name) for name in store.names()}
    for text in what if what is not None else sorted(kept):
        named = series_named(text) if text in kept else None
        if named is not None:
            found = judged(store.read(named))
        else:
            if not Path(text).is_file():
                raise ResearchError(f"{text}: there is no such file, and no such series; tradedeck data ls lists them")
            name = name_of(Path(text), venue=venue, symbol=symbol, interval=interval, kind=kind)
            try:
                found = problems(read(Path(text), name.kind), name)
            except DataFault as fault:
                found = fault.problems
        answers.append({"what": text, "fit": not any(one.fatal for one in found), "problems": _plain(found)})
        if not as_json:
            _show(found)
            output.write(f"{text}: {_verdict(found)}")
    if as_json:
        output.write_json(answers)
    if not all(answer["fit"] for answer in answers):
        raise typer.Exit(output.Exit.ERROR)


@app.command()
def export(
    series: Annotated[str, typer.Argument(help="A kept series, as ls names it.")],
    file: Annotated[Path, typer.Argument(help="File to write: .parquet or .csv.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one series as Parquet or CSV: ts (ns, UTC) and its columns."""
    from desk import output
    from store.candles import series_named, write_csv, write_parquet

    writers = {".parquet": write_parquet, ".csv": write_csv}
    writer = writers.get(file.suffix.lower())
    if writer is None:
        raise output.UsageFault(f'the file must end with .parquet or .csv (got "{file.name}")')
    name = series_named(series)
    if name is None:
        raise output.UsageFault(f'"{series}" names no series; tradedeck data ls lists them')
    found = _store(home).read(name)
    draft = file.with_name(f".{file.name}.part")
    try:
        writer(found, draft)
        draft.replace(file)
    except OSError as error:
        raise output.UsageFault(f"{file} cannot be written: {error}") from None
    finally:
        draft.unlink(missing_ok=True)
    if as_json:
        output.write_json({"written": str(file), **_facts(found)})
    else:
        output.write(f"{file}: {found.size} rows")


def _store(home: Path | None) -> "CandleStore":
    from store.candles import CandleStore

    return CandleStore(home_at(home).data)


def _facts(series: "Series") -> dict[str, Any]:
    """Return what there is to say about a series; ``missing`` counts the bars that its span lacks."""
    from store.candles import interval_ns

    first, last = int(series.ts[0]), int(series.ts[-1])
    step = interval_ns(series.name.interval) if series.name.interval else 0
    missing = (last - first) // step + 1 - series.size if step else 0
    return {"series": str(series.name), "rows": series.size, "first_ns": first, "last_ns": last, "missing": missing}


def _plain(problems: "list[Problem]") -> list[dict[str, Any]]:
    return [{"line": one.line, "text": one.text, "fatal": one.fatal} for one in problems]


def _show(problems: "list[Problem]") -> None:
    from desk import output

    for problem in problems[:SHOWN]:
        output.say(f"{problem}" if problem.fatal else f"{problem} (left as it is)")
    if len(problems) > SHOWN:
        output.say(f"… and {len(problems) - SHOWN} more; --json has them all")


def _verdict(problems: "list[Problem]") -> str:
    fatal = sum(problem.fatal for problem in problems)
    remarks = len(problems) - fatal
    told = f"{remarks} remark{'' if remarks == 1 else 's'}"
    if fatal:
        return f"not fit: {fatal} fault{'' if fatal == 1 else 's'}, {told}"
    return f"fit, {told}" if remarks else "fit"
