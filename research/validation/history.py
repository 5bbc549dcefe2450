"""What one back-test did: its trades as round trips and the equity of every bar, as the simulator counted them."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from research.simulator import kernels as k
from research.simulator.records import BY_END, BY_LIQUIDATION
from research.simulator.simulator import Market

Array = NDArray[np.float64]
REASONS = ("signal", "stop", "target", "liquidation", "end of data")
"""Why a trade ended, by the numbers of ``research.simulator.records``."""


class Played(msgspec.Struct, frozen=True):
    """One instrument's part of a back-test; ``trades`` are ``records.TRADE`` by the bar numbers of ``market``."""

    instrument: InstrumentId
    market: Market
    trades: NDArray[np.void]

    def profits(self) -> Array:
        """Return what the trades earned by each bar's close (n,), fees and funding taken off (quote asset)."""
        earned = np.zeros(self.market.size)
        close, funded = self.market.close(), self.market.bars[k.FUNDED]
        for trade in self.trades:
            start, end = int(trade["opened"]), int(trade["closed"])
            signed = float(trade["quantity"]) * int(trade["side"])
            fee = float(trade["quantity"] * trade["entry"]) * float(k.fee_at(self.market.fees, start))
            # What is still open at the end is valued at the last close; the trade's own figure says the same.
            stop = end + 1 if trade["reason"] == BY_END else end
            held = slice(start, stop)
            earned[held] += signed * (close[held] - trade["entry"] - (funded[held] - funded[start])) - fee
            earned[stop:] += trade["profit"]
        return earned

    def round_trips(self) -> list["RoundTrip"]:
        """Return the trades with their times, by the time they opened."""
        ts = self.market.ts
        return [
            RoundTrip(
                instrument=self.instrument,
                side="long" if one["side"] > 0 else "short",
                quantity=float(one["quantity"]),
                entry=float(one["entry"]),
                exit=float(one["exit"]),
                opened=int(ts[one["opened"]]),
                closed=int(ts[one["closed"]]),
                reason=REASONS[int(one["reason"])],
                fees=float(one["fees"]),
                funding=float(one["funding"]),
                profit=float(one["profit"]),
            )
            for one in self.trades
        ]


class RoundTrip(msgspec.Struct, frozen=True, kw_only=True):
    """A position from its entry to its exit: prices with slippage, money in the quote asset, times of bars' opens (ns).

    ``profit`` is what is left after ``fees`` and ``funding`` (below 0 where it was paid). A ``reason`` of
    ``end of data`` is a position that was still open: it is valued at the last close.
    """

    instrument: InstrumentId
    side: str
    quantity: float
    entry: float
    exit: float
    opened: Nanoseconds
    closed: Nanoseconds
    reason: str
    fees: float
    funding: float
    profit: float


class Curve(msgspec.Struct, frozen=True):
    """Equity at each bar's close; ``ts`` are the bars' opens (ns, UTC), ``begin`` what there was before the first."""

    ts: NDArray[np.int64]
    equity: Array
    begin: float

    def falls(self) -> Array:
        """Return how far below the highest value so far each stands, as a positive fraction."""
        peaks = np.maximum.accumulate(np.concatenate([[self.begin], self.equity]))[1:]
        fallen: Array = 1.0 - self.equity / peaks
        return fallen

    def sampled(self, step: Nanoseconds) -> list[float]:
        """Return the equity every ``step`` (ns), from the first bar's open on; the last value is the last bar's."""
        if not self.ts.size:
            return [self.begin]
        times = np.arange(self.ts[0] + step, self.ts[-1] + step, step)
        places = np.searchsorted(self.ts, np.append(times, self.ts[-1] + 1)) - 1
        return [self.begin, *(float(value) for value in self.equity[places])]


def curve(parts: Sequence[Played], cash: float, wallets: int) -> Curve:
    """Return the equity of all wallets together as if they were one of ``cash``: each counts by its share."""
    ts = np.unique(np.concatenate([part.market.ts for part in parts])) if parts else np.zeros(0, np.int64)
    equity = np.full(ts.size, cash)
    for part in parts:
        earned = np.concatenate([[0.0], part.profits()])
        equity += earned[np.searchsorted(part.market.ts, ts, "right")] / wallets
    return Curve(ts, equity, cash)


def months(of: Curve) -> list[tuple[str, float]]:
    """Return each month (``2024-03``, UTC) with what it brought, as a fraction of the equity that it began with."""
    named = of.ts.astype("datetime64[ns]").astype("datetime64[M]")
    last = np.append(np.flatnonzero(named[1:] != named[:-1]), named.size - 1) if named.size else np.zeros(0, int)
    ends = of.equity[last]
    starts = np.concatenate([[of.begin], ends[:-1]])
    return [(str(named[at]), float(end / start - 1.0)) for at, start, end in zip(last, starts, ends, strict=True)]


def liquidation(parts: Sequence[Played]) -> tuple[Nanoseconds, InstrumentId]:
    """Return when a back-test was liquidated first, and in what; 0 and nothing where it never was."""
    found = [
        (int(part.market.ts[trade["closed"]]), part.instrument)
        for part in parts
        for trade in part.trades[part.trades["reason"] == BY_LIQUIDATION]
    ]
    return min(found, default=(0, InstrumentId("")))
