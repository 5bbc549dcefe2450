"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from desk.paths import HOME_VARIABLE

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help=f"Data directory; also {HOME_VARIABLE}.", show_default=False, file_okay=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON (docs/guide/json.md).")]
TapeOption = Annotated[
    list[Path] | None, typer.Option("--tape", help="Recorded file to play; may be repeated.", show_default=False)
]
LoopOption = Annotated[bool, typer.Option("--loop", help="Start the tape again at its end.")]
SpeedOption = Annotated[float | None, typer.Option("--speed", help="Times the recorded speed.", show_default="1")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Seed of the built-in market.", show_default="from config.toml", min=0)
]
InstrumentArgument = Annotated[
    str, typer.Argument(help="Canonical id, or the short symbol where only one fits: BTC-USDT.P")
]
