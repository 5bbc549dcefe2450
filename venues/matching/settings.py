"""Settings of the matching that paper, replay, back-tests and the practice exchange share."""

from enum import StrEnum

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds

MILLISECOND: Nanoseconds = 1_000_000
SECOND: Nanoseconds = 1_000_000_000


class LatencySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describe how long a request and an answer travel: ``base + jitter * exp(sigma * normal)`` ns, by seed.

    Both legs keep the order of what was sent. All zero is no latency: an answer comes before ``submit`` returns.
    """

    request_ns: Nanoseconds = 0
    answer_ns: Nanoseconds = 0
    jitter_ns: Nanoseconds = 0
    """The median of what is added to each leg."""
    sigma: float = 0.5
    seed: int = 1


TYPICAL_LATENCY = LatencySettings(request_ns=4 * MILLISECOND, answer_ns=2 * MILLISECOND, jitter_ns=MILLISECOND)
"""A well connected retail account."""


class MarginMode(StrEnum):
    """What stands behind a position."""

    CROSS = "cross"
    """The whole wallet of its settle asset."""
    ISOLATED = "isolated"
    """What was set aside when it was opened."""


class TriggerPrice(StrEnum):
    """Which price wakes stops and take profits."""

    LAST = "last"
    """The last print; without prints the side of the quote that the order would take."""
    MARK = "mark"


class MatchingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Set what a venue's matching does where venues differ."""

    latency: LatencySettings = LatencySettings()
    leverage: int = 20
    leverages: dict[InstrumentId, int] = {}
    """Leverage by instrument, where it is not ``leverage``."""
    margin: MarginMode = MarginMode.CROSS
    trigger_by: TriggerPrice = TriggerPrice.LAST
    impact_ns: Nanoseconds = 60 * SECOND
    """How long a level stays consumed by us when the feed does not refresh it."""
    synthetic_levels: int = 20
    """Levels assumed behind a quote without a book: one tick apart, each of the quoted size."""
    slippage_ticks: int = 1
    """What a market order pays where only prints or bars are known."""
    spot_fee_in_quote: bool = False
    """Take spot fees in the quote asset; otherwise, as most venues, in the asset received."""
    mark_ttl_ns: Nanoseconds = 10 * SECOND
    """A published mark older than this gives way to the mid."""
    kept_orders: int = 5_000
    """Closed orders that can still be asked for."""
    kept_fills: int = 10_000
    kept_bookings: int = 1_000
    """Funding payments and forced closes that can still be asked for."""
    id_prefix: str = ""
    """Begins every order and fill id of the venue; set it where ids of several lives must not meet."""
