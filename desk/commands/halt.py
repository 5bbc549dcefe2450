"""``tradedeck halt``: nothing but cancels and exits."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption


def halt(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is journalled.")] = "halted from the command line",
    reducing: Annotated[
        bool, typer.Option("--reducing", help="REDUCING instead: what shrinks positions passes.")
    ] = False,
    word: Annotated[
        str | None,
        typer.Option("--word", help="RESUME, typed: needed for --reducing out of HALTED.", metavar="RESUME"),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let nothing pass but cancels and exits, until resume."""
    from core.domain.approval import TradingState
    from desk import exits
    from desk.paths import home_at

    state = TradingState.REDUCING if reducing else TradingState.HALTED
    exits.set_state(home_at(home), state, reason, word or "", as_json)
