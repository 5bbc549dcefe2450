"""Lay a book out by price: the pure half of the ladder.

Prices are whole numbers of ticks here, so that a price is a key and never a rounded float. A row is one step of some
ticks. Rows are counted from the spread row outwards; inside the spread only prices with an own order, and the one
under the cursor, have a row.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

Levels = Sequence[tuple[float, float]]

AGGREGATION = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class LadderView(msgspec.Struct, frozen=True):
    """What a ladder shows: levels best first, own orders (price → signed quantity), tick and precisions."""

    bids: Levels
    asks: Levels
    tick: float
    own: Mapping[float, float] = {}
    price_decimals: int = 2
    size_decimals: int = 3
    stale: bool = False


class Step(msgspec.Struct, frozen=True, gc=False):
    """One row: its price in ticks, sizes by side, own quantity; `spread` marks the row between bid and ask."""

    ticks: int
    bid: float = 0.0
    ask: float = 0.0
    mine: float = 0.0
    spread: bool = False


def to_ticks(price: float, tick: float) -> int:
    """Give a price in whole ticks."""
    return round(price / tick)


def fold_down(ticks: int, step: int) -> int:
    """Give the step at or below a price, where bids gather."""
    return ticks // step * step


def fold_up(ticks: int, step: int) -> int:
    """Give the step at or above a price, where asks gather."""
    return -(-ticks // step) * step


def _gather(levels: Levels, tick: float, step: int, fold: Callable[[int, int], int]) -> dict[int, float]:
    sizes: dict[int, float] = {}
    for price, size in levels:
        key = fold(round(price / tick), step)
        sizes[key] = sizes.get(key, 0.0) + size
    return sizes


def natural_step(view: LadderView, rows: int) -> int:
    """Choose the aggregation (an index) at which the best five levels of each side fit into its `rows` rows."""
    sides = [side for side in (view.bids, view.asks) if side]
    spans = [round(abs(side[min(4, len(side) - 1)][0] - side[0][0]) / view.tick) for side in sides]
    reach = max(spans, default=0)
    return next((i for i, step in enumerate(AGGREGATION) if reach / step <= max(1, rows)), len(AGGREGATION) - 1)


class Depth:
    """A book gathered into steps, with a row for every price.

    Raises:
        ValueError: If both sides are empty: there is no price to count rows from.
    """

    def __init__(self, view: LadderView, step: int = 1, cursor: int | None = None) -> None:
        self.step = step
        self.bids = _gather(view.bids, view.tick, step, fold_down)
        self.asks = _gather(view.asks, view.tick, step, fold_up)
        if not self.bids and not self.asks:
            raise ValueError("a ladder needs at least one level")
        self.own: dict[int, float] = {}
        self.own_prices: dict[int, tuple[float, ...]] = {}
        """The prices that the own orders of a row really stand at."""
        for price, quantity in view.own.items():
            key = (fold_down if quantity > 0 else fold_up)(to_ticks(price, view.tick), step)
            self.own[key] = self.own.get(key, 0.0) + quantity
            self.own_prices[key] = (*self.own_prices.get(key, ()), price)
        best_bid = max(self.bids) if self.bids else min(self.asks) - step
        best_ask = min(self.asks) if self.asks else best_bid + step
        self.crossed = bool(self.bids and self.asks) and best_bid >= best_ask
        self.best_bid = best_bid
        self.best_ask = max(best_ask, best_bid + step)  # a crossed book keeps one row for each price
        wanted = {price for price in (*self.own, cursor) if price is not None}
        inside = sorted(price for price in wanted if self.best_bid < price < self.best_ask)
        middle = (self.best_bid + self.best_ask) / 2
        self._inner_above = [price for price in inside if price > middle]
        self._inner_below = [price for price in reversed(inside) if price <= middle]

    def price_at(self, distance: int) -> int | None:
        """Give the price `distance` rows from the spread row, upwards positive; None for the spread row itself."""
        if distance == 0:
            return None
        inner = self._inner_above if distance > 0 else self._inner_below
        place = abs(distance) - 1
        if place < len(inner):
            return inner[place]
        outward = (place - len(inner)) * self.step
        return self.best_ask + outward if distance > 0 else self.best_bid - outward

    def distance_of(self, ticks: int) -> int:
        """Count the rows from the spread row to a price; a price without a row takes the nearest inside the spread."""
        if ticks >= self.best_ask:
            return 1 + len(self._inner_above) + (ticks - self.best_ask) // self.step
        if ticks <= self.best_bid:
            return -(1 + len(self._inner_below) + (self.best_bid - ticks) // self.step)
        if ticks in self._inner_above:
            return 1 + self._inner_above.index(ticks)
        if ticks in self._inner_below:
            return -1 - self._inner_below.index(ticks)
        return 1

    def rows(self, spread_at: int, count: int) -> list[Step]:
        """Give `count` rows from the top, with the spread row at line `spread_at` (which may lie outside)."""
        return [self._row(spread_at - line) for line in range(count)]

    def _row(self, distance: int) -> Step:
        ticks = self.price_at(distance)
        if ticks is None:
            return Step(0, spread=True)
        return Step(ticks, self.bids.get(ticks, 0.0), self.asks.get(ticks, 0.0), self.own.get(ticks, 0.0))
