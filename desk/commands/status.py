"""``tradedeck status``: the account at a glance."""

from desk.options import HomeOption, JsonOption


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the account: mode, state, equity, positions, orders and feeds."""
    from core.session.protocol import AskStatus
    from desk import answers, output
    from desk.commands.shown import show_status
    from desk.paths import home_at
    from desk.session import talk

    view = talk(home_at(home), lambda client: client.ask(AskStatus()))
    if as_json:
        output.write_json(answers.status(view))
    else:
        show_status(view)
