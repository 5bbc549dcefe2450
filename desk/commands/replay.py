"""``tradedeck replay``: a whole tape at full speed against a file of orders."""

from pathlib import Path
from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def replay(
    tape: Annotated[list[Path], typer.Argument(help="Recorded files, played together in the order of time.")],
    orders: Annotated[
        Path | None, typer.Option("--orders", help="Orders as JSON lines (docs/guide/json.md).", metavar="FILE")
    ] = None,
    equity: Annotated[
        str,
        typer.Option(
            help="What it starts with in all, in place of paper.replay_equity; divided among the tapes' accounts.",
            metavar="AMOUNT",
        ),
    ] = "",
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", help="Run this config too, as `configs show --json` prints it.", metavar="FILE"),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play tapes through the whole engine as fast as it can, and tell what orders of a file and configs came to.

    Limits and latency are those of the home's config.toml where there is one. The same tapes, orders and settings give
    the same digest.
    """
    from desk import output, replaying
    from desk.paths import home_at

    answer = replaying.replay(home_at(home), tape, orders, replaying.start_equity(equity), config or ())
    if as_json:
        output.write_json(answer)
    else:
        replaying.show(answer)
