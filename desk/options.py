"""Options that several commands share."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from core.domain.numbers import cited, plain_decimal
from desk.output import UsageFault
from desk.paths import HOME_VARIABLE

NEGATIVE = re.compile(r"-\.?\d")
"""How a number below zero begins; no option does."""


class SignedCommand(TyperCommand):
    """A command to which -5 is a number: whoever wants it above zero says so, not the option parser."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words; only beside such a number is an unknown option left to the arguments, which refuse it."""
        ctx.ignore_unknown_options = any(map(NEGATIVE.match, args))
        return super().parse_args(ctx, args)


def figure(option: str, least: float | None = None, *, whole: bool = False) -> Callable[[Any], float]:
    """Return the reader of an option's number: plain ASCII digits, as everywhere; ``whole`` numbers become int."""

    def read(value: Any) -> float:
        if isinstance(value, int | float):
            return value
        found = plain_decimal(str(value))
        if found is None or (whole and found % 1):
            raise UsageFault(
                f'{option} must be a {"whole " if whole else ""}number in plain digits (got "{cited(value)}")'
            )
        if least is not None and found < Decimal(repr(least)):
            raise UsageFault(f"{option} must be at least {least:g} (got {cited(value)})")
        return int(found) if whole else float(found)

    read.__name__ = "integer" if whole else "float"
    return read


def place(value: Any) -> Path:
    """Return the data directory that was named; nothing is not the present directory."""
    if not str(value):
        raise UsageFault("--home is empty: name a directory, or leave it out (is a variable of the shell not set?)")
    path = Path(value)
    if path.exists() and not path.is_dir():
        raise UsageFault(f"--home {path} is a file; name a directory")
    return path


place.__name__ = "directory"
HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help=f"Data directory; also {HOME_VARIABLE}.", show_default=False, parser=place),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON (docs/guide/json.md).")]
TapeOption = Annotated[
    list[Path] | None, typer.Option("--tape", help="Recorded file to play; may be repeated.", show_default=False)
]
LoopOption = Annotated[bool, typer.Option("--loop", help="Start the tape again at its end.")]
SpeedOption = Annotated[
    float | None, typer.Option("--speed", help="Times the recorded speed.", show_default="1", parser=figure("--speed"))
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        help="Seed of the built-in market.",
        show_default="from config.toml",
        parser=figure("--seed", 0, whole=True),
    ),
]
InstrumentArgument = Annotated[
    str, typer.Argument(help="Canonical id, or the short symbol where only one fits: BTC-USDT.P")
]
