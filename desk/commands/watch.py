"""``tradedeck watch``: changes as plain lines."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption, figure


def watch(
    instruments: Annotated[
        list[str] | None, typer.Argument(help="Only these; ids or short symbols.", metavar="[INSTRUMENT]...")
    ] = None,
    every: Annotated[
        float, typer.Option("--every", help="Prices at most this often (s).", parser=figure("--every", 0.05))
    ] = 1.0,
    seconds: Annotated[
        float | None,
        typer.Option("--for", help="End after this long (s).", parser=figure("--for", 0), show_default="never"),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print prices, orders, fills and the account as plain lines, one a change."""
    import asyncio

    from desk import watching
    from desk.paths import home_at

    asyncio.run(watching.watch(home_at(home), instruments or [], every, seconds, as_json))
