"""The order book of one instrument, from a snapshot and deltas with a sequence check."""

from bisect import bisect_left, insort
from collections import deque
from enum import IntEnum

from core.domain.market import NO_ID, BookDelta, BookSnapshot, Level, Levels

MAX_LEVELS = 4000
"""Levels kept a side; the farthest are pruned, since nothing trades there before a resync."""
_INFINITY = float("inf")
BUFFERED_DELTAS = 2000
"""Deltas kept while no snapshot has come, to be replayed on top of it."""


class Sync(IntEnum):
    """How far the levels can be trusted."""

    EMPTY = 0
    PARTIAL = 1
    """Deltas without a snapshot: the levels seen so far."""
    SYNCED = 2
    GAP = 3
    """A delta is missing; a new snapshot is needed."""


class Book:
    """Hold the levels of both sides; prices are floats exactly as parsed and may be keys.

    ``bid_prices`` and ``ask_prices`` ascend, so the best bid is the last and the best ask the first.
    """

    __slots__ = ("_buffer", "ask_prices", "asks", "bid_prices", "bids", "gaps", "last_id", "sync")

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.bid_prices: list[float] = []
        self.ask_prices: list[float] = []
        self.last_id = NO_ID
        self.sync = Sync.EMPTY
        self.gaps = 0
        self._buffer: deque[BookDelta] = deque(maxlen=BUFFERED_DELTAS)

    def apply_snapshot(self, snapshot: BookSnapshot) -> None:
        """Take the levels of a snapshot, then the buffered deltas that are newer."""
        self.bids, self.asks = _sound(snapshot.bids), _sound(snapshot.asks)
        self.bid_prices = sorted(self.bids)
        self.ask_prices = sorted(self.asks)
        self.last_id = snapshot.last_id
        if not snapshot.complete:
            self.sync = Sync.PARTIAL
            if snapshot.last_id == NO_ID:
                self._buffer.clear()  # the stream starts again: what is buffered belongs to another sequence
            return
        self.sync = Sync.SYNCED
        pending = [delta for delta in self._buffer if delta.last_id > snapshot.last_id]
        self._buffer.clear()
        for delta in pending:
            self.apply_delta(delta)

    def apply_delta(self, delta: BookDelta) -> bool:
        """Apply changed levels and return whether the sequence held.

        Old deltas are skipped (true). After a gap the book stays in ``GAP`` and buffers deltas until a snapshot comes.
        """
        if self.sync is Sync.SYNCED:
            if delta.last_id != NO_ID and not _follows(delta, self.last_id):
                if delta.last_id <= self.last_id:
                    return True
                self.gaps += 1
                self.sync = Sync.GAP
                self._buffer.clear()
                self._buffer.append(delta)
                return False
        elif not self._hold(delta):
            return self.sync is not Sync.GAP
        _change(self.bids, self.bid_prices, delta.bids)
        _change(self.asks, self.ask_prices, delta.asks)
        self.last_id = delta.last_id
        if len(self.bid_prices) > MAX_LEVELS or len(self.ask_prices) > MAX_LEVELS:
            self._prune()
        return True

    def _hold(self, delta: BookDelta) -> bool:
        """Buffer a delta while there is no snapshot; return whether its levels may be shown: not old, not in a gap."""
        newest = self._buffer[-1].last_id if self._buffer else self.last_id
        if self.sync is Sync.EMPTY:
            self.sync = Sync.PARTIAL
        elif NO_ID not in (delta.last_id, newest):
            if delta.last_id <= newest:
                return False
            if not _follows(delta, newest):
                self.gaps += self.sync is Sync.PARTIAL
                self._buffer.clear()
        self._buffer.append(delta)
        return self.sync is not Sync.GAP

    def _prune(self) -> None:
        for price in self.bid_prices[:-MAX_LEVELS]:
            del self.bids[price]
        self.bid_prices = self.bid_prices[-MAX_LEVELS:]
        for price in self.ask_prices[MAX_LEVELS:]:
            del self.asks[price]
        self.ask_prices = self.ask_prices[:MAX_LEVELS]

    def reset(self) -> None:
        """Forget everything: the feed starts again."""
        gaps = self.gaps
        self.__init__()  # type: ignore[misc]
        self.gaps = gaps

    @property
    def best_bid(self) -> Level | None:
        """Return the highest bid."""
        return (self.bid_prices[-1], self.bids[self.bid_prices[-1]]) if self.bid_prices else None

    @property
    def best_ask(self) -> Level | None:
        """Return the lowest ask."""
        return (self.ask_prices[0], self.asks[self.ask_prices[0]]) if self.ask_prices else None

    @property
    def crossed(self) -> bool:
        """Tell whether the best bid is at or above the best ask."""
        return bool(self.bid_prices and self.ask_prices and self.bid_prices[-1] >= self.ask_prices[0])

    def top(self, depth: int) -> tuple[Levels, Levels]:
        """Return the best ``depth`` levels of both sides, best first."""
        bids, asks = self.bids, self.asks
        return (
            tuple((price, bids[price]) for price in self.bid_prices[: -depth - 1 : -1]),
            tuple((price, asks[price]) for price in self.ask_prices[:depth]),
        )


def _follows(delta: BookDelta, last_id: int) -> bool:
    """Tell whether nothing lies between an id and this delta (Binance: pu, or U for spot)."""
    if delta.prev_id != NO_ID:
        return delta.prev_id <= last_id < delta.last_id
    return delta.first_id <= last_id + 1 <= delta.last_id


def _sound(levels: Levels) -> dict[float, float]:
    return {price: size for price, size in levels if 0.0 < size < _INFINITY and 0.0 < price < _INFINITY}


def _change(sizes: dict[float, float], prices: list[float], levels: Levels) -> None:
    for price, size in levels:
        if 0.0 < size < _INFINITY:
            if price not in sizes:
                if not 0.0 < price < _INFINITY:
                    continue  # one senseless level must not hide the others
                insort(prices, price)
            sizes[price] = size
        elif price in sizes:
            del sizes[price]
            del prices[bisect_left(prices, price)]
