"""``tradedeck loosen``: say the word for limits that the settings file loosens."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def loosen(
    word: Annotated[
        str | None, typer.Option("--word", help="LOOSEN, typed; asked for where it is not given.", metavar="LOOSEN")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let limits that config.toml loosens be in force from the engine's next start; takes the typed word LOOSEN."""
    from desk import limits
    from desk.paths import home_at

    limits.loosen(home_at(home), word, as_json)
