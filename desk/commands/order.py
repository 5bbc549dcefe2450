"""``tradedeck order``: send an order."""

from typing import Annotated

import typer

from desk.options import HomeOption, InstrumentArgument, JsonOption


def order(  # noqa: PLR0913, PLR0917 - one parameter an option
    side: Annotated[str, typer.Argument(help="buy or sell", metavar="buy|sell")],
    instrument: InstrumentArgument,
    quantity: Annotated[str, typer.Argument(help="In the instrument's units.", metavar="QTY")],
    limit: Annotated[str | None, typer.Option("--limit", help="Limit price.", metavar="P")] = None,
    stop: Annotated[str | None, typer.Option("--stop", help="Stop price.", metavar="P")] = None,
    trail: Annotated[str | None, typer.Option("--trail", help="Distance of a trailing stop.", metavar="D")] = None,
    take_profit: Annotated[
        str | None, typer.Option("--take-profit", help="Take profit at this price.", metavar="P")
    ] = None,
    tif: Annotated[str, typer.Option("--tif", help="GTC, IOC, FOK, GTD or DAY.")] = "GTC",
    expires: Annotated[
        str | None, typer.Option("--expires", help="End of a GTD order: 90s, 15m, 2h, or a time in UTC.")
    ] = None,
    reduce_only: Annotated[bool, typer.Option("--reduce-only", help="Only shrink a position.")] = False,
    post_only: Annotated[bool, typer.Option("--post-only", help="Only rest in the book, never take.")] = False,
    wait: Annotated[float, typer.Option("--wait", help="Wait this long for a final state (s).", min=0)] = 1.0,
    operation_id: Annotated[
        str | None, typer.Option("--operation-id", help="The same id is never carried out twice; for safe retries.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send an order and show what came of it: market, or what --limit, --stop, --trail, --take-profit make of it."""
    from desk import ticket
    from desk.paths import home_at

    plan = ticket.Ticket(
        side=side,
        instrument=instrument,
        quantity=quantity,
        limit=limit,
        stop=stop,
        trail=trail,
        take_profit=take_profit,
        tif=tif,
        expires=expires,
        reduce_only=reduce_only,
        post_only=post_only,
        operation_id=operation_id or "",
    )
    ticket.send(home_at(home), plan, wait, as_json)
