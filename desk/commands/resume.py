"""``tradedeck resume``: trade again after a halt."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def resume(
    word: Annotated[
        str | None, typer.Option("--word", help="RESUME, typed; asked for where it is not given.", metavar="RESUME")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is journalled.")] = "resumed from the command line",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let everything pass again; takes the typed word RESUME."""
    from core.domain.approval import TradingState
    from desk import exits
    from desk.paths import home_at

    typed = exits.typed_word() if word is None else word
    exits.set_state(home_at(home), TradingState.ACTIVE, reason, typed, as_json)
