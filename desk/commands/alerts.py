"""``tradedeck alerts``: what a trader should know."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def alerts(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were seen, muted or are over.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the alerts that wait for somebody, newest last, with the rules, the mutes and the targets outside."""
    from desk import alarms
    from desk.paths import home_at

    alarms.show(home_at(home), everything, as_json)
