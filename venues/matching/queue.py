"""Where a resting order stands in the queue of its price level.

Rules. A new order stands behind everything shown at its price. A print at its price takes from the front. A shrinking
level, less what prints already explain, shrinks evenly along the queue (pro rata), so that the part ahead of us shrinks
by ``ahead / shown``. A growing level grows behind us. We never stand behind more than is shown.
"""

from venues.matching.working import Working


def join(order: Working, shown: float) -> None:
    """Put an order at the end of its level."""
    order.ahead = order.seen = shown
    order.printed = 0.0


def level_shows(order: Working, shown: float) -> None:
    """Take the size that the feed shows at the order's price now."""
    before = order.seen
    if shown == before:
        return
    gone = before - shown - order.printed
    if gone > 0.0 and before > 0.0:
        order.ahead -= gone * min(1.0, order.ahead / max(before - order.printed, gone))
    order.ahead = max(0.0, min(order.ahead, shown))
    order.seen, order.printed = shown, 0.0


def print_at(order: Working, size: float, used: float) -> float:
    """Take a print at the order's price and return how much of it reaches us.

    ``used`` is what earlier orders of ours at the same price have already had of this print.
    """
    reached = size - order.ahead - used
    order.ahead = max(0.0, order.ahead - size)
    order.printed += size
    return max(0.0, reached)
