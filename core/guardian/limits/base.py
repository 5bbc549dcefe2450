"""What every limit is made of: the breach that it answers with, the port that the gate asks, the words that they share.

A limit answers None, or a ``Breach`` that says value and bound. Orders that can only shrink a position are asked
only by those limits that set ``covers_exits``.
"""

from typing import Protocol

import msgspec

from core.config.settings import GuardianSettings
from core.domain.message import Nanoseconds
from core.domain.numbers import exact
from core.guardian.proposal import Proposal

SECOND_NS: Nanoseconds = 1_000_000_000
MS_NS: Nanoseconds = 1_000_000


class Breach(msgspec.Struct, frozen=True):
    """Why an order may not pass: the limit's name, what was seen and what is allowed.

    Programs read ``value`` and ``bound``: plain decimals in the limit's own unit, or one word where the limit compares
    no numbers. The sentence for people is ``reason``.
    """

    limit: str
    value: str
    bound: str
    reason: str
    key: str = ""
    """The setting under [guardian], where there is one."""


class Limit(Protocol):
    """Judge one property of a proposal."""

    name: str
    key: str
    act: str
    covers_exits: bool

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        ...

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        ...

    def used(self, proposal: Proposal, value: float, bound: float) -> float | None:
        """Return the fraction of the bound that is used, or None where there is no bound or it is not asked now."""
        ...

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it."""
        ...


def number(value: float) -> str:
    """Return a number as people write it: thousands apart, no needless decimals."""
    text = f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"
    whole, dot, fraction = text.replace(",", " ").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if dot and fraction else whole


class Rule:
    """Hold the settings and the words that limits share."""

    name = ""
    key = ""
    act = "deny"
    covers_exits = False

    def __init__(self, settings: GuardianSettings) -> None:
        self.settings = settings

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        return None

    def used(self, proposal: Proposal, value: float, bound: float) -> float | None:
        """Return the fraction of the bound that is used, or None where there is no bound or it is not asked now."""
        return abs(value) / abs(bound) if bound else None

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it."""
        return number(value)

    def over(self, value: float, bound: float) -> Breach:
        """Return a breach of an upper bound."""
        text = f"{self.name.replace('_', ' ')} {number(value)} > {number(bound)}"
        return Breach(self.name, exact(value), exact(bound), text, self.key)
