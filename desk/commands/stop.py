"""``tradedeck stop``: end engine, researcher, recorder and market."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def stop(
    leave: Annotated[bool, typer.Option("--leave", help="Leave positions and orders as they are.")] = False,
    flatten: Annotated[bool, typer.Option("--flatten", help="Close every position first.")] = False,
    keep_market: Annotated[
        bool, typer.Option("--keep-market", help="Let the practice exchange run on, its orders resting.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """End what runs here; refused with open positions or orders unless --leave or --flatten is given."""
    from desk import output
    from desk.paths import home_at
    from desk.roles import stopping

    if leave and flatten:
        raise output.UsageFault("--leave or --flatten, not both")
    place = home_at(home)
    ended = stopping.stop(place, leave=leave, flatten=flatten, keep_market=keep_market)
    if as_json:
        output.write_json({"stopped": ended})
    else:
        output.write(f"stopped: {', '.join(ended)}" if ended else f"nothing runs at {place.root}")
