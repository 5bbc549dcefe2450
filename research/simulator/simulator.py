"""Margin back-tests of many parameter sets over one contract: leverage, liquidation, funding, dated fees and tiers.

Open-source vectorbt has no leverage, liquidation or funding; at leverage 1 without margin the results equal its
``Portfolio.from_signals(direction="both")`` order by order. The walk itself is in ``research.simulator.walk``.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.domain.instrument import MarginBracket
from core.errors import ResearchError
from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from research.simulator import kernels as k
from research.simulator.records import RUN, TERMS, TRADE
from research.simulator.walk import walk

__all__ = ["LONG_ENTRY", "LONG_EXIT", "SHORT_ENTRY", "SHORT_EXIT", "Account", "Market", "Sets", "Tariff", "simulate"]

Array = NDArray[np.float64]
DAY_NS = 86_400_000_000_000
_NO_TIERS = ((np.inf, 0.0, 0.0, np.inf),)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The wallet and its terms: money in the quote asset, fractions of price; 0 is no step and no least notional.

    ``margin`` false leaves out liquidation and every bound of leverage. ``isolated`` false (cross) puts the whole
    wallet behind the position. Slippage worsens every fill.
    """

    cash: float = 100_000.0
    slippage: float = 0.0
    size_step: float = 0.0
    min_notional: float = 0.0
    margin: bool = True
    isolated: bool = True

    def record(self) -> Any:
        """Return the account as the kernel's record."""
        terms = np.zeros(1, TERMS)
        for name in self.__struct_fields__:
            terms[name] = getattr(self, name)
        return terms[0]


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue takes, each with the time (ns, UTC) from which it holds, oldest first.

    ``fees``: (since, taker fee fraction). ``tiers``: (since, brackets); none is a contract without maintenance margin.
    """

    fees: Sequence[tuple[int, float]] = ((0, 0.0),)
    tiers: Sequence[tuple[int, Sequence[MarginBracket]]] = ()

    def fee_rows(self, ts: NDArray[np.int64]) -> Array:
        """Return (2, n): the bar from which each fee holds, and the fee."""
        since = np.searchsorted(ts, [stamp for stamp, _ in self.fees]).astype(np.float64)
        return np.stack([since, np.array([fee for _, fee in self.fees])])

    def tier_tables(self, ts: NDArray[np.int64]) -> Array:
        """Return (tables, rows, 5): cap, rate, cum, leverage, and the bar from which the table holds."""
        dated = [
            (stamp, [(float(t.cap), float(t.maintenance_rate), float(t.cum), float(t.max_leverage)) for t in brackets])
            for stamp, brackets in self.tiers
        ] or [(0, list(_NO_TIERS))]
        rows = max(len(table) for _, table in dated)
        tables = np.empty((len(dated), rows, 5))
        for number, (stamp, table) in enumerate(dated):
            tables[number, :, :4] = table + [table[-1]] * (rows - len(table))
            tables[number, :, k.SINCE] = np.searchsorted(ts, stamp)
        return tables


class Market:
    """One contract's bars, ready for the kernel.

    Arrays of one length: ``ts`` (ns, UTC, a bar's open), prices in the quote asset, ``funding_rate`` as the fraction
    paid by longs at a bar's open (0 at most bars) on ``mark``; marks default to the traded prices.

    Raises:
        ResearchError: lengths differ, times do not rise, a price is not a number above 0.
    """

    def __init__(
        self,
        ts: NDArray[np.int64],
        prices: tuple[Array, Array, Array, Array],
        *,
        marks: tuple[Array, Array, Array] | None = None,
        funding_rate: Array | None = None,
        tariff: Tariff | None = None,
    ) -> None:
        opened, high, low, close = prices
        mark, mark_high, mark_low = marks or (opened, high, low)
        rate = np.zeros(ts.size) if funding_rate is None else funding_rate
        _check(ts, {"open": opened, "high": high, "low": low, "close": close, "mark": mark, "mark high": mark_high,
                    "mark low": mark_low}, rate)  # fmt: skip
        paid = mark * np.nan_to_num(rate)
        funded, turned = np.cumsum(paid), np.cumsum(np.abs(paid))
        rows = (opened, high, low, mark_high, mark_low, close - funded, funded, turned)
        self.ts = ts
        self.bars: Array = np.ascontiguousarray(np.stack(rows), dtype=np.float64)
        self.days = np.flatnonzero(np.diff(ts // DAY_NS, append=ts[-1] // DAY_NS + 1)).astype(np.int64)
        self.closes: Array = self.bars[k.CARRIED][self.days]
        self.tariff = tariff or Tariff()
        self.fees, self.tiers = self.tariff.fee_rows(ts), self.tariff.tier_tables(ts)

    @property
    def size(self) -> int:
        """Return the number of bars."""
        return int(self.ts.size)

    def close(self) -> Array:
        """Return the closing prices."""
        closes: Array = self.bars[k.CARRIED] + self.bars[k.FUNDED]
        return closes


def _check(ts: NDArray[np.int64], prices: dict[str, Array], rate: Array) -> None:
    if not ts.size:
        raise ResearchError("no bars: nothing to simulate")
    late = np.flatnonzero(np.diff(ts) <= 0)
    if late.size:
        raise ResearchError(f"bar {late[0] + 1} is not later than the one before it; bars must rise in time")
    for name, values in {**prices, "funding rate": rate}.items():
        if values.shape != ts.shape:
            raise ResearchError(f"{name} has {values.size} values, expected {ts.size}, one a bar")
    for name, values in prices.items():
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
        if wrong.size:
            raise ResearchError(f"{name} of bar {wrong[0]} is {values[wrong[0]]}; expected a number above 0")


class Sets(msgspec.Struct, frozen=True, kw_only=True):
    """Parameter sets that act at the same bars: one row a set.

    ``bars``: rising bar numbers at whose open a set may act. ``signals``: (sets, bars), LONG_ENTRY | LONG_EXIT |
    SHORT_ENTRY | SHORT_EXIT. The rest: one number a set, or one for all (``records``). An entry's size is ``notional``
    (quote asset) or, where that is 0, ``fraction`` of equity times ``leverage``.
    """

    bars: NDArray[np.int64]
    signals: NDArray[np.uint8]
    leverage: Any = 1.0
    notional: Any = 0.0
    fraction: Any = 0.0
    max_size: Any = 0.0
    stop: Any = 0.0
    target: Any = 0.0
    trail: Any = 0.0

    def runs(self) -> NDArray[np.void]:
        """Return the kernel's records, nothing done yet.

        Raises:
            ResearchError: a leverage below 1, a negative or missing size.
        """
        runs = np.zeros(self.signals.shape[0], RUN)
        for name in ("leverage", "notional", "fraction", "max_size", "stop", "target", "trail"):
            runs[name] = getattr(self, name)
            if not np.all(np.isfinite(runs[name]) & (runs[name] >= 0.0)):
                raise ResearchError(f"{name} must be a number of 0 or more in every set")
        if not np.all(runs["leverage"] >= 1.0):
            raise ResearchError("leverage must be 1 or more in every set")
        if not np.all((runs["notional"] > 0.0) | (runs["fraction"] > 0.0)):
            raise ResearchError("a set has no size: give a notional, or a fraction of equity, above 0")
        return runs


def placed(sets: Sets, size: int) -> NDArray[np.int64]:
    """Return the bars at which sets act, proven to be among ``size`` bars.

    Raises:
        ResearchError: bars that do not rise or lie outside, signals of another shape.
    """
    bars = np.asarray(sets.bars, np.int64)
    if bars.size and (np.any(np.diff(bars) <= 0) or bars[0] < 0 or bars[-1] >= size):
        raise ResearchError(f"a set acts at bars that do not rise or are not among the market's {size}")
    if sets.signals.ndim != 2 or sets.signals.shape[1] != bars.size:
        raise ResearchError(f"signals have the shape {sets.signals.shape}, expected (sets, {bars.size})")
    return bars


def simulate(
    market: Market, account: Account, sets: Sets, *, trades: bool = False
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return one ``RUN`` record a set, and every trade (``TRADE``) where ``trades`` is asked, else none.

    Raises:
        ResearchError: bars that do not rise or lie outside the market, signals of another shape, a set without size.
    """
    bars = placed(sets, market.size)
    ahead = int(not bars.size or bars[0] > 0)
    edges = np.concatenate([np.zeros(ahead, np.int64), bars, [market.size]]).astype(np.int64)
    signals = np.zeros((sets.signals.shape[0], edges.size - 1), np.uint8)
    signals[:, ahead:] = sets.signals
    runs, bounds = sets.runs(), k.bounds_of(market.bars, edges)
    log = np.zeros(0, TRADE)
    terms = account.record()
    what = (market.bars, market.days, market.closes, market.fees, market.tiers, terms, edges, bounds, signals)
    count = walk(*what, runs, log)
    if trades and count:
        log = np.zeros(count, TRADE)
        walk(*what, runs, log)
    return runs, log
