"""``tradedeck amend``: change a working order."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption, figure


def amend(
    order: Annotated[str, typer.Argument(help="Client order id; tradedeck orders lists them.", metavar="ID")],
    quantity: Annotated[str | None, typer.Option("--quantity", help="New quantity, what is filled included.")] = None,
    limit: Annotated[str | None, typer.Option("--limit", help="New limit price.", metavar="P")] = None,
    stop: Annotated[str | None, typer.Option("--stop", help="New stop price.", metavar="P")] = None,
    wait: Annotated[
        float, typer.Option("--wait", help="Wait this long for the venue's answer (s).", parser=figure("--wait", 0))
    ] = 1.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change quantity or prices of a working order; what is not named stays."""
    from core.domain.commands import AmendOrder
    from core.domain.identifiers import ClientOrderId
    from core.domain.order import OrderRecord, OrderStatus
    from desk import ticket
    from desk.output import UsageFault
    from desk.paths import home_at
    from desk.session import ORIGIN

    if quantity is None and limit is None and stop is None:
        raise UsageFault("nothing to change: name --quantity, --limit or --stop")
    command = AmendOrder(
        ClientOrderId(order),
        ticket.number("quantity", quantity),
        ticket.number("--limit", limit),
        ticket.number("--stop", stop),
        ORIGIN,
    )

    def settled(record: OrderRecord) -> bool:
        return record.status not in (OrderStatus.PENDING_AMEND, OrderStatus.SUBMITTED)

    ticket.change(home_at(home), command, settled, wait, as_json)
