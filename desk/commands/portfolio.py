"""``tradedeck portfolio``: how capital would be spread over studies and instruments."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desk.options import HomeOption, JsonOption, figure

if TYPE_CHECKING:
    from desk.paths import Home


HeldOption = Annotated[
    list[str] | None, typer.Option("--held", help="What is held now: ITEM=0.4, again for each.", show_default=False)
]
CostOption = Annotated[
    float, typer.Option("--cost", help="Fraction of what is traded.", parser=figure("--cost", 0), metavar="COST")
]
DaysOption = Annotated[
    float,
    typer.Option(
        "--hold-days", help="Days until it is weighed again.", parser=figure("--hold-days", 1), metavar="HOLD-DAYS"
    ),
]
CapitalOption = Annotated[
    float | None,
    typer.Option("--capital", help="Money to spread.", parser=figure("--capital", 0), show_default=False),
]


def portfolio(  # noqa: PLR0917 - one parameter an option
    items: Annotated[list[str], typer.Argument(help="Studies (NAME or NAME:TRIAL), or series of data ls.")],
    method: Annotated[str, typer.Option("--method", help="risk_parity, hrp, min_variance or sharpe.")] = "risk_parity",
    held: HeldOption = None,
    cost: CostOption = 0.0007,
    hold_days: DaysOption = 30.0,
    capital: CapitalOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Weigh studies' trials and instruments by how they move together, with what turning to it costs."""
    from typing import cast, get_args

    from desk import output
    from desk.research.allocating import held_of, item_of, show
    from research.allocate import Method, allocate

    if method not in get_args(Method):
        raise output.UsageFault(f'--method must be {", ".join(get_args(Method))} (got "{method}")')
    place = _place(home)
    found = [item_of(place, text) for text in items]
    made = allocate(found, cast("Method", method), held=held_of(held or []), cost=cost, hold_days=hold_days)
    show(made, capital, as_json=as_json)


def _place(home: Path | None) -> "Home":
    import os

    from desk.paths import HOME_VARIABLE, home_at

    place = home_at(home)
    os.environ[HOME_VARIABLE] = str(place.root)
    return place
