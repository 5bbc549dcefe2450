"""Back to the mean: Bollinger's bands and the session's VWAP."""

from typing import ClassVar

from core.strategy.library.model import Events, Parameter, Parameters, bars_of_days, events_of
from core.strategy.signals import CLOSE_ENOUGH, MINUTE_NS, Indicators, begins


class BollingerReversion:
    """Buy a close below the lower band, sell one above the upper band, leave at the mean."""

    name: ClassVar[str] = "bollinger"
    horizon: ClassVar[str] = "intraday"
    across: ClassVar[bool] = False
    shared: ClassVar[tuple[str, ...]] = ("window",)
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("window", 5, 200, 1, 20, "bars of mean and deviation"),
        Parameter("width", 0.5, 4, 0.1, 2, "deviations at which a position begins"),
    )

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return one window and the bar before."""
        return int(chosen["window"]) + 1

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return where the score passes a band or the mean."""
        score, width = x.score(int(chosen["window"])), chosen["width"] + CLOSE_ENOUGH
        rising, falling = begins(score >= -CLOSE_ENOUGH), begins(score <= CLOSE_ENOUGH)
        return events_of(begins(score < -width), rising, begins(score > width), falling)


class VwapReversion:
    """Buy far below the session's VWAP, sell far above it, leave at the VWAP and at the session's end."""

    name: ClassVar[str] = "vwap"
    horizon: ClassVar[str] = "intraday"
    across: ClassVar[bool] = False
    shared: ClassVar[tuple[str, ...]] = ()
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("width", 0.5, 5, 0.1, 2, "deviations from the VWAP at which a position begins"),
        Parameter("settle_minutes", 15, 720, 15, 120, "minutes of a session before its VWAP counts"),
    )

    def warm_up(self, chosen: Parameters, interval_ns: int) -> int:
        """Return one session and the bar before."""
        return bars_of_days(1, interval_ns) + 1

    def events(self, x: Indicators, chosen: Parameters) -> Events:
        """Return where the score passes its bounds; none begins at a session's last bar."""
        score, width, ends = x.vwap_score(), chosen["width"] + CLOSE_ENOUGH, x.session_ends()
        settled = (x.into_session() >= int(chosen["settle_minutes"]) * MINUTE_NS) & ~ends
        return events_of(
            begins((score < -width) & settled),
            begins(score >= -CLOSE_ENOUGH) | ends,
            begins((score > width) & settled),
            begins(score <= CLOSE_ENOUGH) | ends,
        )
