"""What the command line says: JSON for programs, plain tables for people, exit codes for scripts."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import IntEnum
from typing import Any

import msgspec

from core.config.secrets import redact
from core.domain.numbers import plain
from core.errors import DomainError, NoEngine, PromotionRefused, TradedeckError
from desk.streams import shown

MONEY_DECIMALS = 8
_LEAST_CUT = 12
"""Columns that a cut leaves of a text."""


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 3
    NO_ENGINE = 4


class UsageFault(TradedeckError):
    """The command line itself cannot be carried out: a bad number, a missing argument."""


class Answered(TradedeckError):
    """No is the whole answer to a command; ``answer`` is the one document that JSON shows of it."""

    def __init__(self, reason: str, answer: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.answer = answer


class Refused(Answered):
    """The guardian or the engine said no."""


def exit_code(error: TradedeckError) -> Exit:
    """Return the exit code of an error."""
    match error:
        case NoEngine():
            return Exit.NO_ENGINE
        case Refused() | PromotionRefused():
            return Exit.REFUSED
        case UsageFault() | DomainError():
            return Exit.USAGE
        case _:
            return Exit.ERROR


def money(value: Decimal) -> str:
    """Return an amount of money for JSON: a string, no exponent, at most eight decimals."""
    if not value.is_finite():
        return str(value)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MONEY_DECIMALS:
        value = value.quantize(Decimal(1).scaleb(-MONEY_DECIMALS))
    return f"{value + 0:f}"  # + 0: no minus zero


def average(price: Decimal) -> str:
    """Return an average price for JSON: eight decimals as money, more where the eighth digit stands behind them."""
    exponent, least = price.as_tuple().exponent, min(price.adjusted() - 7, -MONEY_DECIMALS)
    return plain(price.quantize(Decimal(1).scaleb(least)) if isinstance(exponent, int) and exponent < least else price)


def grouped(value: Decimal, decimals: int = 2) -> str:
    """Return a number for people: thousands apart, a fixed number of decimals."""
    return f"{value:,.{decimals}f}".replace(",", " ")


def signed(value: Decimal, decimals: int = 2) -> str:
    """Return a gain or loss for people, always with its sign."""
    return f"{value:+,.{decimals}f}".replace(",", " ")


def write_json(value: Any) -> None:
    """Print one JSON value on a line of its own."""
    sys.stdout.write(shown(redact(msgspec.json.encode(value).decode())) + "\n")
    sys.stdout.flush()


def write(text: str = "") -> None:
    """Print a line, at once: whoever reads may be a pipe."""
    sys.stdout.write(redact(text) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a line beside the data, on stderr."""
    sys.stderr.write(redact(text) + "\n")
    sys.stderr.flush()


def terminal_width() -> int:
    """Return how many columns the terminal has; 0 where stdout is none: what reads a pipe gets all there is."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1, *, width: int = 0) -> None:
    """Print rows under a header; the first ``left`` columns are aligned left, the others right.

    The last column is cut to end within ``width``, 0 for no bound; a word of it is left.
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    if width and sum(widths) + 2 * (len(widths) - 1) > width:
        widths[-1] = max(width - sum(widths[:-1]) - 2 * (len(widths) - 1), len(header[-1]), _LEAST_CUT)
        for line in lines:
            if len(line[-1]) > widths[-1]:
                line[-1] = f"{line[-1][: widths[-1] - 1].rstrip()}…"
    for line in lines:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        write("  ".join(cells).rstrip())


def fail(error: TradedeckError, as_json: bool) -> Exit:
    """Say what went wrong, on stderr and for programs as JSON, and return the exit code."""
    code = exit_code(error)
    if as_json:
        answer = error.answer if isinstance(error, Answered) and error.answer else {"error": str(error)}
        write_json(answer)
    say(f"tradedeck: {error}")
    return code
