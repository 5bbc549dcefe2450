"""Times on the command line: a length (90s, 15m, 2h, 7d) or a moment in UTC."""

import re
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from desk.output import UsageFault

SECOND_NS = 1_000_000_000
FURTHEST_NS = 3_653 * 86_400 * SECOND_NS
"""How far away a time may be: beyond it is a slip, and beyond 2262 no stamp of 64 bits holds it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def future(option: str, text: str) -> int:
    """Return the moment that a length from now or a UTC time names (ns).

    Raises:
        UsageFault: if it is neither, over already, or further than ten years away.
    """
    moment, now = _moment(option, text, 1), time.time_ns()
    if moment <= now:
        raise UsageFault(f'{option} must be in the future (got "{text}")')
    if moment > now + FURTHEST_NS:
        raise UsageFault(f'{option} must be within ten years (got "{text}")')
    return moment


def past(option: str, text: str) -> int:
    """Return the moment that a length ago or a UTC time names (ns); what was before 1970 is 0.

    Raises:
        UsageFault: if it is neither.
    """
    return max(0, _moment(option, text, -1))


def length(option: str, text: str) -> int:
    """Return a length of time (ns).

    Raises:
        UsageFault: if it is none, or longer than ten years.
    """
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise UsageFault(f'{option} must be a length (90s, 15m, 2h, 7d) (got "{text}")')
    long = int(Decimal(found[1]) * _SECONDS[found[2]] * SECOND_NS)
    if long > FURTHEST_NS:
        raise UsageFault(f'{option} must be within ten years (got "{text}")')
    return long


def _moment(option: str, text: str, sign: int) -> int:
    if _LENGTH.fullmatch(text):
        return time.time_ns() + sign * length(option, text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFault(f'{option} must be a length (90s, 15m, 2h, 7d) or a UTC time (got "{text}")') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND * 1000
