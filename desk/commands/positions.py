"""``tradedeck positions``: what is held."""

from desk.options import HomeOption, JsonOption


def positions(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the open positions at their marks, the biggest first."""
    from core.session.protocol import AskStatus
    from desk import answers, output
    from desk.commands.shown import show_positions
    from desk.paths import home_at
    from desk.session import talk

    found = talk(home_at(home), lambda client: client.ask(AskStatus())).positions
    if as_json:
        output.write_json([answers.position(item) for item in found])
    else:
        show_positions(found)
