"""What becomes of one position: its size, fills and funding, and what ends it by itself; the kernels of every walk.

``account`` is the record that has the wallet and its figures, ``held`` the one that has the position. Where a wallet
has one contract they are the same record; where it has several each contract has a ``held`` of its own.
"""

import numpy as np
from numpy.typing import NDArray

from core.strategy import figures
from research.simulator import kernels as k
from research.simulator.compiled import kernel
from research.simulator.kernels import Array, Record, Records
from research.simulator.records import BY_SIGNAL, BY_STOP, BY_TARGET

# The rule that live strategies follow, compiled as it stands there.
wanted = kernel(figures.wanted)
asked = kernel(figures.asked)
affordable = kernel(figures.affordable)
whole = kernel(figures.whole)
fills_at = kernel(figures.fills_at)


@kernel
def begin(run: Record, cash: float) -> None:
    """Forget whatever a record held and came to."""
    run.cash = run.peak = run.top = run.day_base = cash
    run.quantity = run.entry = run.isolated = run.drop = run.best = run.open_fees = run.open_funding = 0.0
    run.opened = run.day = run.wanted = run.until = run.why = 0
    run.paid = run.turned = run.at = 0.0
    run.equity = run.drawdown = run.gross_profit = run.gross_loss = run.fees = run.funding = 0.0
    run.orders = run.trades = run.wins = run.bars_held = run.days = 0
    run.sum_1 = run.sum_2 = run.sum_3 = run.sum_4 = 0.0
    run.liquidated = -1


@kernel
def day(account: Record, equity: float) -> None:
    """Add the return of a day that ends at an equity."""
    change = equity / account.day_base - 1.0
    square = change * change
    account.days += 1
    account.sum_1 += change
    account.sum_2 += square
    account.sum_3 += square * change
    account.sum_4 += square * square
    account.day_base = equity
    account.day += 1


@kernel
def last_day(account: Record, days: NDArray[np.int64], bar: int) -> None:
    """Add the day that a liquidation cut short at a bar, unless that bar was its last and the day is counted."""
    if account.day == 0 or days[account.day - 1] != bar:
        day(account, account.cash)


@kernel
def ends(bars: Array, bounds: Array, held: Record, start: int, end: int, interval: int) -> tuple[int, float, int]:
    """Return (bar, price, reason) of the stop or target that ends a position before ``end``; BY_SIGNAL where none does.

    In one bar the worse comes first: stop, then target. A level that the open is already beyond fills at the open.
    """
    side = 1 if held.quantity > 0.0 else -1
    bar, price, reason = end, 0.0, BY_SIGNAL
    adverse, kind = bounds[interval, k.FLOOR_LOW], bounds[interval, k.TOP_HIGH]
    if side < 0:
        adverse, kind = kind, adverse
    if held.target > 0.0:
        level = held.entry * (1.0 + side * held.target)
        if side * kind >= side * level:
            bar, reason = k.first_touch(bars, start, end, level, side), BY_TARGET
            price = fills_at(bars[k.OPEN, bar], level, side)
    if held.stop > 0.0:
        level = held.entry * (1.0 - side * held.stop)
        if side * adverse <= side * level:
            t = k.first_touch(bars, start, min(end, bar + 1), level, -side)
            if t < min(end, bar + 1):
                bar, reason, price = t, BY_STOP, fills_at(bars[k.OPEN, t], level, -side)
    if held.trail > 0.0:
        best = side * max(side * held.best, side * kind)
        if side * adverse <= side * best * (1.0 - side * held.trail):
            t, level = k.first_trail(bars, start, min(end, bar + 1), held.best, held.trail, side)
            if t < min(end, bar + 1) and (t < bar or reason != BY_STOP):
                bar, reason, price = t, BY_STOP, fills_at(bars[k.OPEN, t], level, -side)
        held.best = best
    return bar, price, reason


@kernel
def settle(account: Record, held: Record, funded: float, turned: float) -> None:
    """Pay the funding of a position up to where FUNDED and TURNED are these."""
    paid = held.quantity * (funded - held.paid)
    account.cash -= paid
    held.isolated -= paid
    held.open_funding -= paid
    account.funding -= paid
    held.paid, held.turned = funded, turned


@kernel
def size(
    fees: Array,
    tiers: NDArray[np.float64],
    terms: Record,
    held: Record,
    equity: float,
    free: float,
    bar: int,
    price: float,
    side: int,
) -> float:
    """Return an entry's quantity: bounded by ``max_size``, by tiers and by free margin, rounded down to the step."""
    notional = asked(held.notional, held.fraction, held.leverage, held.max_size, equity)
    if terms.margin:
        notional = min(notional, k.bearable(tiers, k.table_at(tiers, bar), held.leverage))
        notional = min(notional, affordable(free, held.leverage, terms.slippage, k.fee_at(fees, bar), side))
    return whole(notional / price, terms.size_step, price, terms.min_notional)


@kernel
def trade(
    fees: Array,
    terms: Record,
    account: Record,
    held: Record,
    bar: int,
    change: float,
    price: float,
    reason: int,
    number: int,
    symbol: int,
    log: Records,
    logged: int,
) -> int:
    """Fill a change of position, slippage and fee added: it opens from flat or closes whole."""
    price *= 1.0 + (terms.slippage if change > 0.0 else -terms.slippage)
    fee = abs(change) * price * k.fee_at(fees, bar)
    account.cash -= change * price + fee
    account.fees += fee
    account.orders += 1
    held.open_fees += fee
    if held.quantity == 0.0:
        held.quantity, held.entry, held.best = change, price, price
        held.opened = bar
        return logged
    return close(account, held, bar, price, held.quantity * (price - held.entry), reason, number, symbol, log, logged)


@kernel
def close(
    account: Record,
    held: Record,
    bar: int,
    price: float,
    gross: float,
    reason: int,
    number: int,
    symbol: int,
    log: Records,
    logged: int,
) -> int:
    """Book a round trip and forget the position."""
    net = gross - held.open_fees + held.open_funding
    account.trades += 1
    if net > 0.0:
        account.wins += 1
        account.gross_profit += net
    else:
        account.gross_loss -= net
    logged = note(held, bar, price, net, reason, number, symbol, log, logged)
    held.quantity = held.entry = held.isolated = held.open_fees = held.open_funding = 0.0
    return logged


@kernel
def note(
    held: Record, bar: int, price: float, net: float, reason: int, number: int, symbol: int, log: Records, logged: int
) -> int:
    """Write a trade down as far as there is room; return how many there were."""
    if logged < log.size:
        row = log[logged]
        row.set, row.symbol, row.side = number, symbol, 1 if held.quantity > 0.0 else -1
        row.opened, row.closed, row.reason = held.opened, bar, reason
        row.quantity, row.entry, row.exit = abs(held.quantity), held.entry, price
        row.fees, row.funding, row.profit = held.open_fees, held.open_funding, net
    return logged + 1
