"""Which price a market is believed to have: the venue's mark, the book that contradicts it, no single message."""

from core.domain.market import MarkPrice
from core.domain.message import Nanoseconds

_INFINITY = float("inf")
FUTURE_NS: Nanoseconds = 60_000_000_000
"""An exchange stamp this far ahead of our clock is senseless."""
STALE_NS: Nanoseconds = 2_000_000_000
"""A feed without an update for this long is called stale on every screen."""
MARK_TTL_NS: Nanoseconds = 5_000_000_000
"""A venue's mark that has not gone on for so long gives way to the mid: slow streams send one every 3 s."""
JUMP = 0.05
"""A price this far from the mark is believed when a second message agrees with it, and never by time alone."""
WIDE = 0.01
"""A touch with a spread beyond this says no more than between what the price lies, where nothing else marks it."""
SETTLE_NS: Nanoseconds = 250_000_000
"""For so long a sound book has to stand beyond a mark that goes on before the book is believed against it."""
STUCK = "updates come, but their exchange stamp stands still"
UNMARKED = "the venue's mark stands still or contradicts the book: the mid counts"


class Mark:
    """The price that positions and equity are valued at, from the touch and the venue's own mark.

    A price near the mark is taken at once. One further than ``JUMP`` away waits for a second message that agrees: the
    touch, a print or the venue's mark, but no timer, and nothing that is told again under its stamp. A message near the
    mark ends the doubt. Against a venue's mark that goes on, the touch agrees with itself only when it is sound (a
    narrow spread, both sides beyond) and has stood for ``SETTLE_NS``: a book that has emptied is no price. Where
    nothing else marks it, a wide touch says only between what the price lies, until it has stood for ``MARK_TTL_NS``.
    """

    __slots__ = (
        "ahead",
        "ask",
        "bad",
        "bid",
        "doubted",
        "doubted_at",
        "funding_rate",
        "heard",
        "index",
        "mark",
        "mark_stamp",
        "marked",
        "moved",
        "next_funding",
        "overruled",
        "ts",
        "ts_exchange",
        "wide",
    )

    def __init__(self) -> None:
        self.bid = self.ask = 0.0
        self.ts: Nanoseconds = 0
        """When the touch was last told, or a print where there is no touch: prints keep no dead touch alive."""
        self.ts_exchange: Nanoseconds = 0
        """The exchange's stamp of that."""
        self.moved: Nanoseconds = 0
        """When that stamp last went on, in our time."""
        self.heard: Nanoseconds = 0
        """When a print came or the venue's mark went on last, in our time."""
        self.wide: Nanoseconds = 0
        """Since when the touch has been wide; 0 while it is narrow."""
        self.bad = 0
        self.ahead: Nanoseconds = 0
        """How far the exchange's stamps are ahead of our clock, where that is senseless; 0 once they are sane."""
        self.mark = 0.0
        """Put there by ``State.apply``, which moves the equity with it."""
        self.index = self.funding_rate = 0.0
        self.next_funding: Nanoseconds = 0
        self.marked: Nanoseconds = 0
        """When the venue's mark last went on, in our time; 0 where none came or the book is believed against it."""
        self.mark_stamp: Nanoseconds = 0
        self.doubted = 0.0
        """A price far from the mark that no second message has agreed with yet; 0.0 is none."""
        self.doubted_at: Nanoseconds = 0
        """Since when the touch has said so; 0 where the venue's mark said it."""
        self.overruled: Nanoseconds = 0
        """When the book was believed against the venue's mark: a loss counts at once, a peak waits a while."""

    def mark_price(self, message: MarkPrice) -> float | None:
        """Take the venue's own mark; an older one is dropped, one told again under its stamp is no news."""
        if not 0.0 < message.mark < _INFINITY or message.ts_exchange > message.ts + FUTURE_NS:
            self._drop(message.ts_exchange - message.ts)
            return None
        price, mark, ts = message.mark, self.mark, message.ts
        stamp = message.ts_exchange or ts
        if stamp < self.mark_stamp:
            self._drop(0)
            return None
        goes_on = stamp > self.mark_stamp
        if not goes_on and price in (mark, self.doubted):
            return None
        self.mark_stamp = stamp
        self.index, self.funding_rate, self.next_funding = message.index, message.funding_rate, message.next_funding
        if abs(price - mark) > JUMP * mark:
            believed = self._far(price, 0)  # two sources need not stand for long
            if believed is None:
                return None
            price = believed
        elif self.doubted and not (self.doubted_at and self._is_off(price)):
            self.doubted = 0.0
        if goes_on:
            self.marked = self.heard = ts
        return price if price != mark else None

    def is_unmarked(self, now: Nanoseconds) -> bool:
        """Tell whether the venue's mark, which was there, stands still or is contradicted by the book."""
        return self.mark_stamp > 0 and now - self.marked > MARK_TTL_NS

    def _touch(self, mid: float, ts: Nanoseconds) -> float | None:
        """Return the mark that a touch makes where it is far from the mark, or the mark is in doubt."""
        mark, spread = self.mark, self.ask - self.bid
        if spread <= WIDE * mid:
            self.wide = 0
        elif not self.wide:
            self.wide = ts
        if ts - self.marked > MARK_TTL_NS:
            return self._unmarked(self._within(mid, ts) if self.wide else mid, ts)
        sound = spread <= JUMP * mid
        if abs(mid - mark) <= JUMP * mark:
            if sound and (self.doubted_at or not self.stuck):
                self.doubted = 0.0
            return None
        if not sound or not self._is_off(mark) or self.stuck:
            return None  # a book that has emptied, or is told again and again: the venue's mark counts
        price = self._far(mid, ts, SETTLE_NS)
        if price is not None:
            self.marked, self.overruled = 0, ts
        return price

    def _unmarked(self, price: float, ts: Nanoseconds) -> float | None:
        """Return the mark that the touch makes where nothing else marks it."""
        mark = self.mark
        if abs(price - mark) > JUMP * mark:
            return self._far(price, ts)
        if self.wide == 0 and (self.doubted_at or not self.stuck):
            self.doubted = 0.0
        return price if price != mark else None

    def _within(self, mid: float, ts: Nanoseconds) -> float:
        """Return what a wide touch says: the price between its sides that is nearest to the mark, or what has stood."""
        if ts - self.wide <= MARK_TTL_NS and self.mark:
            return min(max(self.mark, self.bid), self.ask)
        self.overruled = self.wide + MARK_TTL_NS  # once: where a touch is always wide, peaks are raised as elsewhere
        return mid

    def _is_off(self, mark: float) -> bool:
        """Tell whether both sides of the book are far from a mark."""
        return self.bid > mark * (1.0 + JUMP) or 0.0 < self.ask < mark * (1.0 - JUMP)

    def _far(self, price: float, ts: Nanoseconds, wait: Nanoseconds = 0) -> float | None:
        """Return the new mark where a second message agrees that the price has left it: the nearer one of both."""
        mark, odd = self.mark, self.doubted
        if mark == 0.0:
            return price
        if not odd or (odd > mark) is not (price > mark):
            self.doubted, self.doubted_at = price, ts
            return None
        nearer = min(odd, price) if price > mark else max(odd, price)
        if wait and ts - self.doubted_at < wait:
            self.doubted = nearer
            return None
        self.doubted = 0.0
        return nearer

    def closes_at(self, sign: int) -> float:
        """Return what can be had for a position of this sign: for a long the bid, for a short the ask; 0.0 is unknown.

        A touch further than ``JUMP`` from the mark is a book that has emptied or a bad tick, and one that has fallen
        silent while prints or the venue's marks go on is dead: then the mark counts.
        """
        touch, mark = self.bid if sign > 0 else self.ask, self.mark
        if touch <= 0.0 or (mark > 0.0 and (abs(touch - mark) > JUMP * mark or self.heard - self.ts > STALE_NS)):
            return mark
        return touch

    def takes_at(self, sign: int) -> float:
        """Return what a profit can be taken at: the touch, as far as it is believed; 0.0 is unknown."""
        touch, price = self.bid if sign > 0 else self.ask, self.closes_at(sign)
        return min(touch, price) if sign > 0 else max(touch, price)

    @property
    def stuck(self) -> bool:
        """Tell whether updates come under an exchange stamp that stands still."""
        return self.ts_exchange > 0 and self.ts - self.moved > STALE_NS

    def _drop(self, ahead: Nanoseconds) -> None:
        """Count an update that is not taken, and remember a stamp that comes from far ahead of our clock."""
        self.bad += 1
        if ahead > FUTURE_NS:
            self.ahead = ahead
