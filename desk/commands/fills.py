"""``tradedeck fills``: our fills."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption, figure


def fills(
    since: Annotated[
        str | None, typer.Option("--since", help="90s, 15m, 2h, 7d ago, or a time in UTC.", show_default="all")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", help="At most this many.", parser=figure("--limit", 1, whole=True))
    ] = 10_000,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List fills from the journal, oldest first."""
    import csv
    import sys

    from core.session.protocol import AskFills
    from desk import answers, output, times
    from desk.commands.shown import show_fills
    from desk.paths import home_at
    from desk.session import talk

    if as_csv and as_json:
        raise output.UsageFault("--csv or --json, not both")
    start = 0 if since is None else times.past("--since", since)
    found = talk(home_at(home), lambda client: client.ask(AskFills(start, limit)))
    rows = [answers.fill(item) for item in found]
    if as_json:
        output.write_json(rows)
    elif as_csv:
        sheet = csv.DictWriter(sys.stdout, answers.FILL_COLUMNS, lineterminator="\n")
        sheet.writeheader()
        sheet.writerows(rows)
    else:
        show_fills(found)
