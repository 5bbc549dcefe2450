"""Numbers as people type them: plain decimals in ASCII, one reading for the command line, tickets and files."""

import re
from decimal import Decimal

LONGEST = 40
"""The most characters that a number may have, and that an answer repeats of one."""
_PLAIN = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)


def plain_decimal(text: str) -> Decimal | None:
    """Return the number that a text holds, None where it holds none: ``1_0``, ``1e3``, ``NaN`` or other alphabets."""
    return Decimal(text) if len(text) <= LONGEST and _PLAIN.fullmatch(text) else None


def cited(text: str) -> str:
    """Return a text as an answer repeats it: its beginning, where it is long."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def exact(value: float) -> str:
    """Return a number as programs read it: plain decimal digits, no blanks, no exponent."""
    return plain(Decimal(repr(round(float(value), 10))))


def plain(value: Decimal) -> str:
    """Return a Decimal as programs read it: plain decimal digits, no needless zeros, no exponent."""
    text = f"{value:f}" if abs(value.adjusted()) <= LONGEST else str(value)[:LONGEST]
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
