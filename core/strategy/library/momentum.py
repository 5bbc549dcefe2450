"""What rose goes on rising: over time, and across instruments."""

from typing import ClassVar

import numpy as np

from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from core.strategy.library.model import Events, Parameter, Parameters, events_of
from core.strategy.signals import CLOSE_ENOUGH, Indicators, begins


class TimeSeriesMomentum:
    """Be long after a rise over the lookback, short after a fall, out when the change has turned."""

    name: ClassVar[str] = "momentum"
    horizon: ClassVar[str] = "position"
    across: ClassVar[bool] = False
    shared: ClassVar[tuple[str, ...]] = ("lookback",)
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("lookback", 2, 2000, 1, 240, "bars over which the change is measured"),
        Parameter("threshold_frac", 0, 0.2, 0.001, 0.02, "change at which a position begins"),
    )

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return the lookback, and the bar before."""
        return int(chosen["lookback"]) + 2

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return where the change passes its bounds or zero."""
        change, bound = x.change(int(chosen["lookback"])), chosen["threshold_frac"] + CLOSE_ENOUGH
        return events_of(begins(change > bound), begins(change <= 0.0), begins(change < -bound), begins(change >= 0.0))


class CrossSectionMomentum:
    """Be long what rose most over the lookback and short what rose least, looked at anew every so many bars."""

    name: ClassVar[str] = "cross_momentum"
    horizon: ClassVar[str] = "position"
    across: ClassVar[bool] = True
    shared: ClassVar[tuple[str, ...]] = ("lookback", "every")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("lookback", 2, 2000, 1, 168, "bars over which the change is measured"),
        Parameter("every", 1, 720, 1, 24, "bars between two turns, counted from 1970"),
        Parameter("count", 1, 20, 1, 1, "instruments on each side, at most half of them"),
    )

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return the lookback."""
        return int(chosen["lookback"]) + 1

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return what each instrument (row) is told at each turn at which all of them have a change."""
        bars = x.bars
        change = x.change(int(chosen["lookback"]))
        turn = bars.ts // bars.interval_ns % int(chosen["every"]) == 0
        when = np.flatnonzero(turn & np.isfinite(change).all(axis=0)).astype(np.int64)
        ranks = np.argsort(np.argsort(-change[:, when], axis=0, kind="stable"), axis=0)
        symbols = change.shape[0]
        count = min(int(chosen["count"]), symbols // 2)
        long, short = ranks < count, ranks >= symbols - count
        what = np.where(long, LONG_ENTRY, LONG_EXIT) | np.where(short, SHORT_ENTRY, SHORT_EXIT)
        return when, what.astype(np.uint8)
