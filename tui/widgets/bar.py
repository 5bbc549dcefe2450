"""Draw a share of something as a bar of eighths of a cell."""

import math

_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float | None, width: int) -> str:
    """Draw ``share`` of ``width`` cells, the rest as dots; None and what is negative draw none of it."""
    if share is None or math.isnan(share) or share <= 0:
        return "·" * width
    eighths = min(width * 8, max(1, round(share * width * 8)))
    whole, part = divmod(eighths, 8)
    drawn = "█" * whole + (_EIGHTHS[part] if part else "")
    return drawn + "·" * (width - len(drawn))
