"""What a trade's rule works out of plain floats, once for live strategies and for studies.

``research.simulator`` compiles these very functions: they take and return numbers alone, and call nothing but ``math``.
"""

from math import floor

LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT = 1, 2, 4, 8
"""What a signal says of a bar, or-ed together."""
CLOSE = 2
"""What ``wanted`` answers where a position is to be closed and none opened."""
ROUNDING = 1e-9
"""A whole number of steps is not lost to the last digit of a division."""


def wanted(quantity: float, signal: int) -> int:
    """Return what a signal asks of a position: +1 or -1 to hold that side, CLOSE, or 0 for nothing.

    An opposite entry turns the position; an entry and an exit of one side at once cancel each other out.
    """
    long_entry, long_exit = signal & LONG_ENTRY != 0, signal & LONG_EXIT != 0
    short_entry, short_exit = signal & SHORT_ENTRY != 0, signal & SHORT_EXIT != 0
    if long_entry and long_exit:
        long_entry = long_exit = False
    if short_entry and short_exit:
        short_entry = short_exit = False
    if long_entry and short_entry:
        long_entry = short_entry = False
    if short_entry and quantity >= 0.0:
        return -1
    if long_entry and quantity <= 0.0:
        return 1
    return CLOSE if (long_exit and quantity > 0.0) or (short_exit and quantity < 0.0) else 0


def long_only(signal: int) -> int:
    """Return what a signal says where nothing can be sold short: an entry of a short closes the long.

    Entries and exits that cancel each other out in ``wanted`` do so here.
    """
    if wanted(0.0, signal) == 1:
        return LONG_ENTRY
    return LONG_EXIT if wanted(1.0, signal) else 0


def asked(notional: float, fraction: float, leverage: float, max_size: float, equity: float) -> float:
    """Return the notional an entry asks for, ``notional`` or a part of the equity; a ``max_size`` of 0 is no bound."""
    value = notional if notional > 0.0 else fraction * equity * leverage
    return min(value, max_size) if max_size > 0.0 else value


def affordable(free: float, leverage: float, slippage: float, fee: float, side: int) -> float:
    """Return the notional whose margin and fee, at the price with slippage, what is free can pay."""
    return free / ((1.0 + side * slippage) * (1.0 / leverage + fee))


def whole(size: float, step: float, price: float, min_notional: float) -> float:
    """Return a size rounded down to the step (0 is none), or 0 where that is worth less than the least notional."""
    if step > 0.0:
        size = floor(size / step + ROUNDING) * step
    return size if size > 0.0 and size * price >= min_notional else 0.0


def fills_at(opened: float, level: float, direction: int) -> float:
    """Return where a level fills that the price meets going up or down: at the open where that is beyond it already."""
    return max(opened, level) if direction > 0 else min(opened, level)
