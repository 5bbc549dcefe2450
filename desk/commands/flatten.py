"""``tradedeck flatten``: close positions at the market."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def flatten(
    instrument: Annotated[str | None, typer.Argument(help="Canonical id or short symbol.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every position.")] = False,
    wait: Annotated[float, typer.Option("--wait", help="Wait this long until flat (s).", min=0)] = 5.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel the open orders of an instrument, or of all, and close the position by reduce-only market orders."""
    from desk import exits
    from desk.output import UsageFault
    from desk.paths import home_at

    if (instrument is None) != everything:
        raise UsageFault("name one of: an instrument, --all")
    exits.flatten(home_at(home), instrument, wait, as_json)
