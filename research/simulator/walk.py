"""Walk one contract's wallet through its signals, set by set: the loop around the kernels.

A wallet of several contracts is walked in ``research.simulator.shared_walk``.

What one set is, holds and earned is one record of ``records.RUN``; numba reads and writes it in place.
"""

import numpy as np
from numpy.typing import NDArray

from research.simulator import kernels as k
from research.simulator import position as p
from research.simulator.compiled import kernel
from research.simulator.kernels import Array, Record, Records
from research.simulator.records import BY_END, BY_LIQUIDATION, BY_SIGNAL


@kernel
def walk(
    bars: Array,
    days: NDArray[np.int64],
    closes: Array,
    fees: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    edges: NDArray[np.int64],
    bounds: Array,
    signals: NDArray[np.uint8],
    runs: Records,
    log: Records,
) -> int:
    """Simulate each set in place and return how many trades there were; ``log`` takes them as far as it has room.

    Set ``i`` fills at the open of bar ``edges[j]`` by ``signals[i, j]``; ``edges`` begins with 0 and ends with the
    number of bars, ``bounds`` are theirs. ``days`` are the last bars of days, ``closes`` CARRIED at them.
    """
    logged = 0
    for number in range(runs.size):
        run = runs[number]
        p.begin(run, terms.cash)
        for j in range(edges.size - 1):
            signal = signals[number, j]
            if signal != 0:
                wanted = p.wanted(run.quantity, signal)
                if wanted != 0:
                    logged = _signal(bounds, fees, tiers, terms, run, edges[j], j, wanted, number, log, logged)
            start, end = edges[j], edges[j + 1]
            if run.quantity != 0.0:
                bar, price, reason = _ends(bars, bounds, tiers, terms, run, start, end, j)
                if reason != BY_SIGNAL:
                    _pass(bars, bounds, days, closes, run, start, bar, -1)
                    p.settle(run, run, bars[k.FUNDED, bar], bars[k.TURNED, bar])
                    if reason == BY_LIQUIDATION:
                        logged = _liquidate(terms, run, bar, number, log, logged)
                        _pass(bars, bounds, days, closes, run, bar, bar + 1, -1)
                        p.last_day(run, days, bar)
                        break
                    logged = p.trade(fees, terms, run, run, bar, -run.quantity, price, reason, number, 0, log, logged)
                    start = bar
            _pass(bars, bounds, days, closes, run, start, end, j)
        logged = _finish(bars, run, number, log, logged)
    return logged


@kernel
def _pass(
    bars: Array,
    bounds: Array,
    days: NDArray[np.int64],
    closes: Array,
    run: Record,
    start: int,
    end: int,
    interval: int,
) -> None:
    """Add bars to drawdown and daily returns; ``interval`` is whose bounds hold for them, -1 for none."""
    quantity = run.quantity
    base = run.cash
    if quantity == 0.0:
        if start < end:
            run.peak = max(run.peak, base)
            if (run.peak - base) * run.top > run.drop * run.peak:
                run.drop, run.top = run.peak - base, run.peak
    else:
        base += quantity * run.paid
        run.bars_held += end - start
        if interval < 0:
            k.fall(bars, start, end, base, run)
        else:
            rising, falling = (k.TOP_CARRIED, k.FLOOR_CARRIED) if quantity > 0.0 else (k.FLOOR_CARRIED, k.TOP_CARRIED)
            highest = max(run.peak, base + quantity * bounds[interval, rising])
            lowest = base + quantity * bounds[interval, falling]
            if lowest > 0.0 and (highest - lowest) * run.top <= run.drop * highest:
                run.peak = highest
            else:
                k.fall(bars, start, end, base, run)
    while run.day < days.size and days[run.day] < end:
        p.day(run, base + quantity * closes[run.day])


@kernel
def _ends(
    bars: Array,
    bounds: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    run: Record,
    start: int,
    end: int,
    interval: int,
) -> tuple[int, float, int]:
    """Return (bar, price, reason) of what ends the position before ``end`` by itself; BY_SIGNAL where nothing does.

    In one bar the worse comes first: liquidation, then stop and target.
    """
    bar, price, reason = p.ends(bars, bounds, run, start, end, interval)
    t = _liquidation(bars, bounds, tiers, terms, run, start, min(end, bar + 1), interval) if terms.margin else end
    if t < min(end, bar + 1):
        return t, 0.0, BY_LIQUIDATION
    return bar, price, reason


@kernel
def _liquidation(
    bars: Array,
    bounds: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    run: Record,
    start: int,
    end: int,
    interval: int,
) -> int:
    """Return the first bar of ``[start, end)`` that liquidates; looked for only where the bounds allow it."""
    wallet = run.isolated if terms.isolated else run.cash + run.quantity * run.entry
    worst = bounds[interval, k.FLOOR_MARK if run.quantity > 0.0 else k.TOP_MARK]
    if k.is_safe(tiers, start, end, worst, bounds[interval, k.TURNS], run, wallet):
        return end
    return int(k.first_liquidation(bars, tiers, start, end, run, wallet))


@kernel
def _signal(
    bounds: Array,
    fees: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    run: Record,
    bar: int,
    interval: int,
    wanted: int,
    number: int,
    log: Records,
    logged: int,
) -> int:
    """Do at a bar's open what is wanted: close, open, or turn in one order."""
    before = bounds[interval - 1, k.TURNS] if interval else 0.0  # a stamp at this very open counts for the next
    p.settle(run, run, bounds[interval, k.PAID], before)
    price, turns = bounds[interval, k.OPENS], run.quantity != 0.0
    if turns:
        logged = p.trade(fees, terms, run, run, bar, -run.quantity, price, BY_SIGNAL, number, 0, log, logged)
    if wanted != 2:
        size = p.size(fees, tiers, terms, run, run.cash, run.cash, bar, price, wanted)
        if size > 0.0:
            run.orders -= turns
            logged = p.trade(fees, terms, run, run, bar, wanted * size, price, BY_SIGNAL, number, 0, log, logged)
            run.isolated = size * run.entry / run.leverage
    return logged


@kernel
def _liquidate(terms: Record, run: Record, bar: int, number: int, log: Records, logged: int) -> int:
    """Lose what stood behind the position: its own margin when isolated, everything when crossed."""
    balance = run.cash + run.quantity * run.entry
    lost = min(run.isolated, balance) if terms.isolated else balance
    price = run.entry - lost / run.quantity  # where nothing of it is left
    run.liquidated = bar
    logged = p.close(run, run, bar, price, -lost, BY_LIQUIDATION, number, 0, log, logged)
    run.cash = balance - lost
    return logged


@kernel
def _finish(bars: Array, run: Record, number: int, log: Records, logged: int) -> int:
    """Value what is left at the last close; what is still open is noted as a trade that is not over."""
    last = bars.shape[1] - 1
    run.equity = run.cash
    if run.quantity != 0.0:
        p.settle(run, run, bars[k.FUNDED, last], bars[k.TURNED, last])
        close = bars[k.CARRIED, last] + bars[k.FUNDED, last]
        run.equity = run.cash + run.quantity * close
        net = run.quantity * (close - run.entry) - run.open_fees + run.open_funding
        logged = p.note(run, last, close, net, BY_END, number, 0, log, logged)
    run.drawdown = run.drop / run.top
    return logged
