"""Inside one day: the opening range, and volume that is unusual for its time."""

from typing import ClassVar

import numpy as np

from core.strategy.library.model import Events, Parameter, Parameters, bars_of_days, events_of
from core.strategy.signals import CLOSE_ENOUGH, Flags, Indicators, above, begins, below


class OpeningRange:
    """Buy a close above the session's opening range, sell one below it, be flat at its end."""

    name: ClassVar[str] = "opening_range"
    horizon: ClassVar[str] = "intraday"
    across: ClassVar[bool] = False
    shared: ClassVar[tuple[str, ...]] = ("minutes",)
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("minutes", 15, 480, 15, 60, "minutes of the session whose range is broken"),
        Parameter("margin_bps", 0, 100, 1, 5, "basis points by which it must be exceeded"),
    )

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return one session and the bar before."""
        return bars_of_days(1, interval_ns) + 1

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return the breaks, and exits at each session's end."""
        high, low = x.opening_range(int(chosen["minutes"]))
        close, more, ends = x.bars.close, chosen["margin_bps"] * 1e-4, x.session_ends()
        up = begins(above(close, high * (1.0 + more))) & ~ends
        down = begins(below(close, low * (1.0 - more))) & ~ends
        return events_of(up, ends, down, ends)


class VolumeSpike:
    """Follow a bar whose volume is far above what its time of day usually has, for some bars."""

    name: ClassVar[str] = "volume_spike"
    horizon: ClassVar[str] = "scalp"
    across: ClassVar[bool] = False
    shared: ClassVar[tuple[str, ...]] = ("days", "hold")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("days", 5, 60, 1, 20, "days whose volume at that time is usual"),
        Parameter("score", 1, 10, 0.25, 3, "deviations of log volume that are a spike"),
        Parameter("hold", 1, 96, 1, 4, "bars until a position ends"),
    )

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return the days, and how long a spike is held."""
        return bars_of_days(int(chosen["days"]), interval_ns) + int(chosen["hold"]) + 1

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return spikes in their bar's direction, and an exit ``hold`` bars behind each unless another one came."""
        bars, hold = x.bars, int(chosen["hold"])
        spike = x.volume_score(int(chosen["days"])) > chosen["score"] + CLOSE_ENOUGH
        up, down = spike & above(bars.close, bars.open), spike & below(bars.close, bars.open)
        return events_of(up, _later(up, hold) & ~up, down, _later(down, hold) & ~down)


def _later(flags: Flags, bars: int) -> Flags:
    """Tell where a flag stood some bars ago and none since."""
    number = np.where(flags, np.arange(flags.size), -1)
    last = np.maximum.accumulate(number) if flags.size else number
    return np.asarray((last >= 0) & (np.arange(flags.size) - last == bars))
