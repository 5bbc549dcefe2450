"""Walk one contract's wallet through its signals, set by set: the loop around the kernels.

What one set is, holds and earned is one record of ``records.RUN``; numba reads and writes it in place.
"""

import numpy as np
from numpy.typing import NDArray

from research import kernels as k
from research.compiled import kernel
from research.kernels import Array, Record, Records
from research.records import (
    BY_END,
    BY_LIQUIDATION,
    BY_SIGNAL,
    BY_STOP,
    BY_TARGET,
    LONG_ENTRY,
    LONG_EXIT,
    SHORT_ENTRY,
    SHORT_EXIT,
)


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
        _begin(run, terms.cash)
        for j in range(edges.size - 1):
            signal = signals[number, j]
            if signal != 0:
                wanted = _wanted(run.quantity, signal)
                if wanted != 0:
                    logged = _signal(bounds, fees, tiers, terms, run, edges[j], j, wanted, number, log, logged)
            start, end = edges[j], edges[j + 1]
            if run.quantity != 0.0:
                bar, price, reason = _ends(bars, bounds, tiers, terms, run, start, end, j)
                if reason != BY_SIGNAL:
                    _pass(bars, bounds, days, closes, run, start, bar, -1)
                    _settle(run, bars[k.FUNDED, bar], bars[k.TURNED, bar])
                    if reason == BY_LIQUIDATION:
                        logged = _liquidate(terms, run, bar, number, log, logged)
                        _pass(bars, bounds, days, closes, run, bar, bar + 1, -1)
                        break
                    logged = _trade(fees, terms, run, bar, -run.quantity, price, reason, number, log, logged)
                    start = bar
            _pass(bars, bounds, days, closes, run, start, end, j)
        logged = _finish(bars, run, number, log, logged)
    return logged


@kernel
def _begin(run: Record, cash: float) -> None:
    run.cash = run.peak = run.top = run.day_base = cash
    run.quantity = run.entry = run.isolated = run.drop = run.best = run.open_fees = run.open_funding = 0.0
    run.opened = run.day = 0
    run.paid = run.turned = 0.0
    run.equity = run.drawdown = run.gross_profit = run.gross_loss = run.fees = run.funding = 0.0
    run.orders = run.trades = run.wins = run.bars_held = run.days = 0
    run.sum_1 = run.sum_2 = run.sum_3 = run.sum_4 = 0.0
    run.liquidated = -1


@kernel
def _wanted(quantity: float, signal: int) -> int:
    """Return what signals ask of a position: +1 or -1 to hold that side, 2 to close, 0 nothing.

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
    if (long_exit and quantity > 0.0) or (short_exit and quantity < 0.0):
        return 2
    return 0


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
        _day(run, base + quantity * closes[run.day])


@kernel
def _day(run: Record, equity: float) -> None:
    """Add the return of a day that ends at an equity."""
    change = equity / run.day_base - 1.0
    square = change * change
    run.days += 1
    run.sum_1 += change
    run.sum_2 += square
    run.sum_3 += square * change
    run.sum_4 += square * square
    run.day_base = equity
    run.day += 1


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

    In one bar the worse comes first: liquidation, then stop, then target. A level that the open is already beyond
    fills at the open.
    """
    side = 1 if run.quantity > 0.0 else -1
    bar, price, reason = end, 0.0, BY_SIGNAL
    adverse, kind = bounds[interval, k.FLOOR_LOW], bounds[interval, k.TOP_HIGH]
    if side < 0:
        adverse, kind = kind, adverse
    if run.target > 0.0:
        level = run.entry * (1.0 + side * run.target)
        if side * kind >= side * level:
            bar, reason = k.first_touch(bars, start, end, level, side), BY_TARGET
            price = _fills_at(bars[k.OPEN, bar], level, side)
    if run.stop > 0.0:
        level = run.entry * (1.0 - side * run.stop)
        if side * adverse <= side * level:
            t = k.first_touch(bars, start, min(end, bar + 1), level, -side)
            if t < min(end, bar + 1):
                bar, reason, price = t, BY_STOP, _fills_at(bars[k.OPEN, t], level, -side)
    if run.trail > 0.0:
        best = side * max(side * run.best, side * kind)
        if side * adverse <= side * best * (1.0 - side * run.trail):
            t, level = k.first_trail(bars, start, min(end, bar + 1), run.best, run.trail, side)
            if t < min(end, bar + 1) and (t < bar or reason != BY_STOP):
                bar, reason, price = t, BY_STOP, _fills_at(bars[k.OPEN, t], level, -side)
        run.best = best
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
def _fills_at(opened: float, level: float, direction: int) -> float:
    """Return where a level fills: at the open where that is beyond it already."""
    return max(opened, level) if direction > 0 else min(opened, level)


