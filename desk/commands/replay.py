"""``tradedeck replay``: a whole tape at full speed against a file of orders."""

from pathlib import Path
from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def replay(
    tape: Annotated[list[Path], typer.Argument(help="Recorded files, played together in the order of time.")],
    *,
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
    strategies: Annotated[
        bool, typer.Option("--strategies", help="Have the home's promoted configs trade, as live.")
    ] = False,
    days: Annotated[
        str, typer.Option(help="What is played of the tapes, UTC: 2024-01-01..2024-03-31, or one side of it.")
    ] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play tapes through the whole engine as fast as it can, and tell what orders of a file and configs came to.

    Strategies warm up with the candles that were imported. Limits and latency are those of the home's config.toml where
    there is one. The same tapes, orders, configs and settings give the same digest.
    """
    from desk import output
    from desk.paths import home_at
    from desk.replay import input as replay_input
    from desk.replay import replaying

    place, money, span = home_at(home), replay_input.start_equity(equity), replay_input.span_of(days)
    answer = replaying.replay(place, tape, orders, money, config or (), span=span, strategies=strategies)
    if as_json:
        output.write_json(answer)
    else:
        replaying.show(answer)
    refused = [one for one in answer["strategies"] if one["state"] == "refused"]
    for one in refused:  # it played on without it: that must not pass for a result
        output.say(f"{one['strategy_id']} v{one['version']} did not run: {one['reason']}")
    if refused:
        raise typer.Exit(output.Exit.REFUSED)
