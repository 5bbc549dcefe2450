"""Walk a wallet that several contracts share, set by set: cross margin, every position behind every other.

The bars of all stand on one axis of time, and the intervals are those between the bars at which any contract of any set
may act. Equity over an interval is ``cash`` plus a straight line of ``carried`` a position; bounds of the parts bound
their sum, so bars are looked at only where the sum of the worst, or of the best, could matter.

In one bar: what closes by signal goes before what opens, so that its margin is free; then liquidation, judged with
every position at its own worst mark at once, which no path of prices inside the bar can exceed; then stops and targets;
then liquidation again with what is left.
"""

import numpy as np
from numpy.typing import NDArray

from research.simulator import kernels as k
from research.simulator import position as p
from research.simulator.compiled import kernel
from research.simulator.kernels import Array, Record, Records
from research.simulator.records import BY_END, BY_LIQUIDATION, BY_SIGNAL

TURNS, OPENS = 2, 1
"""What ``wanted`` says besides its sign: that a position was closed by the same order, or not."""
DUST = 1e-9
"""Free margin below this fraction of equity is what rounding left: no entry is made of it."""


@kernel
def walk_shared(
    bars: Array,
    days: NDArray[np.int64],
    closes: Array,
    fees: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    edges: NDArray[np.int64],
    bounds: Array,
    events: NDArray[np.int64],
    symbols: NDArray[np.int64],
    signals: NDArray[np.uint8],
    accounts: Records,
    positions: Records,
    log: Records,
) -> int:
    """Simulate each set in place and return how many trades there were; ``log`` takes them as far as it has room.

    ``bars`` (symbols, rows, n), ``closes`` (symbols, days), ``fees`` and ``tiers`` by symbol, ``bounds`` (symbols,
    intervals, BOUNDS). At the open of bar ``edges[j]`` set ``i`` acts by ``signals[i, e]`` in ``symbols[e]`` for every
    ``e`` from ``events[j]`` to ``events[j + 1]``. ``accounts`` (sets,) have the wallet, ``positions`` (sets, symbols)
    what is held and how large an entry is.
    """
    logged = 0
    for number in range(accounts.size):
        account, held = accounts[number], positions[number]
        p.begin(account, terms.cash)
        for s in range(held.size):
            p.begin(held[s], 0.0)
        for j in range(edges.size - 1):
            if events[j] != events[j + 1]:
                logged = _act(
                    bounds, symbols, signals[number], events[j], events[j + 1], fees, tiers, terms, account, held,
                    edges[j], j, number, log, logged,
                )  # fmt: skip
            logged = _live(
                bars, bounds, days, closes, fees, tiers, terms, account, held, edges[j], edges[j + 1], j, number, log,
                logged,
            )  # fmt: skip
            if account.liquidated >= 0:
                break
        logged = _finish(bars, account, held, number, log, logged)
    return logged


@kernel
def _act(
    bounds: Array,
    symbols: NDArray[np.int64],
    signals: NDArray[np.uint8],
    first: int,
    last: int,
    fees: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    account: Record,
    held: Records,
    bar: int,
    interval: int,
    number: int,
    log: Records,
    logged: int,
) -> int:
    """Do at a bar's open what the signals from ``first`` to ``last`` want: all that closes, then all that opens."""
    opens = False
    for e in range(first, last):
        if signals[e] == 0:
            continue
        s = symbols[e]
        one = held[s]
        wanted = p.wanted(one.quantity, signals[e])
        if wanted == 0:
            continue
        turns = one.quantity != 0.0
        one.wanted = 0 if wanted == 2 else wanted * (TURNS if turns else OPENS)
        opens |= wanted != 2
        before = bounds[s, interval - 1, k.TURNS] if interval else 0.0  # a stamp at this very open counts for the next
        p.settle(account, one, bounds[s, interval, k.PAID], before)
        if turns:
            price = bounds[s, interval, k.OPENS]
            logged = p.trade(fees[s], terms, account, one, bar, -one.quantity, price, BY_SIGNAL, number, s, log, logged)
    if opens:
        for e in range(first, last):
            s = symbols[e]
            if held[s].wanted != 0:
                logged = _enter(bounds, fees, tiers, terms, account, held, s, bar, interval, number, log, logged)
    return logged


