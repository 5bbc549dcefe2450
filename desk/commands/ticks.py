"""``tradedeck ticks``: ask the recorded market data."""

from pathlib import Path
from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption

app = typer.Typer(help="Ask and export the recorded market data.", no_args_is_help=True)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One read-only query over trades, quotes, book_deltas, book_snapshots.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask in SQL: segments, day files and Parquet together; also while everything runs."""
    import csv
    import sys

    from desk import output
    from desk.commands.shown import show_rows
    from desk.paths import home_at
    from desk.ticks import settings_of
    from store.ticks import reader

    if as_csv and as_json:
        raise output.UsageFault("--csv or --json, not both")
    place = home_at(home)
    table = reader.query(query, place.root, target=settings_of(place).target)
    if as_json:
        output.write_json([dict(zip(table.columns, row, strict=True)) for row in table.rows])
    elif as_csv:
        sheet = csv.writer(sys.stdout, lineterminator="\n")
        sheet.writerow(table.columns)
        sheet.writerows(table.rows)
    else:
        show_rows(table.columns, table.rows)


@app.command()
def days(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the days that are kept, and where."""
    import dataclasses

    from desk import output
    from desk.commands.shown import show_rows
    from desk.paths import home_at
    from desk.ticks import settings_of
    from store.ticks import reader

    place = home_at(home)
    found = reader.days(place.root, target=settings_of(place).target)
    if as_json:
        output.write_json([dataclasses.asdict(part) for part in found])
    else:
        rows = [(part.day, part.where, part.rows, part.size, part.path) for part in found]
        show_rows(("day", "where", "rows", "bytes", "path"), rows)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to: one file a day and kind.")],
    day: Annotated[
        list[str] | None, typer.Option("--day", help="UTC day, YYYY-MM-DD; may be repeated.", show_default="all")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write days as Parquet or CSV."""
    from desk import output
    from desk.paths import home_at
    from desk.ticks import days_named, settings_of
    from store.ticks import reader

    place = home_at(home)
    target = settings_of(place).target
    wanted = days_named(day) or {part.day for part in reader.days(place.root, target=target)}
    written = reader.export(place.root, wanted, folder, form, target=target)
    if as_json:
        output.write_json({"written": [str(path) for path in written]})
    else:
        for path in written:
            output.write(str(path))
