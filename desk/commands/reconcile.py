"""``tradedeck reconcile``: where our record and the venues' differ, and the trader's word on it."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption

app = typer.Typer(help="List what differs between our record and the venues', and say which is right.")
NumberOption = Annotated[
    str | None, typer.Argument(help="Number of the difference; tradedeck reconcile lists them.", metavar="NUMBER")
]
AllOption = Annotated[bool, typer.Option("--all", help="All that wait for a word.")]


@app.callback(invoke_without_command=True)
def reconcile(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what differs between our record and the venues', and say which is right."""
    if context.invoked_subcommand is None:
        from desk import differing
        from desk.paths import home_at

        differing.show(home_at(home), as_json)


@app.command()
def accept(
    number: NumberOption = None,
    everything: AllOption = False,
    capital: Annotated[
        bool, typer.Option("--capital", help="Count a wallet's change as money that came or went, not as profit.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take what the venue reports into our record; an order of others becomes ours."""
    from core.domain.differences import Resolution
    from desk import differing
    from desk.paths import home_at

    chosen = differing.number_of(number, everything)
    differing.resolve(home_at(home), chosen, Resolution.ADOPTED, capital, as_json)


@app.command()
def keep(
    number: NumberOption = None,
    everything: AllOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave our record as it is and trade on; it is told again when it changes."""
    from core.domain.differences import Resolution
    from desk import differing
    from desk.paths import home_at

    chosen = differing.number_of(number, everything)
    differing.resolve(home_at(home), chosen, Resolution.KEPT, False, as_json)


@app.command()
def flat(
    instrument: Annotated[str, typer.Argument(help="Canonical id or short symbol.")],
    word: Annotated[
        str | None, typer.Option("--word", help="FLAT, typed; asked for where it is not given.", metavar="FLAT")
    ] = None,
    capital: Annotated[
        bool, typer.Option("--capital", help="Count coins that are gone as money that went, not as a loss.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a venue holds nothing of an instrument, after a look there; takes the typed word FLAT.

    For a venue that does not say so itself: one that lost its account, or does not confirm what the guardian closes.
    """
    from desk import differing
    from desk.paths import home_at

    differing.declare_flat(home_at(home), instrument, word, capital, as_json)
