"""Back-tests of one wallet over several contracts: cross margin, funding, dated fees and tiers, many sets in one pass.

At leverage 1 without margin the results equal vectorbt's ``from_signals(group_by=True, cash_sharing=True)`` trade by
trade; with one contract they equal ``research.simulator.simulator`` with cross margin. The walk itself is in
``research.simulator.shared_walk``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import ResearchError
from research.simulator import kernels as k
from research.simulator.records import RUN, TRADE
from research.simulator.shared_walk import walk_shared
from research.simulator.simulator import DAY_NS, Account, Array, Market, Sets, placed

ROWS = 8
"""Rows of a market's bars, see ``research.simulator.kernels``."""


class Basket:
    """Bars of several contracts on the times of all, ready for the kernel; ``places[s]`` are where its own bars are.

    At a time without a bar a contract stands at its last close, and nothing of it is filled, touched or funded there.

    Raises:
        ResearchError: no contract.
    """

    def __init__(self, markets: Sequence[Market]) -> None:
        if not markets:
            raise ResearchError("a wallet needs at least one contract")
        self.ts: NDArray[np.int64] = np.unique(np.concatenate([market.ts for market in markets]))
        self.sizes = [market.size for market in markets]
        self.places = [np.searchsorted(self.ts, market.ts) for market in markets]
        self.bars: Array = np.empty((len(markets), ROWS, self.ts.size))
        for rows, market, place in zip(self.bars, markets, self.places, strict=True):
            _spread(rows, market, place)
        self.days = np.flatnonzero(np.diff(self.ts // DAY_NS, append=self.ts[-1] // DAY_NS + 1)).astype(np.int64)
        self.closes: Array = np.ascontiguousarray(self.bars[:, k.CARRIED, self.days])
        self.fees = _side_by_side([market.tariff.fee_rows(self.ts) for market in markets])
        self.tiers = _side_by_side([market.tariff.tier_tables(self.ts) for market in markets])

    @property
    def size(self) -> int:
        """Return the number of times."""
        return int(self.ts.size)


def _spread(rows: Array, market: Market, place: NDArray[np.int64]) -> None:
    """Write a market's bars where they belong, and its last close where it has none."""
    if market.size == rows.shape[1]:
        rows[:] = market.bars
        return
    last = np.maximum(np.searchsorted(place, np.arange(rows.shape[1]), side="right") - 1, 0)
    rows[:] = market.bars[:, last]
    none = np.ones(rows.shape[1], bool)
    none[place] = False
    close = rows[k.CARRIED, none] + rows[k.FUNDED, none]
    for row in (k.OPEN, k.MARK_HIGH, k.MARK_LOW):
        rows[row, none] = close
    rows[k.HIGH, none], rows[k.LOW, none] = -np.inf, np.inf  # no level is touched


def _side_by_side(tables: Sequence[Array]) -> Array:
    """Return tables of one contract each as one array: the shorter repeat their last entry, to no effect."""
    shape = tuple(np.max([table.shape for table in tables], axis=0))
    return np.stack(
        [np.pad(table, [(0, most - n) for most, n in zip(shape, table.shape, strict=True)], "edge") for table in tables]
    )


def simulate_shared(
    basket: Basket, account: Account, sets: Sequence[Sets], *, trades: bool = False
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return one ``RUN`` record a set, the wallet's, and every trade (``TRADE``) where ``trades`` is asked, else none.

    ``sets[s]`` are the sets as they act in contract ``s``, bars counted in its own; trades count in the basket's times.
    An entry is a fraction of the equity of the whole wallet at the bar's opens, at most what the margin of what is held
    leaves of it. ``leverage`` of a result is the highest of its contracts.

    Raises:
        ResearchError: an isolated account, not one ``Sets`` a contract, or what ``simulate`` refuses.
    """
    if account.isolated:
        raise ResearchError("a wallet of several contracts is crossed: give an account with isolated=False")
    if len(sets) != len(basket.places):
        raise ResearchError(f"{len(sets)} contracts have signals, the wallet has {len(basket.places)}")
    count = sets[0].signals.shape[0]
    if any(one.signals.shape[0] != count for one in sets):
        raise ResearchError("every contract needs a row of signals for every set")
    positions = np.stack([one.runs() for one in sets], axis=1)
    accounts = np.zeros(count, RUN)
    accounts["leverage"] = positions["leverage"].max(axis=1, initial=1.0)
    acts = [place[placed(one, size)] for place, one, size in zip(basket.places, sets, basket.sizes, strict=True)]
    edges, events, symbols, order = _order(acts, basket.size)
    signals = np.ascontiguousarray(np.concatenate([one.signals for one in sets], axis=1)[:, order])
    bounds = np.stack([k.bounds_of(bars, edges) for bars in basket.bars])
    log, terms = np.zeros(0, TRADE), account.record()
    tables = (basket.bars, basket.days, basket.closes, basket.fees, basket.tiers, terms)
    what = (*tables, edges, bounds, events, symbols, signals, accounts, positions)
    number = walk_shared(*what, log)
    if trades and number:
        log = np.zeros(number, TRADE)
        walk_shared(*what, log)
    return accounts, log


def _order(
    acts: Sequence[NDArray[np.int64]], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return edges, where the events of each begin, the symbol of each event, and which event of all it was."""
    bars = np.concatenate(acts)
    symbols = np.repeat(np.arange(len(acts)), [one.size for one in acts])
    order = np.lexsort((symbols, bars))
    edges = np.unique(np.concatenate([[0], bars, [size]])).astype(np.int64)
    events = np.searchsorted(bars[order], edges).astype(np.int64)
    return edges, events, symbols[order].astype(np.int64), order
