"""``tradedeck web``: the terminal in a browser on this machine."""

from typing import Annotated

import typer

from desk.options import HomeOption


def web(
    port: Annotated[int, typer.Option("--port", min=1024, max=65535, help="Port on 127.0.0.1.")] = 8420,
    control: Annotated[bool, typer.Option("--control", help="Let the page command; without it, it looks on.")] = False,
    home: HomeOption = None,
) -> None:
    """Show the terminal in a browser on this machine, at an address with a key; it looks on unless --control is given.

    Only this machine can reach it. From another one: ssh -L 8420:127.0.0.1:8420 HOST, then open the same address there.
    """
    from importlib.util import find_spec

    from core.config.file import load_or_create
    from core.errors import NoEngine
    from desk.output import UsageFault
    from desk.paths import Role, home_at
    from desk.roles.services import running
    from desk.session import missing_engine

    if find_spec("textual_serve") is None:
        raise UsageFault("the page in a browser needs the extra `web`: pip install 'tradedeck[web]'")
    place = home_at(home)
    if running(place, Role.ENGINE) is None:
        raise NoEngine(f"no engine runs at {place.root}{missing_engine(place)}")
    from desk.web import serve

    settings, _ = load_or_create(place.config)
    serve(place, settings.terminal, port, control=control)
