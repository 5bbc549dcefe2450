"""``tradedeck orders``: our orders."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption, figure


def orders(
    everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", help="At most this many, the newest.", parser=figure("--limit", 1, whole=True))
    ] = 200,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List orders, newest first."""
    from core.session.protocol import AskOrders
    from desk import answers, output
    from desk.commands.shown import show_orders
    from desk.paths import home_at
    from desk.session import talk

    found = talk(home_at(home), lambda client: client.ask(AskOrders(not everything, limit)))
    if as_json:
        output.write_json([answers.order(record) for record in found])
    else:
        show_orders(found)