@kernel
def _enter(
    bounds: Array,
    fees: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    account: Record,
    held: Records,
    s: int,
    bar: int,
    interval: int,
    number: int,
    log: Records,
    logged: int,
) -> int:
    """Open what is wanted of one contract, out of the equity at the bar's opens less the margin of what is held."""
    equity, used = account.cash, 0.0
    for i in range(held.size):
        quantity = held[i].quantity
        if quantity != 0.0:
            opened = bounds[i, interval, k.OPENS]
            equity += quantity * (opened - (bounds[i, interval, k.PAID] - held[i].paid))
            used += abs(quantity) * opened / held[i].leverage
    one, price = held[s], bounds[s, interval, k.OPENS]
    side = 1 if one.wanted > 0 else -1
    free = equity - used
    if free < DUST * equity:
        free = 0.0
    size = p.size(fees[s], tiers[s], terms, one, equity, free, bar, price, side)
    if size > 0.0:
        account.orders -= abs(one.wanted) == TURNS
        logged = p.trade(fees[s], terms, account, one, bar, side * size, price, BY_SIGNAL, number, s, log, logged)
    one.wanted = 0
    return logged


@kernel
def _live(
    bars: Array,
    bounds: Array,
    days: NDArray[np.int64],
    closes: Array,
    fees: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    account: Record,
    held: Records,
    start: int,
    end: int,
    interval: int,
    number: int,
    log: Records,
    logged: int,
) -> int:
    """Go through an interval: what stops or targets end there, and the liquidation before, between and after them."""
    first = _soonest(bars, bounds, held, start, end, interval)
    while True:
        stop = min(end, first + 1)
        t = stop
        if terms.margin and not _is_safe(bounds, tiers, account, held, start, stop, interval):
            t = _first_liquidation(bars, tiers, account, held, start, stop)
        if t < stop:
            _pass(bars, bounds, days, closes, account, held, start, t, interval)
            logged = _liquidate(bars, account, held, t, number, log, logged)
            _pass(bars, bounds, days, closes, account, held, t, t + 1, interval)
            p.last_day(account, days, t)
            return logged
        _pass(bars, bounds, days, closes, account, held, start, first, interval)
        if first == end:
            return logged
        start, first = first, end
        for s in range(held.size):
            one = held[s]
            if one.quantity != 0.0 and one.why != BY_SIGNAL:
                if one.until == start:
                    p.settle(account, one, bars[s, k.FUNDED, start], bars[s, k.TURNED, start])
                    logged = p.trade(
                        fees[s], terms, account, one, start, -one.quantity, one.at, one.why, number, s, log, logged
                    )
                else:
                    first = min(first, one.until)


@kernel
def _soonest(bars: Array, bounds: Array, held: Records, start: int, end: int, interval: int) -> int:
    """Note what stop or target ends each position in ``[start, end)``; return the first of their bars, else ``end``."""
    first = end
    for s in range(held.size):
        one = held[s]
        if one.quantity != 0.0 and one.stop + one.target + one.trail > 0.0:
            one.until, one.at, one.why = p.ends(bars[s], bounds[s], one, start, end, interval)
            first = min(first, one.until)
    return first


@kernel
def _is_safe(
    bounds: Array, tiers: NDArray[np.float64], account: Record, held: Records, start: int, end: int, interval: int
) -> bool:
    """Tell whether the worst marks of an interval, with all funding against us, leave more than maintenance."""
    left, kept, holds = account.cash, 0.0, False
    for s in range(held.size):
        one = held[s]
        if one.quantity != 0.0:
            size = abs(one.quantity)
            worst = bounds[s, interval, k.FLOOR_MARK if one.quantity > 0.0 else k.TOP_MARK]
            left += one.quantity * worst - size * (bounds[s, interval, k.TURNS] - one.turned)
            table, last = k.table_at(tiers[s], start), k.table_at(tiers[s], end - 1)
            most = k.maintenance(tiers[s], table, size * worst)
            while table < last:
                table += 1
                most = max(most, k.maintenance(tiers[s], table, size * worst))
            kept += most
            holds = True
    return left > kept or not holds


