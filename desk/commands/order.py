"""``tradedeck order``: send an order."""

from typing import Annotated

import typer

from desk.options import HomeOption, InstrumentArgument, JsonOption, figure


def order(  # noqa: PLR0913, PLR0917 - one parameter an option
    side: Annotated[str, typer.Argument(help="buy or sell", metavar="buy|sell")],
    instrument: InstrumentArgument,
    quantity: Annotated[str, typer.Argument(help="In the instrument's units.", metavar="QTY")],
    limit: Annotated[str | None, typer.Option("--limit", help="Limit price.", metavar="P")] = None,
    stop: Annotated[str | None, typer.Option("--stop", help="Stop price.", metavar="P")] = None,
    trail: Annotated[
        str | None,
        typer.Option("--trail", help="Distance of a trailing stop: of --stop-loss, else of the order.", metavar="D"),
    ] = None,
    take_profit: Annotated[
        list[str] | None,
        typer.Option(
            "--take-profit",
            help="Attach a take profit, for a part of what fills; may be repeated. With --reduce-only: the trigger.",
            metavar="P[:FRACTION]",
        ),
    ] = None,
    stop_loss: Annotated[
        str | None, typer.Option("--stop-loss", help="Attach a stop loss for all that fills.", metavar="P")
    ] = None,
    tif: Annotated[str, typer.Option("--tif", help="GTC, IOC, FOK, GTD or DAY.")] = "GTC",
    expires: Annotated[
        str | None,
        typer.Option("--expires", help="End of a GTD order: 90s, 15m, 2h, or a time in UTC."),
    ] = None,
    reduce_only: Annotated[bool, typer.Option("--reduce-only", help="Only shrink a position.")] = False,
    post_only: Annotated[bool, typer.Option("--post-only", help="Only rest in the book, never take.")] = False,
    wait: Annotated[
        float, typer.Option("--wait", help="Wait this long for a final state (s).", parser=figure("--wait", 0))
    ] = 1.0,
    operation_id: Annotated[
        str | None, typer.Option("--operation-id", help="The same id is never carried out twice; for safe retries.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send an order and show what came of it: market, or what --limit, --stop and --trail make of it.

    Fills of an order with --stop-loss or --take-profit are protected as they come: docs/guide/ticket.md.
    """
    from desk import ticket
    from desk.paths import home_at

    plan = ticket.Ticket(
        side=side,
        instrument=instrument,
        quantity=quantity,
        limit=limit,
        stop=stop,
        trail=trail,
        take_profit=tuple(take_profit or ()),
        stop_loss=stop_loss,
        tif=tif,
        expires=expires,
        reduce_only=reduce_only,
        post_only=post_only,
        operation_id=operation_id or "",
    )
    ticket.send(home_at(home), plan, wait, as_json)
