"""``tradedeck install-service``: systemd's units for the roles."""

from typing import Annotated

import typer

from desk.options import HomeOption


def install_service(
    system: Annotated[bool, typer.Option("--system", help="For the whole machine, from boot on; takes root.")] = False,
    user: Annotated[bool, typer.Option("--user", help="For this user (the default).")] = False,
    print_only: Annotated[bool, typer.Option("--print", help="Print the units, write nothing.")] = False,
    run_as: Annotated[str, typer.Option("--run-as", help="With --system: the user that the roles run as.")] = "",
    home: HomeOption = None,
) -> None:
    """Write the units of market, engine, sentinel, recorder and researcher, and say what to do with them."""
    from desk import output
    from desk.paths import home_at
    from desk.roles.installing import install

    if system and user:
        raise output.UsageFault("--user or --system, not both")
    install(home_at(home), "system" if system else "user", run_as, print_only=print_only)
