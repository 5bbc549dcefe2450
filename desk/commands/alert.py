"""``tradedeck alert``: set and remove rules, acknowledge, mute."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption

app = typer.Typer(help="Set and remove alert rules, acknowledge and mute alerts.", no_args_is_help=True)


@app.command(context_settings={"ignore_unknown_options": True})
def add(  # noqa: PLR0913, PLR0917 - one parameter an option
    what: Annotated[str, typer.Argument(help="Canonical id, short symbol, or account.", metavar="INSTRUMENT|account")],
    side: Annotated[str, typer.Argument(help="above or below", metavar="above|below")],
    value: Annotated[str, typer.Argument(help="The bound; a price, money, or a fraction.", metavar="VALUE")],
    profit: Annotated[
        bool, typer.Option("--profit", help="Open profit of the position, or the account's profit of the day.")
    ] = False,
    drawdown: Annotated[bool, typer.Option("--drawdown", help="The account's drawdown from its peak.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Every time, not only once.")] = False,
    note: Annotated[str, typer.Option("--note", help="Words to be told with it.")] = "",
    replace: Annotated[str, typer.Option("--replace", help="Put it in the place of this rule.", metavar="ID")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Be told when the last price of an instrument, a profit or the drawdown reaches a value."""
    from desk import alarms
    from desk.paths import home_at

    wish = alarms.Wish(
        what=what, side=side, value=value, profit=profit, drawdown=drawdown, again=again, note=note, id=replace
    )
    alarms.add(home_at(home), wish, as_json)


@app.command()
def remove(
    rule: Annotated[str, typer.Argument(help="Id of the rule; tradedeck alerts lists them.", metavar="ID")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a rule away."""
    from core.domain.alerts import RemoveAlert
    from desk import alarms
    from desk.paths import home_at
    from desk.session import ORIGIN

    alarms.send(home_at(home), RemoveAlert(rule, ORIGIN), f"{rule} is removed", as_json)


@app.command()
def ack(
    number: Annotated[
        str | None, typer.Argument(help="Number of the alert; tradedeck alerts lists them.", metavar="NUMBER")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Acknowledge an alert, or all that wait."""
    from core.domain.alerts import AcknowledgeAlert
    from desk import alarms
    from desk.exits import who
    from desk.output import UsageFault
    from desk.paths import home_at

    if (number is None) != everything:
        raise UsageFault("name one of: the number of an alert, --all")
    chosen = 0 if number is None else alarms.number_of(number)
    words = f"alert {chosen} is acknowledged" if chosen else "all alerts are acknowledged"
    alarms.send(home_at(home), AcknowledgeAlert(chosen, who()), words, as_json)


@app.command()
def mute(
    kind: Annotated[str, typer.Argument(help="price, profit, drawdown, limit, feed, gap, fill, refused, ...")],
    duration: Annotated[str, typer.Option("--for", help="How long: 90s, 15m, 2h, 7d.", metavar="TIME")] = "1h",
    off: Annotated[bool, typer.Option("--off", help="Let the kind speak again.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a kind of alert silent for a while; it still stands in the history."""
    from desk import alarms
    from desk.paths import home_at

    alarms.mute(home_at(home), kind, None if off else duration, as_json)
