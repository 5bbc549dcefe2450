"""``tradedeck risk``: what the whole book may lose."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def risk(
    garch: Annotated[
        bool, typer.Option("--garch", help="Add a method that fits a GARCH (needs the package arch).")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show value at risk, expected shortfall and what bad days would cost."""
    from core.session.frames import AskRisk
    from desk import output, risks
    from desk.paths import home_at
    from desk.session import talk

    view = talk(home_at(home), lambda client: client.ask(AskRisk(with_profits=garch)))
    if garch:
        view = risks.with_garch(view)
    if as_json:
        output.write_json(risks.as_json(view))
    else:
        risks.show(view)
