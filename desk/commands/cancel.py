"""``tradedeck cancel``: cancel orders."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption, figure


def cancel(
    order: Annotated[
        str | None, typer.Argument(help="Client order id; tradedeck orders lists them.", metavar="ID")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open order.")] = False,
    instrument: Annotated[str | None, typer.Option("--instrument", help="Every open order of this instrument.")] = None,
    wait: Annotated[
        float, typer.Option("--wait", help="Wait this long for the venue's answer (s).", parser=figure("--wait", 0))
    ] = 1.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel one order, every order of an instrument, or all."""
    from core.domain.commands import CancelOrder
    from core.domain.identifiers import ClientOrderId
    from desk import ticket
    from desk.output import UsageFault
    from desk.paths import home_at
    from desk.session import ORIGIN

    if sum((order is not None, everything, instrument is not None)) != 1:
        raise UsageFault("name one of: an order id, --instrument, --all")
    if order is not None:
        command = CancelOrder(ClientOrderId(order), origin=ORIGIN)
        ticket.change(home_at(home), command, lambda record: not record.is_open, wait, as_json)
    else:
        ticket.cancel_all(home_at(home), instrument, wait, as_json)
