"""Following a move: averages that cross, and channels that break."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from core.strategy.library.model import Events, Parameter, Parameters, events_of
from core.strategy.signals import Flags, Indicators, above, before, begins, below, ema_memory, rsi_memory, wilder_memory

RSI_STEP = 1e-4
"""What counts as no difference between an RSI and its bound."""


class RsiEmaCross:
    """Buy where the fast EMA crosses above the slow one, unless the RSI says overbought; sell in the mirror."""

    name: ClassVar[str] = "rsi_ema"
    horizon: ClassVar[str] = "swing"
    across: ClassVar[bool] = False
    shared: ClassVar[tuple[str, ...]] = ("fast", "slow")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("fast", 2, 100, 1, 20, "bars of the fast EMA"),
        Parameter("slow", 5, 400, 1, 50, "bars of the slow EMA"),
        Parameter("rsi_window", 2, 60, 1, 14, "bars of the RSI"),
        Parameter("overbought", 50, 100, 1, 70, "no long at this RSI or above"),
        Parameter("oversold", 0, 50, 1, 30, "no short at this RSI or below"),
    )

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return what EMA and RSI remember."""
        return max(ema_memory(int(chosen["slow"])), rsi_memory(int(chosen["rsi_window"]))) + 1

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return the crosses; sets with the same averages share them, which makes many sets cheap."""
        when, up = self.crosses(x, int(chosen["fast"]), int(chosen["slow"]))
        rsi = x.rsi(int(chosen["rsi_window"]))[when]
        long = up & (rsi < chosen["overbought"] - RSI_STEP)
        short = ~up & (rsi > chosen["oversold"] + RSI_STEP)
        what = np.where(up, SHORT_EXIT, LONG_EXIT) | np.where(long, LONG_ENTRY, 0) | np.where(short, SHORT_ENTRY, 0)
        return when, what.astype(np.uint8)

    @staticmethod
    def crosses(x: Indicators, fast: int, slow: int) -> tuple[NDArray[np.int64], Flags]:
        """Return the bars at which two EMAs cross, and whether upwards."""

        def make() -> tuple[NDArray[np.int64], Flags]:
            quick, slower = x.ema(fast), x.ema(slow)
            up = begins(above(quick, slower))
            when = np.flatnonzero(up | begins(below(quick, slower))).astype(np.int64)
            return when, up[when]

        return x.kept(("crosses", fast, slow), make)


class DonchianBreakout:
    """Buy a close above the channel of the bars before by some ATR, leave at the shorter channel's other side."""

    name: ClassVar[str] = "donchian"
    horizon: ClassVar[str] = "swing"
    across: ClassVar[bool] = False
    shared: ClassVar[tuple[str, ...]] = ("channel", "exit_channel")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("channel", 2, 400, 1, 55, "bars of the channel that is broken"),
        Parameter("exit_channel", 2, 200, 1, 20, "bars of the channel that ends a position"),
        Parameter("atr_window", 2, 60, 1, 14, "bars of the ATR"),
        Parameter("atr_multiple", 0, 4, 0.05, 0.25, "ATR by which the channel must be exceeded"),
    )

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return what channels and ATR remember, and the bar before."""
        return max(int(chosen["channel"]), int(chosen["exit_channel"]), wilder_memory(int(chosen["atr_window"]))) + 3

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return the breaks; the ATR is that of the bar before, which the break itself has not widened."""
        close, channel, out = x.bars.close, int(chosen["channel"]), int(chosen["exit_channel"])
        more = chosen["atr_multiple"] * before(x.atr(int(chosen["atr_window"])))
        return events_of(
            begins(above(close, x.highest(channel) + more)),
            begins(below(close, x.lowest(out))),
            begins(below(close, x.lowest(channel) - more)),
            begins(above(close, x.highest(out))),
        )