@kernel
def _settle(run: Record, funded: float, turned: float) -> None:
    """Pay the funding of a position up to where FUNDED and TURNED are these."""
    paid = run.quantity * (funded - run.paid)
    run.cash -= paid
    run.isolated -= paid
    run.open_funding -= paid
    run.funding -= paid
    run.paid, run.turned = funded, turned


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
    _settle(run, bounds[interval, k.PAID], before)
    price, turns = bounds[interval, k.OPENS], run.quantity != 0.0
    if turns:
        logged = _trade(fees, terms, run, bar, -run.quantity, price, BY_SIGNAL, number, log, logged)
    if wanted != 2:
        size = _size(fees, tiers, terms, run, bar, price, wanted)
        if size > 0.0:
            run.orders -= turns
            logged = _trade(fees, terms, run, bar, wanted * size, price, BY_SIGNAL, number, log, logged)
            run.isolated = size * run.entry / run.leverage
    return logged


@kernel
def _size(
    fees: Array, tiers: NDArray[np.float64], terms: Record, run: Record, bar: int, price: float, side: int
) -> float:
    """Return the quantity of an entry: bounded by ``max_size``, by tiers and by equity, rounded down to the step."""
    notional = run.notional if run.notional > 0.0 else run.fraction * run.cash * run.leverage
    if run.max_size > 0.0:
        notional = min(notional, run.max_size)
    if terms.margin:
        notional = min(notional, k.bearable(tiers, k.table_at(tiers, bar), run.leverage))
        cost = (1.0 + side * terms.slippage) * (1.0 / run.leverage + k.fee_at(fees, bar))
        notional = min(notional, run.cash / cost)
    size = notional / price
    if terms.size_step > 0.0:
        size = np.floor(size / terms.size_step + 1e-9) * terms.size_step
    return size if size > 0.0 and size * price >= terms.min_notional else 0.0


@kernel
def _trade(
    fees: Array,
    terms: Record,
    run: Record,
    bar: int,
    change: float,
    price: float,
    reason: int,
    number: int,
    log: Records,
    logged: int,
) -> int:
    """Fill a change of position, slippage and fee added: it opens from flat or closes whole."""
    price *= 1.0 + (terms.slippage if change > 0.0 else -terms.slippage)
    fee = abs(change) * price * k.fee_at(fees, bar)
    run.cash -= change * price + fee
    run.fees += fee
    run.orders += 1
    run.open_fees += fee
    if run.quantity == 0.0:
        run.quantity, run.entry, run.best = change, price, price
        run.opened = bar
        return logged
    return _close(run, bar, price, run.quantity * (price - run.entry), reason, number, log, logged)


@kernel
def _close(
    run: Record,
    bar: int,
    price: float,
    gross: float,
    reason: int,
    number: int,
    log: Records,
    logged: int,
) -> int:
    """Book a round trip and forget the position."""
    net = gross - run.open_fees + run.open_funding
    run.trades += 1
    if net > 0.0:
        run.wins += 1
        run.gross_profit += net
    else:
        run.gross_loss -= net
    logged = _note(run, bar, price, net, reason, number, log, logged)
    run.quantity = run.entry = run.isolated = run.open_fees = run.open_funding = 0.0
    return logged


@kernel
def _note(
    run: Record,
    bar: int,
    price: float,
    net: float,
    reason: int,
    number: int,
    log: Records,
    logged: int,
) -> int:
    if logged < log.size:
        trade = log[logged]
        trade.set, trade.side = number, 1 if run.quantity > 0.0 else -1
        trade.opened, trade.closed, trade.reason = run.opened, bar, reason
        trade.quantity, trade.entry, trade.exit = abs(run.quantity), run.entry, price
        trade.fees, trade.funding, trade.profit = run.open_fees, run.open_funding, net
    return logged + 1


@kernel
def _liquidate(terms: Record, run: Record, bar: int, number: int, log: Records, logged: int) -> int:
    """Lose what stood behind the position: its own margin when isolated, everything when crossed."""
    balance = run.cash + run.quantity * run.entry
    lost = min(run.isolated, balance) if terms.isolated else balance
    price = run.entry - lost / run.quantity  # where nothing of it is left
    run.liquidated = bar
    logged = _close(run, bar, price, -lost, BY_LIQUIDATION, number, log, logged)
    run.cash = balance - lost
    return logged


@kernel
def _finish(bars: Array, run: Record, number: int, log: Records, logged: int) -> int:
    """Value what is left at the last close; what is still open is noted as a trade that is not over."""
    last = bars.shape[1] - 1
    run.equity = run.cash
    if run.quantity != 0.0:
        _settle(run, bars[k.FUNDED, last], bars[k.TURNED, last])
        close = bars[k.CARRIED, last] + bars[k.FUNDED, last]
        run.equity = run.cash + run.quantity * close
        net = run.quantity * (close - run.entry) - run.open_fees + run.open_funding
        logged = _note(run, last, close, net, BY_END, number, log, logged)
    run.drawdown = run.drop / run.top
    return logged
