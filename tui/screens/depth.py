"""The depth of one instrument's book: what stands there in sum down to each price, over any screen, closed by Esc."""

from collections.abc import Callable, Sequence

from core.domain.identifiers import symbol_of
from core.state.markets import Market
from tui import plots
from tui.format import age, compact, fit, number, percent
from tui.lines import Line
from tui.screens.report import Reading
from tui.views import is_stale
from tui.widgets.plot import EVERY_S, PlotPane

LEVELS = 60


def steps(levels: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Give the corners of the sum of sizes from the best level outward."""
    xs, ys, total = list[float](), list[float](), 0.0
    for price, size in levels:
        xs += [price, price]
        ys += [total, total + size]
        total += size
    return xs, ys


def depth_lines(market: Market | None, width: int, height: int) -> list[Line]:
    """Draw the sums of both sides over price; what is missing is said."""
    bids, asks = market.book.top(LEVELS) if market is not None else ((), ())
    if market is None or not (bids or asks):
        return [((fit(" no book is known of this instrument now", width), "dim"),)]
    low_x, low_y = steps(bids)
    high_x, high_y = steps(asks)
    xs, tallest = (*low_x, *high_x), max((*low_y, *high_y))
    edges = plots.bounds(xs)
    if edges is None or tallest <= 0:
        return [((fit(" no size stands in this book", width), "dim"),)]
    places = market.instrument.price_precision
    count = max(2, min(7, width // 18))
    span = (edges[1] - edges[0]) / (count - 1)
    x_ticks = [(edges[0] + i * span, number(edges[0] + i * span, places)) for i in range(count)]
    series = [plots.Series(low_x, low_y, "bid"), plots.Series(high_x, high_y, "ask")]
    return [
        _sums(low_y, high_y, bids, asks, width),
        *plots.plot_lines(
            series, width, height - 1,
            x=edges, y=(0.0, tallest * 1.04), x_ticks=x_ticks,
            y_ticks=plots.value_ticks(0.0, tallest, max(2, height // 4)),
        ),
    ]  # fmt: skip


def _sums(
    low: Sequence[float],
    high: Sequence[float],
    bids: Sequence[tuple[float, float]],
    asks: Sequence[tuple[float, float]],
    width: int,
) -> Line:
    bid, ask = (low[-1] if low else 0.0), (high[-1] if high else 0.0)
    tilt = percent(bid / (bid + ask), 0) if bid + ask > 0 else "–"
    left = f" bids {compact(bid)} on {len(bids)} levels" if bids else " no bids"
    right = f"asks {compact(ask)} on {len(asks)} levels" if asks else "no asks"
    words = f"{left} · {right} · {tilt} of the size is bid"
    return ((fit(words, width), "dim"),)


class DepthScreen(Reading):
    """The depth chart, drawn once a second."""

    def __init__(self, market: Callable[[], Market | None], wall: Callable[[], int]) -> None:
        self._market, self._wall = market, wall
        pane = PlotPane("depth", "Esc closes", drawing=self._depth, id="depth")
        super().__init__(pane)
        self._plot = pane

    def on_mount(self) -> None:
        """Draw it again and again."""
        self.set_interval(EVERY_S, self._plot.want)

    def _depth(self, width: int, height: int) -> list[Line]:
        market, now = self._market(), self._wall()
        if market is not None:
            seen = market.age(now)
            old = f"  ~ {age(seen / 1e9 if seen is not None else None)} old" if is_stale(market, now) else ""
            self._plot.set_title(f"depth  {symbol_of(market.instrument.id)}{old}")
        return depth_lines(market, width, height)
