"""The margin simulator's inner loops: bounds, touches, margin and drawdown of one contract.

Bars are cut into *intervals* at the bars where any set of a batch may act (``edges``). What is highest and lowest
inside each interval (``bounds``) is found once and serves every set that acts at these bars: over an interval the
position is constant, equity is the straight line ``base + quantity * carried[t]`` with ``carried = close - funding paid
so far by one unit long``, and an interval whose bounds show no deeper fall, no touch and no liquidation costs no look
at its bars.
Fills happen at a bar's open; a stamp of funding at that open belongs to whoever held before it. Formulas: Binance,
"How to Calculate Liquidation Price of USDS-M Futures Contracts"; the tier is the one at the price that is looked at.

Arrays are passed one by one and what belongs to a set is one record: numba counts references of every array in a tuple
at each call, which costs more than most calls do.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from research.simulator.compiled import kernel, making

Array: TypeAlias = NDArray[np.float64]
Record: TypeAlias = Any
"""One record of a structured array; numba reads and writes its fields in place."""
Records: TypeAlias = NDArray[Any]
# Rows of ``bars`` (float64, a column a bar, prices in the quote asset). FUNDED is the funding paid so far by one unit
# long, TURNED the sum of its absolute steps, CARRIED is close - FUNDED.
OPEN, HIGH, LOW, MARK_HIGH, MARK_LOW, CARRIED, FUNDED, TURNED = range(8)
# Columns of ``bounds`` (a row an interval): the highest and lowest inside it, OPEN and FUNDED of its first bar, TURNED
# of its last. A row is little more than a line of cache: the walk reads this alone as long as nothing happens.
TOP_HIGH, TOP_MARK, TOP_CARRIED, FLOOR_LOW, FLOOR_MARK, FLOOR_CARRIED, OPENS, PAID, TURNS = range(9)
BOUNDS = 9
# Columns of ``tiers[table, row]``; SINCE is the bar from which the table holds, the same in each of its rows.
CAP, RATE, CUM, LEVERAGE, SINCE = range(5)


@kernel
def fee_at(fees: Array, bar: int) -> float:
    """Return the fee fraction at a bar; ``fees`` is (2, n): from which bar, and how much."""
    k = 0
    while k + 1 < fees.shape[1] and fees[0, k + 1] <= bar:
        k += 1
    fee: float = fees[1, k]
    return fee


@kernel
def table_at(tiers: NDArray[np.float64], bar: int) -> int:
    """Return which table of maintenance tiers holds at a bar."""
    k = 0
    while k + 1 < tiers.shape[0] and tiers[k + 1, 0, SINCE] <= bar:
        k += 1
    return k


@kernel
def maintenance(tiers: NDArray[np.float64], table: int, value: float) -> float:
    """Return the maintenance margin of a notional: ``value * rate - cum`` of its tier."""
    last = tiers.shape[1] - 1
    k = 0
    while k < last and value > tiers[table, k, CAP]:
        k += 1
    margin: float = value * tiers[table, k, RATE] - tiers[table, k, CUM]
    return margin


@kernel
def bearable(tiers: NDArray[np.float64], table: int, leverage: float) -> float:
    """Return the largest notional that every tier up to it allows at a leverage."""
    cap = 0.0
    for k in range(tiers.shape[1]):
        if tiers[table, k, LEVERAGE] < leverage:
            break
        cap = tiers[table, k, CAP]
    return cap


@making
def bounds_of(bars: Array, edges: NDArray[np.int64]) -> Array:
    """Return the bounds of the intervals between edges, (edges - 1, BOUNDS)."""
    found = np.empty((edges.size - 1, BOUNDS))
    for i in range(edges.size - 1):
        start, end = edges[i], edges[i + 1]
        high, mark_high, top = bars[HIGH, start], bars[MARK_HIGH, start], bars[CARRIED, start]
        low, mark_low, floor = bars[LOW, start], bars[MARK_LOW, start], top
        # Six chains side by side: one comparison must wait for the one before it, those of other rows need not.
        for t in range(start + 1, end):
            high = bars[HIGH, t] if bars[HIGH, t] > high else high
            low = bars[LOW, t] if bars[LOW, t] < low else low
            mark_high = bars[MARK_HIGH, t] if bars[MARK_HIGH, t] > mark_high else mark_high
            mark_low = bars[MARK_LOW, t] if bars[MARK_LOW, t] < mark_low else mark_low
            top = bars[CARRIED, t] if bars[CARRIED, t] > top else top
            floor = bars[CARRIED, t] if bars[CARRIED, t] < floor else floor
        found[i, TOP_HIGH], found[i, TOP_MARK], found[i, TOP_CARRIED] = high, mark_high, top
        found[i, FLOOR_LOW], found[i, FLOOR_MARK], found[i, FLOOR_CARRIED] = low, mark_low, floor
        found[i, OPENS], found[i, PAID], found[i, TURNS] = bars[OPEN, start], bars[FUNDED, start], bars[TURNED, end - 1]
    return found


@kernel
def first_touch(bars: Array, start: int, end: int, level: float, direction: int) -> int:
    """Return the first bar that reaches a level from below (+1) or from above (-1), else ``end``."""
    for t in range(start, end):
        if (bars[HIGH, t] >= level) if direction > 0 else (bars[LOW, t] <= level):
            return t
    return end


@kernel
def first_trail(bars: Array, start: int, end: int, best: float, trail: float, side: int) -> tuple[int, float]:
    """Return where a stop that trails the best price by a fraction is met, and its level then; ``end`` where it is not.

    A bar is judged by the extreme of the bars before it: which came first inside a bar is not known.
    """
    for t in range(start, end):
        level = best * (1.0 - side * trail)
        if side > 0:
            if bars[LOW, t] <= level:
                return t, level
            best = max(best, bars[HIGH, t])
        else:
            if bars[HIGH, t] >= level:
                return t, level
            best = min(best, bars[LOW, t])
    return end, 0.0


@kernel
def is_safe(
    tiers: NDArray[np.float64], start: int, end: int, worst: float, turned: float, run: Record, wallet: float
) -> bool:
    """Tell whether the worst mark of ``[start, end)``, with all funding against us, leaves more than maintenance.

    ``turned`` is TURNED at the last bar.
    """
    drift = abs(run.quantity) * (turned - run.turned)
    left, value = wallet - drift + run.quantity * (worst - run.entry), abs(run.quantity) * worst
    for table in range(table_at(tiers, start), table_at(tiers, end - 1) + 1):
        if left <= maintenance(tiers, table, value):
            return False
    return True


@kernel
def first_liquidation(bars: Array, tiers: NDArray[np.float64], start: int, end: int, run: Record, wallet: float) -> int:
    """Return the first bar of ``[start, end)`` whose mark liquidates (margin balance <= maintenance), else ``end``.

    ``wallet`` stood behind the position when FUNDED was ``run.paid``; the funding since then comes off it.
    """
    quantity, paid = run.quantity, run.paid
    row = MARK_LOW if quantity > 0.0 else MARK_HIGH
    for t in range(start, end):
        mark = bars[row, t]
        left = wallet - quantity * (bars[FUNDED, t] - paid) + quantity * (mark - run.entry)
        if left <= maintenance(tiers, table_at(tiers, t), abs(quantity) * mark):
            return t
    return end


@kernel
def fall(bars: Array, start: int, end: int, base: float, run: Record) -> None:
    """Follow the running peak and the deepest fall (``drop`` from ``top``) over ``[start, end)``, bar by bar.

    Falls are compared crosswise, ``drop_1 * top_2 > drop_2 * top_1``: no division a bar.
    """
    quantity, peak, drop, top = run.quantity, run.peak, run.drop, run.top
    for t in range(start, end):
        equity = base + quantity * bars[CARRIED, t]
        if equity > peak:
            peak = equity
        elif (peak - equity) * top > drop * peak:
            drop, top = peak - equity, peak
    run.peak, run.drop, run.top = peak, drop, top
