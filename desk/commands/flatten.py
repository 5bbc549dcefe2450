"""``tradedeck flatten``: close positions at the market."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption, figure


def flatten(
    instrument: Annotated[str | None, typer.Argument(help="Canonical id or short symbol.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every position.")] = False,
    wait: Annotated[
        float, typer.Option("--wait", help="Wait this long until flat (s).", parser=figure("--wait", 0))
    ] = 5.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel the open orders of an instrument, or of all, and close the position by reduce-only market orders.

    Ends with exit code 1 when it is not flat after --wait; the engine goes on until it is.
    """
    from desk import exits
    from desk.output import Exit, UsageFault
    from desk.paths import home_at

    if (instrument is None) != everything:
        raise UsageFault("name one of: an instrument, --all")
    if not exits.flatten(home_at(home), instrument, wait, as_json):
        raise typer.Exit(Exit.ERROR)