@kernel
def _first_liquidation(
    bars: Array, tiers: NDArray[np.float64], account: Record, held: Records, start: int, end: int
) -> int:
    """Return the first bar whose worst marks leave no more than the summed maintenance margin, else ``end``."""
    for t in range(start, end):
        left, kept = account.cash, 0.0
        for s in range(held.size):
            one = held[s]
            if one.quantity != 0.0:
                mark = bars[s, k.MARK_LOW if one.quantity > 0.0 else k.MARK_HIGH, t]
                left += one.quantity * (mark - (bars[s, k.FUNDED, t] - one.paid))
                kept += k.maintenance(tiers[s], k.table_at(tiers[s], t), abs(one.quantity) * mark)
        if left <= kept:
            return t
    return end


@kernel
def _liquidate(bars: Array, account: Record, held: Records, bar: int, number: int, log: Records, logged: int) -> int:
    """Lose the whole wallet: every position goes at its worst mark, what is left then by the share of its value."""
    for s in range(held.size):
        p.settle(account, held[s], bars[s, k.FUNDED, bar], bars[s, k.TURNED, bar])
    left, value = account.cash, 0.0
    for s in range(held.size):
        mark = bars[s, k.MARK_LOW if held[s].quantity > 0.0 else k.MARK_HIGH, bar]
        left += held[s].quantity * mark
        value += abs(held[s].quantity) * mark
    account.liquidated = bar
    for s in range(held.size):
        one = held[s]
        if one.quantity != 0.0:
            side = 1.0 if one.quantity > 0.0 else -1.0
            price = bars[s, k.MARK_LOW if side > 0.0 else k.MARK_HIGH, bar] * (1.0 - side * left / value)
            gross = one.quantity * (price - one.entry)
            logged = p.close(account, one, bar, price, gross, BY_LIQUIDATION, number, s, log, logged)
    account.cash = 0.0
    return logged


@kernel
def _pass(
    bars: Array,
    bounds: Array,
    days: NDArray[np.int64],
    closes: Array,
    account: Record,
    held: Records,
    start: int,
    end: int,
    interval: int,
) -> None:
    """Add bars of an interval to drawdown and daily returns."""
    if start >= end:
        return
    base, highest, lowest, holds = account.cash, 0.0, 0.0, False
    for s in range(held.size):
        quantity = held[s].quantity
        if quantity != 0.0:
            base += quantity * held[s].paid
            top, floor = quantity * bounds[s, interval, k.TOP_CARRIED], quantity * bounds[s, interval, k.FLOOR_CARRIED]
            highest += max(top, floor)
            lowest += min(top, floor)
            holds = True
    account.bars_held += (end - start) * holds
    highest, lowest = base + highest, base + lowest
    if not holds or highest > account.peak or lowest <= 0.0:
        _fall(bars, account, held, base, start, end if holds else start + 1)
    elif (account.peak - lowest) * account.top > account.drop * account.peak:
        _fall(bars, account, held, base, start, end)
    while account.day < days.size and days[account.day] < end:
        equity = base
        for s in range(held.size):
            equity += held[s].quantity * closes[s, account.day]
        p.day(account, equity)


@kernel
def _fall(bars: Array, account: Record, held: Records, base: float, start: int, end: int) -> None:
    """Follow the running peak and the deepest fall over ``[start, end)``, bar by bar."""
    peak, drop, top = account.peak, account.drop, account.top
    for t in range(start, end):
        equity = base
        for s in range(held.size):
            if held[s].quantity != 0.0:
                equity += held[s].quantity * bars[s, k.CARRIED, t]
        if equity > peak:
            peak = equity
        elif (peak - equity) * top > drop * peak:
            drop, top = peak - equity, peak
    account.peak, account.drop, account.top = peak, drop, top


@kernel
def _finish(bars: Array, account: Record, held: Records, number: int, log: Records, logged: int) -> int:
    """Value what is left at the last closes; what is still open is noted as trades that are not over."""
    last = bars.shape[2] - 1
    for s in range(held.size):
        one = held[s]
        if one.quantity != 0.0:
            p.settle(account, one, bars[s, k.FUNDED, last], bars[s, k.TURNED, last])
    account.equity = account.cash
    for s in range(held.size):
        one = held[s]
        if one.quantity != 0.0:
            close = bars[s, k.CARRIED, last] + bars[s, k.FUNDED, last]
            account.equity += one.quantity * close
            net = one.quantity * (close - one.entry) - one.open_fees + one.open_funding
            logged = p.note(one, last, close, net, BY_END, number, s, log, logged)
    account.drawdown = account.drop / account.top
    return logged
